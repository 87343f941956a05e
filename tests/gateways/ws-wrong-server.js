// A common mistake: `ws` is attached to one HTTP server, and another one listens. With Express it happens by writing
// `new WebSocketServer({ server: http.createServer(app) })` and then `app.listen(port)`, which makes a server of its
// own. Nobody handles `upgrade` on the one that listens, so Node hands the request to the page handler, and the
// client sees whatever that says: mostly a 404.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const { endOnSignal, listen, options, path, status } = require('./fixture.js');

const given = options({
  path: [path, '/ws'],
  answer: [status, 404], // what the page handler says: 404 as a router would, 200 as a single-page application does
});

// The words and headers of Express, which is where this is met, and by which it is recognised.
const escaped = (text) => text.replace(/[&<>]/g, (it) => `&#${it.charCodeAt(0)};`);
const pages = (request, response) => {
  response.writeHead(given.answer, { 'X-Powered-By': 'Express', 'Content-Type': 'text/html; charset=utf-8' });
  response.end(
    given.answer === 404
      ? `<!DOCTYPE html>\n<pre>Cannot ${request.method} ${escaped(request.url)}</pre>\n`
      : '<!DOCTYPE html>\n<title>app</title>\n',
  );
};

const attached = http.createServer(pages);
const wss = new WebSocketServer({ server: attached, path: given.path });
wss.on('connection', (ws) => ws.send('nobody ever reads this'));

endOnSignal();
listen(http.createServer(pages), given.port); // the wrong one
