// Socket.IO on both ends of a relay, saying what each end saw: JSON lines without times, addresses or ids.
//
//   node peer-socketio.js serve [--port N]          a server; its transcript comes at SIGTERM
//   node peer-socketio.js call HOST:PORT            a client: polling alone, WebSocket alone, polling then WebSocket
//   node peer-socketio.js reconnect HOST:PORT       a client that is cut and comes back by itself
'use strict';

const http = require('node:http');
const { createHash } = require('node:crypto');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');
const { listen, options } = require('./fixture.js');

const WAYS = { polling: ['polling'], websocket: ['websocket'], upgraded: ['polling', 'websocket'] };

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function digest(data) {
  return { bytes: data.length, sha1: createHash('sha1').update(data).digest('hex') };
}

function serve() {
  const given = options({});
  const server = http.createServer((_request, response) => response.end('ok\n'));
  // Short beats, so that a run sees several; a megabyte in one message.
  const sockets = new Server(server, { pingInterval: 250, pingTimeout: 5_000, maxHttpBufferSize: 2 << 20 });
  const seen = new Map(); // the client's name → what happened
  const session = (socket) => {
    const name = socket.handshake.auth.name;
    const saw = [{ connected: socket.nsp.name, over: socket.conn.transport.name }];
    seen.set(seen.has(name) ? `${name} again` : name, saw);
    socket.conn.once('upgrade', (transport) => saw.push({ upgraded: transport.name }));
    socket.on('disconnect', (reason) => saw.push({ disconnected: reason }));
    socket.on('add', (a, b, answer) => answer(a + b));
    socket.on('join', (room, answer) => {
      socket.join(room);
      answer(room);
    });
    socket.on('shout', (room, text, answer) => {
      socket.to(room).emit('heard', text);
      answer();
    });
    socket.on('echo', (value, answer) => {
      if (Buffer.isBuffer(value.bytes)) saw.push({ echo: digest(value.bytes) });
      answer(value);
    });
    socket.on('ask me', async (answer) => {
      saw.push({ answered: await socket.emitWithAck('question', 'how many?') });
      answer();
    });
    socket.on('leave me', () => socket.disconnect());
  };
  sockets.on('connection', session);
  const admin = sockets.of('/admin');
  admin.use((socket, next) => next(socket.handshake.auth.token === 'secret' ? undefined : new Error('not you')));
  admin.on('connection', session);
  listen(server, given.port);
  process.once('SIGTERM', () => {
    const all = [...seen.keys()].sort();
    const start = Date.now();
    const end = () => {
      const open = all.some((name) => !('disconnected' in seen.get(name).at(-1)));
      if (open && Date.now() < start + 5_000) return setTimeout(end, 5);
      for (const name of all) say({ server: name, saw: seen.get(name) });
      process.stdout.write('', () => process.exit(0));
    };
    end();
  });
}

function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...values) => resolve(values)));
}

/** A connected client; says how it came in. */
async function client(at, way, name, { path = '', ...auth } = {}) {
  const socket = io(`http://${at}${path}`, {
    transports: WAYS[way],
    forceNew: true,
    reconnection: false,
    auth: { name, ...auth },
  });
  socket.on('disconnect', (reason) => say({ client: name, disconnected: reason }));
  const upgrade = way === 'upgraded' ? new Promise((resolve) => {
    // The engine is there from the next tick on.
    setImmediate(() => socket.io.engine.once('upgrade', (transport) => resolve(transport.name)));
  }) : undefined;
  const [outcome] = await Promise.race([
    once(socket, 'connect').then(() => ['connected']),
    once(socket, 'connect_error').then(([error]) => [error.message]),
  ]);
  say({ client: name, outcome, path });
  if (upgrade && outcome === 'connected') say({ client: name, upgraded: await upgrade });
  return socket;
}

async function call(at) {
  for (const way of Object.keys(WAYS)) {
    const [first, second, third] = [
      await client(at, way, `${way} first`),
      await client(at, way, `${way} second`),
      await client(at, way, `${way} third`),
    ];
    first.on('question', (text, answer) => {
      say({ client: `${way} first`, asked: text });
      answer(42);
    });
    say({ way, sum: await first.emitWithAck('add', 2, 3) });
    await first.emitWithAck('ask me');
    await first.emitWithAck('join', 'room');
    await second.emitWithAck('join', 'room');
    let outside = 0;
    third.on('heard', () => (outside += 1));
    const heard = once(second, 'heard');
    await first.emitWithAck('shout', 'room', 'to the room');
    say({ way, heard: await heard });
    say({ way, sum: await third.emitWithAck('add', 20, 3), outside });
    const bytes = Buffer.alloc(100_000, way);
    const back = await first.emitWithAck('echo', { bytes, and: { text: 'héllo 世界', list: [1, null, 'x'] } });
    say({ way, echo: digest(Buffer.from(back.bytes)), and: back.and });
    const long = 'long '.repeat(100_000);
    say({ way, long: digest((await second.emitWithAck('echo', { long })).long) });
    const many = await Promise.all(Array.from({ length: 100 }, (_, i) => third.emitWithAck('add', i, i)));
    say({ way, many: many.reduce((sum, n) => sum + n) });
    // Two beats of the engine: the link lives when nobody speaks.
    for (let beat = 0; beat < 2; beat++) await once(second.io.engine, 'heartbeat');
    say({ way, beats: 2 });
    const refused = await client(at, way, `${way} stranger`, { path: '/admin' });
    refused.io.engine.close();
    const admin = await client(at, way, `${way} admin`, { path: '/admin', token: 'secret' });
    say({ way, admin: await admin.emitWithAck('add', 1, 1) });
    admin.disconnect();
    const left = once(second, 'disconnect');
    second.emit('leave me');
    await left;
    third.disconnect();
    first.disconnect();
  }
}

async function reconnect(at) {
  const socket = io(`http://${at}`, { transports: ['websocket'], reconnectionDelay: 50, auth: { name: 'returning' } });
  let times = 0;
  socket.on('disconnect', (reason, details) => {
    say({ disconnected: reason, code: details?.context?.code ?? null, text: details?.context?.reason ?? null });
  });
  socket.on('connect', async () => {
    times += 1;
    say({ connected: times, sum: await socket.emitWithAck('add', times, 1) });
    if (times === 2) socket.disconnect();
  });
}

const [mode, at] = process.argv.slice(2);
const modes = { call, reconnect };
if (mode === 'serve') {
  process.argv.splice(2, 1);
  serve();
} else if (Object.hasOwn(modes, mode ?? '') && at) {
  modes[mode](at).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
} else {
  process.stderr.write('say `serve`, `call HOST:PORT` or `reconnect HOST:PORT`\n');
  process.exit(2);
}
