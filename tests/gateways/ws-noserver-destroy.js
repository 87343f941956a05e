// The routing pattern of the `ws` README: one `upgrade` handler, `noServer`, and `socket.destroy()` for every path it
// does not know. Whoever asks for another path sees TCP end in the middle of the handshake, without a status.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const { endOnSignal, listen, options, path } = require('./fixture.js');

const given = options({ path: [path, '/somewhere-else'] });

const server = http.createServer((_request, response) => response.end('ok\n'));
const wss = new WebSocketServer({ noServer: true });
wss.on('connection', (ws) => ws.on('error', () => {}));

server.on('upgrade', (request, socket, head) => {
  if (request.url.split('?', 1)[0] === given.path) {
    wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
  } else {
    socket.destroy();
  }
});

endOnSignal((done) => {
  wss.clients.forEach((ws) => ws.close(1001, 'going away'));
  done();
});
listen(server, given.port);
