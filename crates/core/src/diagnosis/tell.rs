//! A finding in a line, with the numbers of the case. Facts only: what they mean is the sign's to say.

use std::time::Duration;

use super::finding::{EngineSaw, Finding, LinkSaw};
use crate::cause::Lang;
use crate::classify::{quote, short};
use crate::limits::{MAX_MESSAGE, clip};
use crate::observation::Close;

impl Finding {
    /// What was seen, in a line. What a peer wrote is quoted and cut.
    #[must_use]
    pub fn detail(&self, lang: Lang) -> String {
        let saw = &self.saw;
        let either = |en: &str, zh: &str| if lang == Lang::ZhCn { zh.to_owned() } else { en.to_owned() };
        let mut parts = Vec::new();
        if let Some(variant) = &saw.variant {
            parts.push(format!("{} `{}`", either("on", "路径"), quote(variant, 120)));
        }
        match (&saw.answer, &saw.failed) {
            (Some(answer), _) => {
                let mut line = format!("HTTP {}", answer.status);
                let reason = quote(&answer.reason, 40);
                if !reason.is_empty() {
                    line.push(' ');
                    line.push_str(&reason);
                }
                if let Some(server) = answer.header("server") {
                    line.push_str(&format!(", Server: {}", quote(server, 60)));
                }
                if let Some(to) = answer.header("location") {
                    line.push_str(&format!(", Location: {}", quote(&without_query(to), 120)));
                }
                let body = quote(&answer.body_start, 80);
                if !body.is_empty() && answer.status != 101 {
                    line.push_str(&format!(", `{body}`"));
                }
                parts.push(line);
            }
            (None, Some(failed)) => parts.push(format!("{}: {}", failed.step, failed.message)),
            (None, None) => {}
        }
        if saw.took > Duration::ZERO {
            parts.push(format!("{} {}", either("after", "耗时"), short(saw.took)));
        }
        if let Some(rtt) = saw.rtt {
            parts.push(format!("{} {}", either("ping answered in", "ping 往返"), short(rtt)));
        }
        if let Some(close) = &saw.close {
            parts.push(closed(close, lang));
        }
        if let Some(engine) = &saw.engine {
            parts.extend(engine_words(engine, lang));
        }
        if let Some(link) = &saw.link {
            parts.extend(link_words(link, lang, saw.close.is_some()));
        }
        clip(&parts.join(either("; ", "；").as_str()), MAX_MESSAGE)
    }
}

/// A query may hold a token.
fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

fn closed(close: &Close, lang: Lang) -> String {
    let (age, silent) = (short(close.age), short(close.silent_for));
    let reason = quote(&close.reason, 80);
    let said = if reason.is_empty() { String::new() } else { format!(" `{reason}`") };
    match (close.code, lang) {
        (Some(code), Lang::En) => format!("closed with {code}{said} after {age}, {silent} of silence"),
        (Some(code), Lang::ZhCn) => format!("{age} 后以 {code}{said} 关闭，此前静默 {silent}"),
        (None, Lang::En) => format!("ended without a Close frame after {age}, {silent} of silence"),
        (None, Lang::ZhCn) => format!("{age} 后无 Close 帧断开，此前静默 {silent}"),
    }
}

fn engine_words(engine: &EngineSaw, lang: Lang) -> Vec<String> {
    let zh = lang == Lang::ZhCn;
    let mut out = Vec::new();
    if let Some((interval, timeout)) = engine.promise {
        let (i, t) = (short(interval), short(timeout));
        out.push(if zh {
            format!("Engine.IO 承诺每 {i} 一次 ping，{t} 内应答")
        } else {
            format!("Engine.IO promises a ping every {i}, {t} to answer it")
        });
    }
    if let Some(code) = engine.code {
        out.push(format!("code {code}"));
    }
    if let Some(error) = &engine.error {
        out.push(format!("`{}`", quote(error, 80)));
    }
    if let Some((strangers, polls)) = engine.strangers {
        out.push(if zh {
            format!("{polls} 次轮询中有 {strangers} 次未被识别")
        } else {
            format!("{strangers} of {polls} follow-up polls were not known")
        });
    }
    if let Some(allowed) = engine.cors_allowed {
        let have = if zh { "有匹配的" } else { "a fitting" };
        let none = if zh { "没有匹配的" } else { "no fitting" };
        out.push(format!("{} Access-Control-Allow-Origin", if allowed { have } else { none }));
    }
    out
}

fn link_words(link: &LinkSaw, lang: Lang, ended: bool) -> Vec<String> {
    let zh = lang == Lang::ZhCn;
    let mut out = Vec::new();
    if !ended {
        let age = short(link.age);
        out.push(if zh { format!("保持打开 {age}") } else { format!("open for {age}") });
    }
    match (link.pings, link.ping_interval) {
        (0, _) => out.push(if zh {
            "对端从未发送 ping".to_owned()
        } else {
            "the peer never pinged".to_owned()
        }),
        (n, None) => {
            out.push(if zh { format!("对端发送 ping {n} 次") } else { format!("{n} pings of the peer") })
        }
        (n, Some(every)) => {
            let every = short(every);
            out.push(if zh {
                format!("对端发送 ping {n} 次，最长间隔 {every}")
            } else {
                format!("{n} pings of the peer, at most {every} apart")
            });
        }
    }
    if link.asked > 0 {
        let (asked, answered) = (link.asked, link.answered);
        out.push(if zh {
            format!("我方 ping {asked} 次，应答 {answered} 次")
        } else {
            format!("{answered} of our {asked} pings were answered")
        });
    }
    if link.others > 0 {
        let n = link.others;
        out.push(if zh {
            format!("同一时刻另有 {n} 个会话断开")
        } else {
            format!("{n} others ended in the same moment")
        });
    }
    out
}
