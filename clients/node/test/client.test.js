// The client against an agent of a few lines. Run with `npm test`; needs nothing installed.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const mooring = require('../index.js');
const { FakeAgent } = require('./agent.js');

const BOUND = { timeout: 20_000 };

async function world(t, options = {}) {
  const agent = await new FakeAgent().listen();
  const client = mooring({ gateway: 'bots', address: agent.address, ...options });
  t.after(async () => {
    await client.close(0);
    agent.close();
  });
  return { agent, client };
}

async function eventually(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const kind = (event) => Object.keys(event).find((key) => !['instance', 'ago', 'sequence', 'session'].includes(key));

test('what is said arrives in order, introduced and numbered', BOUND, async (t) => {
  const { agent, client } = await world(t);
  const bot = client.instance('acct-1', { protocol: 'baileys', software: 'x 1', labels: { team: 'a' } });
  bot.connecting();
  bot.open('s1', 'peer');
  bot.beat(40);
  bot.line('hello');
  bot.closed(428, new Error('Connection Terminated'), { closeCode: 1006 });
  bot.waitingForLogin();
  await agent.until(() => agent.said('waitingForLogin').length > 0);
  assert.deepEqual(agent.events.map(kind), [
    'registered', 'connecting', 'open', 'beat', 'line', 'closed', 'waitingForLogin',
  ]);
  const { registered } = agent.events[0];
  assert.equal(registered.protocol, 'baileys');
  assert.deepEqual(registered.heartbeat, { interval: '10s', timeout: '20s' });
  assert.equal(registered.pid, process.pid);
  assert.deepEqual(agent.said('closed')[0].closed, { code: 428, closeCode: 1006, message: 'Connection Terminated' });
  assert.deepEqual(agent.said('beat')[0].beat, { rtt: '0.040000s' });
  assert.equal(agent.said('open')[0].session, 's1');
  assert.deepEqual(agent.events.map((event) => event.sequence), ['1', '2', '3', '4', '5', '6', '7']);
  assert.ok(agent.events.every((event) => event.instance === 'acct-1' && /^\d+\.\d{3}s$/.test(event.ago)));
  assert.equal(agent.requests[0].url, '/v1/gateways/bots:report');
  assert.match(agent.requests[0].body.client, /^[0-9a-f]{24}$/);
  await eventually(() => client.stats().sent === 7);
});

test('an absent agent does no harm, and hears everything when it comes', BOUND, async (t) => {
  const agent = await new FakeAgent().listen();
  const port = Number(new URL(agent.address).port);
  agent.close();
  const errors = [];
  const client = mooring({ address: agent.address, onError: (error) => errors.push(error) });
  t.after(() => client.close(0));
  const bot = client.instance('a', { heartbeat: false });
  bot.open();
  await eventually(() => errors.length > 0);
  assert.match(String(errors[0]), /ECONNREFUSED/);
  const later = await new FakeAgent().listen({ port, host: '127.0.0.1' });
  t.after(() => later.close());
  await later.until(() => later.said('open').length > 0);
  assert.ok(parseFloat(later.said('open')[0].ago) > 0, 'as old as it is');
  assert.equal(errors.length, 1, 'complains now and then, not each time');
});

test('the queue is bounded, and states outlive heartbeats', BOUND, async (t) => {
  const agent = await new FakeAgent().listen();
  agent.close();
  const client = mooring({ address: agent.address, queue: 1_000 });
  t.after(() => client.close(0));
  const bot = client.instance('a', { heartbeat: false });
  bot.open();
  for (let i = 0; i < 5_000; i += 1) bot.beat();
  bot.closed(1);
  assert.equal(client.stats().queued, 1_000);
  assert.equal(client.stats().dropped, 5_003 - 1_000);
  assert.deepEqual([client.queue[0].what, client.queue[1].what], ['registered', 'open']);
  assert.equal(client.queue.at(-1).what, 'closed');
});

test('a lost answer is made up for under the same numbers', BOUND, async (t) => {
  const { agent, client } = await world(t);
  let lost = 0;
  agent.reply = (body, answer, request) => {
    if (lost++ > 0) return false;
    agent.first = body.events;
    request.socket.destroy();
    return true;
  };
  client.instance('a', { heartbeat: false }).open();
  await agent.until(() => agent.said('open').length > 0);
  assert.deepEqual(agent.events.map((event) => event.sequence), agent.first.map((event) => event.sequence));
});

test('an agent that does not know it is told everything again', BOUND, async (t) => {
  const { agent, client } = await world(t);
  const bot = client.instance('a', { heartbeat: false });
  bot.open('s1');
  await agent.until(() => agent.said('open').length === 1);
  // Another agent process, which the next answer shows.
  agent.run = 'run-2';
  bot.line('x');
  await agent.until(() => agent.said('open').length === 2);
  assert.equal(agent.said('registered').length, 2);
  assert.equal(agent.said('open')[1].session, 's1');
  // One that says so.
  let strange = 0;
  agent.reply = (body, answer) => {
    if (strange++ > 0) return false;
    answer(404, { code: 'NOT_FOUND', reason: 'REGISTER_FIRST', message: 'register first' });
    return true;
  };
  bot.line('y');
  await agent.until(() => agent.said('open').length === 3);
  assert.equal(agent.said('registered').length, 3);
});

test('it comes again when it was told to, and gives up what will never be taken', BOUND, async (t) => {
  const errors = [];
  const { agent, client } = await world(t, { onError: (error) => errors.push(error) });
  const times = [];
  agent.reply = (body, answer) => {
    times.push(performance.now());
    if (times.length > 1) return false;
    answer(429, { message: 'too much' }, { 'retry-after': '1' });
    return true;
  };
  const bot = client.instance('a', { heartbeat: false });
  bot.open();
  await agent.until(() => agent.said('open').length === 1);
  assert.ok(times[1] - times[0] >= 950, `${times[1] - times[0]} ms`);
  agent.reply = (body, answer) => {
    agent.reply = undefined;
    answer(400, { message: 'nonsense', hint: 'say something else' });
    return true;
  };
  bot.line('nonsense');
  await agent.until(() => agent.reply === undefined);
  bot.line('sense');
  await agent.until(() => agent.said('line').length === 1);
  assert.equal(agent.said('line')[0].line.text, 'sense');
  assert.equal(client.stats().refused, 1);
});

test('orders reach their handlers once, and are answered', BOUND, async (t) => {
  const { agent, client } = await world(t);
  const calls = [];
  const bot = client.instance('a', { heartbeat: false });
  bot.open('s1');
  bot.on({
    reconnect: async (order) => {
      calls.push(order);
      return 'done so';
    },
    restart_instance: () => {
      throw new Error('will not');
    },
  });
  await agent.until(() => agent.said('registered').length === 2);
  assert.deepEqual(agent.said('registered')[1].registered.can, ['reconnect', 'restart_instance']);
  const order = { id: 'o1', action: 'reconnect', instance: 'a', reason: 'because', delay: '1.500s', timeLimit: '30s' };
  agent.order(order);
  await agent.until(() => agent.answers.length === 2);
  assert.deepEqual(agent.answers, [
    { order: 'o1', stage: 'started', message: '' },
    { order: 'o1', stage: 'done', message: 'done so' },
  ]);
  assert.deepEqual(calls, [
    { id: 'o1', action: 'reconnect', instance: 'a', session: '', delay: 1500, reason: 'because', timeLimit: 30000 },
  ]);
  // The state after it is said again, so that the agent sees that it helped.
  await agent.until(() => agent.said('open').length === 2);
  agent.order(order);
  agent.order({ id: 'o2', action: 'restart_instance', instance: 'a' });
  await agent.until(() => agent.answers.length === 4);
  assert.deepEqual(agent.answers.slice(2), [
    { order: 'o2', stage: 'started', message: '' },
    { order: 'o2', stage: 'failed', message: 'will not' },
  ]);
  agent.order({ id: 'o3', action: 'drain' });
  agent.order({ id: 'o4', action: 'reconnect', instance: 'stranger' });
  await agent.until(() => agent.answers.length === 6);
  assert.deepEqual(agent.answers.slice(4).map((answer) => [answer.stage, answer.message]), [
    ['failed', 'the gateway has no handler for drain'],
    ['failed', 'instance stranger has no handler for reconnect'],
  ]);
  assert.equal(calls.length, 1, 'the one that was given twice was carried out once');
});

test('heartbeats come by themselves', BOUND, async (t) => {
  const { agent, client } = await world(t);
  client.instance('a', { heartbeat: { interval: 1000, timeout: 2000 } }).open();
  await agent.until(() => agent.said('beat').length >= 2);
  assert.deepEqual(agent.said('registered')[0].registered.heartbeat, { interval: '1s', timeout: '2s' });
});

/** Something of Baileys' shape. */
function fakeSocket() {
  return { ev: new EventEmitter(), ws: { socket: new EventEmitter() }, user: { id: '49@wa' } };
}

test('a Baileys socket is read as it is', BOUND, async (t) => {
  const { agent, client } = await world(t);
  const bot = client.instance('a', { heartbeat: false });
  const first = fakeSocket();
  bot.baileys(first);
  first.ev.emit('connection.update', { connection: 'connecting' });
  first.ev.emit('connection.update', { qr: '2@abc' });
  first.ev.emit('connection.update', { connection: 'open' });
  first.ev.emit('connection.update', { receivedPendingNotifications: true });
  const error = Object.assign(new Error('Connection Terminated'), { output: { statusCode: 428 } });
  first.ev.emit('connection.update', { connection: 'close', lastDisconnect: { error } });
  // As with the real one, the close code may come after the event.
  first.ws.socket.emit('close', 1011, Buffer.from(''));
  await agent.until(() => agent.said('closed').length === 1);
  assert.deepEqual(
    agent.events.filter((event) => !event.registered).map((event) => [kind(event), event.session]),
    [['connecting', 's1'], ['waitingForLogin', 's1'], ['open', 's1'], ['closed', 's1']],
  );
  assert.equal(agent.said('open')[0].open.peer, '49@wa');
  assert.equal(agent.said('waitingForLogin').some((event) => JSON.stringify(event).includes('2@abc')), false, 'the QR code stays here');
  assert.deepEqual(agent.said('closed')[0].closed, { code: 428, closeCode: 1011, message: 'Connection Terminated' });
  const second = fakeSocket();
  bot.baileys(second);
  second.ws.socket.emit('unexpected-response', {}, { statusCode: 503 });
  await agent.until(() => agent.said('line').length === 1);
  assert.match(agent.said('line')[0].line.text, /HTTP 503/);
  assert.equal(agent.said('line')[0].session, 's2');
});

test('whatever it is given, the bot lives', BOUND, async (t) => {
  const { agent, client } = await world(t, { onError: () => { throw new Error('even here'); } });
  const bot = client.instance('a');
  for (const odd of [undefined, null, {}, { ev: {} }, 7, { ev: new EventEmitter() }]) bot.baileys(odd);
  bot.closed('x', { toString: () => 'words' });
  bot.closed(NaN, 'y'.repeat(10_000), null);
  bot.on(null);
  bot.on({ reconnect: 'not a function' });
  bot.line(undefined);
  bot.beat(Infinity);
  bot.open({ toString: () => { throw new Error('not text'); } });
  const cyclic = {};
  cyclic.self = cyclic;
  client.instance('b', { labels: cyclic }).open();
  await agent.until(() => agent.said('open').length === 2);
});

test('an agent that refuses the introduction is not asked without end', BOUND, async (t) => {
  const { agent, client } = await world(t);
  let requests = 0;
  agent.reply = (body, answer) => {
    requests += 1;
    const problems = body.events.map((event, index) => ({ index, reason: 'REGISTER_FIRST', message: 'no' }));
    answer(200, { problems, agentRun: 'run-1' });
    return true;
  };
  const bot = client.instance('a', { heartbeat: false });
  bot.open();
  await eventually(() => client.stats().refused >= 4);
  bot.line('still here');
  await eventually(() => client.stats().refused >= 5);
  assert.ok(requests <= 4, `${requests} requests`);
});

test('over a Unix socket, with a token from a file', BOUND, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mooring-client-'));
  const agent = await new FakeAgent().listen(path.join(folder, 'report.sock'));
  fs.writeFileSync(path.join(folder, 'token'), 's3cret-0123456789\n');
  process.env.MOORING_REPORT = agent.address;
  process.env.MOORING_REPORT_TOKEN_FILE = path.join(folder, 'token');
  const client = mooring();
  t.after(async () => {
    delete process.env.MOORING_REPORT;
    delete process.env.MOORING_REPORT_TOKEN_FILE;
    await client.close(0);
    agent.close();
    fs.rmSync(folder, { recursive: true });
  });
  client.instance('a').open();
  await agent.until(() => agent.said('open').length === 1);
  assert.equal(agent.requests[0].headers.authorization, 'Bearer s3cret-0123456789');
  assert.equal(agent.requests[0].url, '/v1/gateways/-:report');
});

test('it keeps no process alive, and close() sends what waits', BOUND, async (t) => {
  const { agent } = await world(t);
  const run = async (script, address) => {
    const code = `const mooring = require(${JSON.stringify(path.join(__dirname, '..'))}); ${script}`;
    const child = spawn(process.execPath, ['-e', code], { env: { ...process.env, MOORING_REPORT: address }, stdio: 'inherit' });
    t.after(() => child.kill('SIGKILL'));
    const [status] = await once(child, 'exit');
    assert.equal(status, 0);
  };
  const say = "const bot = mooring().instance('a', { orders: { reconnect() {} } }); bot.open();";
  await run(say, agent.address);
  await run(say, 'http://127.0.0.1:1');
  await run("const m = mooring(); m.instance('a').closed(7); m.close();", agent.address);
  assert.equal(agent.said('closed').length, 1);
});

test('it can be imported too', BOUND, async () => {
  const module = await import('../index.mjs');
  assert.equal(module.default, mooring);
  assert.equal(module.mooring, mooring);
});
