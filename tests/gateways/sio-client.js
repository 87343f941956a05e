// The stock Socket.IO client, for comparison, and its parser.
//
//   node sio-client.js HOST:PORT websocket|polling   comes, is greeted, leaves
//   node sio-client.js packets                       for each JSON string on stdin, the packet it is; null for none
'use strict';

const { createInterface } = require('node:readline');
const { io } = require('socket.io-client');
const { Decoder } = require('socket.io-parser');

function visit(at, transport) {
  const socket = io(`http://${at}`, { transports: [transport], upgrade: false, reconnection: false });
  socket.on('hello', () => socket.disconnect());
  socket.on('connect_error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}

function packets() {
  createInterface(process.stdin).on('line', (line) => {
    let read = null;
    try {
      const decoder = new Decoder();
      const text = JSON.parse(line);
      // A binary packet is only complete with its attachments; what is known of it until then is enough here.
      read = '56'.includes(text[0]) ? decoder.decodeString(text) : null;
      decoder.on('decoded', (packet) => (read = packet));
      if (!read) decoder.add(text);
    } catch {
      read = null;
    }
    process.stdout.write(`${JSON.stringify(read)}\n`);
  });
}

const [what, transport] = process.argv.slice(2);
if (what === 'packets') packets();
else visit(what, transport);
