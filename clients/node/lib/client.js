// The client: one queue of events for all instances, sent in batches by one request at a time, and one poll for orders.
//
// Its first duty is to do no harm. It never throws into the gateway, keeps no process alive (timers and sockets are
// unref'd), holds at most `queue` events, and when the agent is away waits longer and longer between tries. What the queue
// cannot hold is given up oldest first, heartbeats and lines before states; and when the agent is a new one, the present
// state of each instance is said again, so a lost event does not leave a wrong picture.
'use strict';

const { randomBytes } = require('node:crypto');
const { Instance } = require('./instance.js');
const { Transport, Refused } = require('./transport.js');

/** Most events in one request; the agent takes 500. */
const BATCH = 200;
/** First and longest pause after a failure, ms. */
const PAUSE = 250;
const LONGEST_PAUSE = 30_000;
/** How long the agent is asked to hold a poll. */
const WAIT = '25s';
/** Least time between two calls of onError, ms. */
const COMPLAIN = 60_000;

class Client {
  constructor(options = {}) {
    const { gateway = '-', address, token, queue = 10_000, onError } = options ?? {};
    this.gateway = String(gateway);
    this.name = randomBytes(12).toString('hex');
    this.transport = new Transport(address, token);
    this.instances = new Map();
    this.queue = [];
    this.limit = Math.max(1_000, queue | 0);
    this.onError = onError;
    this.complainedAt = -Infinity;
    this.sequence = 0;
    this.counts = { sent: 0, dropped: 0, refused: 0 };
    this.connected = false;
    this.agentRun = undefined;
    this.sending = false;
    this.sendFailures = 0;
    this.polling = false;
    this.pollFailures = 0;
    this.done = new Set(); // ids of the last orders, so that none is carried out twice
    this.timers = new Set();
    this.closed = false;
  }

  instance(id, options) {
    id = String(id);
    let instance = this.instances.get(id);
    if (!instance) {
      instance = new Instance(this, id);
      this.instances.set(id, instance);
    }
    instance.configure(options ?? {});
    return instance;
  }

  stats() {
    return { queued: this.queue.length, connected: this.connected, ...this.counts };
  }

  async close(timeout = 2_000) {
    const end = performance.now() + timeout;
    while (this.queue.length > 0 && !this.closed && performance.now() < end) {
      this.flush();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const instance of this.instances.values()) instance.stop();
    this.transport.close();
  }

  // ---- events

  /** Queues an event. `what` is one of the names of the protocol. */
  say(instance, what, body, session) {
    if (this.closed) return;
    if (this.queue.length >= this.limit) this.makeRoom();
    this.queue.push({ instance, what, body, session, at: performance.now(), sequence: ++this.sequence });
    // At the end of this turn of the event loop: what happens together is sent together.
    this.after(0, () => this.flush(), 'flush');
    this.poll();
  }

  makeRoom() {
    let victim = this.queue.findIndex((event) => event.what === 'beat' || event.what === 'line');
    if (victim < 0) victim = 0;
    // What is being sent is at the front and must stay until its answer comes.
    victim = Math.max(victim, Math.min(this.inFlight ?? 0, this.queue.length - 1));
    this.queue.splice(victim, 1);
    this.counts.dropped += 1;
  }

  async flush() {
    if (this.sending || this.queue.length === 0 || this.closed) return;
    this.sending = true;
    const batch = this.queue.slice(0, BATCH);
    this.inFlight = batch.length;
    const now = performance.now();
    const events = batch.map(({ instance, what, body, session, at, sequence }) => ({
      instance,
      ago: seconds(Math.max(0, now - at)),
      sequence: String(sequence),
      ...(session ? { session } : {}),
      [what]: body,
    }));
    let pause = 0;
    let answer;
    try {
      answer = await this.transport.post(`/v1/gateways/${encodeURIComponent(this.gateway)}:report`, {
        client: this.name,
        events,
      });
    } catch (error) {
      pause = this.failed(error, batch.length);
    }
    this.sending = false;
    this.inFlight = 0;
    if (this.closed) return;
    if (pause === 0) {
      this.queue.splice(0, batch.length);
      this.sendFailures = 0;
      if (answer) this.accepted(answer, batch);
    }
    if (this.queue.length > 0) this.after(pause, () => this.flush(), 'flush');
  }

  accepted(answer, batch) {
    this.connected = true;
    this.counts.sent += answer.accepted ?? 0;
    const strangers = new Set();
    for (const problem of answer.problems ?? []) {
      this.counts.refused += 1;
      const event = batch[problem.index ?? 0];
      if (problem.reason === 'REGISTER_FIRST' && event) strangers.add(event.instance);
      else this.complain(new Error(`mooring: ${event?.instance}: ${problem.message}`));
    }
    this.agentIs(answer.agentRun);
    for (const id of strangers) this.instances.get(id)?.unknown();
  }

  /** What a failed request means; returns how long to wait before the next, 0: the batch is not to be sent again. */
  failed(error, count) {
    if (error instanceof Refused && error.reason === 'REGISTER_FIRST') {
      // All of the batch is from instances the agent does not know: it is a new one.
      this.counts.refused += count;
      for (const instance of this.instances.values()) instance.unknown();
      return 0;
    }
    this.complain(error);
    if (error instanceof Refused && !error.again) {
      this.counts.refused += count;
      return 0;
    }
    this.connected = error instanceof Refused;
    this.sendFailures += 1;
    return Math.max(backoff(this.sendFailures), error.retryAfter ?? 0);
  }

  /** Another agent process has forgotten everything. */
  agentIs(run) {
    if (!run) return;
    const before = this.agentRun;
    this.agentRun = run;
    if (before !== undefined && before !== run) {
      for (const instance of this.instances.values()) instance.introduce();
    }
  }

  // ---- orders

  /** Polls for orders, once an instance can carry any out. */
  async poll() {
    if (this.polling || this.closed || ![...this.instances.values()].some((i) => i.handlers.size > 0)) return;
    this.polling = true;
    let pause = 0;
    try {
      const gateway = encodeURIComponent(this.gateway);
      const answer = await this.transport.get(`/v1/gateways/${gateway}/orders?wait=${WAIT}&client=${this.name}`);
      this.pollFailures = 0;
      this.agentIs(answer.agentRun);
      for (const order of answer.orders ?? []) this.carryOut(order);
    } catch (error) {
      if (!this.closed) this.complain(error);
      this.pollFailures += 1;
      pause = Math.max(backoff(this.pollFailures), error.retryAfter ?? 0);
    }
    this.polling = false;
    if (!this.closed) this.after(pause, () => this.poll(), 'poll');
  }

  async carryOut(order) {
    if (this.done.has(order.id)) return;
    this.done.add(order.id);
    if (this.done.size > 1_000) this.done.delete(this.done.values().next().value);
    const instance = this.instances.get(order.instance);
    const takers = instance ? [instance] : order.instance ? [] : [...this.instances.values()];
    const handler = takers.map((taker) => taker.handlers.get(order.action)).find(Boolean);
    if (!handler) {
      const whose = order.instance ? `instance ${order.instance}` : 'the gateway';
      await this.answer(order.id, 'failed', `${whose} has no handler for ${order.action}`);
      return;
    }
    const plain = {
      id: order.id,
      action: order.action,
      instance: order.instance ?? '',
      session: order.session ?? '',
      delay: milliseconds(order.delay),
      reason: order.reason ?? '',
      timeLimit: milliseconds(order.timeLimit),
    };
    await this.answer(order.id, 'started', '');
    try {
      const result = await handler(plain);
      await this.answer(order.id, 'done', typeof result === 'string' ? result : '');
    } catch (error) {
      await this.answer(order.id, 'failed', String(error?.message ?? error));
    }
    // The state after it, for the agent to see that it helped.
    instance?.repeat();
  }

  async answer(id, stage, message) {
    for (let failures = 1; failures <= 5 && !this.closed; failures += 1) {
      try {
        const path = `/v1/gateways/${encodeURIComponent(this.gateway)}/orders/${encodeURIComponent(id)}:answer`;
        await this.transport.post(path, { stage, message });
        return;
      } catch (error) {
        if (error instanceof Refused && !error.again) return this.complain(error);
        await new Promise((resolve) => this.after(backoff(failures), resolve));
      }
    }
  }

  // ---- small things

  /** A timer that keeps no process alive; one at a time for each name. */
  after(ms, action, name) {
    if (name) {
      this.named ??= new Map();
      const running = this.named.get(name);
      if (running && running.due <= performance.now() + ms) return;
      if (running) this.cancel(running.timer);
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (name) this.named.delete(name);
      action();
    }, ms);
    timer.unref();
    this.timers.add(timer);
    if (name) this.named.set(name, { timer, due: performance.now() + ms });
  }

  cancel(timer) {
    clearTimeout(timer);
    this.timers.delete(timer);
  }

  complain(error) {
    const now = performance.now();
    if (!this.onError || now - this.complainedAt < COMPLAIN) return;
    this.complainedAt = now;
    try {
      this.onError(error);
    } catch {
      // Whatever it does is its own affair.
    }
  }
}

/** Full jitter: many bots on one machine come back spread out. */
function backoff(failures) {
  const most = Math.min(LONGEST_PAUSE, PAUSE * 2 ** Math.min(failures, 16));
  return most / 2 + Math.random() * (most / 2);
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(3)}s`;
}

function milliseconds(duration) {
  return duration ? Math.round(parseFloat(duration) * 1000) : 0;
}

module.exports = { Client, seconds };
