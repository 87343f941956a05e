//! Guides: sessions that are open and carry nothing.

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const HEARTBEAT_MISSED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "The session is open and its pongs, Engine.IO packets or OneBot heartbeats are overdue by their own promise. `ws`, Lagrange's reverse client, TRSS-Yunzai and Koishi send no pings by themselves, so nobody else notices.",
        zh: "会话仍打开，但 pong、Engine.IO 报文或 OneBot 心跳已超过其自身承诺的时限。`ws`、Lagrange 反向客户端、TRSS-Yunzai 与 Koishi 默认不发送 ping，其他人不会察觉。",
    },
    snippets: &[snippets::MOORING_PROMISE, snippets::NODE_WS_PINGS],
    sources: &[
        "RFC 6455 §5.5.2",
        "RFC 6455 §5.5.3",
        "https://github.com/websockets/ws/issues/686",
        "https://github.com/websockets/ws/issues/484",
    ],
};

pub(in crate::cause) const KEEPALIVE_TIMEOUT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "A Close frame 1011 with the reason `keepalive ping timeout`, 40.0 s after the peer went quiet at uvicorn's defaults (interval 20 s plus timeout 20 s).",
        zh: "Close 帧 1011，原因 `keepalive ping timeout`；uvicorn 默认配置下，对端沉默后 40.0 秒出现（间隔 20 秒加超时 20 秒）。",
    },
    snippets: &[snippets::UVICORN_PINGS],
    sources: &["RFC 6455 §5.5.2", "https://websockets.readthedocs.io/en/stable/topics/keepalive.html"],
};

pub(in crate::cause) const HALF_OPEN: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "Nothing at all: both ends say open, while TCP retransmits what was sent and nobody acknowledges it.",
        zh: "表面毫无异常：两端都显示打开，但 TCP 在不断重传，没有任何确认。",
    },
    snippets: &[snippets::NODE_WS_PINGS, snippets::MOORING_KEEPALIVE],
    sources: &["RFC 9293 §3.8.3", "RFC 5482", "https://github.com/websockets/ws/issues/686"],
};

pub(in crate::cause) const PEER_STALLED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: Some(Both {
        en: "Find the client by its address in the evidence, and what it does instead of reading. Close its session (`mooring close`) if the gateway's memory grows.",
        zh: "请按证据中的地址找到该客户端，查明它为何不读取数据。若网关内存持续增长，可关闭其会话（`mooring close`）。",
    }),
    seen_as: Both {
        en: "The peer acknowledges with a window of zero, or what the relay has for it does not shrink.",
        zh: "对端以零窗口确认，或中继待发给它的数据不减少。",
    },
    snippets: &[],
    sources: &["RFC 9293 §3.8.6"],
};

pub(in crate::cause) const GATEWAY_STALLED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "Take a stack of the process before it is restarted, if you can; a frozen container (`docker pause`, SIGSTOP) shows the same.",
        zh: "条件允许时，请在重启前取得进程堆栈；被冻结的容器（`docker pause`、SIGSTOP）表现相同。",
    }),
    seen_as: Both {
        en: "The gateway's receive queues fill, its pongs stop, direct clients stay open; clients behind a proxy get 1006 at its idle timeout.",
        zh: "网关的接收队列持续增长，不再应答 pong；直连客户端仍保持打开，经反向代理的客户端在其空闲超时后得到 1006。",
    },
    snippets: &[snippets::MOORING_SUPERVISE],
    sources: &["RFC 9293 §3.8.6"],
};

pub(in crate::cause) const SILENT_BEYOND_HABIT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::Reconnect),
    human: None,
    seen_as: Both {
        en: "No frame for a multiple of the longest pause that this session ever had, on a gateway that promises no heartbeat.",
        zh: "在没有心跳承诺的网关上，会话没有任何帧的时间已数倍于其历史最长间隔。",
    },
    snippets: &[snippets::MOORING_PROMISE],
    sources: &[],
};

pub(in crate::cause) const NOT_CLOSED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: Some(Both {
        en: "Count the gateway's sockets in CLOSE-WAIT over a day; when they grow, plan a restart before its descriptor limit is reached, and mend the missing close in its code.",
        zh: "请观察一天内网关处于 CLOSE-WAIT 的套接字数量；若持续增长，应在达到描述符上限前安排重启，并修复代码中遗漏的关闭。",
    }),
    seen_as: Both {
        en: "Connections in CLOSE-WAIT on the gateway's port for longer than `ws`'s close grace of 30 s.",
        zh: "网关端口上的连接处于 CLOSE-WAIT 的时间超过 `ws` 的 30 秒关闭宽限。",
    },
    snippets: &[snippets::SHELL_CLOSE_WAIT],
    sources: &["RFC 9293 §3.6"],
};
