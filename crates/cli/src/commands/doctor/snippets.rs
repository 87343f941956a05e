//! Lines to paste with the case's own path and gateway in them, in place of the guide's, whose names are examples.

use mooring_core::cause::Lang;
use mooring_core::cause::guide::Software;
use mooring_core::diagnosis::{Case, Diagnosis};
use mooring_proto::v1;
use mooring_proxyconf::remedy::{Facts, Proxy, snippet};

use super::lint::About;

/// Whose guide's lines these are the better form of.
fn software(proxy: Proxy) -> Option<Software> {
    match proxy {
        Proxy::Nginx => Some(Software::Nginx),
        Proxy::Apache | Proxy::ApacheOld => Some(Software::Apache),
        Proxy::Haproxy => Some(Software::HaProxy),
        Proxy::IngressNginx => Some(Software::IngressNginx),
        _ => None,
    }
}

/// Puts them into a diagnosis; `found` is what it was made of.
pub(super) fn fill(shown: &mut v1::Diagnosis, case: &Case, found: &Diagnosis, about: &About, lang: Lang) {
    for (fault, shown) in found.faults.iter().zip(&mut shown.faults) {
        let here = || case.findings.iter().filter(|f| f.place == fault.place);
        let facts = Facts {
            path: about.path_at(fault.place).unwrap_or_default(),
            backend: about.behind(fault.place),
            cut_after: here().filter_map(|f| f.saw.close.as_ref()).map(|c| c.silent_for).max(),
        };
        let server: String = here()
            .filter_map(|f| f.saw.answer.as_ref()?.header("server"))
            .collect::<String>()
            .to_ascii_lowercase();
        for (candidate, shown) in fault.candidates.iter().zip(&mut shown.candidates) {
            let mut lines: Vec<(Proxy, v1::DiagnosisSnippet)> = Vec::new();
            for proxy in Proxy::ALL {
                let Some(found) = snippet(*proxy, candidate.cause, &facts) else { continue };
                // Lines that an older version takes as well are there already.
                if lines.iter().any(|(_, l)| !found.text.is_empty() && l.text == found.text) {
                    continue;
                }
                let words = match lang {
                    Lang::En => found.en,
                    Lang::ZhCn => found.zh,
                };
                let r#where = format!("{}: {words}", proxy.title());
                lines.push((*proxy, v1::DiagnosisSnippet { r#where, text: found.text }));
            }
            // The box that wrote an answer is on the way; its lines come first.
            lines.sort_by_key(|(proxy, _)| !named(*proxy, &server));
            let guide = candidate.cause.guide().snippets.iter().zip(std::mem::take(&mut shown.snippets));
            let kept: Vec<v1::DiagnosisSnippet> = guide
                .filter(|(g, _)| !lines.iter().any(|(proxy, _)| software(*proxy) == Some(g.software)))
                .map(|(_, shown)| shown)
                .collect();
            shown.snippets = lines.into_iter().map(|(_, l)| l).chain(kept).collect();
        }
    }
}

fn named(proxy: Proxy, server: &str) -> bool {
    let name = match proxy {
        Proxy::Nginx | Proxy::IngressNginx | Proxy::NginxIncIngress => "nginx",
        Proxy::Apache | Proxy::ApacheOld => "apache",
        Proxy::Haproxy | Proxy::HaproxyIngress | Proxy::HaproxyTechIngress => "haproxy",
        Proxy::Traefik => "traefik",
        Proxy::Caddy => "caddy",
    };
    server.contains(name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mooring_core::diagnosis::{Finding, Place, Probe, Saw, diagnose};
    use mooring_core::handshake::HttpAnswer;
    use mooring_proto::operator::diagnosis as shown;

    use super::*;
    use crate::commands::doctor::lint::Configs;
    use crate::tests::look;

    /// `ws` behind a proxy that does not pass upgrades, as two places show it.
    fn stripped() -> Case {
        let place = |name: &str, direct| Place { name: name.to_owned(), direct };
        let mut case = Case {
            places: vec![place("ws://chat.example/ws", false), place("ws://10.0.0.7:8080/ws", true)],
            ..Case::default()
        };
        let answer = HttpAnswer {
            status: 426,
            headers: vec![("server".to_owned(), "Apache/2.4.62".to_owned())],
            body_start: "Upgrade Required".to_owned(),
            ..HttpAnswer::default()
        };
        let refused = Saw { answer: Some(answer), ..Saw::default() };
        case.push(Finding { place: 0, probe: Probe::Upgrade, saw: refused });
        case.push(Finding {
            place: 1,
            probe: Probe::Upgrade,
            saw: Saw { established: true, ..Saw::default() },
        });
        case
    }

    #[test]
    fn the_lines_have_the_path_and_the_gateway_of_the_case_in_them() {
        let case = stripped();
        let found = diagnose(&case);
        let mut diagnosis = shown::diagnosis(&case, &found, Duration::ZERO, false, Lang::En);
        let urls = ["ws://chat.example/ws", "ws://10.0.0.7:8080/ws"];
        let about =
            About::new(&Configs::default(), urls.iter().map(ToString::to_string), true, None, None).unwrap();
        fill(&mut diagnosis, &case, &found, &about, Lang::En);
        let snippets = &diagnosis.faults[0].candidates[0].snippets;
        assert_eq!(diagnosis.faults[0].cause, "ProxyStrippedUpgrade");
        // The `Server` header speaks of Apache.
        assert!(snippets[0].r#where.starts_with("Apache 2.4.47+: "), "{snippets:?}");
        assert!(
            snippets[0].text.contains("ProxyPass /ws http://10.0.0.7:8080/ws upgrade=websocket"),
            "{snippets:?}"
        );
        let nginx: Vec<_> = snippets.iter().filter(|s| s.r#where.starts_with("nginx: ")).collect();
        assert!(nginx.len() == 1 && nginx[0].text.contains("proxy_pass http://10.0.0.7:8080;"), "{nginx:?}");
        let ingress = snippets.iter().find(|s| s.r#where.starts_with("Ingress (ingress-nginx)")).unwrap();
        assert!(ingress.text.contains("annotations"));

        let text = crate::show::doctor::diagnosis(&diagnosis, true, &look(Lang::En));
        assert!(text.contains("proxy_pass http://10.0.0.7:8080;"), "{text}");
        // The very line to change stands in their place.
        let lint = v1::DiagnosisLint {
            cause: "UpstreamHttp10".to_owned(),
            severity: "error".to_owned(),
            file: "chat.conf".to_owned(),
            line: 7,
            patch: "chat.conf\n    7 + proxy_http_version 1.1;\n".to_owned(),
            ..v1::DiagnosisLint::default()
        };
        let other = v1::DiagnosisLint {
            cause: "CredentialsRefused".to_owned(),
            severity: "note".to_owned(),
            ..lint.clone()
        };
        diagnosis.lints = vec![lint, other];
        let text = crate::show::doctor::diagnosis(&diagnosis, true, &look(Lang::En));
        assert_eq!(text.matches("the line to change: chat.conf:7").count(), 1, "{text}");
        assert!(
            !text.contains("proxy_pass") && text.contains("CredentialsRefused  note  chat.conf:7"),
            "{text}"
        );
    }
}
