// An account of a bot with the real Baileys, run as the README of the client says: one socket at a time, hooked, and
// connected again as the client advises.
import { EventEmitter } from 'node:events';

import { initAuthCreds, makeWASocket } from 'baileys';
import pino from 'pino';

import { trustOurRoot } from './noise.mjs';

trustOurRoot();

/** Emits `update` for each `connection.update`, and `advice` for what is made of an end. */
export class Account extends EventEmitter {
  /** `fresh`: not paired yet. `options` are Baileys' own. */
  constructor(instance, url, { fresh = false, options = {} } = {}) {
    super();
    this.instance = instance;
    this.url = url;
    this.options = options;
    this.creds = initAuthCreds();
    if (!fresh) this.creds.me = { id: '4915550001:7@s.whatsapp.net', name: 'bot' };
  }

  connect() {
    this.waiting = undefined;
    const sock = makeWASocket({
      logger: pino({ level: 'silent' }),
      // A query that is open when the socket ends keeps its timer, and that the process: 60 s by Baileys' own limit.
      defaultQueryTimeoutMs: 5_000,
      ...this.options,
      waWebSocketUrl: this.url,
      auth: { creds: this.creds, keys: { get: async () => ({}), set: async () => {} } },
    });
    this.sock = sock;
    this.instance.baileys(sock, { reconnect: () => this.renew() });
    sock.ev.on('connection.update', (update) => {
      this.emit('update', update);
      if (update.connection !== 'close') return;
      this.sock = undefined;
      const advice = this.instance.shouldReconnect(update);
      if (advice.reconnect && !this.stopped) this.waiting = setTimeout(() => this.connect(), advice.wait);
      this.emit('advice', advice);
    });
    return this;
  }

  /** A new socket, when the old one is over. */
  renew() {
    if (this.sock) {
      this.sock.end(new Error('reconnect was ordered'));
      return 'the old socket ends, and then there is a new one';
    }
    clearTimeout(this.waiting);
    this.connect();
    return 'a new socket';
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.waiting);
    this.sock?.end(undefined);
  }
}
