//! Words: the gateway's process and its own word on its health.

use super::{Both, Words, texts};

pub(in crate::cause) const PROCESS_EXITED: Both<Words> = texts(
    "The gateway's process ended.",
    "It is restarted. Read the exit code and the last lines of its output in the evidence.",
    "网关进程已退出。",
    "将重启该进程。请查看证据中的退出码与最后的输出。",
);

pub(in crate::cause) const PROCESS_KILLED: Both<Words> = texts(
    "The gateway's process was killed by a signal.",
    "It is restarted. Signal 9 without anybody's order is usually the kernel's out-of-memory killer.",
    "网关进程被信号终止。",
    "将重启该进程。若无人操作却出现信号 9，多为内核内存不足所致。",
);

pub(in crate::cause) const PROCESS_NOT_STARTED: Both<Words> = texts(
    "The gateway's process cannot be started.",
    "Check the command, its path, permissions and working folder in the agent's configuration.",
    "无法启动网关进程。",
    "请检查代理配置中的命令、路径、权限与工作目录。",
);

pub(in crate::cause) const BACKEND_UNHEALTHY: Both<Words> = texts(
    "The gateway's own health check says no.",
    "It is restarted where Mooring can; read its answer in the evidence. A start that fails at its migrations is not mended by restarts (Bisheng): read the first error of the start.",
    "网关自身的健康检查未通过。",
    "若已配置，Mooring 会重启它；请查看证据中的应答。若启动时数据库迁移失败，反复重启没有用（如毕昇），请查看启动后的第一个错误。",
);
