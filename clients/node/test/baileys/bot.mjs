// A bot with the real Baileys, pointed at a local WebSocket server that behaves as it is told:
//
//   node bot.mjs INSTANCE close:1012|terminate|killed|refused|hold|http:503
//
// The agent is where MOORING_REPORT says. An order to reconnect makes a new socket, against a server that holds it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { initAuthCreds, makeWASocket } from 'baileys';
import pino from 'pino';
import { WebSocketServer } from 'ws';

const require = createRequire(import.meta.url);
const mooring = require('../../index.js');

const [instance, behaviour] = process.argv.slice(2);

/** A server; returns its port. */
async function serve(what) {
  const [kind, argument] = what.split(':');
  const server = http.createServer();
  if (kind === 'http') {
    // The answer Baileys never tells about, on a connection that stays open.
    server.on('upgrade', (request, socket) => {
      socket.on('error', () => {});
      socket.write(`HTTP/1.1 ${argument} No\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n`);
    });
  } else {
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (ws) => {
      ws.on('error', () => {});
      // Baileys' first message: the connection is established on both sides.
      ws.once('message', () => {
        if (kind === 'close') ws.close(Number(argument), 'as told');
        if (kind === 'terminate') ws.terminate();
        if (kind === 'announce') console.log('message');
      });
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  if (kind === 'refused') server.close();
  return port;
}

if (instance === '--server') {
  console.log(await serve('announce'));
} else {
  const client = mooring({ onError: (error) => console.error(error.message) });
  const reported = client.instance(instance, { software: 'baileys 7.0.0-rc14' });

  const connect = (port) => {
    const sock = makeWASocket({
      waWebSocketUrl: `ws://127.0.0.1:${port}/ws/chat`,
      logger: pino({ level: 'silent' }),
      auth: { creds: initAuthCreds(), keys: { get: async () => ({}), set: async () => {} } },
    });
    reported.baileys(sock, {
      reconnect: async () => {
        connect(await serve('hold'));
        sock.end(new Error('reconnect was ordered'));
        return 'a new socket';
      },
    });
  };

  if (behaviour === 'killed') {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--server'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(child.stdout);
    connect((await once(lines, 'line'))[0]);
    await once(lines, 'line');
    child.kill('SIGKILL');
  } else {
    connect(await serve(behaviour));
  }
  // Ends with whoever started it.
  process.stdin.on('end', () => process.exit()).resume();
}
