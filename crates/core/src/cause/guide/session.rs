//! Guides: how an established session ends.

use std::time::Duration;

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const SESSION_LOST: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "The stream ends without a Close frame: `ws` and browsers report 1006. A Node process that ends by SIGTERM or SIGKILL looks the same, with all its sessions in the same millisecond.",
        zh: "流在没有 Close 帧的情况下结束：`ws` 与浏览器报 1006。Node 进程因 SIGTERM 或 SIGKILL 结束时也是如此，且其全部会话在同一毫秒断开。",
    },
    snippets: &[],
    sources: &["RFC 6455 §7.1.5", "https://github.com/websockets/ws/issues/2226"],
};

pub(in crate::cause) const CLOSED_BY_GATEWAY: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "A Close frame with 1000, without a code (1005), or with an application's code that names no fault.",
        zh: "Close 帧代码为 1000、无代码（1005），或不表示故障的应用自定义代码。",
    },
    snippets: &[],
    sources: &["RFC 6455 §7.4.1", "https://github.com/LagrangeDev/Lagrange.Core/issues/278"],
};

pub(in crate::cause) const GATEWAY_RESTARTING: Guide = Guide {
    retry: Retry::AfterAWait(Duration::from_secs(5)),
    order: Some(Action::ReconnectSlowly),
    human: None,
    seen_as: Both {
        en: "A Close frame with 1001, 1012 or 1013, usually on every session at once. uvicorn says 1012 on a graceful stop (SIGTERM), through nginx too; a SIGKILL shows as 1006.",
        zh: "Close 帧代码为 1001、1012 或 1013，通常所有会话同时出现。uvicorn 正常停止（SIGTERM）时发送 1012，经 nginx 也可见；SIGKILL 则表现为 1006。",
    },
    snippets: &[],
    sources: &["RFC 6455 §7.4.1", "https://www.iana.org/assignments/websocket/websocket.xhtml"],
};

pub(in crate::cause) const MESSAGE_TOO_BIG: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Find out who closed: the limit of the side that received is the one to raise. Engine.IO's is 1 MB, that of `ws` 100 MiB, uvicorn's 16 MiB by default.",
        zh: "请查明是哪一方关闭：应调高接收方的上限。默认值：Engine.IO 1 MB，`ws` 100 MiB，uvicorn 16 MiB。",
    }),
    seen_as: Both {
        en: "A Close frame with 1009 right after a large message.",
        zh: "大消息之后立即收到 Close 帧 1009。",
    },
    snippets: &[snippets::NODE_MAX_PAYLOAD, snippets::UVICORN_MAX_SIZE],
    sources: &["RFC 6455 §7.4.1"],
};

pub(in crate::cause) const GATEWAY_FAILED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "A Close frame with 1011 that is not a keep-alive timeout. Bisheng uses it for errors of its backend (read in its source).",
        zh: "Close 帧代码为 1011，且不是 keep-alive 超时。毕昇用它表示后端错误（来自源码阅读）。",
    },
    snippets: &[],
    sources: &["RFC 6455 §7.4.1"],
};

pub(in crate::cause) const PROTOCOL_VIOLATED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look at the first bytes after the 101 in the evidence: `HTTP` means TwoWebSocketServers or EngineIoVersionMismatch; set reserved bits mean an extension that was not agreed upon.",
        zh: "请查看证据中 101 之后的前几个字节：若为 `HTTP`，见 TwoWebSocketServers 或 EngineIoVersionMismatch；若保留位被置位，则是使用了未协商的扩展。",
    }),
    seen_as: Both {
        en: "1002, 1003 or 1007, or what clients say of an invalid frame: `RSV1 must be clear`, `invalid opcode`, `invalid UTF-8 sequence`.",
        zh: "1002、1003、1007，或客户端对非法帧的报错：`RSV1 must be clear`、`invalid opcode`、`invalid UTF-8 sequence`。",
    },
    snippets: &[snippets::NODE_ROUTE],
    sources: &["RFC 6455 §5.2", "RFC 6455 §7.4.1"],
};

pub(in crate::cause) const DROPPED_AT_ONCE: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "For OneBot compare the path with the framework's, letter by letter: `/OneBotv11` for TRSS-Yunzai, `/onebot/v11/ws` for NoneBot2 and node-karin, `/onebot` for Koishi.",
        zh: "OneBot 请将路径与框架逐字对照：TRSS-Yunzai 为 `/OneBotv11`，NoneBot2 与 node-karin 为 `/onebot/v11/ws`，Koishi 为 `/onebot`。",
    }),
    seen_as: Both {
        en: "101, then the end within milliseconds, at every try: 1006 without a Close frame (TRSS-Yunzai between 2024-02-28 and 2024-12-25, read in its history), 1005 after 4 ms (Koishi, wrong path), 1005 after 3.0 s (node-karin, wrong path).",
        zh: "每次都是 101 之后很快断开：1006 且无 Close 帧（2024-02-28 至 2024-12-25 的 TRSS-Yunzai，来自其历史代码）；4 毫秒后 1005（Koishi，路径错误）；3.0 秒后 1005（node-karin，路径错误）。",
    },
    snippets: &[snippets::LAGRANGE_YUNZAI, snippets::LAGRANGE_NONEBOT],
    sources: &[
        "https://github.com/LagrangeDev/Lagrange.Core/issues/286",
        "https://github.com/TimeRainStarSky/Yunzai/issues/80",
    ],
};

pub(in crate::cause) const FLAPPING: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Read the history (`mooring events`) for what alternates: the cause of the ends in between is the one to mend.",
        zh: "请查看历史（`mooring events`）中交替出现的内容：真正要解决的是其间每次断开的原因。",
    }),
    seen_as: Both {
        en: "Condition `Stable` is False: more changes of the wire's condition within the window than a sound instance has.",
        zh: "条件 `Stable` 为 False：窗口内连接状态的变化次数超出正常范围。",
    },
    snippets: &[],
    sources: &["RFC 2439 §2"],
};

pub(in crate::cause) const MASS_RESET: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Look at what happened at that second: a deployment, an out-of-memory kill, a proxy's reload or restart. Spread the return of your own clients with jitter.",
        zh: "请查看那一秒发生了什么：发布、内存不足被杀、反向代理重载或重启。自有客户端应加随机抖动错峰重连。",
    }),
    seen_as: Both {
        en: "Many sessions of one gateway end within the same moment, with 1006, 1001 or 1012.",
        zh: "同一网关的大量会话在同一时刻以 1006、1001 或 1012 结束。",
    },
    snippets: &[],
    sources: &["https://github.com/devlikeapro/waha/issues/2192"],
};

pub(in crate::cause) const RELAY_LIMIT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "`mooring sessions` shows who holds them; a limit per source guards against one client that leaks.",
        zh: "`mooring sessions` 可查看由谁占用；按来源限制可防止单个客户端泄漏连接。",
    }),
    seen_as: Both {
        en: "The relay answers 503, or closes an idle session by its own `idle` limit; the evidence names the limit.",
        zh: "中继返回 503，或按自身的 `idle` 限制关闭空闲会话；证据中会指明是哪项限制。",
    },
    snippets: &[snippets::MOORING_RELAY_LIMITS],
    sources: &["RFC 9110 §15.6.4"],
};
