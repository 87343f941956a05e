// One instance in memory, and the WhatsApp behind it. Each method that is named after a trigger does what was measured
// for it: which events, which REST state for how long, which database row. `upstream` says what the next login meets.
'use strict';

/** A refused login every so often: 64 in 7 s were measured. */
const STORM_MS = 105;
/** How long REST says `close` after a session was replaced. */
const REPLACED_MS = 100;
/** The old socket goes a moment after `restart` has answered. */
const RESTART_MS = 20;
/** Never retried. 2.4 adds 408. */
const TERMINAL = [401, 402, 403, 406];

class Line {
  constructor(row, monitor) {
    this.row = row;
    this.monitor = monitor;
    this.given = monitor.given;
    this.state = 'close';
    this.upstream = 'ok';
    this.attempts = 0;
    this.qr = { count: 0 };
    this.mute = false;
    this.restarting = false;
    // Loaded by a process start, and not yet open: 2.4 does not retry then.
    this.fresh = false;
    this.timers = new Set();
  }

  get modern() {
    return this.given['api-version'].startsWith('2.4');
  }

  later(ms, act) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  emit(event, data) {
    if (!this.mute) this.monitor.events.emit(this.row, event, data);
  }

  store(fields) {
    Object.assign(this.row, fields, { updatedAt: new Date().toISOString() });
    this.monitor.save();
  }

  update(state, statusReason) {
    this.emit('connection.update', { instance: this.row.name, wuid: this.row.ownerJid, state, statusReason });
  }

  /** A socket to WhatsApp is opened, as often as asked. */
  connect() {
    this.stop();
    this.attempts += 1;
    this.state = 'connecting';
    this.update('connecting', 200);
    this.restarting = false;
    if (this.upstream === 'hang') {
      // The upgrade was answered with something other than 101: Baileys waits for ever.
      this.store({ connectionStatus: 'connecting' });
    } else if (this.upstream === 'storm') {
      this.later(STORM_MS / 2, () => {
        this.state = 'close';
        this.later(STORM_MS / 2, () => this.connect());
      });
    } else if (!this.row.session) {
      this.later(this.given.login, () => this.showQr());
    } else {
      this.later(this.given.login, () => this.open());
    }
  }

  open() {
    this.state = 'open';
    this.fresh = false;
    this.store({ connectionStatus: 'open' });
    this.update('open', 200);
    const war = /^war:(\d+)$/.exec(this.upstream);
    if (war) this.later(Number(war[1]), () => this.replaced());
  }

  showQr() {
    this.qr = { pairingCode: null, code: `2@secret-${this.attempts}`, base64: 'data:image/png;base64,AAAA', count: this.qr.count + 1 };
    this.store({ connectionStatus: 'connecting' });
    this.emit('qrcode.updated', { qrcode: { instance: this.row.name, ...this.qr } });
  }

  /** Whatever the code: what Evolution does when its socket has closed and it means to retry. */
  retry(ms = 0) {
    if (this.modern && this.fresh) {
      // 2.4: the first close after a process start is swallowed.
      this.fresh = false;
      this.state = 'close';
    } else if (this.modern) {
      this.state = 'close';
      this.later(3_000, () => this.connect());
    } else {
      this.later(ms, () => this.connect());
    }
  }

  // --- triggers

  tcpKill() {
    this.stop();
    this.retry();
  }

  replaced() {
    this.stop();
    this.state = 'close';
    this.retry(REPLACED_MS);
  }

  /** Nothing is noticed for so long (32 s were measured), then it is a drop like another. */
  halfOpen(ms) {
    this.later(ms, () => this.tcpKill());
  }

  /** The network away: refused, no DNS, no answer. */
  egressCut() {
    if (this.modern) return this.terminal(408);
    return this.tcpKill();
  }

  terminal(code) {
    if (!TERMINAL.includes(code) && !(code === 408 && this.modern)) return this.tcpKill();
    this.stop();
    this.state = 'close';
    const at = new Date().toISOString();
    const object = JSON.stringify({ error: { output: { statusCode: code } } });
    this.store({
      connectionStatus: 'close',
      disconnectionReasonCode: code,
      disconnectionObject: object,
      disconnectionAt: at,
      session: false,
    });
    this.emit('logout.instance', null);
    this.update('close', code);
    this.emit('status.instance', {
      instance: this.row.name,
      status: 'closed',
      disconnectionAt: at,
      disconnectionReasonCode: code,
      disconnectionObject: object,
    });
  }

  qrLimit() {
    this.stop();
    this.state = 'close';
    this.emit('qrcode.updated', { message: 'QR code limit reached, please login again', statusCode: 500 });
    this.update('refused', 428);
    this.mute = true;
  }

  /** An account that logs in without ever having been paired: the handler of `open` throws. */
  unpairedOpen() {
    this.stop();
    this.state = 'open';
    this.store({ connectionStatus: 'close', ownerJid: null });
  }

  // --- orders

  async askConnect() {
    if (this.state === 'open') return { instance: { instanceName: this.row.name, state: this.state } };
    if (this.state === 'connecting') return this.qr;
    this.mute = false;
    this.qr = { count: 0 };
    this.connect();
    await new Promise((done) => setTimeout(done, this.given['connect-answer']));
    return this.qr;
  }

  askRestart() {
    if (this.state === 'close' || this.restarting) return { error: true, message: '[object Object]' };
    this.restarting = true;
    const answer = this.state === 'open' ? { instance: { instanceName: this.row.name, state: 'open' } } : this.qr;
    this.stop();
    // A deaf one is restarted in name only (users' reports of orders that answer well and do nothing).
    if (this.upstream !== 'deaf') this.later(RESTART_MS, () => this.connect());
    else this.restarting = false;
    return answer;
  }

  askLogout() {
    this.terminal(401);
  }
}

module.exports = { Line };
