// A bot with the real Baileys, on a loopback WhatsApp server that behaves as it is told:
//
//   node bot.mjs INSTANCE PLAN[,PLAN…] [fresh] [scan] [NAME=MILLISECONDS…]
//
// The plans are server.mjs's, or `refused` (nothing listens) or `killed` (the server's process dies when the bot is open).
// `fresh` is not paired yet, `scan` has somebody scan the QR code. NAME is an option of Baileys or the client's
// connectingTimeout. The agent is where MOORING_REPORT says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { Account } from './account.mjs';
import { WhatsApp } from './server.mjs';

const require = createRequire(import.meta.url);
const mooring = require('../../index.js');

const [name, plans, ...flags] = process.argv.slice(2);
const given = Object.fromEntries(flags.filter((flag) => flag.includes('=')).map((flag) => flag.split('=')));
const { connectingTimeout, ...options } = Object.fromEntries(Object.entries(given).map(([key, ms]) => [key, Number(ms)]));

const client = mooring({ onError: (error) => console.error(error.message) });
const instance = client.instance(name, {
  software: 'baileys 7.0.0-rc14',
  ...(connectingTimeout ? { connectingTimeout } : {}),
});

let url;
let server;
let child;
if (plans === 'killed') {
  child = spawn(process.execPath, [fileURLToPath(new URL('server.mjs', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => child.kill('SIGKILL'));
  const [line] = await once(createInterface(child.stdout), 'line');
  url = `ws://${JSON.parse(line).listening}/ws/chat`;
} else {
  server = await new WhatsApp(plans === 'refused' ? ['ok'] : plans.split(',')).listen();
  url = server.url;
  if (plans === 'refused') await server.close();
}

const account = new Account(instance, url, { fresh: flags.includes('fresh'), options });
account.on('update', (update) => {
  if (update.qr && flags.includes('scan')) server.scan(update.qr);
  if (update.connection === 'open') child?.kill('SIGKILL');
});
account.connect();
// Ends with whoever started it.
process.stdin.on('end', () => process.exit()).resume();
