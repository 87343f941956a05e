//! Who may dial in, and what those are told who may not. Pure.
//!
//! The frameworks are terse: NoneBot answers five different mistakes with the same empty 403, Yunzai says 404 without a
//! word, older ones accept and hang up. A person then looks for the fault in the wrong place. Here every refusal says
//! what is wrong and what would be right. That names the path to strangers, which is no secret; a token never is named.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri, header};
use mooring_core::cause::Cause;
use mooring_core::condition::Evidence;
use mooring_core::id::InstanceId;
use mooring_core::limits::clip;
use mooring_core::time::Mono;
use subtle::ConstantTimeEq as _;

use super::health::Role;
use super::settings::Settings;

/// Longest path or header value that is repeated in words, bytes.
const MAX_SHOWN: usize = 120;
/// Strangers remembered.
const STRANGERS: usize = 64;
/// The same mistake is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// A stranger that was quiet for so long begins anew.
const FORGET: Duration = Duration::from_secs(600);

/// One that may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Whose connection it is.
    pub id: InstanceId,
    /// What for.
    pub role: Role,
    /// What goes to the framework in the same words: `X-Self-ID`, `X-Client-Role`, `User-Agent`.
    pub headers: Vec<(String, String)>,
    /// The framework's path.
    pub path: String,
    /// The token it showed, for a framework that has the same.
    pub token: Option<String>,
}

/// One that may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnedAway {
    /// The answer's status.
    pub status: StatusCode,
    /// Why, named; `None` where it is no mistake of an implementation.
    pub cause: Option<Cause>,
    /// What is wrong and what would be right: the answer's body, and the claim's message.
    pub words: String,
    /// Who it says it is. Believed only as far as it is known.
    pub id: Option<InstanceId>,
    /// What it dialled.
    pub path: String,
    /// It may become an account by being wrong: it shows the token that is demanded, if one is, and is on the list, if there
    /// is one. Who cannot be told from a stranger does not fill the fleet with names.
    pub believed: bool,
}

/// Judges a request. `token`: what is demanded.
///
/// # Errors
/// Why it may not come in.
pub fn check(
    settings: &Settings,
    token: Option<&str>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Admitted, TurnedAway> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let shown = clip(uri.path(), MAX_SHOWN);
    let id = header("x-self-id").and_then(|id| InstanceId::new(id).ok());
    let shown_token = shown_token(header(header::AUTHORIZATION.as_str()), uri.query());
    let right_token = token.is_none_or(|token| {
        shown_token.as_ref().is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(token.as_bytes())))
    });
    let listed = |id: &InstanceId| {
        settings.self_ids.is_empty() || settings.self_ids.iter().any(|known| known == id.as_str())
    };
    let away = |status, cause: Option<Cause>, words: String| TurnedAway {
        status,
        cause,
        words,
        id: id.clone(),
        path: shown.clone(),
        believed: right_token && id.as_ref().is_some_and(listed),
    };
    let right = settings.right_path();
    let Some(path) = settings.route(uri.path()) else {
        let words = format!(
            "there is nothing at `{shown}`: the path is `{right}`, in exactly this case; correct the suffix or url in the OneBot implementation's configuration"
        );
        return Err(away(StatusCode::NOT_FOUND, Some(Cause::WrongPath), words));
    };
    let upgrade = header("upgrade").is_some_and(|v| v.eq_ignore_ascii_case("websocket"));
    if method != Method::GET || !upgrade || header("sec-websocket-version") != Some("13") {
        let words = "this is where a OneBot 11 implementation dials in by reverse WebSocket; what came is no WebSocket upgrade (version 13): if a proxy is between, it must pass the Upgrade and Connection headers".to_owned();
        return Err(away(StatusCode::UPGRADE_REQUIRED, None, words));
    }
    if !right_token {
        let words = |what: &str| {
            format!(
                "{what}: the implementation's access token must be the one in the agent's `token_file`, sent as `Authorization: Bearer …`"
            )
        };
        match &shown_token {
            None => {
                let words = words("no access token was sent");
                return Err(away(StatusCode::UNAUTHORIZED, Some(Cause::TokenMissing), words));
            }
            Some(_) => {
                let words = words("the access token is wrong");
                return Err(away(StatusCode::FORBIDDEN, Some(Cause::TokenRefused), words));
            }
        }
    }
    let missing = |words: String| away(StatusCode::BAD_REQUEST, Some(Cause::HeaderMissing), words);
    let Some(said) = header("x-self-id").filter(|said| !said.is_empty()) else {
        return Err(missing("the header X-Self-ID is missing: it says which account this is".to_owned()));
    };
    let Some(id) = id.clone() else {
        let words = format!("the header X-Self-ID says `{}`, which is no account id", clip(said, MAX_SHOWN));
        return Err(missing(words));
    };
    if !listed(&id) {
        let words = format!("account {id} may not dial in here: it is not in `self_ids`");
        return Err(away(StatusCode::FORBIDDEN, Some(Cause::HeaderMissing), words));
    }
    let Some(role) = header("x-client-role").filter(|role| !role.is_empty()) else {
        let words = "the header X-Client-Role is missing: it is Universal, API or Event".to_owned();
        return Err(missing(words));
    };
    let Some(known) = Role::of(role) else {
        let role = clip(role, MAX_SHOWN);
        return Err(missing(format!(
            "the header X-Client-Role says `{role}`; it is Universal, API or Event"
        )));
    };
    // In the implementation's own spelling: some frameworks compare by letter.
    let mut passed =
        vec![("x-self-id".to_owned(), said.to_owned()), ("x-client-role".to_owned(), role.to_owned())];
    if let Some(agent) = header("user-agent") {
        passed.push(("user-agent".to_owned(), clip(agent, MAX_SHOWN)));
    }
    Ok(Admitted { id, role: known, headers: passed, path, token: shown_token })
}

/// `Bearer` as the specification says, `Token` as some older implementations do, or `access_token` in the query.
fn shown_token(authorization: Option<&str>, query: Option<&str>) -> Option<String> {
    let header = authorization.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
        (known && !token.trim().is_empty()).then(|| token.trim().to_owned())
    });
    let asked = || {
        let pairs = query.unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("access_token=")).find(|t| !t.is_empty()).map(str::to_owned)
    };
    header.or_else(asked)
}

#[derive(Debug, Clone)]
struct Stranger {
    from: IpAddr,
    path: String,
    cause: Option<Cause>,
    tries: u64,
    first: Mono,
    last: Mono,
    logged: Mono,
}

/// Who was turned away, and how often: implementations try again every few seconds or quicker, for ever.
#[derive(Debug, Clone, Default)]
pub struct Strangers(Vec<Stranger>);

/// What is to be made of one more try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// Tries so far.
    pub tries: u64,
    /// From the first to the last.
    pub over: Duration,
    /// Worth a line in the log: the first, and then one a minute.
    pub log: bool,
}

impl Noticed {
    /// As facts.
    #[must_use]
    pub fn evidence(&self, from: IpAddr, away: &TurnedAway) -> Evidence {
        let mut evidence = vec![
            ("dialled_in_from".to_owned(), from.to_string()),
            ("path".to_owned(), away.path.clone()),
            ("answered".to_owned(), away.status.as_u16().to_string()),
            ("tries".to_owned(), self.tries.to_string()),
        ];
        if let Some(pauses) = u32::try_from(self.tries - 1).ok().filter(|n| *n > 0) {
            evidence.push(("every".to_owned(), format!("{:.1} s", (self.over / pauses).as_secs_f64())));
        }
        evidence
    }
}

impl Strangers {
    /// One more try.
    pub fn tried(&mut self, now: Mono, from: IpAddr, away: &TurnedAway) -> Noticed {
        self.0.retain(|s| now.since(s.last) < FORGET);
        let same = |s: &&mut Stranger| s.from == from && s.path == away.path && s.cause == away.cause;
        if let Some(known) = self.0.iter_mut().find(same) {
            known.tries += 1;
            known.last = now;
            let log = now.since(known.logged) >= LOG_EVERY;
            if log {
                known.logged = now;
            }
            return Noticed { tries: known.tries, over: now.since(known.first), log };
        }
        // Whoever tries paths by the thousand is not worth a line each.
        let log = self.0.len() < STRANGERS;
        if !log && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, s)| s.last).map(|(i, _)| i) {
            self.0.swap_remove(oldest);
        }
        let (path, cause) = (away.path.clone(), away.cause);
        self.0.push(Stranger { from, path, cause, tries: 1, first: now, last: now, logged: now });
        Noticed { tries: 1, over: Duration::ZERO, log }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "the-right-token";

    fn settings() -> Settings {
        Settings {
            self_ids: vec!["10001".to_owned()],
            forward_to: "ws://127.0.0.1:2536".to_owned(),
            ..Settings::default()
        }
    }

    /// Headers to set or to leave out.
    type Change<'a> = &'a [(&'static str, Option<&'a str>)];
    /// Path and headers, then status, cause and words.
    type Row<'a> = (&'a str, Change<'a>, (u16, Option<Cause>), &'a str);

    fn ask(path: &str, change: Change<'_>) -> Result<Admitted, TurnedAway> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("authorization", "Bearer the-right-token"),
            ("x-self-id", "10001"),
            ("x-client-role", "Universal"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        for (name, value) in change {
            match value {
                Some(value) => headers.insert(*name, value.parse().unwrap()),
                None => headers.remove(*name),
            };
        }
        check(&settings(), Some(TOKEN), &Method::GET, &path.parse().unwrap(), &headers)
    }

    #[test]
    fn every_mistake_has_a_status_a_cause_and_words() {
        let path = "/onebot/v11/ws";
        let table: [Row<'_>; 10] = [
            ("/onebot/v11/WS", &[], (404, Some(Cause::WrongPath)), "`/onebot/v11/ws`"),
            (path, &[("upgrade", None)], (426, None), "Upgrade"),
            (path, &[("authorization", None)], (401, Some(Cause::TokenMissing)), "no access token"),
            (path, &[("authorization", Some("Basic eA=="))], (401, Some(Cause::TokenMissing)), "Bearer"),
            (path, &[("authorization", Some("Bearer x"))], (403, Some(Cause::TokenRefused)), "wrong"),
            (path, &[("x-self-id", None)], (400, Some(Cause::HeaderMissing)), "X-Self-ID"),
            (path, &[("x-self-id", Some("Not One"))], (400, Some(Cause::HeaderMissing)), "Not One"),
            (path, &[("x-self-id", Some("10002"))], (403, Some(Cause::HeaderMissing)), "self_ids"),
            (path, &[("x-client-role", None)], (400, Some(Cause::HeaderMissing)), "X-Client-Role"),
            (path, &[("x-client-role", Some("Boss"))], (400, Some(Cause::HeaderMissing)), "Boss"),
        ];
        for (path, change, (status, cause), words) in table {
            let away = ask(path, change).unwrap_err();
            assert_eq!((away.status.as_u16(), away.cause), (status, cause), "{path} {change:?}");
            assert!(away.words.contains(words) && !away.words.contains(TOKEN), "{}", away.words);
        }
    }

    #[test]
    fn who_is_right_comes_in_as_it_is() {
        let admitted = ask("/onebot/v11/ws/", &[("x-client-role", Some("universal"))]).unwrap();
        assert_eq!((admitted.id.as_str(), admitted.role), ("10001", Role::Universal));
        assert!(admitted.headers.contains(&("x-client-role".to_owned(), "universal".to_owned())));
        assert_eq!(admitted.path, "/onebot/v11/ws/");
        let old = [("authorization", Some("Token the-right-token"))];
        assert!(ask("/onebot/v11/ws", &old).is_ok());
        let query = [("authorization", None)];
        assert!(ask("/onebot/v11/ws?x=y&access_token=the-right-token", &query).is_ok());
    }

    #[test]
    fn the_same_mistake_again_and_again_is_counted_and_not_logged() {
        let away = ask("/onebot/v11/wrong", &[]).unwrap_err();
        let from = IpAddr::from([127, 0, 0, 1]);
        let mut strangers = Strangers::default();
        let mut logged = 0;
        let mut last = None;
        for i in 0..240 {
            let noticed = strangers.tried(Mono(i * 500_000), from, &away);
            logged += u32::from(noticed.log);
            last = Some(noticed);
        }
        let last = last.unwrap();
        assert_eq!((logged, last.tries), (2, 240));
        assert!(last.evidence(from, &away).contains(&("every".to_owned(), "0.5 s".to_owned())));
        for i in 0..1000 {
            let other = TurnedAway { path: format!("/{i}"), ..away.clone() };
            strangers.tried(Mono(240 * 500_000), from, &other);
        }
        assert!(strangers.0.len() <= STRANGERS + 1);
    }
}
