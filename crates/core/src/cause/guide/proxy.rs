//! Guides: what stands between: proxies, balancers, and their timers.

use super::{Both, Guide, Retry, snippets};
use crate::order::Action;

pub(in crate::cause) const PROXY_STRIPPED_UPGRADE: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Send the upgrade at each hop from the inside out (backend, inner proxy, public url): the first that no longer gives 101 is the one to change. The `Server` header names whoever wrote the answer, not the outermost proxy.",
        zh: "请由内向外在每一跳发送升级请求（后端、内层反向代理、公网地址）：第一个不再返回 101 的就是要修改的。`Server` 头表示写出应答的一方，不一定是最外层的反向代理。",
    }),
    seen_as: Both {
        en: "426, `text/plain`, body `Upgrade Required` (16 bytes): a stand-alone `ws` server. 404 JSON `{\"detail\":\"Not Found\"}`: FastAPI. 400 JSON `{\"code\":3,\"message\":\"Bad request\"}`: Engine.IO. 404 HTML `Cannot GET /path`: Express with `ws`. Straight to the backend the same upgrade gives 101.",
        zh: "426，`text/plain`，内容 `Upgrade Required`（16 字节）：独立的 `ws` 服务器。404 JSON `{\"detail\":\"Not Found\"}`：FastAPI。400 JSON `{\"code\":3,\"message\":\"Bad request\"}`：Engine.IO。404 HTML `Cannot GET /path`：Express 加 `ws`。同样的请求直连后端则返回 101。",
    },
    snippets: &[
        snippets::NGINX_UPGRADE,
        snippets::APACHE_UPGRADE,
        snippets::APACHE_UPGRADE_OLD,
        snippets::INGRESS_HTTP11,
    ],
    sources: &[
        "RFC 6455 §4.2.1",
        "RFC 9110 §7.6.1",
        "RFC 9110 §7.8",
        "https://nginx.org/en/docs/http/websocket.html",
        "https://github.com/websockets/ws/issues/1656",
        "https://github.com/dataelement/bisheng/issues/1258",
    ],
};

pub(in crate::cause) const UPSTREAM_HTTP10: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Set HTTP/1.1 and the headers together: with HTTP/1.1 alone the next answer is that of stripped headers. nginx speaks HTTP/1.0 to backends unless told otherwise (1.22 measured); Node's `ws` tolerates 1.0 as long as the headers come.",
        zh: "请同时设置 HTTP/1.1 与升级头：只改 HTTP/1.1，下一个错误就是升级头丢失。nginx 默认以 HTTP/1.0 访问后端（在 1.22 上实测）；Node 的 `ws` 只要有升级头就能容忍 1.0。",
    }),
    seen_as: Both {
        en: "505 with `unsupported HTTP version: HTTP/1.0`, from python-websockets behind an nginx at its default.",
        zh: "505，内容含 `unsupported HTTP version: HTTP/1.0`，来自默认配置的 nginx 后面的 python-websockets。",
    },
    snippets: &[snippets::NGINX_UPGRADE, snippets::INGRESS_HTTP11],
    sources: &[
        "RFC 6455 §4.1",
        "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_http_version",
    ],
};

pub(in crate::cause) const SPA_FALLBACK: Guide = Guide {
    retry: Retry::No,
    order: None,
    human: Some(Both {
        en: "Open the same url in a browser: where the front end's page appears, the rule for the gateway did not match.",
        zh: "请用浏览器打开同一地址：若出现前端页面，说明指向网关的规则没有匹配。",
    }),
    seen_as: Both {
        en: "200, `text/html`, the front end's `index.html`, in answer to an upgrade.",
        zh: "升级请求得到 200，`text/html`，内容是前端的 `index.html`。",
    },
    snippets: &[snippets::NGINX_BISHENG],
    sources: &["https://github.com/dataelement/bisheng/issues/1258"],
};

pub(in crate::cause) const BACKEND_DOWN: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "Connect from the proxy's host to the backend's port: refused means that the process is down or the proxy's address for it is wrong.",
        zh: "请从反向代理主机连接后端端口：被拒绝说明进程未运行，或反向代理中配置的后端地址有误。",
    }),
    seen_as: Both {
        en: "nginx 502, Apache 503 within a few ms; HAProxy 503 after its connect retries. Apache's 502 means: accepted, then a bad answer or none.",
        zh: "nginx 502、Apache 503，数毫秒内返回；HAProxy 在连接重试后返回 503。Apache 的 502 表示后端接受了连接，但应答有误或没有应答。",
    },
    snippets: &[snippets::SHELL_LISTENING],
    sources: &[
        "RFC 9110 §15.6.3",
        "RFC 9110 §15.6.4",
        "https://github.com/websockets/ws/issues/1605",
        "https://github.com/websockets/ws/issues/1719",
    ],
};

pub(in crate::cause) const BACKEND_HUNG: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::RestartGateway),
    human: Some(Both {
        en: "Connect straight to the backend: it accepts and says nothing. Do not raise the proxy's timeout to hide it.",
        zh: "请直连后端：能连上但没有应答。不要用调大反向代理超时的方式掩盖问题。",
    }),
    seen_as: Both {
        en: "nginx 504 at its read timeout (60 s by default), HAProxy 504, Apache 502 `Proxy Error` at its `ProxyTimeout`.",
        zh: "nginx 在读超时（默认 60 秒）后返回 504，HAProxy 返回 504，Apache 在 `ProxyTimeout` 后返回 502 `Proxy Error`。",
    },
    snippets: &[snippets::SHELL_LISTENING],
    sources: &["RFC 9110 §15.6.5"],
};

pub(in crate::cause) const RATE_LIMITED: Guide = Guide {
    retry: Retry::WithBackoff,
    order: Some(Action::ReconnectSlowly),
    human: Some(Both {
        en: "Find out who counts (a CDN, a proxy's `limit_req`, the gateway itself), and what it counts by: behind a proxy all clients may share one address.",
        zh: "请查明是谁在限流（CDN、反向代理的 `limit_req`、网关自身）以及按什么计数：经过反向代理后，所有客户端可能共用一个地址。",
    }),
    seen_as: Both {
        en: "429, often with `Retry-After` in seconds.",
        zh: "429，常带有以秒计的 `Retry-After`。",
    },
    snippets: &[],
    sources: &["RFC 6585 §4", "RFC 9110 §10.2.3"],
};

pub(in crate::cause) const PROXY_BUFFERING: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Ask the backend directly and through the proxy, and compare when the first byte comes (`curl -N -w '%{time_starttransfer}'`).",
        zh: "请分别直连后端和经过反向代理请求，比较首字节到达时间（`curl -N -w '%{time_starttransfer}'`）。",
    }),
    seen_as: Both {
        en: "Long-polling answers and event streams come late and in lumps through the proxy, and at once without it.",
        zh: "经反向代理时长轮询应答与事件流延迟且成批到达，直连则即时到达。",
    },
    snippets: &[snippets::NGINX_BUFFERING, snippets::APACHE_BUFFERING, snippets::INGRESS_BUFFERING],
    sources: &["https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering"],
};

pub(in crate::cause) const IDLE_CUT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Walk the path for the limit that equals the measured silence: 60 s is the default of nginx and Apache. With Apache the longer of two counts (measured on 2.4.71): the core's `Timeout`, and the backend's, which is `timeout=` on the ProxyPass, else `ProxyTimeout`. So raising either is enough, and lowering one alone changes nothing. With HAProxy `timeout tunnel` counts in `defaults` and in the backend, not in a frontend.",
        zh: "请沿路径查找与实测静默时长相同的限制：60 秒是 nginx 与 Apache 的默认值。Apache 以两者中较长的为准（在 2.4.71 上实测）：核心指令 `Timeout`，以及后端的超时（ProxyPass 的 `timeout=`，未设置时为 `ProxyTimeout`）；因此调大任意一个即可，只调小其中一个则没有效果。HAProxy 的 `timeout tunnel` 写在 `defaults` 或 backend 中有效，写在 frontend 中无效。",
    }),
    seen_as: Both {
        en: "1006 with FIN after the same silence every time: 60.0–60.1 s with nginx (`proxy_read_timeout`) and with Apache (the longer of `Timeout` and `ProxyTimeout`); with HAProxy `timeout tunnel`, else its client and server timeouts. Sessions that carry a ping more often than that survive.",
        zh: "每次都在相同静默后收到 FIN（1006）：nginx（`proxy_read_timeout`）与 Apache（`Timeout` 与 `ProxyTimeout` 中较长者）均为 60.0–60.1 秒；HAProxy 取决于 `timeout tunnel`，未设置时为 client/server 超时。ping 间隔短于该值的会话不受影响。",
    },
    snippets: &[
        snippets::NGINX_READ_TIMEOUT,
        snippets::APACHE_TIMEOUT,
        snippets::HAPROXY_TUNNEL,
        snippets::INGRESS_TIMEOUT,
        snippets::NODE_WS_PINGS,
        snippets::MOORING_KEEPALIVE,
    ],
    sources: &[
        "RFC 6455 §5.5.2",
        "https://nginx.org/en/docs/http/websocket.html",
        "https://github.com/websockets/ws/issues/2226",
    ],
};

pub(in crate::cause) const TIMERS_MISFIT: Guide = Guide {
    retry: Retry::WithBackoff,
    order: None,
    human: Some(Both {
        en: "Write down every timer on the path, from client to gateway, and begin with the shortest idle timeout. Good for most: pings every 20–25 s, idle timeouts of an hour, client patience of twice a ping interval.",
        zh: "请列出从客户端到网关路径上的所有计时器，从最短的空闲超时入手。一般可取：每 20–25 秒一次 ping，空闲超时一小时，客户端等待时限为两个 ping 间隔。",
    }),
    seen_as: Both {
        en: "Nothing is wrong yet, or idle sessions end while busy ones live. For example: Baileys' keep-alive of 30 s notices silence only after 35 to 65 s, and an idle limit of 30 s on the path cuts before its ping is due.",
        zh: "暂时没有故障，或只有空闲会话断开而繁忙会话正常。例如 Baileys 的 keep-alive 为 30 秒，35 至 65 秒后才能发现静默，路径上 30 秒的空闲限制会在其 ping 到来之前切断连接。",
    },
    snippets: &[
        snippets::NGINX_READ_TIMEOUT,
        snippets::APACHE_TIMEOUT,
        snippets::HAPROXY_TUNNEL,
        snippets::INGRESS_TIMEOUT,
        snippets::UVICORN_PINGS,
    ],
    sources: &["RFC 6455 §5.5.2"],
};
