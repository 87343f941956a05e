// Faults, at the tester's word. `POST /__double/instances/:name/:trigger?ms=&code=` does one of the triggers of
// evolution/line.js; `GET /__double/state` tells everything that the real one would not.
'use strict';

const express = require('express');

/** What an instance of the given name may be made to suffer. */
const TRIGGERS = {
  kill: (line) => line.tcpKill(),
  replace: (line) => line.replaced(),
  'half-open': (line, { ms }) => line.halfOpen(ms),
  egress: (line) => line.egressCut(),
  terminal: (line, { code }) => line.terminal(code),
  'qr-limit': (line) => line.qrLimit(),
  'unpaired-open': (line) => line.unpairedOpen(),
  // What the next logins meet; with `kill` it begins at once.
  heal: (line) => (line.upstream = 'ok'),
  deaf: (line) => (line.upstream = 'deaf'),
  hang: (line) => {
    line.upstream = 'hang';
    line.tcpKill();
  },
  storm: (line) => {
    line.upstream = 'storm';
    line.tcpKill();
  },
  war: (line, { ms }) => {
    line.upstream = `war:${ms}`;
    line.replaced();
  },
  // The session row vanishes: the next login asks for a QR code.
  unpair: (line) => line.store({ session: false }),
  message: (line) => line.emit('messages.upsert', { key: { remoteJid: 'x', fromMe: false, id: 'y' } }),
};

function control(monitor, events, asked) {
  const router = express.Router();
  const done = (response) => response.json({});

  // An instance that was made through the API, paired and opened: the usual case.
  router.post('/instances/:name', (request, response) => {
    const row = monitor.row(request.params.name, { paired: request.query.paired !== 'false', token: request.query.token });
    monitor.load(row).connect();
    done(response);
  });

  // A row made by hand: in the database, and nowhere else.
  router.post('/rows/:name', (request, response) => {
    const { status, paired } = request.query;
    monitor.row(request.params.name, { status, paired: paired !== 'false' });
    done(response);
  });

  router.post('/cut-events', (_request, response) => {
    done(response);
    events.cut();
  });

  router.post('/instances/:name/:trigger', (request, response) => {
    const line = monitor.lines.get(request.params.name);
    const trigger = TRIGGERS[request.params.trigger];
    if (!line || !trigger) return response.status(404).json({ known: Object.keys(TRIGGERS) });
    trigger(line, { ms: Number(request.query.ms ?? 1_000), code: Number(request.query.code ?? 401) });
    return done(response);
  });

  router.get('/state', (_request, response) => {
    const instances = {};
    for (const row of monitor.rows.values()) {
      const line = monitor.lines.get(row.name);
      instances[row.name] = {
        row: row.connectionStatus,
        code: row.disconnectionReasonCode,
        session: row.session,
        token: row.token,
        state: line?.state ?? null,
        attempts: line?.attempts ?? 0,
      };
    }
    response.json({ instances, asked, sent: events.sent, ...events.told() });
  });

  return router;
}

module.exports = { control };
