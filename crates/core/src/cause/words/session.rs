//! Words: how an established session ends.

use super::{Both, Words, texts};

pub(in crate::cause) const SESSION_LOST: Both<Words> = texts(
    "The session ended without a Close frame (what clients report as 1006).",
    "Reconnected. If it repeats at the same age or silence, a proxy's idle timeout cuts it; if all sessions end at once, the process died.",
    "会话在没有 Close 帧的情况下结束（客户端显示为 1006）。",
    "将自动重连。若总在相同时长或静默后断开，多为反向代理的空闲超时；若所有会话同时断开，则是进程退出。",
);

pub(in crate::cause) const CLOSED_BY_GATEWAY: Both<Words> = texts(
    "The gateway closed the session in good order.",
    "Reconnected. If it repeats, read the close code and reason in the evidence.",
    "网关正常关闭了会话。",
    "将自动重连。若反复出现，请查看证据中的关闭码与原因。",
);

pub(in crate::cause) const GATEWAY_RESTARTING: Both<Words> = texts(
    "The gateway says that it is going away or restarting (1001, 1012, 1013).",
    "Reconnected after a pause; nothing else to do unless it does not come back.",
    "网关表示正在离线或重启（1001、1012、1013）。",
    "稍后自动重连；除非迟迟不恢复，否则无需处理。",
);

pub(in crate::cause) const MESSAGE_TOO_BIG: Both<Words> = texts(
    "The session was closed because a message was too big (1009).",
    "Raise the limit on the side that closed, or send smaller messages.",
    "因消息过大，会话被关闭（1009）。",
    "请提高关闭方的上限，或发送更小的消息。",
);

pub(in crate::cause) const GATEWAY_FAILED: Both<Words> = texts(
    "The gateway closed the session because of an internal error (1011).",
    "Reconnected, then restarted if it repeats. Read the gateway's log.",
    "网关因内部错误关闭了会话（1011）。",
    "先重连，反复出现则重启。请查看网关日志。",
);

pub(in crate::cause) const PROTOCOL_VIOLATED: Both<Words> = texts(
    "One side broke the WebSocket protocol (1002, 1003, 1007 or an invalid frame).",
    "Often HTTP text written into the stream after the 101, or two WebSocket servers on one HTTP server. Mend the gateway; retrying cannot help.",
    "有一方违反了 WebSocket 协议（1002、1003、1007 或非法帧）。",
    "常见于 101 之后又写入 HTTP 文本，或同一 HTTP 服务器上挂了两个 WebSocket 服务。请修复网关，重试没有用处。",
);

pub(in crate::cause) const DROPPED_AT_ONCE: Both<Words> = texts(
    "The gateway accepts the session and drops it at once, again and again: typical of a wrong path or role.",
    "Check path, case, query string and required headers against the gateway's configuration.",
    "网关接受会话后立即断开且反复如此：通常是路径或角色错误。",
    "请对照网关配置检查路径、大小写、查询串和必需的请求头。",
);

pub(in crate::cause) const FLAPPING: Both<Words> = texts(
    "The instance goes up and down too often to be trusted.",
    "Look at the history for what alternates. Mooring slows its orders down until it is stable.",
    "该实例频繁上下线，状态不可信。",
    "请查看历史记录找出交替原因。在稳定之前 Mooring 会放慢操作。",
);

pub(in crate::cause) const MASS_RESET: Both<Words> = texts(
    "Many sessions ended in the same moment.",
    "The gateway's process or a proxy before it was restarted or died. Clients come back by themselves; look at what restarted, and at the pace of their return.",
    "大量会话在同一时刻断开。",
    "网关进程或其前端反向代理被重启或崩溃。客户端会自行重连；请检查是什么发生了重启，以及重连的速度。",
);

pub(in crate::cause) const RELAY_LIMIT: Both<Words> = texts(
    "The relay turned sessions away because one of its limits is reached.",
    "Raise that limit under `[gateway.relay.limits]`, or find out who opens so many.",
    "中继因达到某项上限而拒绝了会话。",
    "请调高 `[gateway.relay.limits]` 中的相应上限，或查明连接过多的来源。",
);
