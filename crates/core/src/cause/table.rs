//! The table of causes. Codes are for ever; names are API. Order is free, codes need not be contiguous:
//! 1–19 knowledge, 20–59 and 110–149 handshake, 60–89 and 150–169 established sessions, 90–109 process, 170–199 the
//! application: accounts, links, the gateway's own word.
//!
//! A row names the constants that hold its [words](super::words) and its [guide](super::guide), one name in both: a
//! cause without words in both languages, or without a guide, does not compile.

use super::guide::Guide;
use super::{Both, Handling, Words};

macro_rules! causes {
    ($( $(#[$doc:meta])* $variant:ident = $code:literal, $handling:ident, $area:ident :: $name:ident; )*) => {
        /// Why a condition is not True.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause { $( $(#[$doc])* $variant, )* }

        pub(crate) const ROWS: &[Row] = &[ $( Row {
            cause: Cause::$variant,
            code: $code,
            name: stringify!($variant),
            area: stringify!($area),
            handling: Handling::$handling,
            words: super::words::$area::$name,
        }, )* ];

        impl Cause {
            /// What is known of it: what to do, what it looks like, what to paste.
            #[must_use]
            pub fn guide(self) -> &'static Guide {
                match self { $( Self::$variant => &super::guide::$area::$name, )* }
            }
        }
    };
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) cause: Cause,
    pub(crate) code: u16,
    pub(crate) name: &'static str,
    /// What it is about: the module that holds its texts.
    pub(crate) area: &'static str,
    pub(crate) handling: Handling,
    pub(crate) words: Both<Words>,
}

causes! {
    /// Nobody has looked yet.
    NotYetObserved = 1, Wait, knowledge::NOT_YET_OBSERVED;
    /// This kind of gateway does not tell.
    NotObservable = 2, Wait, knowledge::NOT_OBSERVABLE;
    /// The agent has not been heard of within its grace.
    AgentSilent = 3, Wait, knowledge::AGENT_SILENT;
    /// The observer itself was stopped or starved.
    ObserverStalled = 4, Wait, knowledge::OBSERVER_STALLED;
    /// The gateway was taken out of the configuration.
    WatchStopped = 5, Wait, knowledge::WATCH_STOPPED;
    /// Something the agent reported that this controller does not know by name.
    Unrecognised = 6, Wait, knowledge::UNRECOGNISED;
    /// An order is being carried out on it.
    UnderRepair = 7, Wait, knowledge::UNDER_REPAIR;

    /// Name resolution failed.
    NameNotResolved = 20, Wait, network::NAME_NOT_RESOLVED;
    /// TCP refused.
    ConnectionRefused = 21, Restart, network::CONNECTION_REFUSED;
    /// TCP connect timed out.
    ConnectTimedOut = 22, Wait, network::CONNECT_TIMED_OUT;
    /// No route, network unreachable.
    NetworkUnreachable = 23, Wait, network::NETWORK_UNREACHABLE;
    /// Certificate not trusted, expired, not yet valid, or for another name.
    CertificateInvalid = 24, Human, tls::CERTIFICATE_INVALID;
    /// TLS failed otherwise.
    TlsFailed = 25, Human, tls::TLS_FAILED;
    /// Accepts TCP, answers nothing.
    HandshakeTimedOut = 26, Restart, upgrade::HANDSHAKE_TIMED_OUT;
    /// Connection ended before an HTTP answer.
    ClosedBeforeAnswer = 27, Reconnect, upgrade::CLOSED_BEFORE_ANSWER;
    /// Answers HTTP, but not upgrades.
    UpgradeNotPerformed = 28, Human, upgrade::UPGRADE_NOT_PERFORMED;
    /// 426, or another sign that the upgrade headers were lost on the way.
    ProxyStrippedUpgrade = 29, Human, proxy::PROXY_STRIPPED_UPGRADE;
    /// 404 or 400 on the path.
    WrongPath = 30, Human, upgrade::WRONG_PATH;
    /// 401 or 403.
    CredentialsRefused = 31, Human, access::CREDENTIALS_REFUSED;
    /// 429.
    RateLimited = 32, Wait, proxy::RATE_LIMITED;
    /// 502 or 503 from a proxy.
    BackendDown = 33, Restart, proxy::BACKEND_DOWN;
    /// 504 from a proxy.
    BackendHung = 34, Restart, proxy::BACKEND_HUNG;
    /// 5xx of the application.
    ServerError = 35, Restart, upgrade::SERVER_ERROR;
    /// 3xx.
    Redirected = 36, Human, upgrade::REDIRECTED;
    /// Not WebSocket, or a broken one: no or bad Upgrade/Connection/Accept, not HTTP at all.
    WrongProtocol = 37, Human, upgrade::WRONG_PROTOCOL;
    /// The demanded subprotocol was not chosen.
    SubprotocolRefused = 38, Human, upgrade::SUBPROTOCOL_REFUSED;
    /// The first frame did not come in time or was invalid.
    NoFirstFrame = 39, Reconnect, upgrade::NO_FIRST_FRAME;
    /// Another client error.
    HandshakeRefused = 40, Human, upgrade::HANDSHAKE_REFUSED;

    /// Ended without a Close frame.
    SessionLost = 60, Reconnect, session::SESSION_LOST;
    /// A proper close by the peer, for no stated fault.
    ClosedByGateway = 61, Reconnect, session::CLOSED_BY_GATEWAY;
    /// 1001 or 1012 or 1013.
    GatewayRestarting = 62, Reconnect, session::GATEWAY_RESTARTING;
    /// 1008 or an application code that says no.
    RefusedByPolicy = 63, Human, access::REFUSED_BY_POLICY;
    /// 1009.
    MessageTooBig = 64, Human, session::MESSAGE_TOO_BIG;
    /// 1011 and its relatives.
    GatewayFailed = 65, Reconnect, session::GATEWAY_FAILED;
    /// 1002, 1003, 1007 and everything that violates RFC 6455.
    ProtocolViolated = 66, Human, session::PROTOCOL_VIOLATED;
    /// Accepted and dropped within milliseconds, again and again.
    DroppedAtOnce = 67, Human, session::DROPPED_AT_ONCE;
    /// Lifetimes or silences cluster at one value.
    IdleCut = 68, Human, proxy::IDLE_CUT;
    /// The heartbeat did not come.
    HeartbeatMissed = 69, Reconnect, silence::HEARTBEAT_MISSED;
    /// Up and down too often.
    Flapping = 70, Wait, session::FLAPPING;
    /// The account's login was revoked.
    LoginRevoked = 71, Human, account::LOGIN_REVOKED;
    /// The peer no longer acknowledges what is sent.
    HalfOpen = 72, Reconnect, silence::HALF_OPEN;
    /// The peer acknowledges but does not read.
    PeerStalled = 73, Wait, silence::PEER_STALLED;
    /// The gateway does not read what arrived for it.
    GatewayStalled = 74, Restart, silence::GATEWAY_STALLED;
    /// Silent for much longer than this session ever was.
    SilentBeyondHabit = 75, Reconnect, silence::SILENT_BEYOND_HABIT;
    /// Many sessions ended in the same moment.
    MassReset = 76, Wait, session::MASS_RESET;
    /// A gateway that dials out holds no connection.
    NoUpstreamLink = 77, Reconnect, link::NO_UPSTREAM_LINK;
    /// The gateway says that the instance is not connected.
    ReportedClosed = 78, Reconnect, link::REPORTED_CLOSED;
    /// Another client took the session over.
    SessionReplaced = 79, Human, account::SESSION_REPLACED;
    /// The account may not be used.
    AccountForbidden = 80, Human, account::ACCOUNT_FORBIDDEN;
    /// The client's version is refused.
    ClientOutdated = 81, Human, account::CLIENT_OUTDATED;
    /// Waits for somebody to scan or to enter a code.
    PairingNeeded = 82, Human, account::PAIRING_NEEDED;
    /// The gateway has been connecting for too long.
    ConnectingStuck = 83, Reconnect, link::CONNECTING_STUCK;
    /// A limit of the relay.
    RelayLimit = 84, Wait, session::RELAY_LIMIT;
    /// The peer closed its end, the gateway keeps its own.
    NotClosed = 85, Wait, silence::NOT_CLOSED;

    /// The process ended by itself.
    ProcessExited = 90, Restart, process::PROCESS_EXITED;
    /// The process was killed by a signal.
    ProcessKilled = 91, Restart, process::PROCESS_KILLED;
    /// The process could not be started.
    ProcessNotStarted = 92, Human, process::PROCESS_NOT_STARTED;

    /// A raw WebSocket client dials a Socket.IO server: accepted, no byte for 1.0 s, then the end; through a proxy a 502
    /// after the same second.
    RawClientOnSocketIo = 110, Human, socketio::RAW_CLIENT_ON_SOCKET_IO;
    /// The Engine.IO path is dialled without `transport=websocket`: 400 with the body `Transport unknown`.
    TransportMissing = 111, Human, socketio::TRANSPORT_MISSING;
    /// The two ends speak different Engine.IO versions: code 5 in the answer, or HTTP text after the 101 of an `EIO=3` client.
    EngineIoVersionMismatch = 112, Human, socketio::ENGINE_IO_VERSION_MISMATCH;
    /// The upgrade's url says `transport=polling`: 101, and a close within milliseconds.
    EngineIoPollingUpgrade = 113, Human, socketio::ENGINE_IO_POLLING_UPGRADE;
    /// Engine.IO answers `Session ID unknown` (code 1) again and again: a balancer sends one session's requests to several
    /// backends.
    StickySessionsMissing = 114, Human, socketio::STICKY_SESSIONS_MISSING;
    /// The Socket.IO namespace is refused (`Invalid namespace`): not made yet. Evolution API makes it with the first event.
    NamespaceNotReady = 115, Wait, socketio::NAMESPACE_NOT_READY;
    /// A browser's polling is refused: the answer has `Vary: Origin` and no `Access-Control-Allow-Origin`.
    CorsRefused = 116, Human, socketio::CORS_REFUSED;
    /// Upgrades are accepted and never answered, while plain pages on the same port are: a listener ignores the request.
    UpgradeIgnored = 118, Human, upgrade::UPGRADE_IGNORED;
    /// The connection ends within milliseconds without a byte: the upgrade handler destroys what it does not route.
    UpgradeDestroyed = 119, Human, upgrade::UPGRADE_DESTROYED;
    /// HTTP text follows the 101 ("RSV1 must be clear"): two `ws` servers with different paths on one HTTP server.
    TwoWebSocketServers = 120, Human, upgrade::TWO_WEB_SOCKET_SERVERS;
    /// 505 with `unsupported HTTP version: HTTP/1.0`: a proxy at its HTTP/1.0 default before python-websockets.
    UpstreamHttp10 = 121, Human, proxy::UPSTREAM_HTTP10;
    /// 200 with the front end's HTML page: the path falls through to a single-page application's catch-all.
    SpaFallback = 122, Human, proxy::SPA_FALLBACK;
    /// 503 with the JSON code `LICENSE_REQUIRED`: Evolution API 2.4 and later, not activated.
    LicenseRequired = 123, Human, access::LICENSE_REQUIRED;
    /// 500 `Internal Server Error` on upgrades while the application lives: its own code breaks before it accepts.
    HandlerFailed = 124, Human, upgrade::HANDLER_FAILED;
    /// The certificate's last day is over (`CERT_HAS_EXPIRED`).
    CertificateExpired = 125, Human, tls::CERTIFICATE_EXPIRED;
    /// The certificate's first day is still to come (`CERT_NOT_YET_VALID`): more often a clock is wrong.
    CertificateNotYetValid = 126, Human, tls::CERTIFICATE_NOT_YET_VALID;
    /// The certificate names other hosts than the url does.
    CertificateNameMismatch = 127, Human, tls::CERTIFICATE_NAME_MISMATCH;
    /// Self-signed, from a private CA, or sent without its intermediate (`DEPTH_ZERO_SELF_SIGNED_CERT`).
    CertificateNotTrusted = 128, Human, tls::CERTIFICATE_NOT_TRUSTED;
    /// TLS alert 70: no protocol version in common.
    TlsVersionRefused = 129, Human, tls::TLS_VERSION_REFUSED;
    /// `ws://` to a TLS port (400 "plain HTTP request was sent to HTTPS port"), or `wss://` to a plain one ("wrong version
    /// number").
    SchemeSwapped = 130, Human, tls::SCHEME_SWAPPED;
    /// A header of the protocol is missing or wrong: aiocqhttp says 400, Koishi closes 1008 `invalid x-client-role`.
    HeaderMissing = 131, Human, access::HEADER_MISSING;
    /// No token was sent: aiocqhttp says 401, node-karin closes 3002, Evolution API says `apiKey is required`.
    TokenMissing = 132, Human, access::TOKEN_MISSING;
    /// The token is refused: aiocqhttp says 403, node-karin closes 3001, Evolution API says `Invalid global token`.
    TokenRefused = 133, Human, access::TOKEN_REFUSED;
    /// 403 for the peer's own id alone, until the server's ping gives up the old connection (NoneBot: 41 s).
    PeerLockedOut = 134, Wait, access::PEER_LOCKED_OUT;
    /// The upgrade arrives damaged: `ws` says 400 for its key, version or `Upgrade` header, 405 for its method.
    MalformedHandshake = 136, Human, upgrade::MALFORMED_HANDSHAKE;
    /// Answers come in lumps, or only at their end: a proxy collects what should flow (polling, event streams).
    ProxyBuffering = 137, Human, proxy::PROXY_BUFFERING;

    /// 1011 `keepalive ping timeout`, 40 s after the last sign of life at uvicorn's defaults.
    KeepaliveTimeout = 150, Reconnect, silence::KEEPALIVE_TIMEOUT;
    /// Text `2` from the server, no `3` back, and the end at 45 s (`pingInterval` + `pingTimeout`).
    EngineIoPingUnanswered = 151, Human, socketio::ENGINE_IO_PING_UNANSWERED;
    /// Pings are answered, and yet the end comes at 45 s (`connectTimeout`): no namespace was ever joined.
    NamespaceConnectMissing = 152, Human, socketio::NAMESPACE_CONNECT_MISSING;
    /// The session ends at the client's first text: what it sent is no Engine.IO packet.
    ForeignPayload = 153, Human, socketio::FOREIGN_PAYLOAD;
    /// The timers on the path contradict each other, such as pings rarer than a proxy's idle timeout.
    TimersMisfit = 155, Human, proxy::TIMERS_MISFIT;

    /// Logins without a pause: Evolution API was seen at 9 to 10 a second on a lasting refusal.
    ReconnectStorm = 170, Human, link::RECONNECT_STORM;
    /// Evolution API answers `connectionState` without a `state`: the row is in its database, not in its memory.
    InstanceNotLoaded = 171, Restart, link::INSTANCE_NOT_LOADED;
    /// A `bot_offline` notice came, while heartbeats go on saying `online` and `good`.
    AccountOffline = 172, Human, account::ACCOUNT_OFFLINE;
    /// Many accounts fail with 405 within the same minute: the network dropped this client version.
    UpstreamDeprecated = 173, Human, account::UPSTREAM_DEPRECATED;
    /// Several 440 within half a minute: each login throws the other one out.
    TakeoverWar = 174, Human, account::TAKEOVER_WAR;
    /// Stream errors without a code (Baileys: 500) in a row: the stored session is in doubt.
    BadSession = 175, Human, account::BAD_SESSION;
    /// Stream error 515: the network asks for a new connection, as it does right after pairing.
    RestartExpected = 176, Wait, link::RESTART_EXPECTED;
    /// The network refuses with 503: its fault, not the account's.
    ServiceUnavailable = 177, Reconnect, link::SERVICE_UNAVAILABLE;
    /// Events arrive, calls with an `echo` get no answer: a half-dead link.
    ApiUnresponsive = 180, Reconnect, link::API_UNRESPONSIVE;
    /// The gateway's health page says no, or does not answer, while its sockets may still open.
    BackendUnhealthy = 182, Restart, process::BACKEND_UNHEALTHY;
    /// Nobody has dialled in yet: in reverse mode the instance exists only while its peer connects.
    PeerAbsent = 184, Wait, link::PEER_ABSENT;
}
