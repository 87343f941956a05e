//! Guides: the gateway's process and its own word on its health.

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const PROCESS_EXITED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "When it exits again right after each start, read the first error of its output, not the last: restarts are stopped after two in half an hour.",
        zh: "若每次启动后很快退出，请看输出中的第一个错误而非最后一个：半小时内重启两次后将不再重启。",
    }),
    seen_as: Both {
        en: "The process is gone with an exit code; a program whose unhandled promise rejections end it (Node's default) exits with 1 on each network blip.",
        zh: "进程以某个退出码结束；未处理 promise rejection 即退出的程序（Node 默认行为）每次网络抖动都会以 1 退出。",
    },
    snippets: &[snippets::MOORING_SUPERVISE, snippets::NODE_UNHANDLED],
    sources: &["https://github.com/WhiskeySockets/Baileys/issues/1194"],
};

pub(in crate::cause) const PROCESS_KILLED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "`journalctl -k -g 'Out of memory'` or the container's `OOMKilled` tells whether it was memory; then raise the limit or mend the leak.",
        zh: "请用 `journalctl -k -g 'Out of memory'` 或容器的 `OOMKilled` 判断是否因内存；是则调高限额或修复泄漏。",
    }),
    seen_as: Both {
        en: "The process ended by a signal: 9 mostly by the kernel or a container's limit, 11 and 6 by a crash of native code.",
        zh: "进程被信号结束：9 多为内核或容器限额所致，11 与 6 为原生代码崩溃。",
    },
    snippets: &[snippets::MOORING_SUPERVISE, snippets::SHELL_OOM],
    sources: &[],
};

pub(in crate::cause) const PROCESS_NOT_STARTED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Run the very command as the agent's user in the same folder; the agent's service may lack the PATH of your shell.",
        zh: "请以代理的用户身份在同一目录执行同样的命令；代理服务的 PATH 可能与你的终端不同。",
    }),
    seen_as: Both {
        en: "`No such file or directory`, `Permission denied` or `Exec format error` when the process is to be started.",
        zh: "启动进程时报 `No such file or directory`、`Permission denied` 或 `Exec format error`。",
    },
    snippets: &[snippets::MOORING_SUPERVISE],
    sources: &[],
};

pub(in crate::cause) const BACKEND_UNHEALTHY: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "Bisheng answers REST errors with HTTP 200 and the code in the body, and its workers are processes of their own: look at both (`bisheng-backend`, `bisheng-backend-worker`) and at the databases behind them.",
        zh: "毕昇的 REST 错误以 HTTP 200 返回，代码在内容中；其 worker 是独立进程：请同时检查 `bisheng-backend` 与 `bisheng-backend-worker` 以及其依赖的数据库。",
    }),
    seen_as: Both {
        en: "Bisheng: `GET /health` is not `{\"status\":\"OK\"}`. Evolution API: an unknown instance is not answered with 404. WAHA: `GET /ping` is not `{\"message\":\"pong\"}` (the last and the first read in their source).",
        zh: "毕昇：`GET /health` 不是 `{\"status\":\"OK\"}`。Evolution API：查询不存在的实例没有返回 404。WAHA：`GET /ping` 不是 `{\"message\":\"pong\"}`（毕昇与 WAHA 来自源码阅读）。",
    },
    snippets: &[snippets::SHELL_HEALTH],
    sources: &["https://github.com/dataelement/bisheng/issues/1258"],
};
