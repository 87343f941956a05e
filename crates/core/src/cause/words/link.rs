//! Words: the instance's own connection to where its account lives, as the gateway reports it.

use super::{Both, Words, texts};

pub(in crate::cause) const NO_UPSTREAM_LINK: Both<Words> = texts(
    "The gateway holds no connection to its upstream.",
    "Look at the gateway's log for why it does not connect; it is reconnected where Mooring can.",
    "网关与其上游之间没有任何连接。",
    "请在网关日志中查看无法连接的原因；若可能，Mooring 会令其重连。",
);

pub(in crate::cause) const REPORTED_CLOSED: Both<Words> = texts(
    "The gateway itself reports that the instance's connection is closed.",
    "Reconnected where Mooring can. The code and words in the evidence are the gateway's own.",
    "网关自身报告该实例的连接已关闭。",
    "若可能，Mooring 会令其重连。证据中的代码与说明来自网关本身。",
);

pub(in crate::cause) const CONNECTING_STUCK: Both<Words> = texts(
    "The instance has been connecting for much longer than a connection takes: it hangs there and will not fail by itself.",
    "Its connection is ended so that the gateway's own retry runs.",
    "该实例处于连接中状态的时间过长：已卡住且不会自行报错。",
    "将结束该连接，促使网关自身的重试逻辑运行。",
);

pub(in crate::cause) const RECONNECT_STORM: Both<Words> = texts(
    "The gateway logs in again and again without a pause, which feeds whatever refuses it.",
    "Stop the gateway, or this instance alone without logging it out, and mend what refuses it; the code in the evidence says what. Do not restart it: it would go on as before.",
    "网关毫无间隔地反复登录，只会让拒绝它的一方更加拒绝。",
    "请停止网关（或在不登出的前提下只停该实例），并解决被拒的原因，证据中的代码会说明。不要重启，重启后仍会如此。",
);

pub(in crate::cause) const RESTART_EXPECTED: Both<Words> = texts(
    "The connection restarts on purpose, as it does right after pairing (Baileys: 515).",
    "Nothing to do: a new socket is opened at once. A program of your own must open it itself, with the same auth state and only after the old one has ended.",
    "连接按预期重启，配对之后即如此（Baileys：515）。",
    "无需处理，随即会建立新连接。自行编写的程序须自己建立：沿用同一认证状态，且在旧连接结束之后。",
);

pub(in crate::cause) const SERVICE_UNAVAILABLE: Both<Words> = texts(
    "The chat network says that its service is unavailable (503).",
    "Reconnected with growing pauses. If many accounts hear it at once, wait: nothing here is broken.",
    "聊天网络表示其服务不可用（503）。",
    "将以逐渐加长的间隔重连。若大量账号同时如此，请等待，本端没有故障。",
);

pub(in crate::cause) const INSTANCE_NOT_LOADED: Both<Words> = texts(
    "The instance is in the gateway's database, but the running process has not loaded it.",
    "The gateway's process is restarted where Mooring can, since only its start loads such instances. Create instances through the API (Evolution API: `POST /instance/create`), not in the database.",
    "实例在网关的数据库中，但运行中的进程没有加载它。",
    "若已配置，Mooring 会重启网关进程，因为只有启动时才会加载。请通过 API 创建实例（Evolution API：`POST /instance/create`），不要直接写数据库。",
);

pub(in crate::cause) const API_UNRESPONSIVE: Both<Words> = texts(
    "Events flow, but API calls are not answered: the link is half dead.",
    "Reconnected first, since a new link often answers again; if not, the OneBot implementation is restarted where Mooring can. Look into its log for the call in the evidence.",
    "事件正常到达，但 API 调用没有应答：链路处于半死状态。",
    "先重连，新链路往往即可恢复；无效时，若已配置 Mooring 会重启 OneBot 实现端。请在其日志中查找证据所示的调用。",
);

pub(in crate::cause) const PEER_ABSENT: Both<Words> = texts(
    "The other end, which dials in here, has not done so.",
    "On the peer's host, check that it runs and that address, port and path lead here (Lagrange: `Host`, `Port` and `Suffix` of its `ReverseWebSocket` entry). It dials again by itself; after a close Lagrange first waits for its next heartbeat.",
    "应由对端连接进来，但对端尚未连接。",
    "请在对端主机上确认其正在运行，且地址、端口和路径指向这里（Lagrange：`ReverseWebSocket` 项的 `Host`、`Port`、`Suffix`）。它会自行重连；连接被关闭后，Lagrange 要等到下一次心跳才会重连。",
);
