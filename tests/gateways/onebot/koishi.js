// A Koishi bot: a server at /onebot, or a client of a forward server.
//
//     node koishi.js [--port N] [--self-id 10001] [--forward ws://…] [--token T]
//
// It answers each text with `echo <text>`, and that call's answer with `sent <message id>`.
'use strict';

const { Context, Logger } = require('koishi');
const http = require('@koishijs/plugin-http').default ?? require('@koishijs/plugin-http');
const server = require('@koishijs/plugin-server').default ?? require('@koishijs/plugin-server');
const onebot = require('koishi-plugin-adapter-onebot').default ?? require('koishi-plugin-adapter-onebot');
const { endOnSignal, options, path, text } = require('../fixture.js');

const given = options({ 'self-id': [text, '10001'], forward: [text, ''], token: [text, ''], path: [path, '/onebot'] });

Logger.levels.base = 0; // its words go to stdout, which is ours

async function main() {
  const ctx = new Context({});
  ctx.plugin(http, {});
  ctx.plugin(server, { host: '127.0.0.1', port: given.port || (await freePort()) });
  const way = given.forward
    ? { protocol: 'ws', endpoint: given.forward, token: given.token }
    : { protocol: 'ws-reverse', path: given.path };
  ctx.plugin(onebot, { selfId: given['self-id'], ...way });
  ctx.on('message', async (session) => {
    const ids = await session.send(`echo ${session.content}`);
    await session.send(`sent ${ids[0]}`);
  });
  ctx.on('bot-status-updated', (bot) => say({ status: bot.status }));
  await ctx.start();
  say({ listening: `127.0.0.1:${ctx.server.port}`, pid: process.pid });
}

/** Koishi takes no port 0: it looks for one from its own default on. */
async function freePort() {
  const probe = require('node:net').createServer();
  await new Promise((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

let listening = false;
function say(line) {
  // The address comes first, whatever else happens while it starts.
  if (line.listening) listening = true;
  if (listening) process.stdout.write(`${JSON.stringify(line)}\n`);
}

endOnSignal();
main();
