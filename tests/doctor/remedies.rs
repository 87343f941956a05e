//! The remedy is tested by applying it: what is said to be the line to change is changed, the proxy started anew, and the
//! fault is gone; and what is said to be pasted where nothing was is pasted, and sessions pass.
//!
//! A row is every fault of the catalogue that a proxy's configuration can mend; the list is held against the catalogue.

use std::path::Path;

use mooring_core::cause::Cause;
use mooring_core::diagnosis::Case;
use mooring_core::kind::Kind;
use mooring_proxyconf::remedy::{Facts, Proxy as Paste, snippet};
use mooring_proxyconf::{
    Examined, Expect, Fix, Question, Severity, Software, SourceFile, apply, lint, no_includes, patch_text,
};
use mooring_tests::faults::judge::{Eyes, Judged, judge};
use mooring_tests::faults::program::{node, python};
use mooring_tests::faults::proxy::{self, Proxy};
use mooring_tests::faults::{self, Fault, Scene};
use mooring_wire::Url;

use super::PLACES;

/// Causes that a proxy's configuration mends.
const MENDED: &[Cause] = &[
    Cause::ProxyStrippedUpgrade,
    Cause::UpstreamHttp10,
    Cause::IdleCut,
    Cause::StickySessionsMissing,
    Cause::SpaFallback,
];

/// A change may uncover the next one.
const ROUNDS: usize = 4;

const UPGRADE: &str = "/socket.io/?EIO=4&transport=websocket";
const CHAT: &str = "/api/v1/workflow/chat/1?chat_id=1";

macro_rules! rows {
    ($( $name:ident = $id:literal; )*) => {
        /// Every row that is a test.
        const ROWS: &[&str] = &[ $( $id, )* ];
        $( #[tokio::test] async fn $name() { Box::pin(row($id)).await; } )*
    };
}

rows! {
    h1_nginx = "H1-nginx";
    h1_apache = "H1-apache";
    h1_haproxy = "H1-haproxy";
    h2_nginx = "H2-nginx";
    h2_apache = "H2-apache";
    h2_haproxy = "H2-haproxy";
    h3_nginx = "H3-nginx";
    h4_nginx = "H4-nginx";
    h4_apache = "H4-apache";
    h4_haproxy = "H4-haproxy";
    h5_nginx = "H5-nginx";
    h5_apache = "H5-apache";
    h5_haproxy = "H5-haproxy";
    h5_outer = "H5-outer";
    h5_inner = "H5-inner";
    h5_hypercorn = "H5-hypercorn";
    h6 = "H6";
    h6_headers = "H6-headers";
    h23_sticky_nginx = "H23-sticky-nginx";
    h23_sticky_haproxy = "H23-sticky-haproxy";
    h23_sticky_apache = "H23-sticky-apache";
    h29 = "H29";
    h29_apache = "H29-apache";
    l1_nginx = "L1-nginx";
    l1_apache = "L1-apache";
    l1_haproxy = "L1-haproxy";
    l1_haproxy_client = "L1-haproxy-client";
}

#[test]
fn every_fault_that_a_configuration_mends_is_a_test() {
    let mut missing: Vec<&str> = Vec::new();
    for fault in faults::all() {
        let mendable = fault.cause.is_some_and(|cause| MENDED.contains(&cause));
        if mendable && !ROWS.contains(&fault.id) {
            missing.push(fault.id);
        }
    }
    assert!(missing.is_empty(), "add to the rows: {missing:?}");
}

async fn row(id: &str) {
    let _place = PLACES.acquire().await;
    let fault = faults::find(id);
    let mut scene = (fault.build)().await;
    let before = judge(&fault, &scene, Eyes::All).await;
    assert_eq!(before.verdict(), fault.cause, "{id}: {}", before.told());

    let changed = mend(&fault, &mut scene, &before.examination.case).await;
    let after = judge(&fault, &scene, Eyes::All).await;
    let well = match fault.cause {
        // That the path leads to the gateway now does not make it one that the gateway has.
        Some(Cause::SpaFallback) => !after.candidates().iter().any(|(cause, _)| MENDED.contains(cause)),
        _ => after.examination.diagnosis.healthy(),
    };
    assert!(well, "{id}, with\n{changed}\n{}{}", after.told(), scene.logs());
    assert!(scene.dead().is_empty(), "{id}: {:?} died\n{}", scene.dead(), scene.logs());
}

/// Changes what is said to be changed, until nothing more is said; returns the changes.
async fn mend(fault: &Fault, scene: &mut Scene, case: &Case) -> String {
    let mut changed = String::new();
    let fronts: Vec<Proxy> = scene.fronts.iter().map(|(proxy, _)| *proxy).collect();
    for proxy in fronts {
        let question = question(scene, proxy, case);
        let config = scene.config(proxy).expect("a proxy has a configuration").to_path_buf();
        let mut rounds = 0;
        loop {
            let examined = examine(proxy, &config, &question);
            assert!(examined.reached || fault.cause == Some(Cause::SpaFallback), "{proxy:?}: {examined:#?}");
            let fixes: Vec<Fix> = examined.lints.iter().map(|l| l.fix.clone()).collect();
            if fixes.iter().all(Fix::is_empty) {
                let left: Vec<_> = examined.lints.iter().filter(|l| l.severity != Severity::Note).collect();
                assert!(left.is_empty(), "nothing is said to mend this with: {left:#?}");
                break;
            }
            assert!(rounds < ROUNDS, "the changes do not come to an end:\n{changed}");
            rounds += 1;
            let name = config.to_string_lossy();
            let text = std::fs::read_to_string(&config).expect("the scene's own file");
            changed.push_str(&patch_text(&name, &text, &fixes));
            std::fs::write(&config, apply(&name, &text, &fixes)).expect("the scene's own file");
        }
        if rounds > 0 {
            scene.restart(proxy).await;
        }
    }
    assert!(changed.contains(" + ") || changed.contains(" - "), "nothing is said to be changed");
    changed
}

/// What the doctor asks of a proxy: about the place that it stands at.
fn question(scene: &Scene, proxy: Proxy, case: &Case) -> Question {
    let urls = [&scene.url].into_iter().chain(&scene.via).chain(&scene.direct);
    let urls: Vec<Url> = urls.map(|url| url.parse().expect("the scene's address")).collect();
    let address = |url: &Url| format!("{}:{}", url.host(), url.port());
    let (_, listens) = scene.fronts.iter().find(|(front, _)| *front == proxy).expect("it is on the way");
    let place = urls.iter().position(|url| address(url) == *listens).expect("a proxy stands at a place");
    let engine = matches!(scene.expect, Some(Kind::Socketio | Kind::Evolution));
    let expects = if engine { Expect::SocketIo } else { Expect::WebSocket };
    let mut question = Question::new(urls[place].path(), expects);
    question.host = Some(urls[place].host().to_string());
    question.port = Some(urls[place].port());
    question.server_ping = case.server_ping();
    question.backend = urls.get(place + 1).map(address);
    question
}

fn examine(proxy: Proxy, config: &Path, question: &Question) -> Examined {
    let software = match proxy {
        Proxy::Nginx => Software::Nginx,
        Proxy::Apache => Software::Apache,
        Proxy::Haproxy => Software::Haproxy,
    };
    let text = std::fs::read_to_string(config).expect("the scene's own file");
    let file = SourceFile::new(config.to_string_lossy(), text);
    lint(software, &[file], &no_includes, question).unwrap_or_else(|e| panic!("{proxy:?}: {e}"))
}

/// Well by its gateway's patience alone: Node takes HTTP/1.0, others do not, and the file does not show which is behind.
const PATIENT: &str = "ok-ws-nginx-http10";

#[tokio::test]
async fn nothing_is_found_in_what_is_well() {
    for fault in faults::all().into_iter().filter(|f| f.cause.is_none() && f.id != PATIENT) {
        let _place = PLACES.acquire().await;
        // What stands alone has no configuration.
        let scene = (fault.build)().await;
        for (proxy, _) in &scene.fronts {
            let config = scene.config(*proxy).expect("a proxy has a configuration");
            let mut question = question(&scene, *proxy, &Case::default());
            // Those that ping say so to whoever holds a session.
            question.server_ping = fault.watch.map(|_| std::time::Duration::from_secs(1));
            let found = examine(*proxy, config, &question);
            let errors: Vec<_> = found.lints.iter().filter(|l| l.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", fault.id);
            assert!(found.reached && found.doubts.is_empty(), "{}: {found:#?}", fault.id);
        }
    }
}

/// A gateway of a kind, and what clients of it dial.
#[derive(Debug, Clone, Copy)]
enum Behind {
    Ws,
    SocketIo,
    FastApi,
}

impl Behind {
    const ALL: [Self; 3] = [Self::Ws, Self::SocketIo, Self::FastApi];

    const fn dialled(self) -> (&'static str, Kind) {
        match self {
            Self::Ws => ("/ws", Kind::Websocket),
            Self::SocketIo => (UPGRADE, Kind::Socketio),
            Self::FastApi => (CHAT, Kind::Bisheng),
        }
    }

    async fn start(self) -> (faults::Part, String) {
        match self {
            Self::Ws => node("faults/ws.js", &["--path", "/ws"]).await,
            Self::SocketIo => node("faults/socketio.js", &[]).await,
            Self::FastApi => python("faults/fastapi_app.py", &[]).await,
        }
    }
}

fn lines(paste: Paste, cause: Cause, path: &str, backend: &str) -> String {
    let facts = Facts { path: path.to_owned(), backend: Some(backend.to_owned()), cut_after: None };
    snippet(paste, cause, &facts).unwrap_or_else(|| panic!("no lines of {paste:?} for {cause}")).text
}

/// Examines what stands behind a proxy of this configuration.
async fn well_behind(proxy: Proxy, text: &str, behind: Behind, parts: Vec<faults::Part>, backend: &str) {
    let (path, kind) = behind.dialled();
    let front = proxy::start(proxy, text).await;
    let mut scene = Scene::at(format!("ws://{}{path}", front.address), kind)
        .direct(format!("ws://{backend}{path}"))
        .front(front);
    scene.parts.extend(parts);
    let judged: Judged = judge(&faults::find("ok-ws"), &scene, Eyes::All).await;
    assert!(judged.examination.diagnosis.healthy(), "{text}\n{}{}", judged.told(), scene.logs());
    let found =
        examine(proxy, scene.config(proxy).expect("its own"), &question(&scene, proxy, &Case::default()));
    assert!(found.reached && found.lints.is_empty(), "{:#?} in\n{text}", found.lints);
}

#[tokio::test]
async fn the_lines_to_paste_make_an_empty_configuration_pass_sessions() {
    for paste in [Paste::Nginx, Paste::Apache, Paste::ApacheOld] {
        for behind in Behind::ALL {
            let _place = PLACES.acquire().await;
            let (gateway, backend) = behind.start().await;
            let pasted = lines(paste, Cause::ProxyStrippedUpgrade, behind.dialled().0, &backend);
            let (proxy, text) = match paste {
                Paste::Nginx => (Proxy::Nginx, proxy::nginx_server(&pasted)),
                _ => (Proxy::Apache, proxy::apache_host(&pasted)),
            };
            Box::pin(well_behind(proxy, &text, behind, vec![gateway], &backend)).await;
        }
    }
}

#[tokio::test]
async fn the_lines_to_paste_keep_sessions_with_their_process() {
    for proxy in [Proxy::Nginx, Proxy::Apache, Proxy::Haproxy] {
        let _place = PLACES.acquire().await;
        let (one, first) = node("faults/socketio.js", &[]).await;
        let (other, second) = node("faults/socketio.js", &[]).await;
        let paste = match proxy {
            Proxy::Nginx => Paste::Nginx,
            Proxy::Apache => Paste::Apache,
            Proxy::Haproxy => Paste::Haproxy,
        };
        let sticky = lines(paste, Cause::StickySessionsMissing, UPGRADE, &first);
        // Whoever pastes them writes the second process where the lines say so.
        let with = |line: &str| {
            let text: Vec<&str> =
                sticky.lines().map(|l| if l.trim().starts_with("# the other") { line } else { l }).collect();
            assert!(text.contains(&line), "{sticky}");
            text.join("\n")
        };
        let text = match proxy {
            Proxy::Nginx => {
                let pass = lines(paste, Cause::ProxyStrippedUpgrade, UPGRADE, "gateway");
                format!("{}\n{}", with(&format!("server {second};")), proxy::nginx_server(&pass))
            }
            Proxy::Apache => proxy::apache_host(&with(&format!(
                "BalancerMember http://{second} route=m2 upgrade=websocket"
            ))),
            Proxy::Haproxy => proxy::haproxy_backends(
                "  timeout server 60s\n",
                &format!(
                    "{}{}\n",
                    lines(paste, Cause::IdleCut, UPGRADE, &first),
                    with(&format!("server m2 {second}"))
                ),
            ),
        };
        Box::pin(well_behind(proxy, &text, Behind::SocketIo, vec![one, other], &first)).await;
    }
}

/// As the front ends of many gateways are served: everything falls back to one page, and nobody thought of the sockets.
#[tokio::test]
async fn a_rule_for_the_sockets_is_added_before_the_front_ends_page() {
    for proxy in [Proxy::Nginx, Proxy::Apache] {
        let _place = PLACES.acquire().await;
        let (app, backend) = Behind::FastApi.start().await;
        let pages = tempfile::tempdir().expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(pages.path(), mode).expect("our own folder");
        std::fs::write(pages.path().join("index.html"), "<!doctype html><title>chat</title>").expect("ours");
        let root = pages.path().display();
        let text = match proxy {
            Proxy::Nginx => format!(
                "types {{ text/html html; }}\n{}",
                proxy::nginx_server(&format!(
                    "root {root};\n    location / {{\n      try_files $uri /index.html;\n    }}"
                ))
            ),
            _ => proxy::apache_host(&format!(
                "DocumentRoot {root}\n  FallbackResource /index.html\n  AddType text/html .html"
            )),
        };
        let front = proxy::start(proxy, &text).await;
        let mut scene = Scene::at(format!("ws://{}{CHAT}", front.address), Kind::Bisheng)
            .direct(format!("ws://{backend}{CHAT}"))
            .front(front)
            .part(app);
        let fault = faults::find("H29");
        let before = judge(&fault, &scene, Eyes::All).await;
        assert_eq!(before.verdict(), Some(Cause::SpaFallback), "{}", before.told());
        let changed = mend(&fault, &mut scene, &before.examination.case).await;
        let after = judge(&fault, &scene, Eyes::All).await;
        assert!(after.examination.diagnosis.healthy(), "{changed}\n{}{}", after.told(), scene.logs());
    }
}
