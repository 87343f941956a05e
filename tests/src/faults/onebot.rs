//! OneBot v11: frameworks that refuse an implementation, each in its own words or in none. H12, H14–H21, L9, L13.
//!
//! [`Scene::headers`] are those that the implementation in question sends. Where the row is about the headers themselves,
//! they are as wrong as the row says; elsewhere they are right.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::kind::Kind;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};

use super::program::{node, node_command, python, serving, views};
use super::{Fault, Part, Scene, row, well};

/// The account that each framework expects.
pub const ACCOUNT: &str = "10001";
/// An account that none has.
pub const STRANGER: &str = "20002";
const TOKEN: &str = "the-framework-s-own-token";

pub(super) const FAULTS: &[Fault] = &[
    well("ok-nonebot", "NoneBot2 takes an implementation", || {
        Box::pin(nonebot(Asked::well("/onebot/v11/ws")))
    }),
    well("ok-aiocqhttp", "aiocqhttp takes an implementation", || Box::pin(aiocqhttp(Asked::well("/ws")))),
    well("ok-koishi", "Koishi takes an implementation", || Box::pin(koishi(Asked::well("/onebot")))),
    well("ok-karin", "node-karin takes an implementation", || Box::pin(karin(Asked::well("/onebot/v11/ws")))),
    well("ok-yunzai", "Yunzai takes an implementation", || Box::pin(yunzai(Asked::well("/OneBotv11"), &[]))),
    row("H12-yunzai", "Yunzai boots: upgrades are parked", Cause::HandshakeTimedOut, || {
        Box::pin(yunzai(Asked::well("/OneBotv11"), &["--boot", "10m"]))
    })
    .also(&[Cause::GatewayStalled]),
    row("H14-koishi", "Koishi has another path", Cause::WrongPath, || Box::pin(koishi(Asked::well("/ws")))),
    row("H15-koishi-id", "Koishi has no bot of this id", Cause::HeaderMissing, || {
        Box::pin(koishi(Asked { id: Some(STRANGER), ..Asked::well("/onebot") }))
    })
    .also(&[Cause::RefusedByPolicy]),
    row("H15-koishi-role", "Koishi wants the role Universal", Cause::HeaderMissing, || {
        Box::pin(koishi(Asked { role: Some("API"), ..Asked::well("/onebot") }))
    })
    .also(&[Cause::RefusedByPolicy]),
    row("H16-karin-missing", "node-karin demands a token", Cause::TokenMissing, || {
        Box::pin(karin(Asked { token: Shown::Missing, ..Asked::well("/onebot/v11/ws") }))
    }),
    row("H16-karin-wrong", "node-karin has another token", Cause::TokenRefused, || {
        Box::pin(karin(Asked { token: Shown::Wrong, ..Asked::well("/onebot/v11/ws") }))
    }),
    row("H16-karin-path", "node-karin has another path", Cause::WrongPath, || {
        Box::pin(karin(Asked::well("/OneBotv11")))
    }),
    row("H17", "Yunzai of 2024 accepts a wrong path and hangs up", Cause::WrongPath, || {
        Box::pin(yunzai(Asked::well("/onebot/v11/ws"), &["--dialect", "terminate"]))
    })
    .also(&[Cause::DroppedAtOnce]),
    row("H18-path", "Yunzai has another path", Cause::WrongPath, || {
        Box::pin(yunzai(Asked::well("/onebot/v11/ws"), &[]))
    }),
    row("H18-case", "Yunzai's path is written in another case", Cause::WrongPath, || {
        Box::pin(yunzai(Asked::well("/onebotv11"), &[]))
    }),
    row("H18-query", "Yunzai is asked with a query", Cause::WrongPath, || {
        Box::pin(yunzai(Asked::well("/OneBotv11?access_token=x"), &[]))
    }),
    row("H19-missing", "Yunzai demands a token", Cause::TokenMissing, || {
        Box::pin(yunzai(Asked { token: Shown::Missing, ..Asked::well("/OneBotv11") }, &[]))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H19-wrong", "Yunzai has another token", Cause::TokenRefused, || {
        Box::pin(yunzai(Asked { token: Shown::Wrong, ..Asked::well("/OneBotv11") }, &[]))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H20-nonebot-path", "NoneBot has another path", Cause::WrongPath, || {
        Box::pin(nonebot(Asked::well("/OneBotv11")))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H20-nonebot-id", "NoneBot misses X-Self-ID", Cause::HeaderMissing, || {
        Box::pin(nonebot(Asked { id: None, ..Asked::well("/onebot/v11/ws") }))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H20-nonebot-missing", "NoneBot demands a token", Cause::TokenMissing, || {
        Box::pin(nonebot(Asked { token: Shown::Missing, ..Asked::well("/onebot/v11/ws") }))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H20-nonebot-wrong", "NoneBot has another token", Cause::TokenRefused, || {
        Box::pin(nonebot(Asked { token: Shown::Wrong, ..Asked::well("/onebot/v11/ws") }))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H20-nonebot-taken", "NoneBot has a bot of this id already", Cause::PeerLockedOut, || {
        Box::pin(taken())
    })
    .also(&[Cause::CredentialsRefused]),
    row("H21-id", "aiocqhttp misses X-Self-ID", Cause::HeaderMissing, || {
        Box::pin(aiocqhttp(Asked { id: None, ..Asked::well("/ws") }))
    }),
    row("H21-role", "aiocqhttp misses X-Client-Role", Cause::HeaderMissing, || {
        Box::pin(aiocqhttp(Asked { role: None, ..Asked::well("/ws") }))
    }),
    row("H21-missing", "aiocqhttp demands a token", Cause::TokenMissing, || {
        Box::pin(aiocqhttp(Asked { token: Shown::Missing, ..Asked::well("/ws") }))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H21-wrong", "aiocqhttp has another token", Cause::TokenRefused, || {
        Box::pin(aiocqhttp(Asked { token: Shown::Wrong, ..Asked::well("/ws") }))
    })
    .also(&[Cause::CredentialsRefused]),
    row("H21-path", "aiocqhttp has another path", Cause::WrongPath, || {
        Box::pin(aiocqhttp(Asked::well("/onebot/v11/ws")))
    }),
    row(
        "L9",
        "an implementation beats but answers no call for 2 s (60 s by default)",
        Cause::ApiUnresponsive,
        || Box::pin(unanswered()),
    )
    .also(&[Cause::SessionLost]),
    row("L13", "NoneBot still holds a connection that died", Cause::PeerLockedOut, || Box::pin(locked_out()))
        .also(&[Cause::CredentialsRefused]),
];

/// What token the implementation shows.
#[derive(Clone, Copy)]
enum Shown {
    /// The framework has none either.
    NoneNeeded,
    Missing,
    Wrong,
}

/// How the framework is asked.
#[derive(Clone, Copy)]
struct Asked {
    path: &'static str,
    id: Option<&'static str>,
    role: Option<&'static str>,
    token: Shown,
}

impl Asked {
    const fn well(path: &'static str) -> Self {
        Self { path, id: Some(ACCOUNT), role: Some("Universal"), token: Shown::NoneNeeded }
    }

    /// The framework's flags.
    fn flags(self) -> &'static [&'static str] {
        match self.token {
            Shown::NoneNeeded => &[],
            Shown::Missing | Shown::Wrong => &["--token", TOKEN],
        }
    }

    fn scene(self, (framework, address): (Part, String)) -> Scene {
        let mut scene = Scene::at(format!("ws://{address}{}", self.path), Kind::Onebot11).part(framework);
        let token = if let Shown::Wrong = self.token { Some("Bearer wrong") } else { None };
        for (name, value) in [("x-self-id", self.id), ("x-client-role", self.role), ("authorization", token)]
        {
            scene.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        scene
    }
}

async fn nonebot(asked: Asked) -> Scene {
    asked.scene(python("onebot/nonebot2.py", asked.flags()).await)
}

async fn aiocqhttp(asked: Asked) -> Scene {
    asked.scene(python("onebot/aiocqhttp_server.py", asked.flags()).await)
}

async fn koishi(asked: Asked) -> Scene {
    asked.scene(node("onebot/koishi.js", &["--self-id", ACCOUNT]).await)
}

async fn karin(asked: Asked) -> Scene {
    asked.scene(node("onebot/karin.mjs", asked.flags()).await)
}

async fn yunzai(asked: Asked, more: &[&str]) -> Scene {
    asked.scene(node("onebot/yunzai.js", &[asked.flags(), more].concat()).await)
}

/// The stand-in for Lagrange, dialling this; connected when it is returned.
async fn implementation(url: &str, flags: &[&str]) -> Part {
    let mut command = node_command("onebot/lagrange.js", &["--reverse", url, "--heartbeat", "300ms"]);
    command.args(flags);
    serving("the implementation", &mut command).await.0
}

/// A bot of the same id is connected and well.
async fn taken() -> Scene {
    let asked = Asked::well("/onebot/v11/ws");
    let (framework, address) = python("onebot/nonebot2.py", &[]).await;
    let other = implementation(&format!("ws://{address}{}", asked.path), &[]).await;
    connected(&framework).await;
    asked.scene((framework, address)).part(other)
}

async fn connected(framework: &Part) {
    let said = |line: &str| line.contains("\"connected\"").then_some(());
    framework.as_process().expect("it is a process").line("a bot", said).await;
}

/// Yunzai asks who the bot is, hears nothing, and hangs up; the implementation has seen that when the scene stands.
async fn unanswered() -> Scene {
    let asked = Asked::well("/OneBotv11");
    let (framework, address) = node("onebot/yunzai.js", &["--call-timeout", "2s"]).await;
    let url = format!("ws://{address}{}", asked.path);
    let other = implementation(&url, &["--answer", "false", "--interval", "10m"]).await;
    let seen = views(&other, 1).await;
    let mut scene = asked.scene((framework, address)).part(other);
    scene.seen = seen;
    scene
}

/// A connection dies between the two ends: the implementation knows, and is gone; NoneBot does not, until its pings have
/// told it, 40 s after by default.
async fn locked_out() -> Scene {
    let asked = Asked::well("/onebot/v11/ws");
    let (framework, address) = python("onebot/nonebot2.py", &[]).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let between = listener.local_addr().expect("an address");
    let there = address.clone();
    let path = tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.expect("the implementation");
        let mut to = TcpStream::connect(there).await.expect("the framework");
        let (mut said, mut answers) = from.split();
        let (mut heard, mut asks) = to.split();
        // Until the implementation is gone. The framework's side stays open then, and silent.
        tokio::select! {
            _ = copy(&mut said, &mut asks) => {}
            _ = copy(&mut heard, &mut answers) => {}
        }
        drop(from);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(to);
    });
    let path = Part::task("the path between", path.abort_handle());
    let other = implementation(&format!("ws://{between}{}", asked.path), &[]).await;
    connected(&framework).await;
    drop(other);
    asked.scene((framework, address)).part(path)
}
