// The fixtures, seen by a `ws` client and by raw sockets: each must be broken in exactly the way it says.
// Run with `npm run check`.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const nodePath = require('node:path');
const { createInterface } = require('node:readline');
const { test } = require('node:test');
const { WebSocket } = require('ws');

const BOUND = { timeout: 20_000 };
/** Long enough for an answer over loopback; used only to show that none comes. */
const SILENCE = 200;

async function launch(t, script, ...flags) {
  const child = spawn(process.execPath, [nodePath.join(__dirname, script), ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  child.ended = once(child, 'exit');
  const lines = createInterface(child.stdout);
  const [line] = await once(lines, 'line');
  const said = JSON.parse(line);
  assert.equal(said.pid, child.pid);
  assert.match(said.listening, /^127\.0\.0\.1:\d+$/);
  return { child, at: said.listening };
}

async function connect(at, path = '/ws') {
  const ws = new WebSocket(`ws://${at}${path}`);
  ws.heard = [];
  ws.on('message', (data) => ws.heard.push(data.toString()));
  await once(ws, 'open');
  return ws;
}

/** The HTTP answer to a handshake that fails. */
async function refused(at, path = '/ws') {
  const ws = new WebSocket(`ws://${at}${path}`);
  ws.on('error', () => {});
  const [request, response] = await once(ws, 'unexpected-response');
  request.destroy();
  return response;
}

async function post(at, query) {
  const request = http.request(`http://${at}/_control?${query}`, { method: 'POST', agent: false });
  request.end();
  const [response] = await once(request, 'response');
  let text = '';
  for await (const part of response) text += part;
  return { status: response.statusCode, body: JSON.parse(text) };
}

async function control(at, query) {
  const { status, body } = await post(at, query);
  assert.equal(status, 200, body.error);
  return body;
}

async function ping(ws) {
  ws.ping();
  await once(ws, 'pong');
}

/** Shows that a ping stays unanswered, and gives a promise of the pong for later. */
async function pingInVain(ws) {
  const pong = once(ws, 'pong');
  ws.ping();
  const silence = new Promise((resolve) => setTimeout(resolve, SILENCE, 'silence'));
  assert.equal(await Promise.race([pong, silence]), 'silence');
  return { pong };
}

/** As `pingInVain`, after waiting for the silence to begin: a hang starts a moment after its answer. */
async function hangs(ws) {
  for (;;) {
    const pong = once(ws, 'pong');
    ws.ping();
    const silence = new Promise((resolve) => setTimeout(resolve, SILENCE, 'silence'));
    if ((await Promise.race([pong, silence])) === 'silence') return { pong };
  }
}

test('ws-plain serves sessions and counts them', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js', '--tick', '5ms', '--hello', 'welcome', '--echo', 'true');
  const ws = await connect(at);
  ws.send('marco');
  await ping(ws);
  while (!ws.heard.includes('marco') || !ws.heard.includes('{"tick":2}')) await once(ws, 'message');
  assert.equal(ws.heard[0], 'welcome');
  const { stats } = await control(at, 'do=heal');
  assert.equal(stats.sessions_open, 1);
  assert.equal(stats.sessions_accepted, 1);
  assert.equal(stats.pings_received, 1);
  assert.equal(stats.messages_received, 1);
  assert.equal(stats.misbehaviour, null);
  assert.equal((await refused(at, '/elsewhere')).statusCode, 400); // what `ws` says to a path that is not its own
  assert.equal((await post(at, 'do=sulk')).status, 400);
  assert.equal((await post(at, 'do=close&code=1006')).status, 400);
});

test('ws-plain closes at the end of a lifetime', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js', '--max-lifetime=20ms');
  const [code, reason] = await once(await connect(at), 'close');
  assert.deepEqual([code, reason.toString()], [1000, 'lifetime over']);
});

test('ws-plain drops without a Close, and closes with one', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js');
  const dropped = await connect(at);
  const end = once(dropped, 'close');
  await control(at, 'do=drop');
  assert.equal((await end)[0], 1006);
  const closed = await connect(at);
  const close = once(closed, 'close');
  await control(at, 'do=close&code=1012&reason=service+restart');
  const [code, reason] = await close;
  assert.deepEqual([code, reason.toString()], [1012, 'service restart']);
});

test('ws-plain mutes old and new sessions until healed', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js', '--tick', '0');
  const old = await connect(at);
  await control(at, 'do=mute');
  const young = await connect(at);
  const first = await pingInVain(old);
  const second = await pingInVain(young);
  await control(at, 'do=heal');
  await Promise.all([first.pong, second.pong]);
  await control(at, 'do=mute&for=30ms');
  await ping(old);
});

test('ws-plain answers upgrades with 200 while http-only', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js');
  await control(at, 'do=http-only');
  assert.equal((await refused(at)).statusCode, 200);
  await control(at, 'do=heal');
  await connect(at);
});

test('ws-plain refuses, keeps its sessions, and listens again on the same port', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js', '--tick', '0');
  const ws = await connect(at);
  await control(at, 'do=refuse&for=2s');
  const [host, port] = at.split(':');
  const tryConnect = () =>
    new Promise((resolve) => {
      const socket = net.connect(Number(port), host);
      socket.once('connect', () => resolve(socket.destroy() && true)).once('error', () => resolve(false));
    });
  assert.equal(await tryConnect(), false);
  await ping(ws);
  while (!(await tryConnect()));
  await connect(at);
});

test('ws-plain hangs: TCP is accepted, nothing is answered, then all goes on', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-plain.js', '--tick', '0');
  const ws = await connect(at);
  await control(at, 'do=hang&for=2s');
  const { pong } = await hangs(ws);
  const socket = net.connect(Number(at.split(':')[1]), '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
  await pong;
});

test('ws-plain does not hear SIGTERM while it hangs', BOUND, async (t) => {
  const { at, child } = await launch(t, 'ws-plain.js', '--tick', '0');
  const ws = await connect(at);
  await control(at, 'do=hang');
  await hangs(ws);
  child.kill('SIGTERM');
  await pingInVain(ws);
  assert.equal(child.exitCode, null);
  const closed = once(ws, 'close');
  child.kill('SIGKILL');
  assert.deepEqual(await child.ended, [null, 'SIGKILL']);
  assert.equal((await closed)[0], 1006);
});

test('ws-plain dies with 3, and ends on SIGTERM with 1001 and 0', BOUND, async (t) => {
  const dying = await launch(t, 'ws-plain.js');
  await control(dying.at, 'do=die');
  assert.deepEqual(await dying.child.ended, [3, null]);
  const ending = await launch(t, 'ws-plain.js');
  const close = once(await connect(ending.at), 'close');
  ending.child.kill('SIGTERM');
  assert.equal((await close)[0], 1001);
  assert.deepEqual(await ending.child.ended, [0, null]);
});

test('ws-wrong-server answers an upgrade as a page', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-wrong-server.js');
  const response = await refused(at);
  assert.equal(response.statusCode, 404);
  assert.equal(response.headers['x-powered-by'], 'Express');
  const other = await launch(t, 'ws-wrong-server.js', '--answer', '200');
  assert.equal((await refused(other.at)).statusCode, 200);
});

test('http-only answers 200 to everything', BOUND, async (t) => {
  const { at, child } = await launch(t, 'http-only.js');
  assert.equal((await refused(at)).statusCode, 200);
  assert.equal((await fetch(`http://${at}/anything`)).status, 200);
  child.kill('SIGTERM');
  assert.deepEqual(await child.ended, [0, null]);
});

test('ws-noserver-destroy ends TCP without a byte, but not on its own path', BOUND, async (t) => {
  const { at } = await launch(t, 'ws-noserver-destroy.js');
  const socket = net.connect(Number(at.split(':')[1]), '127.0.0.1');
  let bytes = 0;
  socket.on('data', (data) => (bytes += data.length)).on('error', () => {});
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  await once(socket, 'close');
  assert.equal(bytes, 0);
  await connect(at, '/somewhere-else');
});

test('a flag that is not known ends a fixture with 2', BOUND, async () => {
  const child = spawn(process.execPath, [nodePath.join(__dirname, 'ws-plain.js'), '--tock', '1s'], { stdio: 'ignore' });
  assert.deepEqual(await once(child, 'exit'), [2, null]);
});
