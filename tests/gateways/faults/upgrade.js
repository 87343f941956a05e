// `ws` in its third way, `noServer`, with one `upgrade` handler for all paths; and what the handler does with those that
// it does not know: the README's `destroy`, or nothing at all. Plain requests are answered.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const { endOnSignal, listen, options, path, text } = require('../fixture.js');
const { follow } = require('./said.js');

const given = options({ path: [path, '/ws'], unknown: [text, 'destroy'] });

const server = http.createServer((_request, response) => response.end('ok\n'));
const wss = new WebSocketServer({ noServer: true });
wss.on('connection', (ws) => {
  ws.on('error', () => {});
  follow(ws);
});

server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {});
  if (request.url.split('?', 1)[0] === given.path) {
    wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
  } else if (given.unknown === 'destroy') {
    socket.destroy();
  }
});

endOnSignal();
listen(server, given.port);
