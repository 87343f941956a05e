// The client with the real Baileys on a loopback WhatsApp server: every way a connection is known to end, with what
// Baileys says of it, what the agent is told, and what the client advises.
//
// Run with `npm run test:baileys`, after `npm ci --prefix test/baileys`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { Account } from './account.mjs';
import { WhatsApp } from './server.mjs';

const require = createRequire(import.meta.url);
const mooring = require('../../index.js');
const { FakeAgent } = require('../agent.js');

const BOUND = { timeout: 30_000 };
/** Where Baileys' own limit for upgrade and handshake is waited for. */
const QUICK = { connectTimeoutMs: 2_000 };
/** Where its keepalive is: that takes 5 s and more, whatever the interval. */
const PINGS = { keepAliveIntervalMs: 100 };
/** So that a busy machine is not taken for a silent server. */
const AT_ONCE = { concurrency: 8 };

async function world(t, plans, { fresh, options, ...given } = {}) {
  const agent = await new FakeAgent().listen();
  const client = mooring({ gateway: 'bots', address: agent.address });
  const server = await new WhatsApp(plans).listen();
  const account = new Account(client.instance('a', { heartbeat: false, ...given }), server.url, {
    fresh,
    options,
  });
  const updates = [];
  account.on('update', (update) => updates.push(update));
  t.after(async () => {
    account.stop();
    await client.close(0);
    await server.close();
    agent.close();
  });
  const told = async (what, times = 1) => {
    await agent.until(() => agent.said(what).length >= times);
    return agent.said(what)[times - 1];
  };
  return { agent, account, server, updates, told };
}

/** The advice that comes next. */
async function advised(account) {
  return (await once(account, 'advice'))[0];
}

const CONFLICT = 'error::conflict:replaced';
const REMOVED = 'error:401:conflict:device_removed';
const HANDSHAKE = 'WebSocket Error (Opening handshake has timed out)';
// Where Baileys ends the connection itself, the raw code is what the other end echoed: 1005, no code.
// plan, code, raw close code, message, whether to connect again; with options where it takes some.
const ROWS = [
  ['open:close:1000', 428, 1000, 'Connection Terminated', true],
  ['open:close:1011', 428, 1011, 'Connection Terminated', true],
  ['open:terminate', 428, 1006, 'Connection Terminated', true],
  ['hello:close:1011', 428, 1011, 'Connection Terminated', true],
  ['hello:terminate', 428, 1006, 'Connection Terminated', true],
  ['login:close:1000', 428, 1000, 'Connection Terminated', true],
  ['open:streamend', 428, 1005, 'Connection Terminated by Server', true],
  ['open:mute', 408, 1005, 'Connection was lost', true, PINGS],
  ['login:mute', 408, 1005, 'Connection was lost', true, PINGS],
  ['refused', 408, 1006, /^WebSocket Error \(connect ECONNREFUSED 127/, true],
  ['unknown', 408, 1006, /^WebSocket Error \(getaddrinfo (ENOTFOUND|EAI_AGAIN) /, true],
  ['tcp', 408, 1006, HANDSHAKE, true, QUICK],
  ['hello:mute', 408, 1005, 'Timed Out', true, QUICK],
  ['open:error:515', 515, 1005, 'Stream Errored (restart required)', true],
  ['open:error:503', 503, 1005, 'Stream Errored (unknown)', true],
  ['login:failure:503', 503, 1005, 'Connection Failure', true],
  ['open:error::ack', 500, 1005, 'Stream Errored (ack)', true],
  [`open:${CONFLICT}`, 440, 1005, 'Stream Errored (conflict)', false],
  [`open:${REMOVED}`, 401, 1005, 'Stream Errored (conflict)', false],
  ['login:failure:401', 401, 1005, 'Connection Failure', false],
  ['login:failure:402', 402, 1005, 'Connection Failure', false],
  ['login:failure:403', 403, 1005, 'Connection Failure', false],
  ['login:failure:405', 405, 1005, 'Connection Failure', false],
  ['login:failure:406', 406, 1005, 'Connection Failure', false],
  ['login:downgrade', 411, 1005, 'Multi-device beta not joined', false],
  // Refused upgrades on a connection that stays open: Baileys notices.
  ['http:200', 408, 1006, HANDSHAKE, true, QUICK],
  ['http:429', 408, 1006, HANDSHAKE, true, QUICK],
  ['http:502', 408, 1006, HANDSHAKE, true, QUICK],
];

describe('every end that Baileys tells', AT_ONCE, () => {
  for (const [plan, code, closeCode, message, again, options] of ROWS) {
    test(`${plan} is ${code}`, BOUND, async (t) => {
      const { account, server, updates, told } = await world(t, [plan], { options });
      if (plan === 'refused') await server.close();
      if (plan === 'unknown') account.url = 'ws://no-such-host.invalid/ws/chat';
      const advice = advised(account);
      account.connect();
      const { session, closed } = await told('closed');

      // Baileys.
      const last = updates.find((update) => update.connection === 'close');
      assert.equal(last.lastDisconnect.error.output.statusCode, code);
      assert.ok(last.lastDisconnect.date instanceof Date);
      const opened = updates.some((update) => update.connection === 'open');
      assert.equal(opened, plan.startsWith('open:'));
      assert.equal(updates[0].connection, 'connecting');

      // The agent.
      assert.equal(session, 's1');
      assert.deepEqual([closed.code, closed.closeCode], [code, closeCode]);
      if (message instanceof RegExp) assert.match(closed.message, message);
      else assert.equal(closed.message, message);

      // The bot.
      const { reconnect, wait, counts, why } = await advice;
      assert.equal(reconnect, again, why);
      assert.equal(counts, again && code !== 515, why);
      assert.equal(wait > 0, counts);
      assert.ok(why.includes(String(code)), why);
    });
  }
});

describe('what Baileys does not tell, or too late', AT_ONCE, () => {
  for (const status of [200, 429, 502]) {
    test(`an upgrade answered with ${status} on a connection that is closed: nothing, for ever`, BOUND, async (t) => {
      const silent = await world(t, [`http:${status}:closed`], { connectingTimeout: false, options: QUICK });
      silent.account.connect();
      assert.match((await silent.told('line')).line.text, new RegExp(`HTTP ${status}, not 101`));

      const { account, updates, told } = await world(t, [`http:${status}:closed`, 'ok'], { connectingTimeout: 3_000 });
      const advice = advised(account);
      account.connect();
      const { closed } = await told('closed');
      const words = `nothing was heard for 3 s while connecting: the upgrade was answered with HTTP ${status}, not 101`;
      assert.deepEqual(closed, { closeCode: 1006, message: words });
      assert.equal(updates.at(-1).lastDisconnect.error.message, words, 'the bot is told as well');
      assert.equal((await advice).reconnect, true);
      // It is released: the next socket opens.
      await told('open');
      // Longer than Baileys' own limits, and no word of it.
      assert.deepEqual(silent.updates.map((update) => update.connection), ['connecting']);
    });
  }

  test('a login that is never answered is ended long before the keepalive', BOUND, async (t) => {
    const { account, told } = await world(t, ['login:mute', 'ok'], { connectingTimeout: 2_000 });
    account.connect();
    assert.deepEqual((await told('closed')).closed, {
      closeCode: 1005,
      message: 'nothing was heard for 2 s while connecting',
    });
    await told('open');
  });

  test('the limit is a little more than the socket says of its own', BOUND, async (t) => {
    const { account } = await world(t, ['ok'], { options: { connectTimeoutMs: 7_000 } });
    account.connect();
    assert.equal(account.instance.socket.patience, 12_000);
    await once(account.instance.socket.raw, 'open');
    assert.ok(account.instance.socket.timer, 'it is watched');
  });

  test('a path that is dead does not hold the end back for half a minute', BOUND, async (t) => {
    const { account, told } = await world(t, ['open:dead'], {
      closingTimeout: 300,
      options: PINGS,
    });
    account.connect();
    const { closed } = await told('closed');
    assert.deepEqual(closed, { code: 408, closeCode: 1006, message: 'Connection was lost' });
    assert.match((await told('line')).line.text, /did not answer the Close frame within 0.3 s/);
  });
});

describe('a life', AT_ONCE, () => {
  test('a QR code that nobody scans is no outage, and is not repeated', BOUND, async (t) => {
    const { agent, account, updates, told } = await world(t, ['ok'], {
      fresh: true,
      connectingTimeout: 2_000,
      options: { qrTimeout: 1_200 },
    });
    const advice = advised(account);
    account.connect();
    const { closed } = await told('closed');
    assert.deepEqual(closed, { code: 408, closeCode: 1005, message: 'QR refs attempts ended' });
    assert.equal(updates.filter((update) => update.qr).length, 2, 'the watchdog leaves people their time');
    assert.equal(agent.said('waitingForLogin').length, 2);
    assert.equal(JSON.stringify(agent.events).includes('ref-1'), false, 'the code itself stays here');
    const { reconnect, why } = await advice;
    assert.equal(reconnect, false);
    assert.match(why, /no outage/);
  });

  test('it pairs, restarts at once, and is open', BOUND, async (t) => {
    const { agent, account, server, updates, told } = await world(t, ['ok'], { fresh: true });
    account.on('update', (update) => update.qr && assert.ok(server.scan(update.qr)));
    const advice = advised(account);
    account.connect();
    const open = await told('open');
    assert.deepEqual([open.session, open.open.peer], ['s2', '4915550001:7@s.whatsapp.net']);
    assert.ok(updates.some((update) => update.isNewLogin));
    assert.match(agent.said('line')[0].line.text, /^paired: a restart \(515\) follows/);
    assert.deepEqual(agent.said('closed').map(({ closed }) => closed.code), [515]);
    const { reconnect, wait, counts } = await advice;
    assert.deepEqual([reconnect, wait, counts], [true, 0, false]);
    assert.deepEqual([server.stats.logins, server.stats.paired, server.stats.most], [2, 1, 1]);
  });

  test('a logout right after the restart is tried once more, and then believed', BOUND, async (t) => {
    const { account, server, told } = await world(t, ['open:error:515', 'login:failure:401']);
    const advice = [];
    account.on('advice', (given) => advice.push(given));
    account.connect();
    const { closed } = await told('closed', 3);
    assert.equal(closed.code, 401);
    assert.deepEqual(advice.map(({ reconnect }) => reconnect), [true, true, false]);
    assert.equal(server.stats.logins, 3);
  });

  test('a second client throws the bot out, which does not strike back', BOUND, async (t) => {
    const { account, server, told } = await world(t, ['ok']);
    account.connect();
    await told('open');
    const other = await world(t, ['ok']);
    other.account.url = server.url;
    const advice = advised(account);
    other.account.connect();
    await other.told('open');
    assert.equal((await told('closed')).closed.code, 440);
    assert.equal((await advice).reconnect, false);
    assert.equal(server.stats.logins, 2);
  });

  test('two sockets of one account are not let be', BOUND, async (t) => {
    const { agent, account, server, told } = await world(t, ['ok']);
    account.connect();
    await told('open');
    const first = account.sock;
    const advice = advised(account);
    // A bot that forgets to end the old one.
    account.connect();
    await told('open', 2);
    const { session, closed } = await told('closed');
    assert.equal(session, 's1');
    assert.equal(closed.code, 440);
    assert.match(closed.message, /^a newer socket took its place/);
    assert.ok(first.ws.isClosed);
    assert.equal((await advice).reconnect, false, 'the one that is there is enough');
    assert.match(agent.said('line')[0].line.text, /^a second socket of this account/);
    assert.deepEqual([server.stats.opens, server.sessions.size], [2, 1]);
  });

  test('an order ends the socket before there is another', BOUND, async (t) => {
    const { agent, account, server, told } = await world(t, ['ok']);
    account.connect();
    await told('open');
    if (agent.polls.size === 0) await once(agent, 'poll');
    agent.order({ id: 'o1', action: 'reconnect', instance: 'a' });
    const { closed } = await told('closed');
    assert.equal(closed.message, 'reconnect was ordered');
    assert.equal((await told('open', 2)).session, 's2');
    assert.equal(server.stats.most, 1);
  });
});
