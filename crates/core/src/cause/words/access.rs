//! Words: who may come in: tokens, headers, licences, and the peer that still holds the place.

use super::{Both, Words, texts};

pub(in crate::cause) const CREDENTIALS_REFUSED: Both<Words> = texts(
    "The gateway refuses the credentials, origin or headers of the handshake.",
    "Check the token, Origin and required headers configured under `expect.headers`. Retrying cannot help and may lock the account.",
    "网关拒绝了握手所用的凭据、来源或请求头。",
    "请检查 `expect.headers` 中的令牌、Origin 及必需的请求头。重试没有用处，还可能导致账号被锁。",
);

pub(in crate::cause) const TOKEN_MISSING: Both<Words> = texts(
    "The gateway asks for a token, and none was sent.",
    "Send it as `Authorization: Bearer …` (OneBot: the implementation's `AccessToken` must be the framework's token; Evolution API: `apikey` as header or in the query). For Mooring's own sessions name it under `expect.header_files`.",
    "网关要求令牌，但请求中没有。",
    "请以 `Authorization: Bearer …` 发送令牌（OneBot：实现端的 `AccessToken` 须与框架端一致；Evolution API：用请求头或查询参数 `apikey`）。Mooring 自身的会话在 `expect.header_files` 中配置。",
);

pub(in crate::cause) const TOKEN_REFUSED: Both<Words> = texts(
    "A token was sent, and the gateway refuses it.",
    "Write the same token at both ends; look for spaces, quotes, and a process that has not read the new one yet. Retrying cannot help and may lock the account.",
    "请求带有令牌，但被网关拒绝。",
    "请确保两端令牌一致，留意空格、引号，以及尚未加载新令牌的进程。重试没有用处，还可能导致账号被锁。",
);

pub(in crate::cause) const HEADER_MISSING: Both<Words> = texts(
    "A header that this protocol demands is missing or wrong (OneBot v11: `X-Self-ID` and `X-Client-Role`).",
    "Let the client send `X-Self-ID` (the account's number) and `X-Client-Role: Universal`, and any proxy pass them. For Mooring's own sessions they are set under `expect.headers`.",
    "缺少该协议要求的请求头，或其值错误（OneBot v11：`X-Self-ID` 与 `X-Client-Role`）。",
    "请让客户端发送 `X-Self-ID`（账号）和 `X-Client-Role: Universal`，途中的反向代理也要原样传递。Mooring 自身的会话在 `expect.headers` 中设置。",
);

pub(in crate::cause) const REFUSED_BY_POLICY: Both<Words> = texts(
    "The gateway accepted the session and then refused it by policy (1008).",
    "Read the reason in the evidence: token, origin or role. Retrying cannot help.",
    "网关接受会话后又以策略为由拒绝（1008）。",
    "请查看证据中的原因：令牌、来源或角色。重试没有用处。",
);

pub(in crate::cause) const PEER_LOCKED_OUT: Both<Words> = texts(
    "The server still holds the old connection of the same id, and refuses the new one (403) until its own pings give the old one up.",
    "Wait: it clears by itself, with NoneBot2 at its defaults within some 41 s. Restart nothing; shorter pings at the server shorten it (uvicorn: `ws_ping_interval` and `ws_ping_timeout`).",
    "服务器仍占着同一 id 的旧连接，在其 ping 判定旧连接失效之前一直拒绝新连接（403）。",
    "请等待，会自行恢复；NoneBot2 默认配置下约 41 秒。不要重启；缩短服务器端的 ping 可缩短等待（uvicorn：`ws_ping_interval` 与 `ws_ping_timeout`）。",
);

pub(in crate::cause) const LICENSE_REQUIRED: Both<Words> = texts(
    "The gateway is not activated, and serves nothing until it is (`LICENSE_REQUIRED`).",
    "Activate it by hand as its makers say (Evolution API 2.4 and later). Restarting cannot help.",
    "网关尚未激活，激活前不提供任何服务（`LICENSE_REQUIRED`）。",
    "请按厂商说明人工激活（Evolution API 2.4 及以上）。重启没有用处。",
);
