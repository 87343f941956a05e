//! The rules themselves: tables to read and to change, with the reason beside each line.

/// Licences that may be linked into an Apache-2.0 program without further duties than keeping the notice.
pub const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "Unlicense",
    "BSL-1.0",
];

/// Packages that may bring a licence beyond [`LICENCES`]: package, licence, why that is all right.
pub const LICENCE_EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "webpki-roots",
    "CDLA-Permissive-2.0",
    "Mozilla's list of root certificates: data, under a permissive data licence",
)];

/// Crates that may not come in, and why.
pub const BANS: &[(&str, &str)] = &[
    ("ring", ONE_TLS),
    ("openssl", ONE_TLS),
    ("openssl-sys", ONE_TLS),
    ("native-tls", ONE_TLS),
    ("boring", ONE_TLS),
    ("boring-sys", ONE_TLS),
    ("aws-lc-fips-sys", ONE_TLS),
    ("adler", "unmaintained; adler2 goes on"),
    ("ansi_term", UNMAINTAINED),
    ("async-std", "discontinued; tokio is our runtime"),
    ("atty", "unmaintained and unsound on some platforms; std::io::IsTerminal does it"),
    ("backoff", "unmaintained; backoff is a pure function of ours"),
    ("bincode", UNMAINTAINED),
    ("chrono", "two clocks' types in one tree cause conversions; we use `time`"),
    ("derivative", UNMAINTAINED),
    ("dotenv", UNMAINTAINED),
    ("failure", "unmaintained; thiserror and anyhow replace it"),
    ("fxhash", UNMAINTAINED),
    ("instant", UNMAINTAINED),
    ("json", UNMAINTAINED),
    ("libyml", "unsound"),
    ("mach", UNMAINTAINED),
    ("net2", UNMAINTAINED),
    ("paste", UNMAINTAINED),
    ("proc-macro-error", UNMAINTAINED),
    ("proc-macro-error-attr", UNMAINTAINED),
    ("rust_socketio", "brings `backoff` and native-tls"),
    ("rustls-pemfile", "unmaintained; rustls-pki-types reads PEM"),
    ("serde_yaml", "archived by its author"),
    ("serde_yml", "unsound and unmaintained"),
    ("stdweb", UNMAINTAINED),
    ("structopt", "part of clap since version 3"),
    ("tempdir", "unmaintained; tempfile goes on"),
    ("term", UNMAINTAINED),
    ("tui", "unmaintained; ratatui goes on"),
    ("users", "unmaintained and unsound"),
    ("yaml-rust", UNMAINTAINED),
];

const ONE_TLS: &str =
    "one TLS provider, aws-lc-rs: two mean two sets of flaws, and a choice made at random at run time";
const UNMAINTAINED: &str = "unmaintained: a flaw found in it will stay";

/// Oldest acceptable versions: package, version, the advisory that set it and its kind.
pub const FLOORS: &[(&str, &str, &str)] = &[
    ("aws-lc-sys", "0.39.0", "RUSTSEC-2026-0044 to -0048, certificate checks and timing"),
    (
        "h2",
        "0.4.16",
        "RUSTSEC-2024-0003, -2024-0332 and -2026-0258: rapid reset, CONTINUATION flood, unbounded empty DATA",
    ),
    ("rustls", "0.23.18", "RUSTSEC-2024-0336 and -0399: endless loop, panic on a peer's message"),
    ("rustls-webpki", "0.103.13", "RUSTSEC-2026-0049, -0098, -0099, -0104: revocation and name constraints"),
    ("sqlx", "0.8.1", "RUSTSEC-2024-0363: protocol confusion by values above 4 GiB"),
    ("tokio", "1.44.2", "RUSTSEC-2025-0023: unsound broadcast"),
    ("tonic", "0.12.3", "RUSTSEC-2024-0376: a peer can end the accept loop"),
    ("tracing-subscriber", "0.3.20", "RUSTSEC-2025-0055: terminal escapes in logged text"),
    ("tungstenite", "0.20.1", "RUSTSEC-2023-0065: long handshake headers burn CPU"),
];

/// Crates of which the tree may hold one version: their types cross crate borders, or they are big.
pub const SINGLE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "axum",
    "bytes",
    "clap",
    "h2",
    "http",
    "http-body",
    "hyper",
    "hyper-util",
    "opentelemetry",
    "opentelemetry_sdk",
    "prost",
    "prost-types",
    "rustls",
    "rustls-webpki",
    "serde",
    "serde_json",
    "sqlx",
    "sqlx-core",
    "sqlx-postgres",
    "time",
    "tokio",
    "tokio-rustls",
    "tokio-tungstenite",
    "tokio-util",
    "tonic",
    "tower",
    "tower-http",
    "tracing",
    "tracing-subscriber",
    "tungstenite",
    "uuid",
];

/// The one place packages come from.
pub const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";
