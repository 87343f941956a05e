//! Guides: what is not known: nobody looked, nobody can, or what was seen proves nothing.

use super::{Both, Guide, Retry};

pub(in crate::cause) const NOT_YET_OBSERVED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: None,
    seen_as: Both {
        en: "Every condition of a new instance, or of one whose agent has just started, for its first seconds.",
        zh: "新实例或代理刚启动时，最初几秒内的所有条件。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const NOT_OBSERVABLE: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: None,
    seen_as: Both {
        en: "`Linked` and `Delivering` of a plain WebSocket server; `Beating` of one that promises no heartbeat and answers no pings.",
        zh: "普通 WebSocket 服务器的 `Linked` 与 `Delivering`；既不承诺心跳也不应答 ping 的服务器的 `Beating`。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const AGENT_SILENT: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: Some(Both {
        en: "Look at the agent's process and log on its host, and whether the controller's port is reachable from there. Nothing is ordered for its gateways meanwhile.",
        zh: "请在代理主机上检查其进程与日志，以及能否连通控制器端口。在此期间不会对其网关下达任何操作。",
    }),
    seen_as: Both {
        en: "No heartbeat of the agent within its grace; all its instances turn Unknown in the same moment.",
        zh: "在宽限期内没有收到代理的心跳；其全部实例同时变为未知。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const OBSERVER_STALLED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: Some(Both {
        en: "Raise the limits of the agent's unit or container (CPU, memory, `LimitNOFILE`) when it comes again and again.",
        zh: "若反复出现，请调高代理所在单元或容器的限额（CPU、内存、`LimitNOFILE`）。",
    }),
    seen_as: Both {
        en: "The agent's own clock jumped or its tasks ran late, or a dial failed for want of descriptors, ports or memory on its own host.",
        zh: "代理自身时钟跳变或任务延迟执行；或因本机缺少描述符、端口、内存而无法拨号。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const WATCH_STOPPED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: Some(Both {
        en: "Decide whether the gateway belongs to the fleet, and put it back or delete it.",
        zh: "请决定该网关是否仍属于集群：放回配置，或删除。",
    }),
    seen_as: Both {
        en: "The agent reloaded its configuration, and this gateway is no longer in it.",
        zh: "代理重新加载了配置，其中已没有该网关。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const UNRECOGNISED: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: Some(Both {
        en: "Upgrade controllers before agents.", zh: "请先升级控制器，再升级代理。"
    }),
    seen_as: Both {
        en: "A cause code from a newer agent; its message is shown as the agent wrote it.",
        zh: "来自较新代理的原因代码；说明文字按代理原样显示。",
    },
    snippets: &[],
    sources: &[],
};

pub(in crate::cause) const UNDER_REPAIR: Guide = Guide {
    retry: Retry::Yes,
    order: None,
    human: None,
    seen_as: Both {
        en: "An order on this target is running or is being verified; a relay that is drained answers 503 meanwhile.",
        zh: "针对该目标的操作正在执行或验证；处于排空状态的中继此时应答 503。",
    },
    snippets: &[],
    sources: &[],
};
