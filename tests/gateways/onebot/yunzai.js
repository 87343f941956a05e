// A conformance double of TRSS-Yunzai 3.1.3's server, which is on no registry. What it keeps of the real one: the first
// path segment names the adapter, in exact case; a query makes another path of it; unknown paths are met in one of three
// dialects; upgrades are parked until it has booted; events are ignored until a lifecycle event came; then it makes its
// calls, and one that stays unanswered ends the connection.
//
//     node yunzai.js [--port N] [--dialect silent|terminate|refuse] [--boot 2s] [--call-timeout 60s] [--token T]
//
// Dialects: `silent` until 2024-02-28 (accepts, says nothing), `terminate` until 2024-12-25 (accepts and tears down),
// `refuse` since (a bare 404 without headers). `GET /_stats` says what it saw.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const { duration, endOnSignal, listen, options, text } = require('../fixture.js');

const given = options({
  dialect: [text, 'refuse'],
  boot: [duration, 0],
  'call-timeout': [duration, 60_000],
  token: [text, ''],
});
if (!['silent', 'terminate', 'refuse'].includes(given.dialect)) {
  process.stderr.write('--dialect is silent, terminate or refuse\n');
  process.exit(2);
}

const ADAPTERS = ['OneBotv11', 'GSUIDCore', 'OPQBot', 'ComWeChat'];
const stats = { paths: [], opens: 0, ignored: 0, events: 0, terminated: 0, bots: {} };
let ready = given.boot === 0;
const parked = [];

const wss = new WebSocketServer({ noServer: true });
const server = http.createServer((request, response) => {
  if (request.url === '/_stats') {
    response.writeHead(200, { 'Content-Type': 'application/json', Connection: 'close' });
    return response.end(`${JSON.stringify(stats)}\n`);
  }
  response.writeHead(302, { Location: 'https://github.com/TimeRainStarSky/Yunzai' });
  response.end();
});

server.on('upgrade', (request, socket, head) => {
  if (ready) return upgrade(request, socket, head);
  parked.push([request, socket, head]);
});
if (!ready) {
  setTimeout(() => {
    ready = true;
    for (const one of parked.splice(0)) upgrade(...one);
  }, given.boot);
}

function upgrade(request, socket, head) {
  stats.paths.push(request.url);
  stats.paths.splice(0, stats.paths.length - 50);
  if (given.token && request.headers.authorization !== `Bearer ${given.token}`) {
    return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
  }
  // The query is part of the segment, which is how a token in it makes a path that nobody knows.
  const known = ADAPTERS.includes(request.url.split('/')[1]);
  if (!known && given.dialect === 'refuse') return socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
  wss.handleUpgrade(request, socket, head, (ws) => {
    ws.on('error', () => {});
    if (known) return serve(ws, request);
    if (given.dialect === 'terminate') ws.terminate();
  });
}

function serve(ws, request) {
  stats.opens += 1;
  let registered = false;
  let echo = 0;
  const waiting = new Map();
  const call = (action, params = {}) =>
    new Promise((resolve) => {
      const id = `yz-${(echo += 1)}`;
      const timer = setTimeout(() => {
        stats.terminated += 1;
        ws.terminate();
      }, given['call-timeout']);
      waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      ws.send(JSON.stringify({ action, params, echo: id }));
    });
  ws.on('close', () => {
    for (const [, settle] of waiting) settle({});
    if (registered) delete stats.bots[request.headers['x-self-id']];
  });
  ws.on('message', async (data) => {
    const said = JSON.parse(data);
    if (said.post_type === undefined) {
      waiting.get(said.echo)?.(said);
      waiting.delete(said.echo);
      return;
    }
    if (said.meta_event_type === 'lifecycle') {
      registered = true;
      const login = await call('get_login_info');
      stats.bots[said.self_id] = login.data?.nickname ?? null;
      for (const action of ['get_version_info', 'get_friend_list', 'get_group_list', 'get_status']) await call(action);
      return;
    }
    if (!registered) return void (stats.ignored += 1);
    stats.events += 1;
    if (said.post_type !== 'message') return;
    const answer = await call('send_msg', { user_id: said.user_id, message: `echo ${said.raw_message}` });
    await call('send_msg', { user_id: said.user_id, message: `sent ${answer.data?.message_id}` });
  });
}

endOnSignal((done) => {
  wss.clients.forEach((ws) => ws.terminate());
  done();
});
listen(server, given.port);
