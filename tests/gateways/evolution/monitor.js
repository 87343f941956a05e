// The rows of the database and the instances in memory: two truths that Evolution keeps apart, and so do we. A row made
// outside the API is in the one and not in the other.
'use strict';

const fs = require('node:fs');
const { randomUUID } = require('node:crypto');
const { Line } = require('./line.js');

class Monitor {
  constructor(events, given) {
    this.events = events;
    this.given = given;
    this.rows = new Map();
    this.lines = new Map();
    const stored = given.db && fs.existsSync(given.db) ? JSON.parse(fs.readFileSync(given.db, 'utf8')) : [];
    for (const row of stored) this.rows.set(row.name, row);
    events.keyKnown = (key) => [...this.rows.values()].some((row) => row.token === key);
  }

  /** What a process start does: 2.3.6 connects every instance, later ones only those that were connected. */
  start() {
    for (const row of this.rows.values()) {
      const line = this.load(row);
      line.fresh = true;
      const wanted = ['open', 'connecting'].includes(row.connectionStatus);
      if (this.given['api-version'] === '2.3.6' || wanted) line.connect();
    }
  }

  save() {
    if (this.given.db) fs.writeFileSync(this.given.db, JSON.stringify([...this.rows.values()]));
  }

  /** A row, as the API or a human with psql makes it. `session` is the pairing: without it an instance asks for a QR. */
  row(name, { paired = true, token = randomUUID().toUpperCase(), status = 'close' } = {}) {
    const row = {
      id: randomUUID(),
      name,
      connectionStatus: status,
      ownerJid: paired ? `5511${String(this.rows.size).padStart(8, '0')}@s.whatsapp.net` : null,
      integration: 'WHATSAPP-BAILEYS',
      token,
      disconnectionReasonCode: null,
      disconnectionObject: null,
      disconnectionAt: null,
      updatedAt: new Date().toISOString(),
      session: paired,
      Websocket: null,
    };
    this.rows.set(name, row);
    this.save();
    return row;
  }

  load(row) {
    const line = new Line(row, this);
    this.lines.set(row.name, line);
    return line;
  }

  remove(name) {
    this.lines.get(name)?.stop();
    this.lines.delete(name);
    this.rows.delete(name);
    this.save();
  }
}

module.exports = { Monitor };
