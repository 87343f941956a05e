// What the fault scripts share: one line per session that ended, and what happens to a session that is held.
'use strict';

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Follows a session of a `ws` server: prints its end. */
function follow(ws) {
  const opened = Date.now();
  let heard = opened;
  ws.on('message', () => (heard = Date.now()));
  ws.on('pong', () => (heard = Date.now()));
  ws.on('ping', () => (heard = Date.now()));
  ws.on('close', (code, reason) => {
    const at = Date.now();
    print({ end: 'server', code, reason: String(reason), at, age: at - opened, silent_for: at - heard });
  });
}

/** Calls `act` once, when some session has been open for `ms`; never when that is 0. */
function afterHolding(ms, act) {
  let done = ms === 0;
  return (emitter) => {
    if (done) return;
    const timer = setTimeout(() => {
      if (!done) act();
      done = true;
    }, ms);
    emitter.once('close', () => clearTimeout(timer));
  };
}

module.exports = { afterHolding, follow, print };
