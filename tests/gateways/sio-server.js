// Socket.IO as people run it, with the settings that people get wrong as flags. With `--nodes 2` or more, a balancer
// stands before as many servers and deals requests out in turn, with or without sticky sessions.
//
// Namespaces: `/` says `hello` to who comes; `/admin` wants the token `secret`; `/mute` never answers; others are created
// by POST /_control?do=create&namespace=/name, as Evolution API creates its own with their first event.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { Server } = require('socket.io');
const { WebSocketServer } = require('ws');
const { boolean, duration, endOnSignal, listen, options, path, text } = require('./fixture.js');

const given = options({
  path: [path, '/socket.io/'],
  'ping-interval': [duration, 25_000],
  'ping-timeout': [duration, 20_000],
  'connect-timeout': [duration, 45_000],
  cors: [text, ''], // the origins allowed, separated by spaces; `*`; `[*]` for the array that looks like it
  refuse: [text, ''], // allowRequest refuses with this
  transports: [text, 'polling,websocket'],
  legacy: [boolean, false], // Engine.IO 3 as well
  'ws-path': [text, ''], // a second WebSocket server, of `ws`, on the same HTTP server
  nodes: [Number, 1],
  sticky: [boolean, false], // by cookie
});

function origins() {
  if (given.cors === '' || given.cors === '*') return given.cors || undefined;
  return given.cors === '[*]' ? ['*'] : given.cors.split(' ');
}

const log = []; // what happened, in order
const nodes = Array.from({ length: given.nodes }, node);

function node() {
  const server = http.createServer(plain);
  const sockets = new Server(server, {
    path: given.path,
    pingInterval: given['ping-interval'],
    pingTimeout: given['ping-timeout'],
    connectTimeout: given['connect-timeout'],
    transports: given.transports.split(','),
    allowEIO3: given.legacy,
    cors: origins() && { origin: origins() },
    allowRequest: given.refuse ? (_request, decide) => decide(given.refuse, false) : undefined,
  });
  sockets.engine.on('connection', (engine) => {
    log.push({ opened: engine.transport.name });
    engine.on('packet', ({ type }) => type !== 'message' && log.push({ packet: type }));
    engine.on('close', (reason) => log.push({ closed: reason }));
  });
  sockets.engine.on('connection_error', ({ code }) => log.push({ refused: code }));
  const session = (socket) => {
    const namespace = socket.nsp.name;
    log.push({ joined: namespace });
    socket.emit('hello', { auth: Object.keys(socket.handshake.auth), query: Object.keys(socket.handshake.query) });
    socket.on('disconnect', (reason) => log.push({ left: namespace, reason }));
    socket.on('add', (a, b, answer) => answer(a + b));
    socket.on('say', (...args) => socket.emit('said', ...args));
    socket.on('ask me', async (answer) => answer(await socket.emitWithAck('question')));
    socket.on('binary', () => socket.emit('bytes', { first: Buffer.from('one'), second: Buffer.from('two') }));
    socket.on('kick', () => socket.disconnect());
    socket.on('cut', () => socket.conn.close());
  };
  sockets.on('connection', session);
  const admin = sockets.of('/admin');
  admin.use((socket, next) => {
    const { token } = socket.handshake.auth;
    next(token === 'secret' ? undefined : new Error(`not you, ${token}`));
  });
  admin.on('connection', session);
  sockets.of('/mute').use(() => {});
  if (given['ws-path']) new WebSocketServer({ server, path: given['ws-path'] });
  return { server, sockets, session };
}

function plain(request, response) {
  const [pathname, query] = request.url.split('?', 2);
  const asked = new URLSearchParams(query);
  if (pathname === '/_control' && asked.get('do') === 'create') {
    for (const { sockets, session } of nodes) sockets.of(asked.get('namespace')).on('connection', session);
  } else if (pathname === '/_control' && asked.get('do') === 'hang') {
    // The answer is out before the event loop stands still.
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, duration(asked.get('for'))), 20);
  } else if (pathname !== '/_log') {
    response.writeHead(pathname === '/' ? 200 : 404);
    return response.end(pathname === '/' ? 'ok\n' : 'nothing here\n');
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  const open = nodes.reduce((sum, { sockets }) => sum + sockets.engine.clientsCount, 0);
  response.end(JSON.stringify({ open, log }));
}

/** The nodes in turn, or the one a cookie names. */
function balancer() {
  let turn = 0;
  const pick = (request) => {
    const route = /(?:^|; )route=(\d)/.exec(request.headers.cookie ?? '')?.[1];
    return given.sticky && route ? Number(route) : turn++ % nodes.length;
  };
  const port = (index) => nodes[index].server.address().port;
  const front = http.createServer((request, response) => {
    const index = pick(request);
    const { method, headers, url } = request;
    const onward = http.request({ port: port(index), method, headers, path: url, agent: false }, (answer) => {
      const cookie = given.sticky ? { 'set-cookie': `route=${index}; Path=/` } : {};
      response.writeHead(answer.statusCode, { ...answer.headers, ...cookie });
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  front.on('upgrade', (request, socket, head) => {
    const onward = net.connect(port(pick(request)), '127.0.0.1', () => {
      const lines = request.rawHeaders.map((part, i) => part + (i % 2 ? '\r\n' : ': ')).join('');
      onward.write(`GET ${request.url} HTTP/1.1\r\n${lines}\r\n`);
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [socket, onward]) end.on('error', () => {});
  });
  return front;
}

if (given.nodes === 1) {
  listen(nodes[0].server, given.port);
} else {
  let left = nodes.length;
  for (const { server } of nodes) {
    server.listen(0, '127.0.0.1', () => --left === 0 && listen(balancer(), given.port));
  }
}
endOnSignal((done) => {
  for (const { sockets } of nodes) sockets.close();
  done();
});
