// npm's `ws` on a port of its own, as its README begins. Each flag is a fault, or what makes one visible.
'use strict';

const { WebSocketServer } = require('ws');
const { boolean, duration, endOnSignal, options, path, text } = require('../fixture.js');
const { afterHolding, follow, print } = require('./said.js');

const given = options({
  path: [path, '/'], // `/` takes any, as without the option
  ping: [duration, 0], // between the pings of the server; none by default, as `ws` has it
  'max-payload': [Number, 100 * 1024 * 1024],
  subprotocol: [boolean, true], // whether it takes the first that is offered, as `ws` does by itself
  'stop-after': [duration, 0], // freezes when a session has been held for this long
  'die-after': [duration, 0], // is killed then
  failure: [text, ''], // says so and closes at once, as a chat network that will not have this client
});

const wss = new WebSocketServer({
  host: '127.0.0.1',
  port: given.port,
  maxPayload: given['max-payload'],
  ...(given.path === '/' ? {} : { path: given.path }),
  ...(given.subprotocol ? {} : { handleProtocols: () => false }),
});
const freeze = afterHolding(given['stop-after'], () => process.kill(process.pid, 'SIGSTOP'));
const die = afterHolding(given['die-after'], () => process.kill(process.pid, 'SIGKILL'));

wss.on('connection', (ws) => {
  ws.on('error', () => {});
  follow(ws);
  freeze(ws);
  die(ws);
  if (given.failure) {
    ws.send(JSON.stringify({ failure: Number(given.failure) }));
    ws.close(1000);
  }
  if (given.ping > 0) {
    const timer = setInterval(() => ws.ping(), given.ping);
    ws.on('close', () => clearInterval(timer));
  }
  ws.on('message', (data, binary) => ws.send(data, { binary }));
});

wss.on('listening', () => print({ listening: `127.0.0.1:${wss.address().port}`, pid: process.pid }));
endOnSignal();
