// A double of WAHA (https://waha.devlike.pro), which is on no registry: its sessions API and its events' WebSocket, built
// from its source (2024.10 and of 2026), on the `ws` package that WAHA itself uses.
//
//   node waha.js [--port N] [--dialect 2024|2026] [--heartbeat MS] [--key KEY]
//
// The two dialects differ where a client notices: 2024 takes the key of the socket in the header, knows no event but
// `session.status` there (else 4001), and pings each 10 s; 2026 takes the key in the query alone (else 1008) and pings
// each 60 s. Both end a client that was silent for a round.
//
// `/twin` is not WAHA's: GET tells what happened, POST sets a session or what goes wrong.
'use strict';

const http = require('http');
const { WebSocketServer } = require('ws');

const options = { port: '0', dialect: '2024', heartbeat: '', key: '' };
for (let i = 2; i < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1];
const heartbeat = Number(options.heartbeat || (options.dialect === '2024' ? 10_000 : 60_000));

// name -> { status, me, engine, after: where a start leads, delay: ms until then, deaf: restart does nothing }
const sessions = new Map();
const faults = { mute: false, key: options.key, silent: false };
const log = { calls: [], sockets: [], terminated: 0, pongs: 0, closed: [] };

function announce(name) {
  const session = sessions.get(name);
  const event = {
    event: 'session.status',
    session: name,
    engine: session.engine.engine,
    payload: { name, status: session.status },
  };
  broadcast(event);
}

function broadcast(event) {
  for (const socket of sockets.clients) {
    if (socket.events && (socket.events.includes('*') || socket.events.includes(event.event))) {
      socket.send(JSON.stringify(event));
    }
  }
}

function turn(name, status) {
  sessions.get(name).status = status;
  announce(name);
}

// Starts it as WAHA does: STARTING, and after a while wherever it comes to.
function start(name) {
  const session = sessions.get(name);
  if (session.status === 'WORKING' || session.status === 'STARTING') return;
  turn(name, 'STARTING');
  session.timer = setTimeout(() => {
    if (session.after === 'WORKING') session.me = session.me || { id: '1@c.us', pushName: 'One' };
    turn(name, session.after);
  }, session.delay);
}

function restart(name) {
  const session = sessions.get(name);
  if (session.deaf) return;
  clearTimeout(session.timer);
  turn(name, 'STOPPED');
  start(name);
}

// The list knows nothing of engines; newer versions say in it when something last happened.
const view = ([name, session]) => ({
  name,
  status: session.status,
  config: {},
  me: session.me,
  ...(options.dialect === '2024' ? {} : { timestamps: { activity: session.activity ?? null } }),
});
const detail = (name) => ({ ...view([name, sessions.get(name)]), engine: sessions.get(name).engine });

function api(request, url, answer) {
  const [, , , escaped, verb] = url.pathname.split('/');
  if (faults.key && request.headers['x-api-key'] !== faults.key)
    return answer(401, { message: 'Unauthorized', statusCode: 401 });
  if (faults.mute) return;
  if (!escaped) {
    const all = url.searchParams.get('all') === 'true';
    return answer(200, [...sessions].filter(([, s]) => all || s.status !== 'STOPPED').map(view));
  }
  const name = decodeURIComponent(escaped);
  if (!sessions.has(name)) return answer(404, { message: 'Session not found', statusCode: 404 });
  if (request.method === 'POST') {
    log.calls.push(`${verb} ${name}`);
    if (verb === 'start') start(name);
    if (verb === 'restart') restart(name);
  }
  answer(request.method === 'POST' ? 201 : 200, detail(name));
}

function twin(request, body, answer) {
  if (request.method === 'POST') {
    const { session, remove, ...rest } = JSON.parse(body);
    if (session) {
      const { name, ...set } = session;
      const known = sessions.get(name) || {
        status: 'STOPPED',
        me: null,
        engine: { engine: 'WEBJS' },
        after: 'WORKING',
        delay: 50,
        deaf: false,
      };
      const before = known.status;
      clearTimeout(known.timer);
      sessions.set(name, Object.assign(known, set));
      if (known.status !== before) announce(name);
    }
    if (remove) sessions.delete(remove);
    Object.assign(faults, rest);
  }
  answer(200, log);
}

const server = http.createServer((request, response) => {
  let body = '';
  request.on('data', (part) => {
    body += part;
  });
  request.on('end', () => {
    const answer = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname === '/twin') return twin(request, body, answer);
    if (url.pathname === '/ping') return answer(200, { message: 'pong' });
    if (url.pathname.startsWith('/api/sessions')) return api(request, url, answer);
    answer(404, { message: `Cannot ${request.method} ${url.pathname}`, error: 'Not Found', statusCode: 404 });
  });
});

const sockets = new WebSocketServer({ server, path: '/ws' });
sockets.on('connection', (socket, request) => {
  const query = new URL(request.url, 'http://localhost').searchParams;
  const manner = query.has('x-api-key') ? 'query' : 'header';
  log.sockets.push(manner);
  socket.on('close', (code) => log.closed.push(code));
  socket.on('error', () => {});
  const given = options.dialect === '2024' ? request.headers['x-api-key'] : query.get('x-api-key');
  if (faults.key && given !== faults.key) return socket.close(1008, 'Unauthorized');
  const events = (query.get('events') || '*').split(',');
  if (options.dialect === '2024' && String(events) !== '*' && String(events) !== 'session.status') {
    return socket.close(4001, JSON.stringify({ error: "Only 'session.status' event is allowed for now" }));
  }
  socket.events = events;
  socket.alive = true;
  socket.on('pong', () => {
    socket.alive = true;
    log.pongs += 1;
  });
});

setInterval(() => {
  if (faults.silent) return;
  for (const socket of sockets.clients) {
    if (socket.alive === false) {
      log.terminated += 1;
      socket.terminate();
      continue;
    }
    socket.alive = false;
    socket.ping();
  }
}, heartbeat);

process.on('SIGTERM', () => {
  for (const socket of sockets.clients) socket.close(1001, 'Server is shutting down');
  setTimeout(() => process.exit(0), 200);
});

server.listen(Number(options.port), '127.0.0.1', () =>
  console.log(JSON.stringify({ pid: process.pid, listening: `127.0.0.1:${server.address().port}` })),
);
