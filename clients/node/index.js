'use strict';

const { Client } = require('./lib/client.js');

/** A client of the agent on this machine. */
function mooring(options) {
  return new Client(options);
}

module.exports = mooring;
module.exports.mooring = mooring;
module.exports.default = mooring;
