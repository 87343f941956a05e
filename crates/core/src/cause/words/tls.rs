//! Words: certificates, versions, and the scheme in the url.

use super::{Both, Words, texts};

pub(in crate::cause) const CERTIFICATE_INVALID: Both<Words> = texts(
    "The gateway's TLS certificate is not valid: expired, not trusted, or made for another name.",
    "Renew or replace the certificate, or give the agent the right CA and server name. Retrying cannot help.",
    "网关的 TLS 证书无效：已过期、不受信任或与主机名不符。",
    "请更新或更换证书，或为代理配置正确的 CA 与服务器名称。重试没有用处。",
);

pub(in crate::cause) const CERTIFICATE_EXPIRED: Both<Words> = texts(
    "The gateway's TLS certificate has expired.",
    "Renew it and have the server load it (nginx: `nginx -s reload`), then find out why it was not renewed by itself. Retrying cannot help.",
    "网关的 TLS 证书已过期。",
    "请更新证书并让服务器重新加载（nginx：`nginx -s reload`），再查明为何没有自动续期。重试没有用处。",
);

pub(in crate::cause) const CERTIFICATE_NOT_YET_VALID: Both<Words> = texts(
    "The gateway's TLS certificate is not valid yet, or a clock is wrong.",
    "Compare `date -u` on both hosts with the certificate's `notBefore`. Set the wrong clock right (NTP), or use the former certificate until then.",
    "网关的 TLS 证书尚未生效，或某一端时钟有误。",
    "请将两端主机的 `date -u` 与证书的 `notBefore` 对比。校正有误的时钟（NTP），或在生效前继续使用旧证书。",
);

pub(in crate::cause) const CERTIFICATE_NAME_MISMATCH: Both<Words> = texts(
    "The gateway's TLS certificate is made for another name than the url's.",
    "Dial a name that the certificate carries, have it issued for the url's name too, or set `expect.tls.server_name`.",
    "网关的 TLS 证书与 url 中的主机名不符。",
    "请改用证书中包含的名称访问，或重新签发包含该主机名的证书，也可以设置 `expect.tls.server_name`。",
);

pub(in crate::cause) const CERTIFICATE_NOT_TRUSTED: Both<Words> = texts(
    "The gateway's TLS certificate is signed by nobody whom the agent trusts: self-signed, a private CA, or sent without its intermediate.",
    "Name the CA under `expect.tls.ca`, or have the server send its full chain (nginx: `ssl_certificate` with `fullchain.pem`).",
    "代理不信任网关 TLS 证书的签发者：自签名、私有 CA，或服务器未发送中间证书。",
    "请在 `expect.tls.ca` 中指定该 CA，或让服务器发送完整证书链（nginx：`ssl_certificate` 使用 `fullchain.pem`）。",
);

pub(in crate::cause) const TLS_FAILED: Both<Words> = texts(
    "The TLS handshake fails: this is often `wss://` spoken to a plain port, or no common protocol version.",
    "Check the scheme (ws or wss) and port in the gateway's url, and the TLS versions it offers.",
    "TLS 握手失败：常见原因是用 wss:// 访问了明文端口，或没有共同的协议版本。",
    "请检查网关 url 的协议（ws 或 wss）和端口，以及其支持的 TLS 版本。",
);

pub(in crate::cause) const TLS_VERSION_REFUSED: Both<Words> = texts(
    "The two ends have no TLS version in common (alert 70).",
    "Enable TLS 1.2 and 1.3 at the gateway or the proxy before it (nginx: `ssl_protocols TLSv1.2 TLSv1.3;`).",
    "两端没有共同的 TLS 版本（alert 70）。",
    "请在网关或其前端反向代理上启用 TLS 1.2 和 1.3（nginx：`ssl_protocols TLSv1.2 TLSv1.3;`）。",
);

pub(in crate::cause) const SCHEME_SWAPPED: Both<Words> = texts(
    "The scheme and the port do not belong together: `ws://` is spoken to a TLS port, or `wss://` to a plain one.",
    "Change the url's scheme or its port. Where a proxy ends TLS, it must speak plain HTTP to a plain backend (nginx: `proxy_pass http://…`).",
    "协议与端口不匹配：用 `ws://` 访问了 TLS 端口，或用 `wss://` 访问了明文端口。",
    "请更改 url 的协议或端口。若由反向代理终结 TLS，则它到明文后端必须使用普通 HTTP（nginx：`proxy_pass http://…`）。",
);
