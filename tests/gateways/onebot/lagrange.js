// The implementation's end, as Lagrange.OneBot v1 is one (shared facts: a withdrawn signing service keeps the real one
// from running). Reverse client by default; with --forward it is a server instead.
//
//     node lagrange.js --reverse ws://host:port/path [--self-id N] [--token T] [--interval 5s] [--heartbeat 5s] [--split true]
//     node lagrange.js --forward true [--token T]
//
// Its oddities are kept: `online` and `good` are constants, a server's close is noticed only when the next heartbeat's
// write fails, so it redials after the time to the next heartbeat plus the interval, without any backoff; it sends no
// pings. What to do badly is said on `POST /_control?do=…`, what it saw on `GET /_stats`, both on the address announced;
// the forward server is there too.
'use strict';

const http = require('node:http');
const { WebSocket, WebSocketServer } = require('ws');
const { boolean, duration, endOnSignal, listen, options, text } = require('../fixture.js');

const given = options({
  reverse: [text, ''],
  forward: [boolean, false],
  'self-id': [text, '10001'],
  token: [text, ''],
  interval: [duration, 5000], // ReconnectInterval
  heartbeat: [duration, 5000], // HeartBeatInterval; 0 for none
  split: [boolean, false], // an Api and an Event socket instead of one
  name: [text, 'Lagrange.OneBot'],
  lifecycle: [boolean, true],
  answer: [boolean, true], // false: API calls are not answered
  header: [text, ''], // one of X-Self-ID and X-Client-Role, to be left out
});

const selfId = Number(given['self-id']);
const links = []; // { role, ws }
const stats = { dials: 0, opens: 0, refusals: [], closes: [], calls: [], pings: 0 };
let answering = given.answer;
let beating = true;
let silent = false; // half-open: nothing is read or written any more
let restarting = false;
let messages = 1000;
let slow = 0;

const now = () => Math.floor(Date.now() / 1000);
const status = () => ({ app_initialized: true, app_enabled: true, app_good: true, online: true, good: true });

function event(more) {
  return JSON.stringify({ time: now(), self_id: selfId, ...more });
}

function lifecycle() {
  return event({ post_type: 'meta_event', meta_event_type: 'lifecycle', sub_type: 'connect' });
}

function heartbeat() {
  return event({ post_type: 'meta_event', meta_event_type: 'heartbeat', interval: given.heartbeat, status: status() });
}

function message(words) {
  messages += 1;
  return event({
    post_type: 'message',
    message_type: 'private',
    sub_type: 'friend',
    message_id: messages,
    user_id: 20002,
    message: [{ type: 'text', data: { text: words } }],
    raw_message: words,
    font: 0,
    sender: { user_id: 20002, nickname: 'somebody', sex: 'unknown', age: 0 },
  });
}

/** What an API call gets; unknown actions get what Lagrange gives them. */
function answer(action) {
  switch (action) {
    case 'get_login_info':
      return { user_id: selfId, nickname: 'stand-in' };
    case 'get_status':
      return { ...status(), memory: 1 };
    case 'get_version_info':
      return { app_name: given.name, app_version: '0.0.3', protocol_version: 'v11', nt_protocol: 'Linux | 3.2.19' };
    case 'send_msg':
    case 'send_private_msg':
      messages += 1;
      return { message_id: messages };
    case 'get_friend_list':
    case 'get_group_list':
      return [];
    case 'get_stranger_info':
      return { user_id: 20002, nickname: 'somebody', sex: 'unknown', age: 0 };
    default:
      return undefined;
  }
}

function sendEvent(words) {
  for (const { role, ws } of links) {
    if (role !== 'Api' && ws.readyState === WebSocket.OPEN && !silent) ws.send(words);
  }
}

function serve(role, ws) {
  const link = { role, ws };
  links.push(link);
  stats.opens += 1;
  const opened = Date.now();
  let heard = opened;
  let sent = 0;
  const send = ws.send;
  ws.send = (...words) => {
    sent += 1;
    return send.apply(ws, words);
  };
  ws.on('error', () => {});
  ws.on('ping', () => (stats.pings += 1));
  ws.on('message', (data) => {
    heard = Date.now();
    let call;
    try {
      call = JSON.parse(data);
    } catch {
      return;
    }
    if (silent || call.action === undefined) return;
    stats.calls.push({ action: call.action, params: call.params ?? {}, echo: call.echo ?? null });
    if (call.action === 'set_restart') return restart();
    if (!answering) return;
    const found = answer(call.action);
    const reply =
      found === undefined
        ? { status: 'failed', retcode: 404, data: null, echo: call.echo }
        : { status: 'ok', retcode: 0, data: found, echo: call.echo };
    setTimeout(() => ws.readyState === WebSocket.OPEN && ws.send(JSON.stringify(reply)), slow);
  });
  ws.on('close', (code, reason) => {
    links.splice(links.indexOf(link), 1);
    const at = Date.now();
    stats.closes.push({ code, reason: reason.toString(), role, at });
    // What a fault's scene has of it.
    const view = { end: 'client', code, reason: reason.toString(), at, age: at - opened, silent_for: at - heard, sent_text: sent };
    process.stdout.write(`${JSON.stringify(view)}\n`);
  });
  if (role !== 'Api' && given.lifecycle) ws.send(lifecycle());
  return link;
}

/** The host is stopped inside the request, so its answer is lost; what the bot was is gone, and nothing comes back. */
function restart() {
  restarting = true;
  for (const { ws } of links) ws.terminate();
}

// The beat goes on its own clock, whatever the sockets do: that is what decides when a close is noticed.
let nextBeat = Date.now() + given.heartbeat;
if (given.heartbeat > 0) {
  setInterval(() => {
    nextBeat = Date.now() + given.heartbeat;
    if (beating) sendEvent(heartbeat());
  }, given.heartbeat);
}

function dial(role) {
  if (restarting) return;
  stats.dials += 1;
  const headers = { 'X-Self-ID': String(selfId), 'X-Client-Role': role, 'User-Agent': 'OneBot/11' };
  if (given.header) delete headers[given.header];
  if (given.token) headers.Authorization = `Bearer ${given.token}`;
  const ws = new WebSocket(given.reverse, { headers, perMessageDeflate: false });
  ws.on('unexpected-response', (request, response) => {
    let body = '';
    response.on('data', (part) => (body += part));
    response.on('end', () => {
      stats.refusals.push({ status: response.statusCode, body: body.slice(0, 400) });
      stats.refusals.splice(0, stats.refusals.length - 50);
      request.destroy();
      setTimeout(dial, given.interval, role);
    });
  });
  ws.on('error', (error) => {
    if (ws.readyState === WebSocket.CONNECTING || error.code) setTimeout(dial, given.interval, role);
  });
  ws.on('open', () => {
    serve(role, ws);
    ws.on('close', () => {
      const untilBeat = given.heartbeat > 0 ? Math.max(0, nextBeat - Date.now()) : 0;
      setTimeout(dial, untilBeat + given.interval, role);
    });
  });
}

const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = http.createServer((request, response) => {
  const [pathname, query] = request.url.split('?', 2);
  if (pathname === '/_stats') return json(response, 200, { ...stats, open: links.length, now: Date.now() });
  if (pathname === '/_control' && request.method === 'POST') return control(new URLSearchParams(query), response);
  response.writeHead(given.forward ? 400 : 404, { Connection: 'close' });
  response.end();
});
server.on('upgrade', (request, socket, head) => {
  if (!given.forward) return socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
  const shown = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1];
  const asked = new URL(request.url, 'http://x');
  if (given.token && (shown ?? asked.searchParams.get('access_token')) !== given.token) {
    return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  }
  const role = { '/api': 'Api', '/event': 'Event' }[asked.pathname] ?? 'Universal';
  wss.handleUpgrade(request, socket, head, (ws) => serve(role, ws));
});

function json(response, code, body) {
  response.writeHead(code, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(`${JSON.stringify(body)}\n`);
}

function control(params, response) {
  const acts = {
    event: () => sendEvent(message(params.get('text') ?? 'hello')),
    'bot-offline': () =>
      sendEvent(event({ post_type: 'notice', notice_type: 'bot_offline', user_id: selfId, tag: 'KickedOff', message: 'logged in elsewhere' })),
    'bot-online': () => sendEvent(event({ post_type: 'notice', notice_type: 'bot_online', reason: 'login' })),
    'mute-api': () => (answering = false),
    'slow-api': () => (slow = duration(params.get('by') ?? '1s')),
    'no-heartbeat': () => (beating = false),
    'half-open': () => {
      silent = true;
      for (const { ws } of links) ws.pause();
    },
    heal: () => {
      [answering, beating, silent, slow] = [true, true, false, 0];
      for (const { ws } of links) ws.resume();
    },
    close: () => links.forEach(({ ws }) => ws.close(Number(params.get('code') ?? 1000), params.get('reason') ?? '')),
    drop: () => links.forEach(({ ws }) => ws.terminate()),
    raw: () => sendEvent(params.get('text') ?? ''),
  };
  const verb = params.get('do');
  if (verb === 'hang') {
    // The answer first: afterwards there is nobody to give it.
    const lasts = duration(params.get('for') ?? '20s');
    response.on('close', () => setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lasts)));
    return json(response, 200, { done: verb });
  }
  if (!Object.hasOwn(acts, verb ?? '')) return json(response, 400, { error: `do is ${Object.keys(acts).join(', ')}, hang` });
  acts[verb]();
  json(response, 200, { done: verb });
}

if (given.reverse) for (const role of given.split ? ['Api', 'Event'] : ['Universal']) dial(role);
endOnSignal((done) => {
  for (const { ws } of links) ws.terminate();
  done();
});
listen(server, given.port);
