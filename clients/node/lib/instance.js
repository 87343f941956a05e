// One instance: what it said last, its heartbeat, and who carries its orders out.
'use strict';

const baileys = require('./baileys.js');
const { Reconnects } = require('./policy.js');

const HEARTBEAT = { interval: 10_000, timeout: 20_000 };
/** Longest text sent. */
const MAX_TEXT = 500;
/** Least time between two introductions, ms: an agent that refuses one refuses the next. */
const INTRODUCE = 5_000;

class Instance {
  constructor(client, id) {
    this.client = client;
    this.id = id;
    this.handlers = new Map();
    this.options = {};
    this.heartbeat = HEARTBEAT;
    this.registered = undefined;
    this.state = undefined;
    this.timer = undefined;
    this.sockets = 0;
    this.socket = undefined;
    this.supersededAt = -Infinity;
    this.reconnects = new Reconnects();
    this.introducedAt = -Infinity;
  }

  configure(options) {
    this.options = { ...this.options, ...options };
    const { interval, timeout } = this.options.heartbeat || {};
    if (this.options.heartbeat === false) this.heartbeat = undefined;
    else this.heartbeat = { interval: interval || HEARTBEAT.interval, timeout: timeout || HEARTBEAT.timeout };
    if (this.options.orders) this.on(this.options.orders);
    this.register();
  }

  on(handlers) {
    for (const [action, handler] of Object.entries(handlers ?? {})) {
      if (typeof handler === 'function') this.handlers.set(action, handler);
    }
    this.register();
    this.client.poll();
    return this;
  }

  // ---- what happened

  connecting(session) {
    this.tell('connecting', {}, session);
  }

  open(session, peer) {
    this.reconnects.opened();
    this.tell('open', peer ? { peer: text(peer) } : {}, session);
  }

  closing(session) {
    this.tell('closing', {}, session);
  }

  closed(code, words, more = {}) {
    const body = {};
    if (Number.isInteger(code)) body.code = code;
    if (Number.isInteger(more?.closeCode)) body.closeCode = more.closeCode;
    if (words) body.message = text(words?.message ?? words);
    this.tell('closed', body, more?.session);
  }

  waitingForLogin(session) {
    this.tell('waitingForLogin', {}, session);
  }

  beat(rtt) {
    const body = Number.isFinite(rtt) && rtt >= 0 ? { rtt: `${(rtt / 1000).toFixed(6)}s` } : {};
    this.client.say(this.id, 'beat', body, this.state?.session);
  }

  line(words) {
    this.client.say(this.id, 'line', { text: text(words) }, this.state?.session);
  }

  baileys(sock, handlers) {
    try {
      baileys.hook(this, sock, handlers);
    } catch (error) {
      // A socket of another shape: the bot must not die of that.
      this.client.complain(error);
    }
    return this;
  }

  shouldReconnect(update) {
    return this.reconnects.shouldReconnect(update);
  }

  // ---- keeping the agent informed

  tell(what, body, session) {
    this.state = { what, body, session: session ? text(session, 100) : undefined };
    this.client.say(this.id, what, body, this.state.session);
    this.keepBeating();
  }

  /** Says the present state again. A close is not repeated: it would count as another one. */
  repeat() {
    const { what, body, session } = this.state ?? {};
    if (what && what !== 'closed') this.client.say(this.id, what, body, session);
  }

  /** The agent says that it does not know it. */
  unknown() {
    const now = performance.now();
    if (now - this.introducedAt < INTRODUCE) return;
    this.introducedAt = now;
    this.introduce();
  }

  /** Introduces itself to an agent that does not know it (any more). */
  introduce() {
    this.registered = undefined;
    this.register();
    const { what, body, session } = this.state ?? {};
    if (what) this.client.say(this.id, what, body, session);
  }

  register() {
    const { protocol, software, labels } = this.options;
    const registration = {
      ...(protocol ? { protocol: text(protocol, 100) } : {}),
      ...(software ? { software: text(software, 100) } : {}),
      ...(labels ? { labels: texts(labels) } : {}),
      can: [...this.handlers.keys()],
      pid: process.pid,
    };
    if (this.heartbeat) {
      registration.heartbeat = {
        interval: `${this.heartbeat.interval / 1000}s`,
        timeout: `${this.heartbeat.timeout / 1000}s`,
      };
    }
    const wanted = JSON.stringify(registration);
    if (wanted === this.registered) return;
    this.registered = wanted;
    this.client.say(this.id, 'registered', registration);
    this.keepBeating();
  }

  keepBeating() {
    if (!this.heartbeat || !this.state) return this.stop();
    if (this.timer && this.every === this.heartbeat.interval) return;
    this.stop();
    this.every = this.heartbeat.interval;
    this.timer = setInterval(() => this.beat(), this.every);
    this.timer.unref();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

/** Any value as text that is not too long; nothing that is given as text can make the bot throw. */
function text(value, max = MAX_TEXT) {
  let words;
  try {
    words = String(value);
  } catch {
    words = '(not text)';
  }
  return words.length > max ? `${words.slice(0, max - 1)}…` : words;
}

function texts(labels) {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [text(name, 60), text(value, 60)]));
}

module.exports = { Instance };
