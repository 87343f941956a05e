//! Words: what is not known: nobody looked, nobody can, or what was seen proves nothing.

use super::{Both, Words, texts};

pub(in crate::cause) const NOT_YET_OBSERVED: Both<Words> = texts(
    "Nothing has been observed yet.",
    "Wait for the first observation; it follows within seconds of the agent's start.",
    "尚未观测到任何结果。",
    "请等待首次观测，通常在代理启动后数秒内完成。",
);

pub(in crate::cause) const NOT_OBSERVABLE: Both<Words> = texts(
    "This kind of gateway gives no answer to this question.",
    "Nothing to do; the condition stays Unknown.",
    "此类网关不提供该项信息。",
    "无需处理，该条件保持未知。",
);

pub(in crate::cause) const AGENT_SILENT: Both<Words> = texts(
    "The agent has not been heard of; what it last said may no longer hold.",
    "Look at the agent and at the network between it and the controller. Silence alone never restarts a gateway.",
    "控制器收不到该代理的消息，其最后上报的状态可能已失效。",
    "请检查代理进程及其与控制器之间的网络。仅凭沉默绝不会重启网关。",
);

pub(in crate::cause) const OBSERVER_STALLED: Both<Words> = texts(
    "The agent itself was held up, so the silence it saw proves nothing.",
    "Check the agent host's CPU and memory pressure; judgement resumes by itself.",
    "代理自身被挂起或资源不足，其观察到的静默不能作为判断依据。",
    "请检查代理主机的 CPU 与内存压力，判断会自动恢复。",
);

pub(in crate::cause) const WATCH_STOPPED: Both<Words> = texts(
    "The gateway is no longer in the agent's configuration.",
    "Put it back into the configuration, or delete it from the fleet.",
    "该网关已不在代理的配置中。",
    "请将其重新加入配置，或从集群中删除。",
);

pub(in crate::cause) const UNRECOGNISED: Both<Words> = texts(
    "The agent reported a cause that this controller is too old to know.",
    "Upgrade the controller to the agent's version or newer.",
    "代理上报了当前控制器版本无法识别的原因。",
    "请将控制器升级到不低于代理的版本。",
);

pub(in crate::cause) const UNDER_REPAIR: Both<Words> = texts(
    "An order is being carried out; what is seen meanwhile is not a new fault.",
    "Wait for the order to end; the condition is judged anew from then on.",
    "正在执行操作，期间观察到的现象不视为新的故障。",
    "请等待操作结束，之后将重新判断。",
);
