// An agent of a few lines, for tests of the client.
'use strict';

const { EventEmitter, once } = require('node:events');
const http = require('node:http');

/** An agent that notes what it is told. `reply` may answer a report in its own way. */
class FakeAgent extends EventEmitter {
  constructor() {
    super();
    this.events = [];
    this.requests = [];
    this.answers = [];
    this.orders = [];
    this.run = 'run-1';
    this.reply = undefined;
    this.polls = new Set();
    this.server = http.createServer((request, response) => {
      let text = '';
      request.on('data', (part) => (text += part));
      request.on('end', () => this.take(request, response, text ? JSON.parse(text) : {}));
    });
  }

  async listen(where = { port: 0, host: '127.0.0.1' }) {
    this.server.listen(where);
    await once(this.server, 'listening');
    const address = this.server.address();
    this.address = typeof address === 'string' ? `unix:${address}` : `http://127.0.0.1:${address.port}`;
    return this;
  }

  take(request, response, body) {
    const answer = (status, value, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(value));
    };
    this.requests.push({ url: request.url, headers: request.headers, body });
    if (request.url.includes('/orders?')) {
      this.polls.add(answer);
      response.on('close', () => this.polls.delete(answer));
      this.emit('poll');
      return this.give();
    }
    if (request.url.endsWith(':answer')) {
      this.answers.push({ order: request.url.match(/orders\/(.*):answer/)[1], ...body });
      answer(200, {});
      return void this.emit('change');
    }
    const own = this.reply?.(body, answer, request);
    if (!own) {
      this.events.push(...body.events);
      answer(200, { accepted: body.events.length, agentRun: this.run });
    }
    this.emit('change');
  }

  order(order) {
    this.orders.push(order);
    this.give();
  }

  give() {
    const [poll] = this.polls;
    if (!poll || this.orders.length === 0) return;
    this.polls.delete(poll);
    poll(200, { orders: this.orders.splice(0), agentRun: this.run });
  }

  /** Waits until something holds. */
  async until(holds) {
    while (!holds()) await once(this, 'change');
  }

  said(what) {
    return this.events.filter((event) => event[what]);
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

module.exports = { FakeAgent };
