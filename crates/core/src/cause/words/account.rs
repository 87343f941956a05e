//! Words: the account behind an instance: logged out, taken over, banned, outdated.

use super::{Both, Words, texts};

pub(in crate::cause) const LOGIN_REVOKED: Both<Words> = texts(
    "The account behind the instance was logged out for good.",
    "Log in again by hand (QR code or credentials). Retrying cannot help and may lock the account.",
    "该实例背后的账号已被彻底登出。",
    "请人工重新登录（扫码或输入凭据）。重试没有用处，还可能导致账号被锁。",
);

pub(in crate::cause) const PAIRING_NEEDED: Both<Words> = texts(
    "The instance waits for its login: a QR code or pairing code must be entered.",
    "Log in by hand. This is no outage: nothing is retried.",
    "该实例正在等待登录：需要扫码或输入配对码。",
    "请人工登录。这不是故障，不会重试。",
);

pub(in crate::cause) const SESSION_REPLACED: Both<Words> = texts(
    "Another client uses the same account: it replaced this session.",
    "Find the other holder and stop one of the two. Reconnecting would only throw the other out, and so on for ever.",
    "同一账号被另一客户端使用，本会话已被顶替。",
    "请找到另一处登录并停掉其中之一。重连只会互相顶替，没有尽头。",
);

pub(in crate::cause) const TAKEOVER_WAR: Both<Words> = texts(
    "Two clients of one account throw each other out again and again (440).",
    "Find the second holder of the login (another instance, an old container, a copied session folder) and stop it. Reconnect nothing until then.",
    "同一账号的两个客户端不断互相顶替（440）。",
    "请找出另一个登录者（其他实例、旧容器、复制的会话目录）并停掉它。在此之前不要重连。",
);

pub(in crate::cause) const ACCOUNT_FORBIDDEN: Both<Words> = texts(
    "The chat network refuses this account.",
    "The account is restricted or banned: act on it by hand. Retrying makes it worse.",
    "聊天网络拒绝了该账号。",
    "账号被限制或封禁，需要人工处理。重试只会使情况恶化。",
);

pub(in crate::cause) const ACCOUNT_OFFLINE: Both<Words> = texts(
    "The account behind the bot is offline, whatever the heartbeat says.",
    "Log the account in again at the OneBot implementation; its log has the reason or the QR code. Lagrange's heartbeat always says healthy; only its `bot_offline` and `bot_online` notices tell.",
    "机器人背后的账号已离线，不论心跳怎么说。",
    "请在 OneBot 实现端重新登录该账号，其日志中有原因或二维码。Lagrange 的心跳始终显示正常，只有 `bot_offline` 与 `bot_online` 通知可信。",
);

pub(in crate::cause) const CLIENT_OUTDATED: Both<Words> = texts(
    "The chat network refuses this version of the client.",
    "Upgrade the gateway's library. If many accounts fail in the same minute, the network dropped the version; restarts only feed the storm.",
    "聊天网络拒绝了该客户端版本。",
    "请升级网关所用的库。若大量账号在同一分钟失败，说明该版本已被停用；重启只会加剧风暴。",
);

pub(in crate::cause) const UPSTREAM_DEPRECATED: Both<Words> = texts(
    "The chat network refuses this client version for many accounts at once (405).",
    "Upgrade the gateway's library (Baileys, Evolution API). Until then let it rest: logins cannot succeed, and restarts only feed the storm.",
    "聊天网络同时拒绝了大量账号的该客户端版本（405）。",
    "请升级网关所用的库（Baileys、Evolution API）。在此之前请停止登录：不会成功，重启只会加剧风暴。",
);

pub(in crate::cause) const BAD_SESSION: Both<Words> = texts(
    "The stored session is refused again and again (Baileys: 500, bad session).",
    "Make a copy of the stored keys first, then read the words in the evidence. Pairing anew is the last resort and a human's decision; Mooring deletes no keys.",
    "所保存的会话反复被拒绝（Baileys：500，bad session）。",
    "请先备份已保存的密钥，再查看证据中的说明。重新配对是最后手段，须由人决定；Mooring 不会删除任何密钥。",
);
