//! The lines to paste, each written once. nginx 1.22, Apache 2.4.71 and HAProxy 2.6 were seen to take theirs.

use super::{Both, Snippet, Software};

const fn snippet(software: Software, en: &'static str, zh: &'static str, text: &'static str) -> Snippet {
    Snippet { software, place: Both { en, zh }, text }
}

pub(super) const NGINX_UPGRADE: Snippet = snippet(
    Software::Nginx,
    "in the `location` that passes to the gateway",
    "在转发到网关的 `location` 中",
    r#"proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection "upgrade";"#,
);

pub(super) const APACHE_UPGRADE: Snippet = snippet(
    Software::Apache,
    "2.4.47 and later, before any wider `ProxyPass`; path and backend are yours",
    "2.4.47 及以上，放在范围更大的 `ProxyPass` 之前；路径与后端按实际填写",
    r#"ProxyPass "/ws" "http://127.0.0.1:8080/ws" upgrade=websocket"#,
);

pub(super) const APACHE_UPGRADE_OLD: Snippet = snippet(
    Software::Apache,
    "before 2.4.47, with `mod_proxy_wstunnel` loaded",
    "2.4.47 之前，需加载 `mod_proxy_wstunnel`",
    r#"ProxyPass "/ws" "ws://127.0.0.1:8080/ws""#,
);

pub(super) const INGRESS_HTTP11: Snippet = snippet(
    Software::IngressNginx,
    "annotations of the Ingress; upgrades pass by themselves unless this says 1.0",
    "Ingress 的注解；只要此项不是 1.0，升级会自动转发",
    r#"nginx.ingress.kubernetes.io/proxy-http-version: "1.1""#,
);

pub(super) const NGINX_READ_TIMEOUT: Snippet = snippet(
    Software::Nginx,
    "in the same `location`",
    "在同一个 `location` 中",
    "proxy_read_timeout 3600s;
proxy_send_timeout 3600s;",
);

pub(super) const APACHE_TIMEOUT: Snippet = snippet(
    Software::Apache,
    "in the virtual host; or `timeout=3600` on its `ProxyPass`, which comes before it",
    "在虚拟主机中；或在其 `ProxyPass` 上设置 `timeout=3600`（优先）",
    "ProxyTimeout 3600",
);

pub(super) const HAPROXY_TUNNEL: Snippet = snippet(
    Software::HaProxy,
    "in `defaults` or in the gateway's `backend`",
    "在 `defaults` 或网关的 `backend` 中",
    "timeout tunnel 1h",
);

pub(super) const INGRESS_TIMEOUT: Snippet = snippet(
    Software::IngressNginx,
    "annotations of the Ingress",
    "Ingress 的注解",
    r#"nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600""#,
);

pub(super) const NODE_WS_PINGS: Snippet = snippet(
    Software::Node,
    "a `ws` server that pings, and ends whoever does not answer",
    "会发送 ping 并断开无应答者的 `ws` 服务器",
    "wss.on('connection', (ws) => {
  ws.alive = true;
  ws.on('pong', () => { ws.alive = true; });
  ws.on('error', console.error);
});
setInterval(() => {
  for (const ws of wss.clients) {
    if (!ws.alive) { ws.terminate(); continue; }
    ws.alive = false;
    ws.ping();
  }
}, 25_000);",
);

pub(super) const UVICORN_PINGS: Snippet = snippet(
    Software::Shell,
    "uvicorn's flags, here at their defaults",
    "uvicorn 的参数，此处为默认值",
    "uvicorn app:app --ws-ping-interval 20 --ws-ping-timeout 20",
);

pub(super) const UVICORN_MAX_SIZE: Snippet = snippet(
    Software::Shell,
    "uvicorn's flag, in bytes",
    "uvicorn 的参数，单位为字节",
    "uvicorn app:app --ws-max-size 67108864",
);

pub(super) const NONEBOT_PINGS: Snippet = snippet(
    Software::Python,
    "at the end of NoneBot2's `bot.py`",
    "NoneBot2 的 `bot.py` 末尾",
    "nonebot.run(ws_ping_interval=5, ws_ping_timeout=5)",
);

pub(super) const NONEBOT_TOKEN: Snippet = snippet(
    Software::NonebotEnv,
    "equal to the implementation's `AccessToken`",
    "与实现端的 `AccessToken` 相同",
    "ONEBOT_ACCESS_TOKEN=the-same-token",
);

pub(super) const NGINX_STICKY: Snippet = snippet(
    Software::Nginx,
    "the upstream of Socket.IO",
    "Socket.IO 的 upstream",
    "upstream socketio {
    ip_hash;
    server 10.0.0.11:3000;
    server 10.0.0.12:3000;
}",
);

pub(super) const HAPROXY_STICKY: Snippet = snippet(
    Software::HaProxy,
    "the backend of Socket.IO",
    "Socket.IO 的 backend",
    "backend socketio
    mode http
    cookie route insert indirect nocache
    server a 10.0.0.11:3000 check cookie a
    server b 10.0.0.12:3000 check cookie b",
);

pub(super) const APACHE_STICKY: Snippet = snippet(
    Software::Apache,
    "the balancer of Socket.IO, with `upgrade=websocket` on each member: on the `ProxyPass` of a balancer Apache refuses it",
    "Socket.IO 的负载均衡；`upgrade=websocket` 须写在每个成员上，写在负载均衡的 `ProxyPass` 上会被 Apache 拒绝",
    r#"Header add Set-Cookie "ROUTEID=.%{BALANCER_WORKER_ROUTE}e; path=/" env=BALANCER_ROUTE_CHANGED
<Proxy "balancer://socketio">
    BalancerMember "http://10.0.0.11:3000" route=a upgrade=websocket
    BalancerMember "http://10.0.0.12:3000" route=b upgrade=websocket
    ProxySet stickysession=ROUTEID
</Proxy>
ProxyPass "/socket.io/" "balancer://socketio/socket.io/""#,
);

pub(super) const INGRESS_STICKY: Snippet = snippet(
    Software::IngressNginx,
    "annotations of the Ingress",
    "Ingress 的注解",
    r#"nginx.ingress.kubernetes.io/affinity: "cookie"
nginx.ingress.kubernetes.io/session-cookie-name: "route""#,
);

pub(super) const NODE_SOCKETIO: Snippet = snippet(
    Software::Node,
    "a Socket.IO client instead of a raw WebSocket",
    "用 Socket.IO 客户端代替原始 WebSocket",
    "import { io } from 'socket.io-client';

const socket = io('http://127.0.0.1:8080', { transports: ['websocket'] });
socket.on('connect', () => console.log('connected'));
socket.on('connect_error', (error) => console.error(error.message));",
);

pub(super) const PYTHON_SOCKETIO: Snippet = snippet(
    Software::Python,
    "`pip install python-socketio[client]`",
    "`pip install python-socketio[client]`",
    "import socketio

client = socketio.Client()
client.connect('http://127.0.0.1:8080', transports=['websocket'])
client.wait()",
);

pub(super) const NODE_SOCKETIO_WS_ONLY: Snippet = snippet(
    Software::Node,
    "a client that needs no sticky session and no CORS",
    "不需要会话保持与 CORS 的客户端",
    "const socket = io('https://gateway.example.com', { transports: ['websocket'] });",
);

pub(super) const NODE_NAMESPACE: Snippet = snippet(
    Software::Node,
    "a stock client that asks again",
    "让官方客户端再次尝试",
    "socket.on('connect_error', (error) => {
  if (error.message === 'Invalid namespace') setTimeout(() => socket.connect(), 5_000);
});",
);

pub(super) const NODE_CORS: Snippet = snippet(
    Software::Node,
    "the Socket.IO server",
    "Socket.IO 服务器",
    "const io = new Server(server, { cors: { origin: ['https://chat.example.com'] } });",
);

pub(super) const NODE_ALLOW_EIO3: Snippet = snippet(
    Software::Node,
    "the Socket.IO server, while clients of version 2 remain",
    "Socket.IO 服务器，仍有 2.x 客户端时",
    "const io = new Server(server, { allowEIO3: true });",
);

pub(super) const NODE_MAX_PAYLOAD: Snippet = snippet(
    Software::Node,
    "`ws` and Socket.IO, in bytes",
    "`ws` 与 Socket.IO，单位为字节",
    "const wss = new WebSocketServer({ server, maxPayload: 64 * 1024 * 1024 });
const io = new Server(server, { maxHttpBufferSize: 64 * 1024 * 1024 });",
);

pub(super) const NODE_ATTACH: Snippet = snippet(
    Software::Node,
    "the WebSocket server on the object that listens; `app.listen` would make another",
    "把 WebSocket 服务挂到真正监听的对象上；`app.listen` 会另建一个",
    "const server = http.createServer(app);
const wss = new WebSocketServer({ server, path: '/ws' });
server.listen(8080);",
);

pub(super) const NODE_ROUTE: Snippet = snippet(
    Software::Node,
    "one `upgrade` listener that routes by path and answers the rest",
    "用同一个 `upgrade` 监听器按路径分发，并应答其余请求",
    r"const servers = { '/chat': chat, '/feed': feed };  // each: new WebSocketServer({ noServer: true })

server.on('upgrade', (request, socket, head) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const wss = Object.hasOwn(servers, pathname) ? servers[pathname] : undefined;
  if (wss) {
    wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
  } else {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  }
});",
);

pub(super) const NODE_BAILEYS_WATCHDOG: Snippet = snippet(
    Software::Node,
    "an end for a Baileys socket that hangs while connecting",
    "结束卡在连接中的 Baileys 套接字",
    "let watchdog;
sock.ev.on('connection.update', ({ connection }) => {
  clearTimeout(watchdog);
  if (connection === 'connecting') {
    watchdog = setTimeout(() => sock.end(new Error('stuck while connecting')), 30_000);
  }
});",
);

pub(super) const NODE_BAILEYS_RESTART: Snippet = snippet(
    Software::Node,
    "a new socket after 515, with the same auth state; `start` is your function that makes one",
    "515 之后以同一认证状态新建套接字；`start` 为你自己的创建函数",
    "sock.ev.on('connection.update', ({ connection, lastDisconnect }) => {
  const code = lastDisconnect?.error?.output?.statusCode;
  if (connection === 'close' && code === DisconnectReason.restartRequired) start();
});",
);

pub(super) const NODE_BAILEYS_RAW: Snippet = snippet(
    Software::Node,
    "the real close code beside the 428",
    "与 428 对应的真实关闭码",
    "sock.ws.on('close', (code, reason) => console.log('closed', code, String(reason)));",
);

pub(super) const NODE_UNHANDLED: Snippet = snippet(
    Software::Node,
    "a rejection is logged instead of ending the process",
    "记录 rejection，而不是让进程退出",
    "process.on('unhandledRejection', (error) => console.error('unhandled rejection', error));",
);

pub(super) const NGINX_BISHENG: Snippet = snippet(
    Software::Nginx,
    "before `location /`; 7860 is Bisheng's backend",
    "放在 `location /` 之前；7860 为毕昇后端端口",
    r#"location /api/ {
    proxy_pass http://127.0.0.1:7860;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header Host $host;
    proxy_read_timeout 300s;
}"#,
);

pub(super) const NGINX_PLAIN_BACKEND: Snippet = snippet(
    Software::Nginx,
    "TLS ends here, the backend is plain",
    "TLS 在此终结，后端为明文",
    "proxy_pass http://127.0.0.1:8080;",
);

pub(super) const NGINX_BUFFERING: Snippet = snippet(
    Software::Nginx,
    "in the `location` of polling or event streams",
    "在 polling 或事件流的 `location` 中",
    "proxy_buffering off;",
);

pub(super) const APACHE_BUFFERING: Snippet = snippet(
    Software::Apache,
    "the same rule with",
    "在原规则上加",
    r#"ProxyPass "/events" "http://127.0.0.1:8080/events" flushpackets=on"#,
);

pub(super) const INGRESS_BUFFERING: Snippet = snippet(
    Software::IngressNginx,
    "annotations of the Ingress",
    "Ingress 的注解",
    r#"nginx.ingress.kubernetes.io/proxy-buffering: "off""#,
);

pub(super) const NGINX_TLS: Snippet = snippet(
    Software::Nginx,
    "in `server` or `http`",
    "在 `server` 或 `http` 中",
    "ssl_protocols TLSv1.2 TLSv1.3;",
);

pub(super) const APACHE_TLS: Snippet =
    snippet(Software::Apache, "in the virtual host", "在虚拟主机中", "SSLProtocol -all +TLSv1.2 +TLSv1.3");

pub(super) const HAPROXY_TLS: Snippet = snippet(
    Software::HaProxy,
    "in `global`",
    "在 `global` 中",
    "ssl-default-bind-options ssl-min-ver TLSv1.2",
);

pub(super) const NGINX_FULLCHAIN: Snippet = snippet(
    Software::Nginx,
    "the chain, not the certificate alone",
    "使用完整证书链，而非单张证书",
    "ssl_certificate     /etc/letsencrypt/live/example.com/fullchain.pem;
ssl_certificate_key /etc/letsencrypt/live/example.com/privkey.pem;",
);

pub(super) const SHELL_CERTIFICATE: Snippet = snippet(Software::Shell, "what the server shows", "查看服务器出示的证书", "openssl s_client -connect gateway.example.com:443 -servername gateway.example.com </dev/null 2>/dev/null |
  openssl x509 -noout -subject -issuer -dates -ext subjectAltName");

pub(super) const SHELL_CLOCK: Snippet = snippet(
    Software::Shell,
    "on both hosts",
    "在两端主机上执行",
    "date -u; timedatectl show -p NTPSynchronized",
);

pub(super) const SHELL_LISTENING: Snippet =
    snippet(Software::Shell, "who listens, and on which address", "查看由谁监听、监听在哪个地址", "ss -ltnp");

pub(super) const SHELL_CLOSE_WAIT: Snippet = snippet(
    Software::Shell,
    "how many connections the gateway has not closed",
    "网关尚未关闭的连接",
    "ss -tnp state close-wait",
);

pub(super) const SHELL_OOM: Snippet = snippet(
    Software::Shell,
    "whether the kernel killed it",
    "是否被内核终止",
    "journalctl -k -g 'Out of memory'",
);

pub(super) const SHELL_HEALTH: Snippet = snippet(
    Software::Shell,
    "Bisheng, Evolution API (404 is well), WAHA",
    "毕昇、Evolution API（404 即正常）、WAHA",
    "curl -i http://127.0.0.1:7860/health
curl -i http://127.0.0.1:8080/instance/connectionState/no-such-instance
curl -i http://127.0.0.1:3000/ping",
);

pub(super) const EVOLUTION_WEBSOCKET: Snippet = snippet(
    Software::EvolutionEnv,
    "then restart Evolution API once",
    "随后重启一次 Evolution API",
    "WEBSOCKET_ENABLED=true
WEBSOCKET_GLOBAL_EVENTS=true",
);

pub(super) const EVOLUTION_SET: Snippet = snippet(
    Software::Shell,
    "events of one instance; the nested body and the `events` key are both needed, or the answer is 500",
    "单个实例的事件；嵌套结构与 `events` 字段缺一不可，否则返回 500",
    r#"curl -X POST http://127.0.0.1:8080/websocket/set/NAME -H "apikey: $APIKEY" \
  --json '{"websocket":{"enabled":true,"events":[]}}'"#,
);

pub(super) const EVOLUTION_CREATE: Snippet = snippet(
    Software::Shell,
    "an instance made through the API is loaded at once",
    "通过 API 创建的实例会立即加载",
    r#"curl -X POST http://127.0.0.1:8080/instance/create -H "apikey: $APIKEY" \
  --json '{"instanceName":"NAME","integration":"WHATSAPP-BAILEYS"}'"#,
);

pub(super) const LAGRANGE_YUNZAI: Snippet = snippet(
    Software::Lagrange,
    "for TRSS-Yunzai: exact case, no query string",
    "连接 TRSS-Yunzai：大小写必须一致，不能带查询串",
    r#""Implementations": [
  {
    "Type": "ReverseWebSocket",
    "Host": "127.0.0.1",
    "Port": 2536,
    "Suffix": "/OneBotv11",
    "ReconnectInterval": 5000,
    "HeartBeatInterval": 5000,
    "AccessToken": ""
  }
]"#,
);

pub(super) const LAGRANGE_NONEBOT: Snippet = snippet(
    Software::Lagrange,
    "for NoneBot2; the token is the framework's",
    "连接 NoneBot2；令牌与框架端一致",
    r#""Implementations": [
  {
    "Type": "ReverseWebSocket",
    "Host": "127.0.0.1",
    "Port": 8080,
    "Suffix": "/onebot/v11/ws",
    "ReconnectInterval": 5000,
    "HeartBeatInterval": 5000,
    "AccessToken": "the-same-token"
  }
]"#,
);

pub(super) const MOORING_SUPERVISE: Snippet = snippet(
    Software::Mooring,
    "so that the agent runs and restarts it",
    "由代理运行并重启该进程",
    r#"[gateway.restart]
how = "supervise"
command = ["node", "server.js"]
cwd = "/srv/chat""#,
);

pub(super) const MOORING_CA: Snippet = snippet(
    Software::Mooring,
    "a private CA",
    "私有 CA",
    r#"[gateway.expect.tls]
ca = "/etc/mooring/gateway-ca.crt""#,
);

pub(super) const MOORING_SERVER_NAME: Snippet = snippet(
    Software::Mooring,
    "the name in the certificate",
    "证书中的名称",
    r#"[gateway.expect.tls]
server_name = "gateway.example.com""#,
);

pub(super) const MOORING_SUBPROTOCOL: Snippet = snippet(
    Software::Mooring,
    "the subprotocol that the gateway offers",
    "网关支持的子协议",
    r#"[gateway.expect]
subprotocol = "chat.v1""#,
);

pub(super) const MOORING_FIRST_FRAME: Snippet = snippet(
    Software::Mooring,
    "how long the gateway may take to speak first; leave it out if it does not",
    "网关首先发言的时限；若不会主动发言则删去",
    r#"[gateway.expect]
first_frame = "5s""#,
);

pub(super) const MOORING_ONEBOT_HEADERS: Snippet = snippet(
    Software::Mooring,
    "an id that is no account of yours",
    "使用不属于任何账号的 id",
    r#"[gateway.expect]
headers = { X-Self-ID = "10000", X-Client-Role = "Universal" }"#,
);

pub(super) const MOORING_TOKEN: Snippet = snippet(
    Software::Mooring,
    "the file holds `Bearer` and the token",
    "文件内容为 `Bearer` 加令牌",
    r#"[gateway.expect]
header_files = { Authorization = "/etc/mooring/gateway-authorization" }"#,
);

pub(super) const MOORING_PROMISE: Snippet = snippet(
    Software::Mooring,
    "what the gateway promises, so that nothing has to be learnt",
    "写明网关的心跳承诺，无需再靠学习",
    r#"[gateway.heartbeat]
promise = { interval = "15s", timeout = "5s" }"#,
);

pub(super) const MOORING_KEEPALIVE: Snippet = snippet(
    Software::Mooring,
    "the relay pings silent clients in the gateway's stead",
    "由中继代替网关向静默的客户端发送 ping",
    r#"[gateway.relay.keepalive]
client = "25s""#,
);

pub(super) const MOORING_RELAY_LIMITS: Snippet = snippet(
    Software::Mooring,
    "the relay's limits",
    "中继的上限",
    "[gateway.relay.limits]
connections = 100000
per_source = 100",
);
