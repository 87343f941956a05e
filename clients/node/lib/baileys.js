// What a Baileys socket says, and what it does not (measured on 7.0.0-rc14).
//
// Baileys numbers every end of its WebSocket 428, so the close code itself is taken from the `ws` socket underneath and
// sent beside it. Two silences it never ends, or too late, are ended here:
//
// * **Connecting.** An upgrade that is answered with anything but 101 on a connection that is then closed is followed by
//   nothing at all, for ever; a login that is never answered waits for the keepalive. A **watchdog** ends the socket from
//   outside when nothing was heard for `connectingTimeout`, which releases it at once. What is heard meanwhile counts, so a
//   slow login is left alone, and so is a QR code that waits for somebody.
// * **Closing.** Baileys reports an end only after the WebSocket has closed, and a path that is dead does not answer a Close
//   frame: `ws` waits 30 s for that. After `closingTimeout` the socket is cut off, and the end is reported then.
//
// A socket that is hooked while the one before it is not over makes two with one auth state, which throw each other out
// until somebody loses the account: the older one is ended, with the code (440) that it would have had from the server. A
// bot that connects again even then is left to itself for a while: to end its sockets would make it faster.
'use strict';

/** Baileys' own limit for the upgrade and for the handshake where a socket does not tell its own, ms. */
const CONNECT_TIMEOUT = 20_000;
/** How much longer than Baileys' own limits, ms. */
const MARGIN = 5_000;
/** How long an end may take, ms. */
const CLOSING_TIMEOUT = 5_000;
/** Least time between two sockets that are ended for a newer one, ms. */
const SUPERSEDE = 30_000;
const REPLACED = 440;

/** Hooks one socket. Each socket of an account is a session of its own. */
function hook(instance, sock, handlers) {
  if (!instance.options.protocol) instance.configure({ protocol: 'baileys' });
  if (handlers) instance.on(handlers);
  const before = instance.socket;
  if (before?.sock === sock) return;
  instance.socket = new Hooked(instance, sock);
  if (before && !before.over) supersede(instance, before);
  try {
    instance.socket.listen();
  } catch (error) {
    // Not of a socket's shape: there is nothing to be in the next one's way.
    instance.socket.over = true;
    throw error;
  }
}

function supersede(instance, before) {
  const words = 'a newer socket took its place: two with one auth state throw each other out';
  const now = performance.now();
  if (now - instance.supersededAt < SUPERSEDE) {
    instance.line('a second socket of this account, again, while the first is not over');
    return;
  }
  instance.supersededAt = now;
  instance.line('a second socket of this account was made while the first was not over: the first is ended');
  before.end(Object.assign(new Error(words), { output: { statusCode: REPLACED } }));
}

class Hooked {
  constructor(instance, sock) {
    this.instance = instance;
    this.sock = sock;
    this.session = `s${(instance.sockets += 1)}`;
    this.over = false;
    this.closeCode = undefined;
    this.refusal = undefined;
    this.timer = undefined;
    this.heardAt = performance.now();
    const own = sock?.ws?.config?.connectTimeoutMs;
    const { connectingTimeout, closingTimeout } = instance.options;
    this.patience = connectingTimeout ?? (Number.isFinite(own) ? own : CONNECT_TIMEOUT) + MARGIN;
    this.closing = closingTimeout ?? CLOSING_TIMEOUT;
  }

  listen() {
    const { instance, sock } = this;
    instance.connecting(this.session);
    const raw = sock.ws?.socket ?? sock.ws;
    if (typeof raw?.on === 'function') this.listenRaw(raw);
    sock.ev.on('connection.update', (update) => {
      try {
        this.updated(update ?? {});
      } catch (error) {
        instance.client.complain(error);
      }
    });
    this.watch();
  }

  listenRaw(raw) {
    this.raw = raw;
    raw.on('close', (code) => {
      this.closeCode = Number.isInteger(code) ? code : undefined;
    });
    raw.on('unexpected-response', (request, response) => {
      if (this.over) return;
      this.refusal = `the upgrade was answered with HTTP ${response?.statusCode}, not 101`;
      this.instance.line(this.refusal);
    });
    raw.on('error', (error) => {
      if (!this.over) this.instance.line(`WebSocket error: ${error?.message ?? error}`);
    });
    for (const heard of ['open', 'message']) raw.on(heard, () => (this.heardAt = performance.now()));
    // Nothing else tells that Baileys has begun to close it.
    const close = raw.close;
    if (typeof close === 'function') {
      raw.close = (...args) => {
        this.hurry();
        return close.apply(raw, args);
      };
    }
  }

  updated(update) {
    const { instance, session } = this;
    if (this.over) return;
    if (update.qr) {
      this.rest();
      instance.waitingForLogin(session);
    }
    if (update.isNewLogin) instance.line('paired: a restart (515) follows, and then the first login');
    if (update.connection === 'connecting' && instance.state?.what !== 'connecting') instance.connecting(session);
    if (update.connection === 'open') {
      this.rest();
      instance.open(session, this.sock.user?.id);
    }
    if (update.connection === 'close') {
      this.over = true;
      this.rest();
      const error = update.lastDisconnect?.error;
      const code = error?.output?.statusCode ?? error?.statusCode;
      // The close code may come a moment after this event.
      setImmediate(() => instance.closed(code, error, { closeCode: this.closeCode, session }));
    }
  }

  /** Looks until the connection is more than connecting. */
  watch() {
    if (!(this.patience > 0) || this.over) return;
    const left = this.heardAt + this.patience - performance.now();
    if (left <= 0) {
      const seconds = Math.round(this.patience / 100) / 10;
      const refusal = this.refusal ? `: ${this.refusal}` : '';
      return this.end(new Error(`nothing was heard for ${seconds} s while connecting${refusal}`));
    }
    this.timer = setTimeout(() => this.watch(), Math.ceil(left));
    this.timer.unref?.();
  }

  rest() {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** It closes: not for longer than it may. */
  hurry() {
    if (this.over) return;
    this.rest();
    if (this.instance.socket === this && this.instance.state?.what !== 'closing') this.instance.closing(this.session);
    if (!(this.closing > 0)) return;
    this.timer = setTimeout(() => this.cut(), this.closing);
    this.timer.unref?.();
  }

  cut() {
    if (this.over || this.raw?.readyState === 3 || typeof this.raw?.terminate !== 'function') return;
    this.instance.line(`the other end did not answer the Close frame within ${this.closing / 1000} s: the connection is cut off`);
    this.raw.terminate();
  }

  end(error) {
    try {
      Promise.resolve(this.sock.end?.(error)).catch((problem) => this.instance.client.complain(problem));
    } catch (problem) {
      this.instance.client.complain(problem);
    }
  }
}

module.exports = { hook };
