// A gateway as most people write one: `ws` on an HTTP server. It behaves until POST /_control?do=… tells it not to.
//
// The faults are real ones: `hang` blocks the event loop, so nothing is answered, this endpoint and SIGTERM included,
// until it is over or the process is killed; `drop` destroys the sockets under the sessions; `mute` stops reading them.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const { boolean, duration, endOnSignal, listen, options, path, text } = require('./fixture.js');

const given = options({
  host: [text, '127.0.0.1'],
  path: [path, '/ws'],
  'any-path': [boolean, false], // every path is the endpoint's
  tick: [duration, 2000], // a small text frame to each session this often; 0 for never
  'max-lifetime': [duration, 0], // close each session with 1000 after this long; 0 for never
  hello: [text, ''], // first text frame of each session
  echo: [boolean, false], // send messages back
});

const stats = { sessions_accepted: 0, pings_received: 0, messages_received: 0 };
let misbehaviour = null; // 'mute', 'refuse' or 'http-only': the faults that last and leave the event loop running
let healing; // the timer that ends it
let refusedPort; // where to listen again

const server = http.createServer((request, response) => {
  const [pathname, query] = request.url.split('?', 2);
  if (pathname === '/_control') return control(request, new URLSearchParams(query), response);
  if (pathname === '/_stats') return json(response, 200, snapshot());
  if (pathname === given.path) {
    response.writeHead(426, { Upgrade: 'websocket', Connection: 'Upgrade' });
    return response.end('this is a WebSocket endpoint\n');
  }
  response.writeHead(pathname === '/' ? 200 : 404);
  response.end(pathname === '/' ? 'ok\n' : 'nothing here\n');
});

const wss = new WebSocketServer({
  server,
  path: given['any-path'] ? undefined : given.path,
  maxPayload: 64 * 1024,
  perMessageDeflate: false,
  verifyClient: (_info, decide) => decide(misbehaviour !== 'http-only', 200, 'ok\n'),
});

wss.on('connection', (ws, request) => {
  ws.tcp = request.socket;
  stats.sessions_accepted += 1;
  ws.on('error', () => {}); // a peer that breaks the protocol; `close` follows
  ws.on('ping', () => (stats.pings_received += 1));
  ws.on('message', (data, isBinary) => {
    stats.messages_received += 1;
    if (given.echo) ws.send(data, { binary: isBinary });
  });
  if (misbehaviour === 'mute') ws.pause();
  else if (given.hello) ws.send(given.hello);
  const timers = [];
  if (given.tick > 0) {
    let tick = 0;
    timers.push(setInterval(() => misbehaviour !== 'mute' && ws.send(`{"tick":${++tick}}`), given.tick));
  }
  if (given['max-lifetime'] > 0) {
    timers.push(setTimeout(() => ws.close(1000, 'lifetime over'), given['max-lifetime']));
  }
  ws.on('close', () => timers.forEach(clearTimeout));
});

function snapshot() {
  return { sessions_open: wss.clients.size, ...stats, misbehaviour, pid: process.pid };
}

function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** What can be done at once, or `undefined` for what is no verb. */
function act(verb, params, lasts) {
  switch (verb) {
    case 'drop':
      return () => wss.clients.forEach((ws) => ws.tcp.destroy());
    case 'close': {
      const code = Number(params.get('code') ?? 1000);
      const reason = params.get('reason') ?? '';
      if (!mayBeSent(code)) throw new Error('code may not be sent; use 1000-1003, 1007-1014 or 3000-4999');
      if (Buffer.byteLength(reason) > 123) throw new Error('reason is too long; the most is 123 bytes');
      return () => wss.clients.forEach((ws) => ws.close(code, reason));
    }
    case 'mute':
    case 'http-only':
      return () => misbehave(verb, lasts);
    case 'refuse':
      // Nobody can ask it to heal while it refuses, so it always has an end.
      return () => misbehave(verb, lasts ?? 20_000);
    case 'heal':
      return heal;
    default:
      return undefined;
  }
}

/** RFC 6455 section 7.4: the rest never travels in a frame. */
function mayBeSent(code) {
  return [1000, 1001, 1002, 1003].includes(code) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

function control(request, params, response) {
  if (request.method !== 'POST') return json(response, 405, { error: 'use POST' });
  const verb = params.get('do');
  try {
    const lasts = params.has('for') ? duration(params.get('for')) : undefined;
    if (verb === 'die' || verb === 'hang') {
      // The answer first: afterwards there is nobody to give it. `close` comes when the client has it; one that
      // keeps its end open is not waited for.
      const then = verb === 'die' ? () => process.exit(3) : () => hang(lasts);
      let begun = false;
      const begin = () => {
        if (begun) return;
        begun = true;
        then();
      };
      request.socket.once('close', begin);
      setTimeout(begin, 1000);
      json(response, 200, { done: verb, stats: snapshot() });
      return;
    }
    const effect = act(verb, params, lasts);
    if (!effect) throw new Error('do is hang, die, drop, refuse, mute, http-only, heal or close');
    effect();
    json(response, 200, { done: verb, stats: snapshot() });
  } catch (error) {
    json(response, 400, { error: error.message });
  }
}

/** Blocks the event loop without burning a core, as a deadlocked native call does. */
function hang(lasts) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lasts);
}

function misbehave(fault, lasts) {
  heal();
  misbehaviour = fault;
  if (fault === 'mute') wss.clients.forEach((ws) => ws.pause());
  if (fault === 'refuse') {
    refusedPort = server.address().port;
    server.close(); // the sessions stay: they are no longer the HTTP server's
  }
  if (lasts !== undefined) healing = setTimeout(heal, lasts);
}

function heal() {
  clearTimeout(healing);
  const fault = misbehaviour;
  misbehaviour = null;
  if (fault === 'mute') wss.clients.forEach((ws) => ws.resume());
  if (fault === 'refuse') server.listen(refusedPort, given.host);
}

endOnSignal((done) => {
  server.close();
  wss.clients.forEach((ws) => ws.close(1001, 'going away'));
  wss.close(done);
});

listen(server, given.port, given.host);
