// Requests to the agent, over its port or its Unix socket. Nothing but node:http.
'use strict';

const fs = require('node:fs');
const http = require('node:http');

const DEFAULT = 'http://127.0.0.1:7613';
/** A poll is held for 25 s. */
const TIMEOUT = 40_000;
/** No answer of the agent is longer. */
const MAX_ANSWER = 1024 * 1024;

/** The agent answered, and the answer is no. */
class Refused extends Error {
  constructor(status, body, retryAfter) {
    const hint = body.hint ? `: ${body.hint}` : '';
    super(`mooring: ${body.message ?? `the agent answers ${status}`}${hint}`);
    this.status = status;
    this.reason = body.reason;
    /** Whether the same request may be taken later. */
    this.again = status === 429 || status >= 500 || status === 401 || status === 408;
    this.retryAfter = retryAfter;
  }
}

class Transport {
  constructor(address = process.env.MOORING_REPORT || DEFAULT, token = undefined) {
    this.token = token;
    // Two connections: one for the poll, one for everything else.
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 4, timeout: TIMEOUT });
    this.open = new Set();
    address = String(address);
    if (address.startsWith('unix:')) {
      this.where = { socketPath: address.slice(5) };
    } else {
      const url = new URL(address);
      this.where = { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 80 };
    }
  }

  get(path) {
    return this.request('GET', path);
  }

  post(path, body) {
    return this.request('POST', path, JSON.stringify(body));
  }

  request(method, path, body) {
    return new Promise((resolve, reject) => {
      const headers = { accept: 'application/json' };
      const token = this.token ?? tokenFromFile();
      if (token) headers.authorization = `Bearer ${token}`;
      if (body !== undefined) {
        headers['content-type'] = 'application/json';
        headers['content-length'] = Buffer.byteLength(body);
      }
      const request = http.request({ ...this.where, agent: this.agent, method, path, headers, timeout: TIMEOUT });
      this.open.add(request);
      const done = () => this.open.delete(request);
      request.on('socket', (socket) => socket.unref());
      request.on('timeout', () => request.destroy(new Error('mooring: the agent does not answer')));
      request.on('error', (error) => {
        done();
        reject(error);
      });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => {
          text += part;
          if (text.length > MAX_ANSWER) request.destroy(new Error('mooring: the answer is too long'));
        });
        response.on('error', reject);
        response.on('end', () => {
          done();
          let answer = {};
          try {
            answer = JSON.parse(text) ?? {};
          } catch {
            // Not the agent, then; the status says enough.
          }
          if (response.statusCode === 200) return resolve(answer);
          const wait = Number(response.headers['retry-after']) * 1000;
          reject(new Refused(response.statusCode, answer, Number.isFinite(wait) ? wait : undefined));
        });
      });
      request.end(body);
    });
  }

  close() {
    for (const request of this.open) request.destroy();
    this.agent.destroy();
  }
}

/** Read each time, so that a new token needs no restart. */
function tokenFromFile() {
  const path = process.env.MOORING_REPORT_TOKEN_FILE;
  if (!path) return undefined;
  try {
    return fs.readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

module.exports = { Transport, Refused };
