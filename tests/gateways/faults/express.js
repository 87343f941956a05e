// Express with `ws` beside it on one port. `--attached other` is the common mistake: `ws` is given a server that nobody
// listens on, because `app.listen` makes one of its own.
'use strict';

const express = require('express');
const http = require('node:http');
const { WebSocketServer } = require('ws');
const { endOnSignal, listen, options, path, text } = require('../fixture.js');
const { follow } = require('./said.js');

const given = options({
  attached: [text, 'listening'],
  page: [path, '/'], // served as a page
});

const app = express();
app.get(given.page, (_request, response) => response.send('<!DOCTYPE html>\n<title>the application</title>\n'));

const server = http.createServer(app);
const wss = new WebSocketServer({ server });
wss.on('connection', (ws) => {
  ws.on('error', () => {});
  follow(ws);
  ws.on('message', (data, binary) => ws.send(data, { binary }));
});

endOnSignal();
if (given.attached === 'other') {
  const listening = app.listen(given.port, '127.0.0.1', () => {
    const at = `127.0.0.1:${listening.address().port}`;
    process.stdout.write(`${JSON.stringify({ listening: at, pid: process.pid })}\n`);
  });
} else {
  listen(server, given.port);
}
