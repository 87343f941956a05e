//! Layouts, as they are read.

use super::*;
use crate::tests::look;
use crate::tests::sessions::{session, sick, summary as numbers, unanswered as silent};
use mooring_core::cause::Lang;

fn several() -> Vec<Session> {
    let mut closing = session("h", "chat", "r20");
    closing.set_state(SessionState::Closing);
    closing.cause = "SilentBeyondHabit".to_owned();
    closing.message = "silent for 3m, never longer than 31s before".to_owned();
    vec![sick(), closing, session("h", "chat", "r1f")]
}

#[test]
fn a_list_fits_eighty_columns() {
    let piped = list(&several(), &look(Lang::En));
    assert_eq!(
        piped,
        "\
SESSION  INSTANCE       SOURCE  STATE    AGE    SILENT  RTT   WRONG
k7       chat           kernel  open     ≥1h2m  1m35s   -     HalfOpen
r20      chat/acct-r20  relay   closing  1h2m   3s      12ms  SilentBeyondHabit
r1f      chat/acct-r1f  relay   open     1h2m   3s      12ms  -
"
    );
    let terminal = Look { width: Some(80), ..look(Lang::En) };
    assert_eq!(list(&several(), &terminal), piped, "there is no room for words");
    for line in list(&several(), &Look { lang: Lang::ZhCn, ..terminal }).lines() {
        assert!(line.width() <= 80, "{line:?}");
    }
}

#[test]
fn words_follow_where_there_is_room_and_a_line_is_never_wider_than_the_screen() {
    let shown = |width| list(&several(), &Look { width: Some(width), ..look(Lang::En) });
    assert!(shown(130).contains("HalfOpen: 6 segments in 95 s were not acknowledged\n"), "{}", shown(130));
    assert!(shown(100).contains("HalfOpen: 6 segments in 95 s w"), "{}", shown(100));
    for width in 60..140 {
        let shown = shown(width);
        for line in shown.lines() {
            assert!(line.width() <= usize::from(width), "{width}: {line:?}");
        }
        if width >= 80 {
            assert_eq!(shown.lines().count(), 4, "{width}: one line for each\n{shown}");
        }
    }
}

#[test]
fn the_agent_is_named_where_there_are_several() {
    let mut sessions = several();
    sessions.push(session("other", "chat", "r5"));
    let shown = list(&sessions, &look(Lang::En));
    assert!(shown.contains("h/chat/acct-r20 ") && shown.contains("other/chat/acct-r5 "), "{shown}");
    assert!(shown.contains("k7       h/chat "), "{shown}");
}

#[test]
fn wide_has_everything_in_full() {
    let wide = list(&several(), &Look { wide: true, ..look(Lang::ZhCn) });
    for part in [
        "会话",
        "重传",
        "agents/h/gateways/chat/sessions/k7   -  ",
        "192.0.2.17:51234",
        "1.2K",
        "35M",
        "内核",
        "关闭中",
        "permessage-deflate",
        "HalfOpen",
        "6 segments in 95 s were not acknowledged\n",
        "agents/h/gateways/chat/instances/acct-r1f",
    ] {
        assert!(wide.contains(part), "`{part}` is missing in\n{wide}");
    }
}

#[test]
fn what_a_peer_says_cannot_command_the_terminal() {
    let mut bad = sick();
    bad.name = "agents/h/gateways/chat/sessions/\u{1b}[2J".to_owned();
    bad.cause = "\u{1b}c".to_owned();
    bad.message = "a\nb\u{1b}]0;x".to_owned();
    bad.peer = "\u{1b}".to_owned();
    bad.protocol = "\u{1b}".to_owned();
    bad.instance = "\u{1b}".to_owned();
    let wide = Look { wide: true, ..look(Lang::En) };
    let narrow = Look { width: Some(200), ..look(Lang::En) };
    for shown in
        [list(&[bad.clone()], &wide), list(&[bad.clone()], &narrow), detail(&bad, &wide), line(&bad, &wide)]
    {
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[test]
fn one_session_says_what_is_wrong_and_what_to_do() {
    assert_eq!(
        detail(&sick(), &look(Lang::En)),
        "\
agents/h/gateways/chat/sessions/k7  open
seen by      kernel: the kernel's view of the TCP connection
peer         192.0.2.17:51234
local        127.0.0.1:8080
age          ≥1h2m
silent       1m35s
retransmits  6
received     1.2K bytes, 31 messages, silent 3s
sent         512 bytes, 2.0K bytes waiting

wrong: HalfOpen: 6 segments in 95 s were not acknowledged
summary: The session looks open, but the other end is gone: what is sent is not acknowledged any more.
what to do: The session is cut so that both ends notice and reconnect. If it happens to many at once, look at the network between them (NAT or firewall that forgot the connection).
"
    );
    let chinese = detail(&sick(), &look(Lang::ZhCn));
    for part in
        ["观察者", "≥1h2m", "2.0K 字节", "问题: HalfOpen", "概要: 会话看似打开", "处理办法: 将切断该会话"]
    {
        assert!(chinese.contains(part), "`{part}` is missing in\n{chinese}");
    }
    let well = detail(&session("h", "chat", "r1f"), &look(Lang::En));
    assert!(well.ends_with("\n\nnothing is wrong with it\n"), "{well}");
    assert!(well.contains("instance    agents/h/gateways/chat/instances/acct-r1f\n"), "{well}");
}

#[test]
fn a_cause_that_is_not_known_here_is_shown_all_the_same() {
    let mut newer = sick();
    newer.cause = "FromTheFuture".to_owned();
    let shown = detail(&newer, &look(Lang::En));
    assert!(shown.ends_with("wrong: FromTheFuture: 6 segments in 95 s were not acknowledged\n"), "{shown}");
    assert_eq!(cause_color("FromTheFuture"), Some(Color::Yellow));
    assert_eq!((cause_color("HalfOpen"), cause_color("")), (Some(Color::Red), None));
}

#[test]
fn the_numbers_are_one_line_unless_the_terminal_is_narrow() {
    assert_eq!(
        summary(&numbers(), Some(20), &look(Lang::ZhCn)),
        "打开 812; 异常 14: HalfOpen 9, PeerStalled 5; 往返 12ms/240ms; 静默 3s/1m5s; 时长 1h/2d (p50/p99); 显示 20，更多请用 --limit\n"
    );
    let narrow = Look { width: Some(80), ..look(Lang::En) };
    assert_eq!(
        summary(&numbers(), None, &narrow),
        "812 open; 14 sick: HalfOpen 9, PeerStalled 5; rtt 12ms/240ms; silent 3s/1m5s;\nage 1h/2d (p50/p99)\n"
    );
    let calm = mooring_proto::v1::SessionSummary { open: 3, unwatched: 2, ..Default::default() };
    assert_eq!(summary(&calm, None, &look(Lang::En)), "3 open; 2 not looked at\n");
}

#[test]
fn who_did_not_answer_is_named_but_not_without_end() {
    assert!(unanswered(&[], &look(Lang::En)).is_empty());
    let many: Vec<_> = std::iter::repeat_with(silent).take(9).flatten().collect();
    let lines = unanswered(&many, &look(Lang::ZhCn));
    assert_eq!(lines.len(), 7);
    assert_eq!(
        (lines[0].as_str(), lines[5].as_str()),
        ("! b/feed 没有应答: no answer within 5s", "! ... +4")
    );
    assert_eq!(lines[6], "! 以上并非全部");
    let rest = mooring_proto::v1::Unanswered { name: "agents/-".to_owned(), reason: "and 7 more".to_owned() };
    assert_eq!(unanswered(&[rest], &look(Lang::En))[0], "! ... and 7 more");
}

#[test]
fn ends_are_cut_to_the_screen_and_whole_in_a_pipe() {
    let close = mooring_proto::v1::SessionClose {
        session: "agents/h/gateways/chat/sessions/r1f".to_owned(),
        instance: "agents/h/gateways/chat/instances/acct-1".to_owned(),
        time: Some(crate::tests::ago(3)),
        ended_by: "peer".to_owned(),
        code: 1_006,
        cause: "IdleCut".to_owned(),
        message: "cut after 60 s of silence, as 31 others were in the last hour".to_owned(),
        ..Default::default()
    };
    let narrow = closes(std::slice::from_ref(&close), &Look { width: Some(80), ..look(Lang::En) });
    assert_eq!(narrow.lines().count(), 2, "{narrow}");
    assert!(narrow.lines().all(|line| line.width() <= 80) && narrow.contains('…'), "{narrow}");
    let piped = closes(std::slice::from_ref(&close), &look(Lang::ZhCn));
    assert!(piped.contains("对端") && piped.ends_with("as 31 others were in the last hour\n"), "{piped}");
    let wide = closes(&[close], &Look { wide: true, ..look(Lang::En) });
    assert!(
        wide.contains("agents/h/gateways/chat/instances/acct-1") && wide.contains("2025-01-01T"),
        "{wide}"
    );
}
