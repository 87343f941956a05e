// Whether to connect again, and when: the rows, the memory and the edges. Needs nothing installed.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { backoff, keepAliveAdvice } = require('../index.js');
const { Reconnects } = require('../lib/policy.js');

/** A `connection.update` as Baileys makes it. */
function closed(code, message = '') {
  const error = Object.assign(new Error(message), code === undefined ? {} : { output: { statusCode: code } });
  return { connection: 'close', lastDisconnect: { error, date: new Date() } };
}

/** An account whose clock and dice are ours. */
function account({ dice = 1 } = {}) {
  const clock = { ms: 0 };
  const reconnects = new Reconnects({ random: () => dice, now: () => clock.ms });
  const ends = (code, message) => reconnects.shouldReconnect(closed(code, message));
  const opens = (forMs) => {
    reconnects.opened();
    clock.ms += forMs;
  };
  return { clock, reconnects, ends, opens };
}

test('what is for people is never tried again', () => {
  for (const code of [401, 402, 403, 405, 406, 411, 440]) {
    const { reconnect, wait, why } = account().ends(code, 'Connection Failure');
    assert.deepEqual([reconnect, wait], [false, 0], String(code));
    assert.ok(why.includes(String(code)), why);
  }
});

test('a lost connection is tried again, later each time, up to a minute', () => {
  for (const code of [428, 408, 999]) {
    const { ends } = account();
    const waits = Array.from({ length: 9 }, () => ends(code, 'gone').wait);
    assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60].map((s) => s * 1000), String(code));
  }
});

test('the same end is one attempt, whoever asks', () => {
  const { ends, reconnects } = account();
  const update = closed(428);
  const first = reconnects.shouldReconnect(update);
  assert.equal(reconnects.shouldReconnect(update), first);
  assert.equal(ends(428).wait, 2_000);
});

test('only a connection that held forgives', () => {
  const { ends, opens } = account();
  for (let n = 0; n < 4; n += 1) {
    opens(1_000);
    ends(428);
  }
  opens(59_999);
  assert.equal(ends(428).wait, 16_000);
  opens(60_000);
  assert.equal(ends(428).wait, 1_000);
});

test('a QR code that nobody scanned is no lost connection', () => {
  const { reconnect, why } = account().ends(408, 'QR refs attempts ended');
  assert.equal(reconnect, false);
  assert.match(why, /no outage/);
  assert.equal(account().ends(408, 'Connection was lost').reconnect, true);
});

test('a restart is at once and does not count', () => {
  const { ends } = account();
  assert.deepEqual([ends(515).wait, ends(515).counts], [0, false]);
  assert.equal(ends(428).wait, 1_000);
});

test('a 401 in its wake is not believed at once, and once only', () => {
  const again = (pass, between) => {
    const { clock, ends, opens } = account();
    ends(515);
    if (between) opens(0);
    clock.ms += pass;
    return [ends(401).reconnect, ends(401).reconnect];
  };
  assert.deepEqual(again(29_999), [true, false]);
  assert.deepEqual(again(30_000), [false, false]);
  assert.deepEqual(again(0, true), [false, false], 'it had logged in');
});

test('an unavailable service is given longer', () => {
  const { ends } = account({ dice: 0 });
  assert.deepEqual([ends(503), ends(503), ends(503)].map(({ wait }) => wait), [10_000, 20_000, 40_000]);
});

test('a bad session is tried twice, and keys are not thrown away', () => {
  const { ends, opens } = account();
  const tries = [1, 2, 3].map(() => {
    // A stream error comes after a login each time.
    opens(2_000);
    return ends(500, 'Stream Errored (ack)');
  });
  assert.deepEqual(tries.map(({ reconnect }) => reconnect), [true, true, false]);
  assert.match(tries[2].why, /delete none without a copy/);
  opens(60_000);
  assert.equal(ends(500).reconnect, true);
});

test('what was ended here is connected again where it was meant so', () => {
  assert.deepEqual([account().ends(undefined, 'reconnect was ordered')].map(({ reconnect, wait }) => [reconnect, wait]), [[true, 0]]);
  const stuck = account().ends(undefined, 'nothing was heard for 25 s while connecting');
  assert.deepEqual([stuck.reconnect, stuck.counts], [true, true]);
  const { reconnect } = account().reconnects.shouldReconnect({ connection: 'close', lastDisconnect: { error: undefined } });
  assert.equal(reconnect, false, 'end() without an error is a shutdown');
});

test('an error or a number will do, and nothing is too odd', () => {
  const { reconnects } = account();
  assert.equal(reconnects.shouldReconnect(403).reconnect, false);
  assert.equal(reconnects.shouldReconnect(closed(428).lastDisconnect.error).reconnect, true);
  assert.equal(reconnects.shouldReconnect({ statusCode: 503 }).reconnect, true);
  for (const odd of [undefined, null, 'words', {}, { lastDisconnect: {} }, { connection: 'open' }]) {
    assert.equal(typeof reconnects.shouldReconnect(odd).reconnect, 'boolean');
  }
});

test('many bots come back spread out, none at once', () => {
  const waits = Array.from({ length: 1_000 }, () => backoff(4));
  assert.ok(waits.every((wait) => wait >= 100 && wait <= 8_000));
  assert.ok(new Set(waits).size > 500);
  assert.ok(Math.max(...waits) > 7_000 && Math.min(...waits) < 1_000);
  assert.deepEqual([backoff(0, { random: () => 1 }), backoff(1e9, { random: () => 1 })], [1_000, 60_000]);
});

test('an interval for a path', () => {
  const advice = (proxyIdle, detectWithin) => keepAliveAdvice({ proxyIdle, detectWithin });
  // Nothing on the path, no hurry: as Baileys has it.
  assert.deepEqual([advice().keepAliveIntervalMs, advice().detectsWithin], [30_000, 65_000]);
  assert.equal(advice(3_600_000, 600_000).keepAliveIntervalMs, 30_000);
  // nginx's 60 s is no reason; 30 s is, with time for the ping to arrive.
  assert.equal(advice(60_000).keepAliveIntervalMs, 30_000);
  assert.equal(advice(30_000).keepAliveIntervalMs, 27_000);
  assert.equal(advice([60_000, 10_000, 3_600_000]).keepAliveIntervalMs, 9_000, 'the shortest counts');
  // The goal.
  const goal = advice(60_000, 20_000);
  assert.deepEqual([goal.keepAliveIntervalMs, goal.detectsWithin], [7_500, 20_000]);
  assert.match(goal.why, /within 20 s/);
  // None.
  const hurry = advice(60_000, 6_000);
  assert.equal(hurry.keepAliveIntervalMs, undefined);
  assert.match(hurry.why, /7 s at best; 6 s is asked for/);
  const narrow = advice(1_500, 60_000);
  assert.equal(narrow.keepAliveIntervalMs, undefined);
  assert.match(narrow.why, /cuts after 1.5 s.*raise that timeout/);
  // Whatever is asked, the promise holds.
  for (let idle = 500; idle < 100_000; idle += 700) {
    for (let within = 1_000; within < 120_000; within += 1_700) {
      const { keepAliveIntervalMs: k, detectsWithin, why } = advice(idle, within);
      assert.ok(k === undefined ? why.startsWith('no interval fits') : k < idle && 2 * k + 5_000 <= within && detectsWithin === 2 * k + 5_000);
    }
  }
});
