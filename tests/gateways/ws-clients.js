// Clients as most people write them: `ws`, and `setTimeout(connect, …)` when the session ends. Nothing else notices that a
// session is dead: no timer of their own, so that what ends one is TCP, whoever made it do so.
//
// Each says what happens to it, a line of JSON at a time: {"client":0,"event":"open","port":40000} and
// {"client":0,"event":"closed","code":1006,"error":"ECONNRESET","after":1234}; after: milliseconds since it was opened.
'use strict';

const WebSocket = require('ws');
const { duration, options, text } = require('./fixture.js');

const number = (given) => {
  if (!/^\d+$/.test(given)) throw new Error(`${JSON.stringify(given)} is not a number`);
  return Number(given);
};

const given = options({
  to: [text, ''], // ws://HOST:PORT/PATH
  count: [number, 1],
  apart: [duration, 0], // so long between the first tries of two of them
  say: [duration, 0], // a message this often; 0 for never
  retry: [duration, 200], // so long after the end of a session, or a try that failed
  patience: [duration, 3000], // for a handshake
});

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function connect(client) {
  const ws = new WebSocket(given.to, { handshakeTimeout: given.patience, perMessageDeflate: false });
  let opened; // when
  let talking;
  let error;
  ws.on('open', () => {
    opened = Date.now();
    // `ws` keeps the socket's own errors to itself, and closes with 1006.
    ws._socket.on('error', (e) => (error = e.code));
    say({ client, event: 'open', port: ws._socket.localPort });
    if (given.say > 0) talking = setInterval(() => ws.send(`{"client":${client}}`), given.say);
  });
  ws.on('error', (e) => (error = e.code ?? e.message));
  ws.on('close', (code) => {
    clearInterval(talking);
    if (opened !== undefined) say({ client, event: 'closed', code, error, after: Date.now() - opened });
    setTimeout(connect, given.retry, client);
  });
}

for (let client = 0; client < given.count; client += 1) setTimeout(connect, given.apart * client, client);
