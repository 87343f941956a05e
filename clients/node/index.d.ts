/** What the client tells of itself; both are optional. Nothing it does ever throws into the gateway. */
declare function mooring(options?: mooring.Options): mooring.Client;

declare namespace mooring {
  interface Options {
    /** The gateway's id in the agent's configuration; left out: the only one that reports. */
    gateway?: string;
    /** `http://127.0.0.1:7613`, or `unix:/path/to/report.sock`. Default: $MOORING_REPORT, else the port. */
    address?: string;
    /** The token, where the agent asks for one. Default: the content of $MOORING_REPORT_TOKEN_FILE. */
    token?: string;
    /** Most events that wait while the agent is away; then the oldest heartbeats and lines go first. Default 10,000, at least 1,000. */
    queue?: number;
    /** Called with an Error now and then when the agent cannot be reached or refuses something. */
    onError?: (error: Error) => void;
  }

  interface Client {
    /** An instance: an account, a bot, a line. The same name gives the same one. */
    instance(id: string, options?: InstanceOptions): Instance;
    /** How the reporting goes. */
    stats(): { queued: number; sent: number; dropped: number; refused: number; connected: boolean };
    /** Sends what waits (for at most `timeout` ms, 2,000 by default) and stops. */
    close(timeout?: number): Promise<void>;
  }

  interface InstanceOptions {
    /** Whose codes `closed` is given: `baileys`, or left out for WebSocket close codes. */
    protocol?: string;
    /** The software and its version, for people. */
    software?: string;
    labels?: Record<string, string>;
    /** The promised heartbeat in ms; `false`: none. Default { interval: 10000, timeout: 20000 }. */
    heartbeat?: { interval: number; timeout: number } | false;
    /**
     * How long a Baileys socket may be connecting without a word before it is ended from outside, ms; `false`: for ever.
     * Default: its own connectTimeoutMs and 5 s. A QR code that waits for somebody is not counted.
     */
    connectingTimeout?: number | false;
    /** How long the other end may take to answer a Close frame before the connection is cut off, ms. Default 5,000. */
    closingTimeout?: number | false;
    /** What carries orders out. An instance without a handler for an action answers that it cannot. */
    orders?: Handlers;
  }

  type Handler = (order: Order) => unknown;
  type Handlers = {
    [action in
      | 'reconnect'
      | 'reconnect_slowly'
      | 'restart_instance'
      | 'restart_gateway'
      | 'close_session'
      | 'close_sessions'
      | 'drain'
      | 'resume']?: Handler;
  };

  interface Order {
    id: string;
    action: string;
    instance: string;
    session: string;
    /** ms; 0: none. */
    delay: number;
    reason: string;
    /** ms. */
    timeLimit: number;
  }

  interface Instance {
    readonly id: string;
    connecting(session?: string): void;
    open(session?: string, peer?: string): void;
    closing(session?: string): void;
    /** `code`: the protocol's own; `text`: words, or an Error. */
    closed(code?: number, text?: string | Error, more?: { closeCode?: number; session?: string }): void;
    waitingForLogin(session?: string): void;
    /** A sign of life; made by a timer while the instance has said anything, so this is rarely needed. */
    beat(rttMs?: number): void;
    /** A line of the log worth keeping with a fault. */
    line(text: string): void;
    /** Sets handlers for orders. */
    on(handlers: Handlers): Instance;
    /** Hooks a Baileys socket. Call it again for each new socket of the account; one that is not over is ended then. */
    baileys(sock: unknown, handlers?: Handlers): Instance;
    /**
     * Whether to connect again after this end, and when: a `connection.update` of Baileys, its error, or a code. It
     * remembers what was tried before; ask once for each end (the same object gets the same answer).
     */
    shouldReconnect(update: unknown): Advice;
  }

  interface Advice {
    reconnect: boolean;
    /** How long to wait before, ms. */
    wait: number;
    /** Whether it was counted as a failure. */
    counts: boolean;
    /** In words, for your log. */
    why: string;
  }

  /** A random wait before the attempt of this number (the first is 1), ms: below `base` doubled each time, at most `cap`. */
  function backoff(
    attempt: number,
    law?: { base?: number; cap?: number; equal?: boolean; random?: () => number },
  ): number;

  /**
   * Baileys' `keepAliveIntervalMs` for a path: below the shortest idle timeout on it (`proxyIdle`, one or several), and
   * such that a dead connection is found `detectWithin`. All in ms. Where none fits, `why` says what to change.
   */
  function keepAliveAdvice(path?: { proxyIdle?: number | number[]; detectWithin?: number }): {
    keepAliveIntervalMs?: number;
    detectsWithin?: number;
    why: string;
  };
}

export = mooring;
