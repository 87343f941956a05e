// Evolution 2.4 before it is activated, in the one thing that shows: everything is answered so. A stand-in.
'use strict';

const express = require('express');
const http = require('node:http');
const { endOnSignal, listen, options } = require('../fixture.js');

const given = options({});
const app = express();
app.use((_request, response) => {
  response.status(503).json({
    error: 'service not activated',
    code: 'LICENSE_REQUIRED',
    message: 'License required. Activate this instance in the manager.',
  });
});
endOnSignal();
listen(http.createServer(app), given.port);
