//! Whatever is in the file: an answer or a [`ParseError`](mooring_proxyconf::ParseError), never a panic, and fixes that
//! can be applied and shown.

use std::time::Instant;

use mooring_proxyconf::{Fix, Software, SourceFile, apply, lint, patch_text};
use proptest::prelude::*;

use crate::support::{socket_io, try_examine, ws};

const ALL: [Software; 3] = [Software::Nginx, Software::Apache, Software::Haproxy];

/// Words that lead into the readers' corners.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "(http|server|location|if|map|upstream|include|rewrite|return|set|try_files|proxy_pass|listen|server_name)",
        "(<VirtualHost|</VirtualHost>|<Location|</Location>|<IfModule|</IfModule>|ProxyPass|RewriteRule|RewriteCond|Include|Define|Timeout)",
        "(frontend|backend|defaults|listen|use_backend|default_backend|acl|timeout|tunnel|balance|http-request|bind|mode)",
        "(\\{|\\}|;|\"|'|\\\\|#|\\$|\\$\\{|>|\\(|\\)|!|~|=|\\^~|/|%\\{HTTP:Upgrade\\})",
        "[ \\t\\n]",
        "[/a-zA-Z0-9.:$_*?+()\\[\\]|^é中\\\\-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(words in proptest::collection::vec(word(), 0..60), spaced in any::<bool>()) {
        let text = words.join(if spaced { " " } else { "" });
        for software in ALL {
            for question in [ws("/ws/a"), socket_io()] {
                if let Ok(examined) = try_examine(software, &text, &question) {
                    let fixes: Vec<Fix> = examined.lints.into_iter().map(|l| l.fix).collect();
                    let _ = patch_text("proxy.conf", &text, &fixes);
                    let _ = apply("proxy.conf", &text, &fixes);
                }
            }
        }
    }
}

#[test]
fn includes_that_include_themselves_come_to_an_end() {
    for (software, text) in
        [(Software::Nginx, "include a; http { include a; }"), (Software::Apache, "Include a\nInclude a\n")]
    {
        let itself = |_: &str| vec![SourceFile::new("a", text)];
        let error = lint(software, &itself("a"), &itself, &ws("/")).unwrap_err();
        assert!(error.words.contains("deeper") || error.words.contains("more than"), "{error}");
    }
}

#[test]
fn size_is_bounded_and_work_with_it() {
    let began = Instant::now();
    let deep = format!("{}{}", "a{".repeat(100_000), "}".repeat(100_000));
    assert!(try_examine(Software::Nginx, &deep, &ws("/")).unwrap_err().words.contains("deeper"));
    let deep = "<IfModule x>\n".repeat(100_000);
    assert!(try_examine(Software::Apache, &deep, &ws("/")).unwrap_err().words.contains("deeper"));
    let huge = " ".repeat(mooring_proxyconf::MAX_BYTES + 1);
    for software in ALL {
        assert!(try_examine(software, &huge, &ws("/")).is_err());
    }
    // A map of maps that doubles at each step.
    let maps: String =
        (0..200).map(|i| format!("map $a{} $a{i} {{ default \"$a{0}$a{0}\"; }}\n", i + 1)).collect();
    let text =
        format!("{maps}server {{ location / {{ proxy_pass http://b; proxy_set_header Connection $a0; }} }}");
    assert!(try_examine(Software::Nginx, &text, &ws("/")).is_ok());
    // Generous: it is here to catch what never ends.
    assert!(began.elapsed().as_secs() < 60);
}
