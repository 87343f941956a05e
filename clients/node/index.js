'use strict';

const { Client } = require('./lib/client.js');
const { backoff, keepAliveAdvice } = require('./lib/policy.js');

/** A client of the agent on this machine. */
function mooring(options) {
  return new Client(options);
}

module.exports = mooring;
module.exports.mooring = mooring;
module.exports.backoff = backoff;
module.exports.keepAliveAdvice = keepAliveAdvice;
module.exports.default = mooring;
