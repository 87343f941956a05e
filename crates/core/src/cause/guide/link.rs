//! Guides: the instance's own connection to where its account lives, as the gateway reports it.

use std::time::Duration;

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const NO_UPSTREAM_LINK: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "The kernel shows no connection of the gateway to its upstream's port, for longer than its retries take.",
        zh: "内核中看不到网关到其上游端口的连接，且已超过其重试所需时间。",
    },
    snippets: &[],
    sources: &["https://github.com/LagrangeDev/Lagrange.Core/issues/278"],
};

pub(in crate::cause) const REPORTED_CLOSED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "Baileys: 428 `Connection Terminated` for every close of its WebSocket, whatever the real code was (measured with 1000, 1006 and 1011): the real one is only in the raw socket's close event. 408 `Connection was lost` or `WebSocket Error (…)`. Evolution API: REST `close` while its database says `open`, for more than 10 s.",
        zh: "Baileys：WebSocket 无论以何种代码关闭都报 428 `Connection Terminated`（以 1000、1006、1011 实测），真实代码只在底层套接字的 close 事件中；408 `Connection was lost` 或 `WebSocket Error (…)`。Evolution API：REST 为 `close` 而数据库为 `open`，持续 10 秒以上。",
    },
    snippets: &[snippets::NODE_BAILEYS_RAW],
    sources: &[
        "https://github.com/WhiskeySockets/Baileys/issues/1194",
        "https://github.com/WhiskeySockets/Baileys/issues/778",
        "https://github.com/evolution-foundation/evolution-api/issues/1398",
        "https://github.com/evolution-foundation/evolution-api/issues/2403",
    ],
};

pub(in crate::cause) const CONNECTING_STUCK: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "Baileys says `connecting` and then nothing, for ever (75 s watched), when its upgrade was answered with anything but 101: 200, 429 and 502 tried. Ending the socket from outside frees it within milliseconds. Evolution API: one `connecting`, no event for 60 s, `connect` returns a stale QR code with 200; `restart` frees it.",
        zh: "Baileys 的升级请求若得到 101 以外的应答（以 200、429、502 实测），会永远停在 `connecting`（观察 75 秒）而没有任何事件；从外部结束套接字可在毫秒内解除。Evolution API：一次 `connecting` 后 60 秒无事件，`connect` 返回 200 与过期二维码；`restart` 可解除。",
    },
    snippets: &[snippets::NODE_BAILEYS_WATCHDOG],
    sources: &[
        "https://github.com/rmyndharis/OpenWA/pull/1579",
        "https://github.com/devlikeapro/waha/issues/1218",
        "https://github.com/evolution-foundation/evolution-api/issues/1153",
    ],
};

pub(in crate::cause) const RECONNECT_STORM: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Find the code of the refusal first. A restart of the process logs all its instances in together.",
        zh: "请先查明拒绝的代码。重启进程会让其全部实例同时登录。",
    }),
    seen_as: Both {
        en: "More than 3 `connecting` events of one instance within 10 s. Evolution API 2.3.6 on a lasting 405: 64 in 7 s, bursts of about 31 a second when each attempt fails sooner; `fetchInstances` says `open` throughout.",
        zh: "单个实例 10 秒内出现 3 次以上 `connecting`。Evolution API 2.3.6 在持续 405 时 7 秒内 64 次，失败更快时可达每秒约 31 次；期间 `fetchInstances` 一直显示 `open`。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/evolution-foundation/evolution-api/issues/765",
        "https://github.com/evolution-foundation/evolution-api/issues/2430",
        "https://github.com/LagrangeDev/Lagrange.Core/issues/253",
    ],
};

pub(in crate::cause) const RESTART_EXPECTED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: None,
    seen_as: Both {
        en: "Baileys: 515 `Stream Errored (restart required)`, then `connecting` and `open` within seconds. Evolution API does it without a `close` event.",
        zh: "Baileys：515 `Stream Errored (restart required)`，数秒内依次 `connecting`、`open`。Evolution API 会自动完成，不发出 `close` 事件。",
    },
    snippets: &[snippets::NODE_BAILEYS_RESTART],
    sources: &[],
};

pub(in crate::cause) const SERVICE_UNAVAILABLE: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::ReconnectSlowly),
    human: None,
    seen_as: Both {
        en: "Baileys: 503 `Stream Errored` or `Connection Failure`.",
        zh: "Baileys：503 `Stream Errored` 或 `Connection Failure`。",
    },
    snippets: &[],
    sources: &["https://github.com/devlikeapro/waha/issues/2192"],
};

pub(in crate::cause) const INSTANCE_NOT_LOADED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "Evolution API 2.3.7 and later load only instances whose row says open or connecting (read in their source): the others need one `connect` after the start.",
        zh: "Evolution API 2.3.7 及以上启动时只加载数据库状态为 open 或 connecting 的实例（来自源码阅读）；其余实例启动后需调用一次 `connect`。",
    }),
    seen_as: Both {
        en: "`GET /instance/connectionState/NAME` gives 200 without a `state` key, while `fetchInstances` lists the row. `restart` on it answers HTTP 200 with `{\"error\":true,\"message\":\"[object Object]\"}`, `websocket/set` 500, and `logout` SUCCESS while nothing happens.",
        zh: "`GET /instance/connectionState/名称` 返回 200 但没有 `state` 字段，而 `fetchInstances` 中有该记录。对它 `restart` 返回 HTTP 200 与 `{\"error\":true,\"message\":\"[object Object]\"}`，`websocket/set` 返回 500，`logout` 返回 SUCCESS 但什么也没发生。",
    },
    snippets: &[snippets::EVOLUTION_CREATE],
    sources: &[
        "https://github.com/evolution-foundation/evolution-api/issues/741",
        "https://github.com/evolution-foundation/evolution-api/issues/1153",
    ],
};

pub(in crate::cause) const API_UNRESPONSIVE: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "Heartbeats and events come, `get_status` or `get_login_info` with an `echo` is not answered. Seen from the framework: TRSS-Yunzai ends the link with 1006 exactly 60.0 s after the lifecycle event when its first API call got no answer.",
        zh: "心跳与事件正常，但带 `echo` 的 `get_status`、`get_login_info` 没有应答。从框架看：TRSS-Yunzai 的首个 API 调用 60 秒无应答，即在 lifecycle 事件之后恰好 60.0 秒以 1006 断开。",
    },
    snippets: &[],
    sources: &[
        "https://github.com/SnowLuma/SnowLuma/issues/208",
        "https://github.com/TimeRainStarSky/Yunzai/issues/123",
    ],
};

pub(in crate::cause) const PEER_ABSENT: Guide = Guide {
    retry: Retry::AfterAWait(Duration::from_secs(60)),
    order: None,
    human: Some(Both {
        en: "When the peer says that it is connected, it dialled somewhere else: compare its address and port with the relay's or framework's listener.",
        zh: "若对端显示已连接，说明它连到了别处：请对照其地址、端口与中继或框架的监听地址。",
    }),
    seen_as: Both {
        en: "Nobody connects to the listener. Lagrange dials every `ReconnectInterval` (5 s by default); after a close by the server it first waits for its next heartbeat (read in its source; reported with heartbeats of 60 s).",
        zh: "监听端没有任何连接。Lagrange 每隔 `ReconnectInterval`（默认 5 秒）重连；被服务器关闭后要先等到下一次心跳（来自源码阅读；有用户在 60 秒心跳下报告）。",
    },
    snippets: &[snippets::LAGRANGE_YUNZAI, snippets::LAGRANGE_NONEBOT],
    sources: &[
        "https://github.com/LagrangeDev/Lagrange.Core/issues/867",
        "https://github.com/LagrangeDev/Lagrange.Core/issues/278",
    ],
};
