// An HTTP server where a gateway should be: it answers 200 to everything and has never heard of upgrades.
'use strict';

const http = require('node:http');
const { endOnSignal, listen, options } = require('./fixture.js');

const given = options({});

endOnSignal();
listen(
  http.createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
    response.end('ok\n');
  }),
  given.port,
);
