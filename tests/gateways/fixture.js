// What every fixture here shares: flags, the first line on stdout, the end on SIGTERM. The gateways themselves stay
// as their authors would write them, so that what Mooring sees is what it will see in the field.
'use strict';

/** Reads `250ms`, `2s`, `5m`, `1h` or `0` into milliseconds, as the sample gateway's flags are written. */
function duration(text) {
  if (text === '0') return 0;
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  if (!match) throw new Error(`${JSON.stringify(text)} is not a duration; write it as in 250ms, 2s, 5m or 1h`);
  const ms = Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2]];
  // Node runs a timer above 2^31-1 ms at once.
  if (ms > 86_400_000) throw new Error(`${JSON.stringify(text)} is too long; the most is 24h`);
  return ms;
}

function port(text) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 65535) throw new Error(`${JSON.stringify(text)} is not a port`);
  return number;
}

function boolean(text) {
  if (text !== 'true' && text !== 'false') throw new Error(`${JSON.stringify(text)} is neither true nor false`);
  return text === 'true';
}

function status(text) {
  if (!/^[2-5]\d\d$/.test(text)) throw new Error(`${JSON.stringify(text)} is not an HTTP status from 200 to 599`);
  return Number(text);
}

function path(text) {
  if (!/^\/[^\s?#]*$/.test(text)) throw new Error(`${JSON.stringify(text)} is not a path`);
  return text;
}

/**
 * Reads the flags. `spec` maps a name to `[reader, default]`; each can be given as `--name value`, `--name=value` or
 * in the environment as GATEWAY_NAME, the flag before the environment. `--port` is always there. A mistake ends the
 * process with code 2: a fixture that ignored it would prove nothing.
 */
function options(spec) {
  const known = { port: [port, 0], ...spec };
  const result = {};
  try {
    for (const [name, [read, fallback]] of Object.entries(known)) {
      const value = process.env[`GATEWAY_${name.toUpperCase().replaceAll('-', '_')}`];
      result[name] = value === undefined ? fallback : read(value);
    }
    const args = process.argv.slice(2);
    while (args.length > 0) {
      const [, name, inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(args[0]) ?? [];
      args.shift();
      if (!Object.hasOwn(known, name ?? '')) throw new Error(`the flags are --${Object.keys(known).join(', --')}`);
      const value = inline ?? args.shift();
      if (value === undefined) throw new Error(`--${name} needs a value`);
      result[name] = known[name][0](value);
    }
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
  return result;
}

/** Listens, on the loopback interface unless told otherwise, and says where, as the first line on stdout. */
function listen(server, port, host = '127.0.0.1') {
  server.on('error', (error) => {
    process.stderr.write(`cannot listen on ${host}:${port}: ${error.message}\n`);
    process.exit(1);
  });
  server.listen(port, host, () => {
    const listening = `${host}:${server.address().port}`;
    process.stdout.write(`${JSON.stringify({ listening, pid: process.pid })}\n`);
  });
}

/** Ends the process with 0 on SIGTERM or SIGINT, after `farewell`, which gets a function to call when it is done. */
function endOnSignal(farewell = (done) => done()) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      farewell(() => process.exit(0));
      // A peer that does not answer a Close cannot keep the process.
      setTimeout(() => process.exit(0), 500).unref();
    });
  }
}

const text = String;

module.exports = { boolean, duration, endOnSignal, listen, options, path, status, text };
