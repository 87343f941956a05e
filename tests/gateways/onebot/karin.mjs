// A node-karin bot: a server at /onebot/v11/ws. Its settings, its own Redis and its log live in a folder that is
// removed again.
//
//     node karin.mjs [--port N] [--token T]
//
// It answers each text with `echo <text>`, and that call's answer with `sent <message id>`.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const { options, text } = require('../fixture.js');
const given = options({ token: [text, ''] });

const here = dirname(fileURLToPath(import.meta.url));
// One that was killed could not remove its own: the next one does.
for (const name of readdirSync(tmpdir())) {
  const [, pid] = /^mooring-karin-(\d+)-/.exec(name) ?? [];
  if (pid && !runs(Number(pid))) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
const home = mkdtempSync(join(tmpdir(), `mooring-karin-${process.pid}-`));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0));

const port = given.port || (await freePort());
const env = {
  HTTP_ENABLE: 'true',
  HTTP_PORT: port,
  HTTP_HOST: '127.0.0.1',
  HTTP_AUTH_KEY: 'mooring-tests',
  WS_SERVER_AUTH_KEY: given.token,
  REDIS_ENABLE: 'false',
  PM2_RESTART: 'false',
  TSX_WATCH: 'false',
  LOG_LEVEL: 'error',
  LOG_DAYS_TO_KEEP: '1',
};
writeFileSync(join(home, '.env'), Object.entries(env).map(([name, value]) => `${name}=${value}\n`).join(''));
for (const [name, value] of Object.entries(env)) process.env[name] = String(value);
writeFileSync(join(home, 'package.json'), '{"name":"bot","type":"module"}');
symlinkSync(join(here, 'node_modules'), join(home, 'node_modules'));
const plugin = join(home, 'plugins', 'karin-plugin-example');
mkdirSync(plugin, { recursive: true });
writeFileSync(
  join(plugin, 'index.js'),
  `import karin from 'node-karin'
export const echo = karin.command(/^[^]*$/, async (e) => {
  const sent = await e.reply('echo ' + e.msg)
  await e.reply('sent ' + sent.messageId)
  return true
}, { name: 'echo', event: 'message' })
`,
);
process.chdir(home);

// Its log goes to stdout, which is ours.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true;

const { start } = await import('node-karin');
await start();
for (;;) if (await listens()) break;
write(`${JSON.stringify({ listening: `127.0.0.1:${port}`, pid: process.pid })}\n`);

function runs(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

function listens() {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => done(socket.destroy() && true));
    socket.once('error', () => setTimeout(done, 50, false));
  });
}
