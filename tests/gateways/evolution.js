// A conformance double of Evolution API (https://github.com/EvolutionAPI/evolution-api), which is on no registry: REST,
// database rows, in-memory states and events as they were observed on 2.3.6, on the real socket.io. Its WhatsApp is
// scripted (see evolution/line.js), and `POST /__double/…` makes faults (see evolution/control.js).
//
// The database is a file where `--db` names one, so that a process can be killed and started again as the real one is.
'use strict';

const http = require('node:http');
const express = require('express');
const { boolean, duration, endOnSignal, listen, options, text } = require('./fixture.js');
const { control } = require('./evolution/control.js');
const { Events } = require('./evolution/events.js');
const { Monitor } = require('./evolution/monitor.js');
const { rest } = require('./evolution/rest.js');

const given = options({
  'api-version': [text, '2.3.6'],
  key: [text, 'global-key'],
  websocket: [boolean, true],
  // WEBSOCKET_GLOBAL_EVENTS
  global: [boolean, true],
  // WEBSOCKET_ALLOWED_HOSTS: who may listen without a key. The real default is the loopbacks.
  'allowed-hosts': [text, '127.0.0.1,::1,::ffff:127.0.0.1'],
  // AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES: the example setting, which puts tokens into events.
  expose: [boolean, true],
  // PROMETHEUS_METRICS
  metrics: [boolean, false],
  licensed: [boolean, true],
  'ping-interval': [duration, 25_000],
  'ping-timeout': [duration, 20_000],
  // From `connecting` to `open`.
  login: [duration, 100],
  // How long `GET connect` of a closed instance waits before it answers.
  'connect-answer': [duration, 2_000],
  db: [text, ''],
});

const app = express();
const server = http.createServer(app);
const events = new Events(server, given);
const monitor = new Monitor(events, given);

// Every request is noted: a test asserts what was *not* asked for, too.
const asked = [];
app.use((request, _response, next) => {
  if (!request.path.startsWith('/__double/')) asked.push(`${request.method} ${request.path}`);
  next();
});
app.use(express.json());
app.use('/__double', control(monitor, events, asked));
app.use(rest(monitor, given));

endOnSignal();
listen(server, given.port);
monitor.start();
