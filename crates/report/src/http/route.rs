//! Which call a path is.

use http::Method;
use mooring_core::time::human;
use mooring_proto::report_v1 as v1;
use tonic::Code;

use crate::refusal::Refusal;

/// A call, with what its path says.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    Help,
    Register { gateway: String, instance: String },
    Report { gateway: String, instance: Option<String> },
    Poll(v1::PollOrdersRequest),
    Answer { gateway: String, order: String },
}

/// Finds the call. Names have no characters that would be escaped in a path, so nothing is unescaped: an escaped name is
/// refused as a name.
pub(super) fn route(method: &Method, path: &str, query: &str) -> Result<Call, Refusal> {
    let get = matches!(*method, Method::GET | Method::HEAD);
    if get && path == "/" {
        return Ok(Call::Help);
    }
    let Some(rest) = path.strip_prefix("/v1/gateways/") else { return Err(unknown(method)) };
    let own = str::to_owned;
    let call = match rest.split('/').collect::<Vec<_>>().as_slice() {
        [gateway, "orders"] => (true, Call::Poll(poll(gateway, query)?)),
        [last] => match last.split_once(':') {
            Some((gateway, "report")) => (false, Call::Report { gateway: own(gateway), instance: None }),
            _ => return Err(unknown(method)),
        },
        [gateway, kind, last] => match (*kind, last.split_once(':')) {
            ("instances", Some((instance, "register"))) => {
                (false, Call::Register { gateway: own(gateway), instance: own(instance) })
            }
            ("instances", Some((instance, "report"))) => {
                (false, Call::Report { gateway: own(gateway), instance: Some(own(instance)) })
            }
            ("orders", Some((order, "answer"))) => {
                (false, Call::Answer { gateway: own(gateway), order: own(order) })
            }
            _ => return Err(unknown(method)),
        },
        _ => return Err(unknown(method)),
    };
    match call {
        (true, call) if *method == Method::GET => Ok(call),
        (false, call) if *method == Method::POST => Ok(call),
        (reads, _) => {
            let wanted = if reads { "GET" } else { "POST" };
            Err(Refusal::new(Code::Unimplemented, "WRONG_METHOD", format!("this is {wanted}, not {method}")))
        }
    }
}

fn poll(gateway: &str, query: &str) -> Result<v1::PollOrdersRequest, Refusal> {
    let mut request = v1::PollOrdersRequest { gateway: gateway.to_owned(), ..Default::default() };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("wait", text)) => {
                let wait = human::parse(text).map_err(|e| Refusal::invalid("wait", e))?;
                request.wait = Some(mooring_proto::duration(wait));
            }
            Some(("client", text)) => text.clone_into(&mut request.client),
            _ => {
                let shown = crate::check::words(pair, 40);
                return Err(Refusal::invalid("query", format!("`{shown}` is not known"))
                    .hint("there are `wait` and `client`"));
            }
        }
    }
    Ok(request)
}

pub(super) fn unknown(method: &Method) -> Refusal {
    let method = crate::check::words(method.as_str(), 20);
    Refusal::new(Code::NotFound, "NO_SUCH_CALL", format!("there is no such {method} here"))
        .hint("GET / lists the calls")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, target: &str) -> Result<Call, &'static str> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        route(&method.parse().unwrap(), path, query).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn every_call_has_its_path() {
        let own = str::to_owned;
        let (gateway, instance) = (own("bots"), own("a.1"));
        assert_eq!(routed("GET", "/"), Ok(Call::Help));
        assert_eq!(
            routed("POST", "/v1/gateways/bots/instances/a.1:register"),
            Ok(Call::Register { gateway: gateway.clone(), instance: instance.clone() })
        );
        assert_eq!(
            routed("POST", "/v1/gateways/bots/instances/a.1:report"),
            Ok(Call::Report { gateway: gateway.clone(), instance: Some(instance) })
        );
        assert_eq!(
            routed("POST", "/v1/gateways/-:report"),
            Ok(Call::Report { gateway: own("-"), instance: None })
        );
        assert_eq!(
            routed("POST", "/v1/gateways/bots/orders/0-1:answer"),
            Ok(Call::Answer { gateway: gateway.clone(), order: own("0-1") })
        );
        let Ok(Call::Poll(poll)) = routed("GET", "/v1/gateways/bots/orders?wait=1m30s&client=x") else {
            panic!("a poll")
        };
        assert_eq!((poll.gateway, poll.client, poll.wait.unwrap().seconds), (gateway, own("x"), 90));
    }

    #[test]
    fn everything_else_is_refused() {
        for (method, target, reason) in [
            ("GET", "/v1/gateways/bots/instances/a:report", "WRONG_METHOD"),
            ("POST", "/v1/gateways/bots/orders", "WRONG_METHOD"),
            ("HEAD", "/v1/gateways/bots/orders", "WRONG_METHOD"),
            ("GET", "/v1/gateways/bots/orders?wait=30", "INVALID"),
            ("GET", "/v1/gateways/bots/orders?wiat=30s", "INVALID"),
            ("POST", "/v1/gateways/bots", "NO_SUCH_CALL"),
            ("POST", "/v1/gateways/bots/instances/a/b:report", "NO_SUCH_CALL"),
            ("POST", "/v1/gateways/bots/sessions/a:report", "NO_SUCH_CALL"),
            ("POST", "//v1/gateways/bots:report", "NO_SUCH_CALL"),
            ("DELETE", "/", "NO_SUCH_CALL"),
        ] {
            assert_eq!(routed(method, target), Err(reason), "{method} {target}");
        }
    }
}
