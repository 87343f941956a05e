// The REST side. Guard order is existence, then auth: an unknown instance is 404 even without a key.
'use strict';

const express = require('express');
const { ALL } = require('./events.js');

const refusal = (status, error, message) => ({ status, error, response: { message } });
const absent = (name) => refusal(404, 'Not Found', [`The "${name}" instance does not exist`]);
const unauthorized = refusal(401, 'Unauthorized', 'Unauthorized');
const broken = refusal(500, 'Internal Server Error', ['Internal server error']);

/** What an order on something unusable answers: a success in HTTP, and a failure in words nobody can read. */
const lie = { error: true, message: '[object Object]' };

const escape = (label) => label.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');

function metrics(monitor) {
  const lines = ['# TYPE evolution_instance_up gauge', '# TYPE evolution_instance_state gauge'];
  for (const [name, line] of monitor.lines) {
    const labels = `instance="${escape(name)}",integration="WHATSAPP-BAILEYS"`;
    lines.push(`evolution_instance_up{${labels}} ${line.state === 'open' ? 1 : 0}`);
    lines.push(`evolution_instance_state{${labels},state="${line.state}"} 1`);
  }
  return `${lines.join('\n')}\n`;
}

function rest(monitor, given) {
  const router = express.Router();
  const keyOf = (request) => request.get('apikey') ?? request.query.apikey;

  if (!given.licensed) {
    router.use((_request, response) => response.status(503).json({ error: 'service not activated', code: 'LICENSE_REQUIRED' }));
  }

  router.get('/', (_request, response) => {
    response.json({
      status: 200,
      message: 'Welcome to the Evolution API, it is working!',
      version: given['api-version'],
      clientName: 'evolution_exchange',
      documentation: 'https://doc.evolution-api.com',
      whatsappWebVersion: '2.3000.1023204200',
    });
  });

  if (given.metrics) router.get('/metrics', (_request, response) => response.type('text/plain').send(metrics(monitor)));

  router.get('/instance/fetchInstances', (request, response) => {
    const key = keyOf(request);
    const rows = [...monitor.rows.values()];
    const own = rows.filter((row) => key && row.token === key);
    if (key !== given.key && own.length === 0) return response.status(401).json(unauthorized);
    const name = request.query.instanceName;
    const seen = (key === given.key ? rows : own).filter((row) => !name || row.name === name);
    if (name && seen.length === 0) return response.status(404).json(absent(name));
    // The session is a table of its own.
    return response.json(seen.map(({ session, ...row }) => ({ ...row, token: given.expose ? row.token : undefined })));
  });

  router.post('/instance/create', (request, response) => {
    if (keyOf(request) !== given.key) return response.status(401).json(unauthorized);
    const { instanceName: name, qrcode, token } = request.body;
    if (monitor.rows.has(name)) {
      return response.status(403).json(refusal(403, 'Forbidden', [`This name "${name}" is already in use.`]));
    }
    const line = monitor.load(monitor.row(name, { paired: false, token }));
    line.emit('instance.create', { instanceName: name, instanceId: line.row.id });
    if (qrcode) line.connect();
    return response.status(201).json({ instance: { instanceName: name, status: 'created' }, hash: line.row.token });
  });

  // Of one instance, from here on.
  const guarded = (act) => async (request, response) => {
    const row = monitor.rows.get(request.params.name);
    if (!row) return response.status(404).json(absent(request.params.name));
    const key = keyOf(request);
    if (key !== given.key && key !== row.token) return response.status(401).json(unauthorized);
    return act(request, response, row, monitor.lines.get(row.name));
  };

  router.get(
    '/instance/connectionState/:name',
    guarded((_request, response, row, line) =>
      // JSON has no undefined: the key is absent for what is not loaded.
      response.json({ instance: { instanceName: row.name, state: line?.state } }),
    ),
  );

  router.get(
    '/instance/connect/:name',
    guarded(async (_request, response, _row, line) => response.json(line ? await line.askConnect() : lie)),
  );

  router.post(
    '/instance/restart/:name',
    guarded((_request, response, _row, line) => response.json(line ? line.askRestart() : lie)),
  );

  router.delete(
    '/instance/logout/:name',
    guarded((_request, response, row, line) => {
      if (line?.state === 'close' && !given['api-version'].startsWith('2.4')) {
        return response
          .status(400)
          .json(refusal(400, 'Bad Request', [`The "${row.name}" instance is not connected`]));
      }
      line?.askLogout();
      return response.json({ status: 'SUCCESS', error: false, response: { message: 'Instance logged out' } });
    }),
  );

  router.delete(
    '/instance/delete/:name',
    guarded((_request, response, row, line) => {
      line?.emit('instance.delete', { instanceName: row.name, instanceId: row.id });
      monitor.remove(row.name);
      return response.json({ status: 'SUCCESS', error: false, response: { message: 'Instance deleted' } });
    }),
  );

  router.post(
    '/websocket/set/:name',
    guarded((request, response, row, line) => {
      const wanted = request.body.websocket;
      // A flat body, no list, or an instance that is not loaded: the handler throws.
      if (!line || !Array.isArray(wanted?.events)) return response.status(500).json(broken);
      const events = wanted.events.length === 0 ? ALL : wanted.events;
      line.store({ Websocket: { enabled: wanted.enabled === true, events } });
      return response.status(201).json(row.Websocket);
    }),
  );

  router.get(
    '/websocket/find/:name',
    guarded((_request, response, row) => response.json(row.Websocket)),
  );

  return router;
}

module.exports = { rest };
