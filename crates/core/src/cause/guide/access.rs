//! Guides: who may come in: tokens, headers, licences, and the peer that still holds the place.

use std::time::Duration;

use super::{Both, Guide, Retry, snippets};

pub(in crate::cause) const CREDENTIALS_REFUSED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "A bare 403 of NoneBot2 stands for five faults. Tell them apart with a reserved id: `GET /` (is it uvicorn?), an upgrade with an id that is no account (101: path and token are right and the real id is locked out; 403: path or token), and an upgrade on `/onebot/v11/` (101: the path was wrong).",
        zh: "NoneBot2 的空 403 可能对应五种故障，可用保留 id 区分：`GET /`（是否为 uvicorn）；用不属于任何账号的 id 发起升级（101：路径与令牌正确，真实 id 被占用；403：路径或令牌有误）；对 `/onebot/v11/` 发起升级（101：原路径有误）。",
    }),
    seen_as: Both {
        en: "401 or 403. uvicorn (NoneBot2, FastAPI): 403, `text/plain`, empty body, `connection: close`. aiocqhttp: 401 without a token, 403 with a wrong one, pages with `server: hypercorn-h11`. Engine.IO: 403 JSON code 4 on polling, and 400 with the message as HTML body on an upgrade. TRSS-Yunzai: bare 401 without headers (read in its source).",
        zh: "401 或 403。uvicorn（NoneBot2、FastAPI）：403，`text/plain`，内容为空，`connection: close`。aiocqhttp：无令牌 401，令牌错误 403，带 `server: hypercorn-h11`。Engine.IO：polling 为 403 JSON（code 4），升级为 400，HTML 内容即错误信息。TRSS-Yunzai：没有任何头的 401（来自源码阅读）。",
    },
    snippets: &[snippets::MOORING_ONEBOT_HEADERS, snippets::NONEBOT_TOKEN],
    sources: &["RFC 9110 §15.5.2", "RFC 9110 §15.5.4"],
};

pub(in crate::cause) const TOKEN_MISSING: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Look whether the client sends the token where this server reads it: NoneBot2 does not read one from the query, so it has to be the `Authorization` header. A proxy that sets `Authorization` itself hides it.",
        zh: "请确认客户端把令牌放在了服务器读取的位置：NoneBot2 不读取查询参数中的令牌，必须用 `Authorization` 头。自行设置 `Authorization` 的反向代理会覆盖它。",
    }),
    seen_as: Both {
        en: "aiocqhttp: 401. node-karin: 101, then 3002 within 2–8 ms. Evolution API: `apiKey is required`. NoneBot2: 403 with an empty body, the same as for a wrong one.",
        zh: "aiocqhttp：401。node-karin：101 后 2–8 毫秒内以 3002 关闭。Evolution API：`apiKey is required`。NoneBot2：403，内容为空，与令牌错误时相同。",
    },
    snippets: &[snippets::LAGRANGE_NONEBOT, snippets::NONEBOT_TOKEN, snippets::MOORING_TOKEN],
    sources: &["RFC 6750 §2.1", "RFC 9110 §11.6.2"],
};

pub(in crate::cause) const TOKEN_REFUSED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Compare the two tokens' length and first characters at both ends, without writing them into logs. For Evolution API an instance's token opens that instance only; the namespace `/` needs the global key.",
        zh: "请在两端比较令牌长度与开头几位，不要写入日志。Evolution API 的实例令牌只对该实例有效，命名空间 `/` 需要全局密钥。",
    }),
    seen_as: Both {
        en: "aiocqhttp: 403. node-karin: 101, then 3001 within 2–8 ms. Evolution API: `Invalid global token` or `Authentication error`, 403 JSON code 4 on polling and 400 on an upgrade. Milky (Lagrange v2): 401.",
        zh: "aiocqhttp：403。node-karin：101 后 2–8 毫秒内以 3001 关闭。Evolution API：`Invalid global token` 或 `Authentication error`，polling 为 403 JSON（code 4），升级为 400。Milky（Lagrange v2）：401。",
    },
    snippets: &[snippets::LAGRANGE_NONEBOT, snippets::NONEBOT_TOKEN, snippets::MOORING_TOKEN],
    sources: &["RFC 6750 §3.1"],
};

pub(in crate::cause) const HEADER_MISSING: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Never try Koishi's ws-reverse with the role Universal and without `X-Self-ID`: the whole Koishi process ends on it (adapter-onebot 6.9.4).",
        zh: "切勿在不带 `X-Self-ID` 的情况下以 Universal 角色连接 Koishi 的 ws-reverse：整个 Koishi 进程会因此退出（adapter-onebot 6.9.4）。",
    }),
    seen_as: Both {
        en: "aiocqhttp: 400. Koishi: 101, then 1008 `invalid x-client-role` or `invalid x-self-id`. NoneBot2: 403 with an empty body when `X-Self-ID` is missing; it accepts a missing role. node-karin accepts both.",
        zh: "aiocqhttp：400。Koishi：101 后以 1008 `invalid x-client-role` 或 `invalid x-self-id` 关闭。NoneBot2：缺少 `X-Self-ID` 时 403，内容为空；缺少角色则接受。node-karin 两者都不要求。",
    },
    snippets: &[snippets::MOORING_ONEBOT_HEADERS],
    sources: &["https://github.com/botuniverse/onebot-11"],
};

pub(in crate::cause) const REFUSED_BY_POLICY: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "The reason is the gateway's own words: search its source or documentation for them.",
        zh: "关闭原因是网关自己的文字：请在其源码或文档中搜索。",
    }),
    seen_as: Both {
        en: "101, then 1008 with a reason, or an application's code for no: Koishi `invalid x-self-id`, Bisheng without permission (read in its source), WAHA 4001 with a JSON reason (read in its source).",
        zh: "101 之后以 1008 及原因关闭，或以应用自定义代码关闭：Koishi `invalid x-self-id`；毕昇无权限；WAHA 4001，原因为 JSON（后两者来自源码阅读）。",
    },
    snippets: &[],
    sources: &["RFC 6455 §7.4.1"],
};

pub(in crate::cause) const PEER_LOCKED_OUT: Guide = Guide {
    retry: Retry::AfterAWait(Duration::from_secs(45)),
    order: None,
    human: None,
    seen_as: Both {
        en: "The peer's own id gets 403 with an empty body on every retry, while a reserved id gets 101 on the same path with the same token. It ends by itself: 41.1 s measured with NoneBot2 2.5.0 at uvicorn's 20 s ping interval and 20 s timeout.",
        zh: "对端自己的 id 每次重试都得到内容为空的 403，而保留 id 在相同路径、相同令牌下得到 101。会自行结束：NoneBot2 2.5.0 在 uvicorn 默认的 20 秒 ping 间隔与 20 秒超时下实测为 41.1 秒。",
    },
    snippets: &[snippets::NONEBOT_PINGS],
    sources: &["https://github.com/ITCraftDevelopmentTeam/OneDisc/pull/113", "RFC 6455 §5.5.2"],
};

pub(in crate::cause) const LICENSE_REQUIRED: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Open the manager page of this Evolution API and activate it, or go back to a release before 2.4 with a copy of its database.",
        zh: "请打开该 Evolution API 的管理页面完成激活，或在备份数据库后退回 2.4 之前的版本。",
    }),
    seen_as: Both {
        en: "503 with JSON `code: LICENSE_REQUIRED` (read in the source of 2.4.0-rc2, not observed). It answers, so it is not down.",
        zh: "503，JSON 含 `code: LICENSE_REQUIRED`（来自 2.4.0-rc2 源码阅读，未实测）。它有应答，并非宕机。",
    },
    snippets: &[],
    sources: &[],
};
