//! Guides: certificates, versions, and the scheme in the url.

use super::{Both, Guide, Retry, snippets};

pub(in crate::cause) const CERTIFICATE_INVALID: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Read the certificate with the line below and compare names, dates and issuer with what the url and the agent expect.",
        zh: "请用下面的命令查看证书，将名称、日期、签发者与 url 及代理的配置对照。",
    }),
    seen_as: Both {
        en: "The TLS handshake ends at the certificate, for a reason that is none of the narrower ones.",
        zh: "TLS 握手止于证书校验，且不属于更具体的几种情形。",
    },
    snippets: &[snippets::SHELL_CERTIFICATE, snippets::MOORING_CA],
    sources: &["RFC 5280 §6", "RFC 9525"],
};

pub(in crate::cause) const CERTIFICATE_EXPIRED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "See whether the new certificate lies on the disk already: then the server only has to load it. Otherwise look at the log of the renewal (certbot, acme.sh, cert-manager).",
        zh: "请确认新证书是否已在磁盘上：若在，只需让服务器重新加载。否则请查看续期日志（certbot、acme.sh、cert-manager）。",
    }),
    seen_as: Both {
        en: "`CERT_HAS_EXPIRED` at the TLS step, for every client at the same second.",
        zh: "TLS 步骤报 `CERT_HAS_EXPIRED`，所有客户端在同一秒开始失败。",
    },
    snippets: &[snippets::SHELL_CERTIFICATE],
    sources: &["RFC 5280 §4.1.2.5"],
};

pub(in crate::cause) const CERTIFICATE_NOT_YET_VALID: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "The agent's clock is wrong when other sites' certificates fail on its host, too; the gateway's when only its fresh certificate does.",
        zh: "若该主机访问其他站点的证书也失败，则是代理主机时钟有误；若只有网关新签发的证书失败，则是签发方或网关一侧时钟有误。",
    }),
    seen_as: Both {
        en: "`CERT_NOT_YET_VALID` at the TLS step; typical after a boot without a clock, or a certificate issued ahead of time.",
        zh: "TLS 步骤报 `CERT_NOT_YET_VALID`；常见于主机启动时没有校时，或证书被提前签发。",
    },
    snippets: &[snippets::SHELL_CLOCK, snippets::SHELL_CERTIFICATE],
    sources: &["RFC 5280 §4.1.2.5"],
};

pub(in crate::cause) const CERTIFICATE_NAME_MISMATCH: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look at the subject alternative names with the line below. Where several sites share an address, see that the name is sent (SNI) and which certificate is the default one.",
        zh: "请用下面的命令查看证书的使用者备用名称（SAN）。若多个站点共用一个地址，请确认客户端发送了 SNI，以及默认证书是哪一张。",
    }),
    seen_as: Both {
        en: "`ERR_TLS_CERT_ALTNAME_INVALID` (Node.js), `NotValidForName` (rustls), at the TLS step.",
        zh: "TLS 步骤报 `ERR_TLS_CERT_ALTNAME_INVALID`（Node.js）或 `NotValidForName`（rustls）。",
    },
    snippets: &[snippets::SHELL_CERTIFICATE, snippets::MOORING_SERVER_NAME],
    sources: &["RFC 9525 §6"],
};

pub(in crate::cause) const CERTIFICATE_NOT_TRUSTED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Count the certificates that the server sends (`openssl s_client -showcerts`): one alone from a public CA means that the intermediate is missing. Do not turn verification off.",
        zh: "请数一数服务器发送了几张证书（`openssl s_client -showcerts`）：若来自公共 CA 却只有一张，说明缺少中间证书。不要关闭校验。",
    }),
    seen_as: Both {
        en: "`DEPTH_ZERO_SELF_SIGNED_CERT`, `UNABLE_TO_VERIFY_LEAF_SIGNATURE` or `UnknownIssuer` at the TLS step. Browsers may succeed where agents fail: they fetch missing intermediates.",
        zh: "TLS 步骤报 `DEPTH_ZERO_SELF_SIGNED_CERT`、`UNABLE_TO_VERIFY_LEAF_SIGNATURE` 或 `UnknownIssuer`。浏览器会自行补取中间证书，因此可能浏览器正常而代理失败。",
    },
    snippets: &[snippets::MOORING_CA, snippets::NGINX_FULLCHAIN, snippets::SHELL_CERTIFICATE],
    sources: &["RFC 5280 §6.1"],
};

pub(in crate::cause) const TLS_FAILED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Try `openssl s_client -connect HOST:PORT` from the agent's host: its first lines tell a plain port, an alert and a version apart.",
        zh: "请在代理主机上执行 `openssl s_client -connect 主机:端口`：前几行即可区分明文端口、alert 与版本问题。",
    }),
    seen_as: Both {
        en: "An alert or bytes that are not TLS, during the TLS step.",
        zh: "TLS 步骤收到 alert，或收到不是 TLS 的数据。",
    },
    snippets: &[snippets::SHELL_CERTIFICATE],
    sources: &["RFC 8446 §6"],
};

pub(in crate::cause) const TLS_VERSION_REFUSED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Find out which end is old: `openssl s_client -tls1_2` and `-tls1_3` from the agent's host. Raise the server; do not lower the client.",
        zh: "请判断哪一端过旧：在代理主机上分别用 `openssl s_client -tls1_2` 与 `-tls1_3` 测试。应升级服务器，而不是降低客户端。",
    }),
    seen_as: Both {
        en: "Alert 70 (`protocol_version`) within the TLS step.",
        zh: "TLS 步骤收到 alert 70（`protocol_version`）。",
    },
    snippets: &[snippets::NGINX_TLS, snippets::APACHE_TLS, snippets::HAPROXY_TLS],
    sources: &["RFC 8446 §6.2"],
};

pub(in crate::cause) const SCHEME_SWAPPED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Ask the port both ways (`curl -v http://HOST:PORT/` and `https://`): it answers one of them properly.",
        zh: "请对该端口分别用两种方式访问（`curl -v http://主机:端口/` 与 `https://`）：其中一种会正常应答。",
    }),
    seen_as: Both {
        en: "`ws://` to a TLS port: 400 with an HTML body that says `plain HTTP request was sent to HTTPS port` (nginx). `wss://` to a plain port: `wrong version number` in the TLS step, since the answer is HTTP text.",
        zh: "用 `ws://` 访问 TLS 端口：400，HTML 内容含 `plain HTTP request was sent to HTTPS port`（nginx）。用 `wss://` 访问明文端口：TLS 步骤报 `wrong version number`，因为对端返回的是 HTTP 文本。",
    },
    snippets: &[snippets::NGINX_PLAIN_BACKEND],
    sources: &["RFC 6455 §3", "RFC 8446 §5.1"],
};
