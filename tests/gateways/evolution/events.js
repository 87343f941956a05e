// The Socket.IO side, with the handshake guard of 2.3.6. A namespace comes to be with the first event that is emitted
// into it; until then CONNECT is answered `Invalid namespace`, which is the real socket.io's doing, not ours.
'use strict';

const { Server } = require('socket.io');

const NAMES = [
  'connection.update',
  'status.instance',
  'logout.instance',
  'remove.instance',
  'qrcode.updated',
  'instance.create',
  'instance.delete',
  'messages.upsert',
];

/** The spelling of an event's name in settings. */
const setting = (name) => name.replace(/[.-]/g, '_').toUpperCase();

/** What an empty list in `websocket/set` means. */
const ALL = NAMES.map(setting);

class Events {
  constructor(server, given) {
    this.given = given;
    this.sent = 0;
    this.keyKnown = () => false;
    if (!given.websocket) return;
    this.io = new Server(server, {
      pingInterval: given['ping-interval'],
      pingTimeout: given['ping-timeout'],
      cors: { origin: '*' },
      allowRequest: (request, done) => this.admit(request, done),
    });
    // Sockets that joined `/`, and CONNECTs that were answered `Invalid namespace`.
    this.opened = 0;
    this.refused = 0;
    this.io.on('connection', () => (this.opened += 1));
    this.io.engine.on('connection', (socket) => {
      socket.on('packetCreate', ({ data }) => (this.refused += String(data).includes('Invalid namespace') ? 1 : 0));
    });
  }

  admit(request, done) {
    const query = new URL(request.url, 'http://localhost').searchParams;
    const hosts = this.given['allowed-hosts'].split(',').map((host) => host.trim());
    const everyone = this.given['api-version'] !== '2.3.6' && hosts.includes('*');
    if (query.has('EIO') && (everyone || hosts.includes(request.socket.remoteAddress))) return done(null, true);
    const key = query.get('apikey') || request.headers.apikey;
    if (!key) return done('apiKey is required', false);
    if (key !== this.given.key && !this.keyKnown(key)) return done('Invalid global token', false);
    return done(null, true);
  }

  /** Sends an event of an instance wherever its settings say. */
  emit(row, event, data) {
    if (!this.io) return;
    const envelope = {
      event,
      instance: row.name,
      data,
      server_url: 'http://localhost:8080',
      // Local time with a Z: as the real one, which lies about its zone.
      date_time: new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString(),
      sender: row.ownerJid ?? undefined,
      apikey: this.given.expose ? row.token : null,
    };
    this.sent += 1;
    if (this.given.global) this.io.emit(event, envelope);
    if (row.Websocket?.enabled && row.Websocket.events.includes(setting(event))) {
      this.io.of(`/${row.name}`).emit(event, envelope);
    }
  }

  /** Who listens where: for tests that wait for it. */
  told() {
    if (!this.io) return { listeners: 0, namespaces: {} };
    const namespaces = {};
    for (const [name, namespace] of this.io._nsps) namespaces[name] = namespace.sockets.size;
    const { opened, refused } = this;
    return { listeners: this.io.of('/').sockets.size, namespaces, opened, refused };
  }

  /** Ends every event socket, as a proxy's timeout would. */
  cut() {
    for (const client of Object.values(this.io?.engine.clients ?? {})) client.close(true);
  }
}

module.exports = { ALL, Events };
