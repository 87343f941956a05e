// npm's `ws` on both ends of a relay, saying what each end saw: JSON lines without times, addresses or keys, so that two
// runs that went the same way say the same.
//
//   node peer-ws.js serve [--port N]     a server; its transcript comes at SIGTERM, a line per connection, by name
//   node peer-ws.js call HOST:PORT       a client that goes through every case, one after the other, and REST calls
//   node peer-ws.js call-ws HOST:PORT    the same without the REST calls
//   node peer-ws.js hold HOST:PORT       a client that stays until it is closed
//
// A case is a connection to /peer?case=NAME. The server echoes, and does what a text that begins with `!` asks.
// tests/gateways/peer_websockets.py speaks the same.
'use strict';

const { createHash } = require('node:crypto');
const http = require('node:http');
const { WebSocket, WebSocketServer } = require('ws');
const { listen, options } = require('./fixture.js');

const PROTOCOLS = ['chat.v2', 'chat.v1'];
/** What differs by address or by chance, what a relay is supposed to add, and what is between neighbours only. */
const VOLATILE = /^(host|keep-alive|sec-websocket-key|forwarded|via|x-forwarded-.*|x-real-ip)$/;

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** A message, or a body, as a transcript has it. */
function digest(data, binary) {
  const bytes = Buffer.from(data);
  const sha1 = createHash('sha1').update(bytes).digest('hex');
  const shown = binary || bytes.length > 130 ? {} : { text: bytes.toString() };
  return { kind: binary ? 'binary' : 'text', bytes: bytes.length, sha1, ...shown };
}

function headers(raw) {
  const pairs = [];
  for (let i = 0; i < raw.length; i += 2) pairs.push(`${raw[i].toLowerCase()}: ${raw[i + 1]}`);
  return pairs.filter((pair) => !VOLATILE.test(pair.split(':', 1)[0])).sort();
}

// The server.

function serve() {
  const given = options({});
  const seen = new Map(); // case → what happened on its connection
  const server = http.createServer((request, response) => page(request, response, seen));
  const wss = new WebSocketServer({
    noServer: true,
    maxPayload: 8 << 20,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => PROTOCOLS.find((known) => offered.has(known)) ?? false,
  });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url.startsWith('/peer')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nConnection: close\r\n\r\nnot me\n');
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => session(ws, request, seen));
  });
  listen(server, given.port);
  process.once('SIGTERM', () => {
    // What the last client did may be under way to us.
    const all = [...seen.keys()].sort();
    const open = () => all.some((name) => !name.startsWith('rest ') && !('closed' in seen.get(name).at(-1)));
    const start = Date.now();
    const end = () => {
      if (open() && Date.now() < start + 5_000) return setTimeout(end, 5);
      for (const name of all) say({ server: name, saw: seen.get(name) });
      process.stdout.write('', () => process.exit(0));
    };
    end();
  });
}

function session(ws, request, seen) {
  const saw = [];
  const name = new URL(request.url, 'http://x').searchParams.get('case');
  seen.set(seen.has(name) ? `${name} again` : name, saw);
  saw.push({ url: request.url, headers: headers(request.rawHeaders), protocol: ws.protocol, extensions: ws.extensions });
  ws.on('ping', (data) => saw.push({ ping: data.toString() }));
  ws.on('pong', (data) => {
    saw.push({ pong: data.toString() });
    if (data.length) ws.send(`pong ${data}`);
  });
  ws.on('error', (error) => saw.push({ error: error.code ?? error.message }));
  ws.on('close', (code, reason) => saw.push({ closed: code, reason: reason.toString() }));
  ws.on('message', (data, binary) => {
    saw.push({ message: digest(data, binary) });
    const text = binary ? '' : data.toString();
    const [, verb, rest] = /^!(\w+) ?(.*)$/s.exec(text) ?? [];
    if (verb === 'ping') ws.ping(rest);
    else if (verb === 'drop') request.socket.destroy();
    else if (verb === 'close') ws.close(Number(rest.slice(0, 4)), rest.slice(5));
    else if (verb === 'fragments') {
      ws.send('frag-1 ', { fin: false });
      ws.send('', { fin: false });
      ws.ping('within');
      ws.send('frag-2', { fin: true });
    } else ws.send(data, { binary });
  });
}

/** The REST side of the same port. */
function page(request, response, seen) {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const name = `rest ${request.method} ${request.url}`;
    const saw = { headers: headers(request.rawHeaders), body: digest(body, true) };
    seen.set(name, [...(seen.get(name) ?? []), saw]);
    const path = new URL(request.url, 'http://x').pathname;
    if (path === '/rest/hello') response.setHeader('X-Answer', 'yes').end('{"hello":"world"}\n');
    else if (path === '/rest/none') response.writeHead(204).end();
    else if (path === '/rest/large') response.end(pattern(1 << 20));
    else if (path === '/rest/cookies') response.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2']).end('ok\n');
    else if (path === '/rest/echo') response.writeHead(201, { 'Content-Type': 'text/x-test' }).end(body);
    else if (path === '/rest/parts') {
      response.write('one ');
      setImmediate(() => {
        response.write('two ');
        setImmediate(() => response.end('three\n'));
      });
    } else response.writeHead(404).end('nothing here\n');
  });
}

function pattern(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + length) & 255;
  return bytes;
}

/** Bytes that do not deflate, the same in each run. */
function noise(length) {
  const bytes = Buffer.alloc(length);
  let state = 12345;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

// The client.

/** Opens one connection, says what comes, and gives `act` a way to await it. Resolves when it is over. */
function connection(at, name, { offer = [], deflate = false, path = '/peer', extra = {} }, act) {
  return new Promise((resolve) => {
    const ws = new WebSocket(`ws://${at}${path}?case=${name}`, offer, {
      perMessageDeflate: deflate ? { threshold: 0 } : false,
      maxPayload: 8 << 20,
      headers: extra,
    });
    const waiting = [];
    const heard = [];
    const hear = (line) => {
      say({ case: name, ...line });
      heard.push(line);
      waiting.splice(0).forEach((wake) => wake());
    };
    /** How many lines of a kind, or with a text. */
    const count = (what) => heard.filter((line) => what in line || line.message?.text === what).length;
    const until = async (what, n) => {
      while (count(what) < n && !count('closed')) await new Promise((wake) => waiting.push(wake));
    };
    ws.on('unexpected-response', (request, response) => {
      let body = '';
      response.on('data', (part) => (body += part));
      response.on('end', () => {
        say({ case: name, status: response.statusCode, body });
        request.destroy();
        resolve();
      });
    });
    ws.on('error', (error) => hear({ error: error.code ?? error.message }));
    ws.on('open', () => {
      hear({ open: { protocol: ws.protocol, extensions: ws.extensions } });
      act(ws, until);
    });
    ws.on('message', (data, binary) => hear({ message: digest(data, binary) }));
    ws.on('ping', (data) => hear({ ping: data.toString() }));
    ws.on('pong', (data) => hear({ pong: data.toString() }));
    ws.on('close', (code, reason) => {
      hear({ closed: code, reason: reason.toString() });
      resolve();
    });
  });
}

async function call(at) {
  const each = async (name, settings, messages) =>
    connection(at, name, settings, async (ws, until) => {
      for (const [i, message] of messages.entries()) {
        ws.send(message);
        await until('message', i + 1);
      }
      ws.close(1000, 'done');
    });
  await each('text', {}, ['hello', '', 'héllo 世界 🚢', 'x'.repeat(125), 'y'.repeat(126)]);
  const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20];
  await each('binary', {}, sizes.map(pattern));
  await each('large text', {}, ['é'.repeat(1 << 19)]);
  const deflating = ['squeeze '.repeat(25_000), noise(65_536), '', 'short', 'squeeze '.repeat(25_000)];
  await each('deflate', { deflate: true }, deflating);
  await each('subprotocol', { offer: ['chat.v9', 'chat.v1', 'chat.v2'] }, ['hi']);
  await each('no subprotocol', { offer: ['chat.v9'] }, ['hi']);
  await each('long header', { extra: { 'X-Long': 'z'.repeat(4_000), 'X-Odd': 'a,b;c="d"' } }, ['hi']);
  await each('refused', { path: '/elsewhere' }, []);
  await connection(at, 'many', {}, async (ws, until) => {
    for (let i = 0; i < 300; i++) ws.send(`message ${i}`);
    await until('message', 300);
    ws.close();
  });
  await connection(at, 'fragments', {}, async (ws, until) => {
    ws.send('one ', { fin: false });
    ws.ping('between');
    ws.send('', { fin: false });
    ws.send('two', { fin: true });
    await until('message', 1);
    ws.send(Buffer.alloc(70_000, 1), { fin: false });
    ws.send(Buffer.alloc(3, 2), { fin: true });
    await until('message', 2);
    ws.close(1000);
  });
  await connection(at, 'fragments back', {}, async (ws, until) => {
    ws.send('!fragments');
    await until('message', 2); // the pong of the ping within is answered, too
    ws.close(1000);
  });
  await connection(at, 'pings', {}, async (ws, until) => {
    for (const [i, payload] of ['', 'p', 'x'.repeat(125)].entries()) {
      ws.ping(payload);
      await until('pong', i + 1);
    }
    ws.pong('unasked');
    ws.send('after');
    await until('after', 1);
    ws.close(1000);
  });
  await connection(at, 'pings back', {}, async (ws, until) => {
    ws.send('!ping abc');
    await until('message', 1);
    ws.send(`!ping ${'q'.repeat(125)}`);
    await until('message', 2);
    ws.close(1000);
  });
  const mine = [[], [1000, ''], [1000, 'bye'], [1001, 'going'], [1003, ''], [3000, 'app'], [4999, 'r'.repeat(123)]];
  for (const [code, reason] of mine) {
    await connection(at, `closing ${code ?? 'plain'} ${reason?.length ?? 0}`, {}, (ws) => ws.close(code, reason));
  }
  const theirs = [[1000, ''], [1001, 'going'], [1008, 'policy'], [1011, 'oops'], [1012, 'service restart'], [1013, '稍後'],
    [4000, 'r'.repeat(123)]];
  for (const [code, reason] of theirs) {
    await connection(at, `closed ${code}`, {}, (ws) => ws.send(`!close ${code} ${reason}`));
  }
  await connection(at, 'dropped', {}, (ws) => ws.send('!drop'));
  await connection(at, 'terminated', {}, (ws) => ws.terminate());
  if (mode === 'call') await rest(at);
}

/** One session that lasts until somebody else ends it. */
async function hold(at) {
  await connection(at, 'held', {}, () => {});
}

/** Plain HTTP on the same port, over one kept connection. */
async function rest(at) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (method, path, body, extra = {}) =>
    new Promise((resolve, reject) => {
      const request = http.request(`http://${at}${path}`, { method, agent, headers: extra }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => {
          const fields = headers(response.rawHeaders).filter((line) => !line.startsWith('date:'));
          const status = response.statusCode;
          say({ rest: `${method} ${path}`, status, fields, body: digest(Buffer.concat(parts), true) });
          resolve();
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  await ask('GET', '/rest/hello');
  await ask('HEAD', '/rest/hello');
  await ask('GET', '/rest/hello?q=%20a%2Fb&x=%E4%B8%96');
  await ask('POST', '/rest/echo', pattern(100_000), { 'X-Odd': 'a,b', 'Content-Type': 'application/json' });
  await ask('POST', '/rest/echo', 'in chunks', { 'Transfer-Encoding': 'chunked' });
  await ask('PUT', '/rest/echo', '');
  await ask('DELETE', '/rest/none');
  await ask('GET', '/rest/parts');
  await ask('GET', '/rest/large');
  await ask('GET', '/rest/cookies');
  await ask('GET', '/nowhere');
  await ask('GET', '/peer');
  agent.destroy();
}

const [mode, at] = process.argv.slice(2);
if (mode === 'serve') {
  process.argv.splice(2, 1);
  serve();
} else if (['call', 'call-ws', 'hold'].includes(mode) && at) {
  (mode === 'hold' ? hold : call)(at).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
} else {
  process.stderr.write('say `serve`, `call HOST:PORT`, `call-ws HOST:PORT` or `hold HOST:PORT`\n');
  process.exit(2);
}
