// Whether to connect again after Baileys has ended a connection, and when.
//
// Baileys says what happened with numbers of its own, of which some are for ever: to try again after a 401, a 403 or a 440
// gets nowhere at best, and at worst two clients throw each other out until the account is blocked. Others pass by
// themselves, and one (515) is how every pairing ends. The table says which is which; it is the same one that the agent
// judges by (crates/core/src/diagnosis/codes.rs), and a test holds the two together.
//
// What was tried before counts: a login forgives it only when it has held for a while, or a server that accepts and drops
// would be stormed at full speed.
'use strict';

/** A connection that was open for so long has shown that it works, ms. */
const HELD = 60_000;
/** For how long after a 515 a 401 is not believed at once, ms. */
const AFTER_RESTART = 30_000;
/** So many bad sessions (500) one after the other are for a human. */
const BAD_SESSIONS = 3;
/** Baileys takes a connection for lost so long after the interval in which it should have heard something, ms. */
const KEEP_ALIVE_GRACE = 5_000;
/** Baileys' own interval; there is nothing to gain from a longer one, ms. */
const LONGEST_KEEP_ALIVE = 30_000;
/** Below this the pings are most of the traffic, ms. */
const SHORTEST_KEEP_ALIVE = 1_000;

/** The first row that fits decides. `words` are looked for in the message, in lower case. */
const RULES = [
  { code: 408, words: ['qr refs', 'qr code'], retry: 'never', why: 'nobody scanned the QR code in time: no outage. Connect again when somebody is there to scan' },
  { code: 408, retry: 'backoff', why: 'the connection was lost or never came about' },
  { code: 428, retry: 'backoff', why: 'the connection was closed' },
  { code: 515, retry: 'now', why: 'it restarts, as it does after pairing: that is no failure' },
  { code: 503, retry: 'slowly', why: 'the service is unavailable' },
  { code: 500, retry: 'few', why: 'the session is bad' },
  { code: 440, retry: 'never', why: 'another client has taken the session over: find it. To connect again would only throw it out in turn' },
  { code: 401, retry: 'never', why: 'the account is logged out: it must be paired anew' },
  { code: 402, retry: 'never', why: 'the account is blocked for a time' },
  { code: 403, retry: 'never', why: 'the account is forbidden' },
  { code: 405, retry: 'never', why: "this client's version is refused: upgrade Baileys or the version it states" },
  { code: 406, retry: 'never', why: 'the account is banned' },
  { code: 411, retry: 'never', why: 'the account is not set up for linked devices' },
  { code: null, words: ['nothing was heard for'], retry: 'backoff', why: 'it was stuck while connecting' },
  { code: null, retry: 'now', why: 'it was ended here' },
];
const OTHER = { retry: 'backoff', why: 'it was closed with a code that is not known' };

/** Code and words of a `connection.update`, of its error, or of a number. */
function ending(update) {
  const error = update?.lastDisconnect ? update.lastDisconnect.error : update?.connection ? undefined : update;
  const given = typeof error === 'number' ? error : (error?.output?.statusCode ?? error?.statusCode);
  return {
    code: Number.isInteger(given) ? given : null,
    words: String(error?.message ?? ''),
    deliberate: error === undefined || error === null,
  };
}

function ruleOf({ code, words }) {
  const lower = words.toLowerCase();
  return RULES.find((rule) => rule.code === code && (!rule.words || rule.words.some((part) => lower.includes(part)))) ?? OTHER;
}

/** What one account has tried. One for each auth state, for as long as the process lives. */
class Reconnects {
  constructor({ random = Math.random, now = () => performance.now() } = {}) {
    this.random = random;
    this.now = now;
    this.attempts = 0;
    this.badSessions = 0;
    this.openSince = undefined;
    this.restartAt = -Infinity;
    this.doubted = false;
    this.decided = new WeakMap();
  }

  opened() {
    this.openSince ??= this.now();
    this.restartAt = -Infinity;
    this.doubted = false;
  }

  /** The same answer for the same end, however often it is asked. */
  shouldReconnect(update) {
    const key = update?.lastDisconnect ?? update;
    if (key === null || typeof key !== 'object') return this.decide(update);
    if (!this.decided.has(key)) this.decided.set(key, this.decide(update));
    return this.decided.get(key);
  }

  decide(update) {
    const now = this.now();
    const end = ending(update);
    if (this.openSince !== undefined && now - this.openSince >= HELD) {
      this.attempts = 0;
      this.badSessions = 0;
    }
    this.openSince = undefined;
    if (end.deliberate) return never('it was ended here, without an error');
    const rule = ruleOf(end);
    const why = `${rule.why}${end.code === null ? '' : ` (${end.code})`}`;
    if (end.code === 515) this.restartAt = now;
    if (end.code === 401 && now - this.restartAt < AFTER_RESTART && !this.doubted) {
      this.doubted = true;
      return this.later(`${why}; right after a restart that is not believed at once`);
    }
    switch (rule.retry) {
      case 'now':
        return { reconnect: true, wait: 0, counts: false, why };
      case 'backoff':
        return this.later(why);
      case 'slowly':
        return this.later(why, { base: 20_000, cap: 600_000, equal: true });
      case 'few': {
        this.badSessions += 1;
        const times = `${why}, ${this.badSessions} of ${BAD_SESSIONS} times in a row`;
        if (this.badSessions < BAD_SESSIONS) return this.later(times, { base: 5_000 });
        return never(`${times}: look at the stored keys, and delete none without a copy`);
      }
      default:
        return never(why);
    }
  }

  later(why, law) {
    this.attempts += 1;
    return { reconnect: true, wait: backoff(this.attempts, { random: this.random, ...law }), counts: true, why };
  }
}

function never(why) {
  return { reconnect: false, wait: 0, counts: false, why };
}

/**
 * How long to wait before the attempt of this number, the first being 1: anything up to a ceiling that doubles, so that
 * many bots that were thrown out in the same second do not all come back in another one; with `equal` the upper half of it.
 */
function backoff(attempt, { base = 1_000, cap = 60_000, equal = false, random = Math.random } = {}) {
  const ceiling = Math.min(cap, base * 2 ** Math.min(Math.max(attempt, 1) - 1, 30));
  const floor = equal ? ceiling / 2 : Math.min(base, cap) / 10;
  return Math.round(floor + random() * (ceiling - floor));
}

/**
 * Baileys' `keepAliveIntervalMs` for a path: below the shortest idle timeout on it, and such that a dead connection is
 * found in time. It is found between K + 5 s and 2 K + 5 s after it died.
 */
function keepAliveAdvice({ proxyIdle, detectWithin } = {}) {
  const idles = [proxyIdle ?? []].flat().filter((idle) => Number.isFinite(idle) && idle > 0);
  const shortest = Math.min(...idles);
  const goal = Number.isFinite(detectWithin) ? detectWithin : Infinity;
  // The ping has to arrive before the timeout, and its answer has to be back.
  const byIdle = idles.length > 0 ? shortest - Math.max(1_000, shortest / 10) : Infinity;
  const byGoal = (goal - KEEP_ALIVE_GRACE) / 2;
  const interval = Math.floor(Math.min(LONGEST_KEEP_ALIVE, byIdle, byGoal));
  if (interval >= SHORTEST_KEEP_ALIVE) {
    const detects = 2 * interval + KEEP_ALIVE_GRACE;
    const bound =
      interval === LONGEST_KEEP_ALIVE
        ? "Baileys' own interval does"
        : byIdle <= byGoal
          ? `something on the path cuts after ${s(shortest)} of silence`
          : `a dead connection is to be found within ${s(goal)}`;
    const why = `${bound}: with ${s(interval)} it is found after ${s(interval + KEEP_ALIVE_GRACE)} to ${s(detects)}`;
    return { keepAliveIntervalMs: interval, detectsWithin: detects, why };
  }
  const why = byGoal < SHORTEST_KEEP_ALIVE
    ? `no interval fits: Baileys finds a dead connection after twice the interval and 5 s, so within ${s(2 * SHORTEST_KEEP_ALIVE + KEEP_ALIVE_GRACE)} at best; ${s(goal)} is asked for`
    : `no interval fits: something on the path cuts after ${s(shortest)} of silence, which no ping every ${s(SHORTEST_KEEP_ALIVE)} is sure to beat; raise that timeout`;
  return { keepAliveIntervalMs: undefined, detectsWithin: undefined, why };
}

function s(ms) {
  return `${Math.round(ms / 100) / 10} s`;
}

module.exports = { Reconnects, RULES, backoff, ending, keepAliveAdvice };
