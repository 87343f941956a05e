// Socket.IO as its documentation begins, with the timers and the checks that faults are about.
'use strict';

const http = require('node:http');
const { Server } = require('socket.io');
const { duration, endOnSignal, listen, options, text } = require('../fixture.js');
const { print } = require('./said.js');

const given = options({
  'ping-interval': [duration, 25_000],
  'ping-timeout': [duration, 20_000],
  'connect-timeout': [duration, 45_000],
  'max-buffer': [Number, 1e6],
  apikey: [text, ''], // refuses as Evolution does, in its words; `broken` fails while it checks
  cors: [text, ''], // the one origin that pages may have; `["*"]` for the list that is meant to be `*`
});

// Evolution's order: no key, a wrong key, and whatever goes wrong while it looks the key up.
function check(request, callback) {
  const key = new URL(request.url, 'http://here').searchParams.get('apikey') ?? request.headers.apikey;
  if (given.apikey === 'broken') return callback('Authentication error', false);
  if (!key) return callback('apiKey is required', false);
  if (key !== given.apikey) return callback('Invalid global token', false);
  return callback(null, true);
}

const server = http.createServer((_request, response) => response.writeHead(404).end());
const io = new Server(server, {
  pingInterval: given['ping-interval'],
  pingTimeout: given['ping-timeout'],
  connectTimeout: given['connect-timeout'],
  maxHttpBufferSize: given['max-buffer'],
  ...(given.apikey ? { allowRequest: check } : {}),
  ...(given.cors ? { cors: { origin: given.cors.startsWith('[') ? JSON.parse(given.cors) : given.cors } } : {}),
});
io.on('connection', (socket) => socket.emit('hello', 'world'));
io.engine.on('connection', (session) => {
  const opened = Date.now();
  let heard = opened;
  session.on('packet', () => (heard = Date.now()));
  session.on('close', (reason) => {
    const at = Date.now();
    print({ end: 'server', code: 1006, reason, at, age: at - opened, silent_for: at - heard });
  });
});

endOnSignal();
listen(server, given.port);
