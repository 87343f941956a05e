// A bot that tells the agent of itself through clients/node: no WebSocket of its own, only what it says of one. It says
// what POST /_control?do=… tells it to, and carries reconnect orders out by connecting anew.
'use strict';

const http = require('node:http');
const mooring = require('../../clients/node/index.js');
const { duration, endOnSignal, listen, options, text } = require('./fixture.js');

const given = options({
  gateway: [text, '-'],
  instance: [text, 'acct-1'],
  protocol: [text, 'baileys'],
  heartbeat: [duration, 1000], // promised, and so late at most
});

const client = mooring({ gateway: given.gateway, onError: (error) => process.stderr.write(`${error.message}\n`) });
const stats = { reconnects: 0 };
const interval = given.heartbeat;
const account = client.instance(given.instance, {
  protocol: given.protocol,
  software: 'a fixture',
  heartbeat: { interval, timeout: interval },
  orders: {
    reconnect: () => {
      stats.reconnects += 1;
      account.connecting();
      account.open();
    },
  },
});
account.open();

const server = http.createServer((request, response) => {
  const [pathname, query] = request.url.split('?', 2);
  const params = new URLSearchParams(query);
  if (pathname === '/_control' && params.get('do') === 'close') {
    account.closed(Number(params.get('code')), params.get('message') ?? undefined);
  } else if (pathname === '/_control' && params.get('do') === 'hang') {
    // Alive and silent, as a bot with a blocked event loop: this is answered first.
    request.socket.once('close', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, duration(params.get('for'))));
  } else if (pathname === '/_control' && params.get('do') === 'open') {
    account.open();
  } else if (pathname !== '/_stats') {
    response.writeHead(404);
    return response.end();
  }
  response.writeHead(200, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(`${JSON.stringify({ ...stats, ...client.stats(), pid: process.pid })}\n`);
});

endOnSignal();
listen(server, 0);
