// WhatsApp's end of the wire, on loopback, as far as a Baileys socket can see it: good enough to pair, log in and stay,
// and to end a connection in every way that is known of the real one.
//
//   node server.mjs [PLAN,PLAN,…]     prints {"listening":"127.0.0.1:PORT","pid":PID}; GET /_control?do=ACTION, /_stats
//
// Each connection follows the next plan; the last one is for all that come after it. A plan is a place and what is done
// there:
//
//   ok                      nothing is done
//   tcp                     the upgrade is never answered
//   http:STATUS[:closed]    it is answered with another status than 101, on a connection that stays open or is closed
//   hello:ACTION            in place of the Noise handshake's answer
//   login:ACTION            in place of the word that the login succeeded
//   open:ACTION             once the bot is open
//
// and an ACTION is one of
//
//   close:CODE, terminate           the WebSocket ends with a Close frame or without
//   streamend                       the stanza that ends a stream
//   error:CODE:TAG:TYPE             a stream error: `error:515`, `error::ack`, `error:401:conflict:device_removed`
//   failure:REASON                  a refused login
//   downgrade                       "multi-device beta not joined"
//   mute                            nothing is answered any more, but for the WebSocket's own frames
//   dead                            nothing is even read any more
//
// As with the real one, a second login of an account throws the first one out.
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { pathToFileURL } from 'node:url';

import { Curve, decodeBinaryNode, encodeBinaryNode, hmacSign, proto, WA_ADV_ACCOUNT_SIG_PREFIX } from 'baileys';
import { WebSocketServer } from 'ws';

import { Frames, Responder } from './noise.mjs';

const HOST = 's.whatsapp.net';
/** Codes so offered; each is shown for as long as the bot likes. */
const REFS = 2;
/** Older clients lose a frame that comes before their handshake has settled. */
const BEFORE_SUCCESS = 60;

/** The server. Emits `open` and `end` with the session. */
export class WhatsApp extends EventEmitter {
  sessions = new Set();
  stats = { upgrades: 0, logins: 0, opens: 0, pings: 0, paired: 0, most: 0 };
  #plans;
  #http = http.createServer((request, response) => this.#control(request, response));
  #sockets = new Set();
  #ws = new WebSocketServer({ noServer: true });

  constructor(plans = ['ok']) {
    super();
    this.#plans = [...plans];
    // An upgraded connection is not the HTTP server's any more.
    this.#http.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  async listen(port = 0) {
    this.#http.listen(port, '127.0.0.1');
    await once(this.#http, 'listening');
    this.port = this.#http.address().port;
    return this;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/ws/chat`;
  }

  /** What the connections from now on follow. */
  follow(...plans) {
    this.#plans = plans;
  }

  /** Does something to every session there is. */
  act(action) {
    for (const session of [...this.sessions]) session.act(action);
  }

  /** A phone scans what the bot shows. */
  scan(qr) {
    const [reference, , , secret] = qr.slice(qr.indexOf('#') + 1).split(',');
    const session = [...this.sessions].find((session) => session.refs.includes(reference));
    session?.pair(secret);
    return session !== undefined;
  }

  async close() {
    if (!this.#http.listening) return;
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #upgrade(request, socket, head) {
    socket.on('error', () => {});
    this.stats.upgrades += 1;
    const plan = this.#plans.length > 1 ? this.#plans.shift() : this.#plans[0];
    const [place, argument, how] = plan.split(':');
    if (place === 'tcp') return;
    if (place === 'http') {
      const kept = how !== 'closed';
      const connection = kept ? 'keep-alive' : 'close';
      const page = '<h1>no</h1>\n';
      socket.write(
        `HTTP/1.1 ${argument} No\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\nConnection: ${connection}\r\n\r\n${page}`,
      );
      if (!kept) socket.end();
      return;
    }
    this.#ws.handleUpgrade(request, socket, head, (ws) => {
      const session = new Session(this, ws, place, plan.slice(place.length + 1));
      this.sessions.add(session);
      ws.on('close', () => {
        this.sessions.delete(session);
        this.emit('end', session);
      });
    });
  }

  /** A session logs in; whoever holds the account goes. */
  enter(session) {
    const others = [...this.sessions].filter((other) => other !== session && other.user === session.user && other.entered);
    session.entered = true;
    this.stats.most = Math.max(this.stats.most, others.length + 1);
    for (const other of others) other.act('error::conflict:replaced');
  }

  #control(request, response) {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    let status = 200;
    if (pathname === '/_control' && searchParams.has('do')) this.act(searchParams.get('do'));
    else if (pathname === '/_control' && searchParams.has('next')) this.follow(...searchParams.get('next').split(','));
    else if (pathname === '/_control' && searchParams.has('scan')) status = this.scan(searchParams.get('scan')) ? 200 : 409;
    else if (pathname !== '/_stats') status = 404;
    response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
    response.end(`${JSON.stringify({ ...this.stats, sessions: this.sessions.size })}\n`);
  }
}

/** One connection. */
class Session {
  user;
  entered = false;
  refs = [];
  #server;
  #place;
  #action;
  #frames = new Frames();
  #noise = new Responder();
  #step = 'hello';
  #mute = false;
  #id = 0;

  constructor(server, ws, place, action) {
    this.ws = ws;
    this.#server = server;
    this.#place = place;
    this.#action = action;
    ws.on('error', () => {});
    ws.on('message', (bytes) => {
      // In order, one after the other: opening a frame counts, and decoding one takes a turn.
      this.#work = this.#work.then(() => this.#take(bytes)).catch((error) => ws.close(1002, error.message.slice(0, 100)));
    });
  }

  #work = Promise.resolve();

  async #take(bytes) {
    for (const frame of this.#frames.take(bytes)) {
      if (this.#mute) continue;
      if (this.#step === 'hello') this.#hello(frame);
      else if (this.#step === 'finish') this.#finish(frame);
      else await this.#stanza(await decodeBinaryNode(this.#noise.open(frame)));
    }
  }

  #hello(frame) {
    if (this.#place === 'hello') return this.act(this.#action);
    this.#step = 'finish';
    this.ws.send(Frames.frame(this.#noise.hello(frame)));
  }

  #finish(frame) {
    const payload = this.#noise.finish(frame);
    this.#step = 'stanzas';
    this.#server.stats.logins += 1;
    setTimeout(() => {
      if (this.#place === 'login') return this.act(this.#action);
      if (!payload.username) return this.#offerCodes(payload.devicePairingData);
      this.user = String(payload.username);
      this.#server.enter(this);
      this.send({ tag: 'success', attrs: { t: String(Math.floor(Date.now() / 1000)), location: 'loopback' } });
    }, BEFORE_SUCCESS);
  }

  async #stanza(node) {
    const [child] = Array.isArray(node.content) ? node.content : [];
    // The first thing a bot says when it is open, and after it has paired.
    if (node.tag === 'ib' && child?.tag === 'unified_session' && this.entered && !this.opened) {
      this.opened = true;
      this.#server.stats.opens += 1;
      this.#server.emit('open', this);
      if (this.#place === 'open') this.act(this.#action);
    }
    if (child?.tag === 'pair-device-sign') {
      this.#server.stats.paired += 1;
      return this.act('error:515');
    }
    if (node.tag !== 'iq' || !['get', 'set'].includes(node.attrs.type)) return;
    if (node.attrs.xmlns === 'w:p') this.#server.stats.pings += 1;
    const content = [];
    if (child?.tag === 'count') content.push({ tag: 'count', attrs: { value: '100' } });
    if (child?.tag === 'digest') content.push({ tag: 'digest', attrs: {} });
    this.send({ tag: 'iq', attrs: { from: HOST, type: 'result', id: node.attrs.id }, content });
  }

  #offerCodes(device) {
    this.device = device;
    this.refs = Array.from({ length: REFS }, (_, n) => `2@ref-${this.#server.stats.logins}-${n}`);
    const content = this.refs.map((ref) => ({ tag: 'ref', attrs: {}, content: Buffer.from(ref) }));
    this.#ask([{ tag: 'pair-device', attrs: {}, content }]);
  }

  /** What the server tells a bot whose code was scanned: the account's signature over the bot's key. */
  pair(secret) {
    const account = Curve.generateKeyPair();
    const details = proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp: 1, keyIndex: 1 }).finish();
    const signed = Buffer.concat([WA_ADV_ACCOUNT_SIG_PREFIX, details, this.device.eIdent]);
    const identity = proto.ADVSignedDeviceIdentity.encode({
      details,
      accountSignatureKey: account.public,
      accountSignature: Curve.sign(account.private, signed),
    }).finish();
    const hmac = hmacSign(identity, Buffer.from(secret, 'base64'));
    const content = proto.ADVSignedDeviceIdentityHMAC.encode({ details: identity, hmac }).finish();
    this.#ask([
      {
        tag: 'pair-success',
        attrs: {},
        content: [
          { tag: 'device-identity', attrs: {}, content },
          { tag: 'device', attrs: { jid: `4915550001:7@${HOST}`, lid: '100200300:7@lid' } },
          { tag: 'platform', attrs: { name: 'android' } },
        ],
      },
    ]);
  }

  #ask(content) {
    this.send({ tag: 'iq', attrs: { from: HOST, type: 'set', xmlns: 'md', id: String((this.#id += 1)) }, content });
  }

  send(node) {
    if (this.ws.readyState === 1) this.ws.send(Frames.frame(this.#noise.seal(encodeBinaryNode(node))));
  }

  act(action) {
    const [verb, ...given] = action.split(':');
    const acts = {
      close: ([code]) => this.ws.close(Number(code), 'as told'),
      terminate: () => this.ws.terminate(),
      streamend: () => this.send({ tag: 'xmlstreamend', attrs: {} }),
      error: ([code, tag, type]) =>
        this.send({
          tag: 'stream:error',
          attrs: code ? { code } : {},
          content: tag ? [{ tag, attrs: type ? { type } : {} }] : undefined,
        }),
      failure: ([reason]) => this.send({ tag: 'failure', attrs: { reason, location: 'loopback' } }),
      downgrade: () => this.send({ tag: 'ib', attrs: {}, content: [{ tag: 'downgrade_webclient', attrs: {} }] }),
      mute: () => (this.#mute = true),
      dead: () => this.ws.pause(),
    };
    if (!acts[verb]) throw new Error(`\`${action}\` is nothing a server does`);
    acts[verb](given);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await new WhatsApp(process.argv[2]?.split(',')).listen();
  console.log(JSON.stringify({ listening: `127.0.0.1:${server.port}`, pid: process.pid }));
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit());
}
