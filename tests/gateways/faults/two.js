// Two `ws` servers with a path each on one HTTP server, which looks right and is not: each hears every upgrade, and each
// refuses those that are not its own, also after the other has accepted.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const { endOnSignal, listen, options } = require('../fixture.js');

const given = options({});
const server = http.createServer((_request, response) => response.end('ok\n'));
for (const path of ['/first', '/second']) {
  const wss = new WebSocketServer({ server, path });
  wss.on('connection', (ws) => ws.on('error', () => {}));
}
endOnSignal();
listen(server, given.port);
