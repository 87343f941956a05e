//! Guides: the account behind an instance: logged out, taken over, banned, outdated.

use super::{Both, Guide, Retry};

pub(in crate::cause) const LOGIN_REVOKED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Scan a new QR code or enter a pairing code. Never send Evolution API's `connect` by a script after a 401: it starts a QR flow that nobody watches, and goes mute at the QR limit.",
        zh: "请重新扫码或输入配对码。401 之后不要用脚本调用 Evolution API 的 `connect`：会启动无人查看的二维码流程，达到次数上限后便不再有任何消息。",
    }),
    seen_as: Both {
        en: "Baileys: 401 `Stream Errored (conflict)` or `Connection Failure`. Evolution API 2.3.6: `logout.instance`, `connection.update` with `state: close, statusReason: 401`, `status.instance` with `disconnectionReasonCode: 401`; its stored session is deleted. A 401 within 30 s of a 515 is not believed at once.",
        zh: "Baileys：401 `Stream Errored (conflict)` 或 `Connection Failure`。Evolution API 2.3.6：`logout.instance`，`connection.update` 中 `state: close, statusReason: 401`，`status.instance` 中 `disconnectionReasonCode: 401`；其保存的会话被删除。515 之后 30 秒内的 401 不会立即采信。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/evolution-foundation/evolution-api/issues/999",
        "https://github.com/devlikeapro/waha/issues/137",
    ],
};

pub(in crate::cause) const PAIRING_NEEDED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Scan the code that the gateway shows. A restart or reconnect during it only throws the code away.",
        zh: "请扫描网关显示的二维码。此时重启或重连只会让二维码作废。",
    }),
    seen_as: Both {
        en: "Baileys: `qr` in `connection.update`, or 408 with `QR refs attempts ended`. Evolution API: `qrcode.updated`; at its limit `statusCode: 500`, then `state: refused, statusReason: 428`, then nothing, while its database says `connecting`. WAHA: `SCAN_QR_CODE` (read in its source).",
        zh: "Baileys：`connection.update` 中出现 `qr`，或 408 `QR refs attempts ended`。Evolution API：`qrcode.updated`；达到上限后 `statusCode: 500`，再是 `state: refused, statusReason: 428`，随后沉默，而数据库仍为 `connecting`。WAHA：`SCAN_QR_CODE`（来自源码阅读）。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/rmyndharis/OpenWA/pull/1584",
        "https://github.com/evolution-foundation/evolution-api/issues/2430",
    ],
};

pub(in crate::cause) const SESSION_REPLACED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look for a second process with the same stored login: an old container, a second instance of the same number, a developer's machine.",
        zh: "请查找使用同一登录信息的另一个进程：旧容器、同一号码的另一个实例、开发者的电脑。",
    }),
    seen_as: Both {
        en: "Baileys: 440 `Stream Errored (conflict)`. Evolution API 2.3.6 fights back at once: REST goes open, close for 0.1 s, connecting, open.",
        zh: "Baileys：440 `Stream Errored (conflict)`。Evolution API 2.3.6 会立即抢回：REST 状态依次为 open、close（0.1 秒）、connecting、open。",
    },
    snippets: &[],
    sources: &["https://github.com/WhiskeySockets/Baileys/issues/1339"],
};

pub(in crate::cause) const TAKEOVER_WAR: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Stop one of the two for good before the other is reconnected; Evolution API must be stopped as a process, since it reconnects without a pause.",
        zh: "请彻底停掉其中之一，再让另一方重连；Evolution API 会立即重连，必须停止其进程。",
    }),
    seen_as: Both {
        en: "Five 440 within 30 s on one instance, each followed by an open.",
        zh: "同一实例 30 秒内出现五次 440，每次之后又恢复 open。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/WhiskeySockets/Baileys/issues/1339",
        "https://github.com/evolution-foundation/evolution-api/issues/765",
    ],
};

pub(in crate::cause) const ACCOUNT_FORBIDDEN: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Open the account in its official app: it says whether it is restricted, until when, and how to appeal. 411 means that the account is not set up for linked devices.",
        zh: "请在官方应用中打开该账号，查看是否受限、到何时为止以及如何申诉。411 表示账号未启用关联设备。",
    }),
    seen_as: Both {
        en: "Baileys: 403 `Connection Failure`; 411 `Multi-device beta not joined`; 402 and 406 in Evolution API's reading are a temporary and a permanent ban (read in its source).",
        zh: "Baileys：403 `Connection Failure`；411 `Multi-device beta not joined`；402 与 406 在 Evolution API 中分别表示临时与永久封禁（来自源码阅读）。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const ACCOUNT_OFFLINE: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Do not restart the process blindly: with an expired login Lagrange falls back to a QR code (read in its source), and the bot stays offline until somebody scans it.",
        zh: "不要盲目重启进程：登录已过期时 Lagrange 会回退到扫码登录（来自源码阅读），无人扫码则一直离线。",
    }),
    seen_as: Both {
        en: "A notice `bot_offline` with `tag` and `message`; ended by `bot_online` with `reason`. Lagrange's `online` and `good` are constants, in heartbeats and in `get_status` (read in its source).",
        zh: "通知 `bot_offline`，含 `tag` 与 `message`；以 `bot_online`（含 `reason`）结束。Lagrange 的 `online` 与 `good` 在心跳和 `get_status` 中都是常量（来自源码阅读）。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/LagrangeDev/Lagrange.Core/issues/286",
        "https://github.com/LagrangeDev/Lagrange.Core/issues/685",
    ],
};

pub(in crate::cause) const CLIENT_OUTDATED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Upgrade the library and log in with one account first; then the others, spread over time.",
        zh: "请升级库，先用一个账号登录验证，其余账号再错开进行。",
    }),
    seen_as: Both {
        en: "Baileys: 405 `Connection Failure`, a code that its own list does not have. Evolution API 2.3.6 then retries 9 to 10 times a second while its database says `open`.",
        zh: "Baileys：405 `Connection Failure`，不在其自身代码表中。Evolution API 2.3.6 随后每秒重试 9 至 10 次，而数据库仍显示 `open`。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/WhiskeySockets/Baileys/issues/2733",
        "https://github.com/WhiskeySockets/Baileys/issues/2159",
    ],
};

pub(in crate::cause) const UPSTREAM_DEPRECATED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Watch the library's issue list for the version that works; upgrade one gateway, see its accounts open, then the rest in waves.",
        zh: "请关注该库的 issue，确认可用版本；先升级一个网关，待其账号恢复后再分批升级其余网关。",
    }),
    seen_as: Both {
        en: "Many instances, on several hosts, say 405 in the same minute, and no login succeeds any more.",
        zh: "多台主机上的大量实例在同一分钟出现 405，且再无登录成功。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/WhiskeySockets/Baileys/issues/2733",
        "https://github.com/devlikeapro/waha/issues/2192",
        "https://github.com/devlikeapro/waha/issues/1776",
    ],
};

pub(in crate::cause) const BAD_SESSION: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Stop the instance, copy its session folder or row, and start it once more: when it fails again, pair anew on a fresh session and keep the copy.",
        zh: "请停止该实例，备份其会话目录或数据库记录，再启动一次：若仍失败，用全新会话重新配对，并保留备份。",
    }),
    seen_as: Both {
        en: "Baileys: 500 `Stream Errored (…)`, which it makes of any stream error without a code; three in a row.",
        zh: "Baileys：500 `Stream Errored (…)`，凡没有代码的流错误都会变成它；连续三次。",
    },
    snippets: &[],
    sources: &["https://github.com/WhiskeySockets/Baileys/issues/1194"],
};
