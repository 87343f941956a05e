// Clients that do something wrong, or only hold: npm's `ws`, with a little Engine.IO by hand. Prints each session's end
// (`seen` of a scene), and ends when all have ended.
'use strict';

const { WebSocket } = require('ws');
const { boolean, duration, options, text } = require('../fixture.js');
const { print } = require('./said.js');

const given = options({
  url: [text, ''],
  count: [Number, 1],
  'answer-pings': [boolean, true], // WebSocket's
  'engine-pongs': [boolean, false], // Engine.IO's: `3` for `2`
  'engine-connect': [boolean, false], // `40` after the handshake
  say: [text, ''], // sent as a text after the first message, or after `wait`
  size: [Number, 0], // sends this many bytes
  wait: [duration, 0], // before it says something
});

function session() {
  const ws = new WebSocket(given.url, { autoPong: given['answer-pings'], perMessageDeflate: false });
  let opened = 0;
  let heard = 0;
  let code;
  const seen = { heard_pings: 0, sent_pong: 0, sent_connect: false, sent_text: 0, sent_largest: 0 };
  const send = (data) => {
    seen.sent_largest = Math.max(seen.sent_largest, Buffer.byteLength(data));
    ws.send(data);
  };
  const speak = () => {
    if (given.say) send(given.say);
    if (given.size > 0) send('x'.repeat(given.size));
    seen.sent_text += (given.say ? 1 : 0) + (given.size > 0 ? 1 : 0);
  };
  ws.on('open', () => {
    opened = heard = Date.now();
    if (given.say || given.size > 0) setTimeout(speak, given.wait);
  });
  ws.on('ping', () => {
    heard = Date.now();
    seen.heard_pings += 1;
    if (given['answer-pings']) seen.sent_pong += 1;
  });
  ws.on('message', (data) => {
    heard = Date.now();
    const said = data.toString();
    if (said.startsWith('0{')) {
      const hello = JSON.parse(said.slice(1));
      seen.promise = [hello.pingInterval, hello.pingTimeout];
      if (given['engine-connect']) {
        seen.sent_connect = true;
        send('40');
      }
    } else if (said === '2') {
      seen.heard_pings += 1;
      if (given['engine-pongs']) {
        seen.sent_pong += 1;
        send('3');
      }
    } else if (said.startsWith('{"failure"')) {
      // The chat network's own code, which its clients report in the place of the socket's.
      code = JSON.parse(said).failure;
    }
  });
  ws.on('error', (error) => process.stderr.write(`${error.message}\n`));
  ws.on('close', (closed, reason) => {
    const at = Date.now();
    print({ end: 'client', code: code ?? closed, reason: String(reason), at, age: at - opened, silent_for: at - heard, ...seen });
  });
}

for (let i = 0; i < given.count; i += 1) session();
