//! Our own words, in English and Simplified Chinese side by side: the compiler refuses one without the other.
//!
//! Stable names (causes, gates, orders' ids, reasons of errors) are never translated, so that what one operator reads
//! out another can search for. Words of the controller come in its own language; causes have theirs in `mooring-core`.

use std::time::Duration;

use mooring_core::cause::Lang;
use mooring_core::time::{Timestamp, human};
use mooring_proto::v1::{AgentState, ConditionStatus, EventType, OrderAction, OrderState, Phase};

macro_rules! texts {
    ($( $name:ident = $en:literal, $zh:literal; )*) => {
        /// A piece of text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Text { $( #[doc = $en] $name, )* }

        impl Text {
            /// Every text.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// In a language.
            pub(crate) fn of(self, lang: Lang) -> &'static str {
                match (self, lang) { $( (Self::$name, Lang::En) => $en, (Self::$name, Lang::ZhCn) => $zh, )* }
            }
        }
    };
}

texts! {
    // errors
    Error = "error", "错误";
    Unreachable = "cannot reach the controller at", "无法连接控制器";
    UnreachableHint = "is it running there? `mooring up` starts one here; --server or MOORING_SERVER names another", "它在运行吗？`mooring up` 可在本机启动一个；用 --server 或 MOORING_SERVER 指定其他地址";
    TokenHint = "name a file with your token: --token-file or MOORING_TOKEN_FILE", "请用 --token-file 或 MOORING_TOKEN_FILE 指定令牌文件";
    Field = "field", "字段";
    Reason = "reason", "原因";
    Gate = "gate", "关卡";
    NotPossibleNow = "not possible now", "暂时无法执行";
    TryAgainIn = "try again in", "可重试时间";
    RequestId = "request id", "请求编号";
    // columns
    ColName = "NAME", "名称";
    ColAgent = "AGENT", "代理";
    ColState = "STATE", "状态";
    ColNode = "NODE", "节点";
    ColVersion = "VERSION", "版本";
    ColGateways = "GATEWAYS", "网关数";
    ColInstances = "INSTANCES", "实例数";
    ColSeen = "LAST SEEN", "最后出现";
    ColAttached = "ATTACHED", "接入时间";
    ColKind = "KIND", "类型";
    ColGroup = "GROUP", "组";
    ColAddress = "ADDRESS", "地址";
    ColHealthy = "HEALTHY", "健康";
    ColSick = "SICK", "异常";
    ColActions = "CAN", "可执行";
    ColInstance = "INSTANCE", "实例";
    ColPhase = "PHASE", "阶段";
    ColCause = "CAUSE", "原因";
    ColSince = "SINCE", "开始于";
    ColOrder = "ORDER", "操作单";
    ColMessage = "MESSAGE", "说明";
    ColAction = "ACTION", "操作";
    ColTarget = "TARGET", "目标";
    ColBy = "BY", "发起者";
    ColAge = "AGE", "创建于";
    ColOutcome = "OUTCOME", "结果";
    ColScope = "SCOPE", "范围";
    ColUntil = "UNTIL", "截止";
    ColReason = "REASON", "理由";
    ColTime = "TIME", "时间";
    ColType = "TYPE", "类别";
    ColSubject = "SUBJECT", "对象";
    ColCondition = "CONDITION", "条件";
    ColStatus = "STATUS", "状态";
    ColGate = "GATE", "关卡";
    ColNumbers = "NUMBERS", "数值";
    ColMeaning = "MEANING", "含义";
    ColRemedy = "WHAT TO DO", "处理办法";
    ColHandling = "HANDLING", "处理方式";
    ColDryRun = "DRY RUN", "演练";
    ColInFlight = "IN FLIGHT", "并发上限";
    ColPerMinute = "PER MIN", "每分钟";
    ColRestarts = "RESTARTS", "重启预算";
    ColStorm = "STORM BRAKE", "风暴制动";
    ColVerify = "VERIFY", "验证期限";
    ColSource = "SOURCE", "来源";
    ColWatch = "WATCH", "监视方式";
    // sessions
    ColSession = "SESSION", "会话";
    ColGateway = "GATEWAY", "网关";
    ColOpenFor = "AGE", "时长";
    ColSilent = "SILENT", "静默";
    ColRtt = "RTT", "往返";
    ColWrong = "WRONG", "问题";
    ColPeer = "PEER", "对端";
    ColReceived = "RECEIVED", "已接收";
    ColSent = "SENT", "已发送";
    ColRetransmits = "RETRANSMITS", "重传";
    ColProtocol = "PROTOCOL", "协议";
    ColEndedBy = "ENDED BY", "结束方";
    ColCode = "CODE", "代码";
    ColOpen = "OPEN", "打开";
    ColOpened = "OPENED", "累计打开";
    ColClosed = "CLOSED", "累计结束";
    ColFaults = "CLOSED BY FAULT", "按原因结束";
    ColTold = "TOLD", "上报于";
    NoAnswer = "did not answer", "没有应答";
    NotEverything = "what is shown is not everything", "以上并非全部";
    Wrong = "wrong", "问题";
    NothingWrong = "nothing is wrong with it", "未发现问题";
    MayHaveEnded = "it may have ended; this shows how", "会话可能已结束，可用以下命令查看原因";
    Sessions = "sessions", "会话";
    AskClose = "Close them?", "确定关闭这些会话？";
    AskDrain = "Drain it?", "确定排空该网关？";
    SpreadOver = "over", "分散于";
    ProvenByAgent = "the agent itself looks whether it took effect", "由代理自行确认是否生效";
    QuitWatch = "q quits", "q 退出";
    // status
    Agents = "agents", "代理";
    Gateways = "gateways", "网关";
    Instances = "instances", "实例";
    LiveOrders = "live orders", "进行中的操作单";
    Pauses = "pauses", "暂停";
    Storms = "storm brake on", "风暴制动中";
    Online = "online", "在线";
    Controller = "controller", "控制器";
    DatabaseAway = "the database is away: what is shown is from memory, and no order is made", "数据库不可用：以下为内存中的信息，且不会下达操作";
    Since = "since", "自";
    WarmingUp = "warming up", "预热中";
    NothingFound = "nothing found", "没有匹配项";
    Stale = "stale", "可能过期";
    // instances and explain
    Conditions = "conditions", "条件";
    Evidence = "evidence", "证据";
    Summary = "summary", "概要";
    Remedy = "what to do", "处理办法";
    Gates = "gates, as they would answer the next order now", "关卡（若此刻下达下一操作）";
    Next = "next", "下一步";
    NextNothing = "nothing is due", "无需操作";
    NotBefore = "not before", "不早于";
    AtOnce = "at once", "立即";
    Policy = "policy", "策略";
    RecentOrders = "recent orders", "最近的操作单";
    RecentEvents = "recent events", "最近的事件";
    For = "for", "已持续";
    // orders
    WouldPass = "every gate is open; nothing was ordered (dry run)", "所有关卡均已放行；未下达操作（演练）";
    Ordered = "ordered", "已下达";
    Cancelled = "cancelled", "已取消";
    AskRestart = "Restart it?", "确定重启？";
    Interrupts = "interrupts", "将中断";
    NotDone = "nothing was done", "未执行任何操作";
    OrderFailed = "the order did not succeed", "操作未成功";
    Output = "output", "输出";
    Paused = "paused", "已暂停";
    PauseEnded = "pause ended", "暂停已结束";
    // watch and up
    Gone = "gone", "已移除";
    ConnectionLost = "connection lost, trying again", "连接中断，正在重试";
    Quit = "q quits, r reads the configuration again", "q 退出，r 重新读取配置";
    Events = "events", "事件";
    Ok = "fine", "正常";
    Everything = "everything", "全部";
}

/// A phase in words.
pub(crate) fn phase(phase: Phase, lang: Lang) -> &'static str {
    let (en, zh) = match phase {
        Phase::Unspecified => ("-", "-"),
        Phase::Unknown => ("Unknown", "未知"),
        Phase::Healthy => ("Healthy", "健康"),
        Phase::Degraded => ("Degraded", "降级"),
        Phase::Down => ("Down", "中断"),
        Phase::Flapping => ("Flapping", "抖动"),
        Phase::NeedsHuman => ("NeedsHuman", "需人工"),
    };
    either(lang, en, zh)
}

/// A condition's status in words.
pub(crate) fn status(status: ConditionStatus, lang: Lang) -> &'static str {
    let (en, zh) = match status {
        ConditionStatus::Unspecified => ("-", "-"),
        ConditionStatus::Unknown => ("Unknown", "未知"),
        ConditionStatus::False => ("False", "否"),
        ConditionStatus::True => ("True", "是"),
    };
    either(lang, en, zh)
}

/// An agent's state in words.
pub(crate) fn agent_state(state: AgentState, lang: Lang) -> &'static str {
    let (en, zh) = match state {
        AgentState::Unspecified => ("-", "-"),
        AgentState::Online => ("online", "在线"),
        AgentState::Syncing => ("syncing", "同步中"),
        AgentState::Lost => ("lost", "失联"),
        AgentState::Offline => ("offline", "离线"),
    };
    either(lang, en, zh)
}

/// An action in words.
pub(crate) fn action(action: OrderAction, lang: Lang) -> &'static str {
    let (en, zh) = match action {
        OrderAction::Unspecified => ("-", "-"),
        OrderAction::Reconnect => ("reconnect", "重连"),
        OrderAction::ReconnectSlowly => ("reconnect slowly", "缓慢重连"),
        OrderAction::RestartInstance => ("restart instance", "重启实例"),
        OrderAction::RestartGateway => ("restart gateway", "重启网关"),
        OrderAction::CloseSession => ("close session", "关闭会话"),
        OrderAction::CloseSessions => ("close sessions", "关闭全部会话"),
        OrderAction::Drain => ("drain", "排空"),
        OrderAction::Resume => ("resume", "恢复接入"),
    };
    either(lang, en, zh)
}

/// An order's state in words.
pub(crate) fn order_state(state: OrderState, lang: Lang) -> &'static str {
    let (en, zh) = match state {
        OrderState::Unspecified => ("-", "-"),
        OrderState::Pending => ("pending", "待下发"),
        OrderState::Dispatched => ("dispatched", "已下发"),
        OrderState::Accepted => ("accepted", "已接受"),
        OrderState::Running => ("running", "执行中"),
        OrderState::Verifying => ("verifying", "验证中"),
        OrderState::Succeeded => ("succeeded", "成功"),
        OrderState::Failed => ("failed", "失败"),
        OrderState::Expired => ("expired", "过期"),
        OrderState::Cancelled => ("cancelled", "已取消"),
        OrderState::Refused => ("refused", "被拒绝"),
    };
    either(lang, en, zh)
}

/// What kind of event it is, in words.
pub(crate) fn event_type(event: EventType, lang: Lang) -> &'static str {
    let (en, zh) = match event {
        EventType::Unspecified => ("-", "-"),
        EventType::Condition => ("condition", "条件"),
        EventType::Order => ("order", "操作单"),
        EventType::Refusal => ("refusal", "拒绝"),
        EventType::Agent => ("agent", "代理"),
        EventType::Pause => ("pause", "暂停"),
        EventType::Policy => ("policy", "策略"),
        EventType::Human => ("human", "人工"),
    };
    either(lang, en, zh)
}

pub(crate) fn either(lang: Lang, en: &'static str, zh: &'static str) -> &'static str {
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

/// A duration for people: its two largest units (`3m5s`, `2d4h`), whole seconds from one second on.
pub(crate) fn duration(d: Duration) -> String {
    if d < Duration::from_secs(1) {
        return human::format(Duration::from_millis(u64::try_from(d.as_millis()).unwrap_or(0)));
    }
    let seconds = d.as_secs();
    let coarse = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    human::format(Duration::from_secs(coarse))
}

/// How long ago, or in how long: `3m5s ago`, `in 7s`, `now`.
pub(crate) fn relative(time: Timestamp, now: Timestamp, lang: Lang) -> String {
    let (past, future) = (now.since(time), time.since(now));
    let second = Duration::from_secs(1);
    match lang {
        _ if past < second && future < second => either(lang, "now", "现在").to_owned(),
        Lang::En if past >= second => format!("{} ago", duration(past)),
        Lang::En => format!("in {}", duration(future)),
        Lang::ZhCn if past >= second => format!("{}前", duration(past)),
        Lang::ZhCn => format!("{}后", duration(future)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_translation_that_is_one() {
        let han = |s: &str| s.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for text in Text::ALL {
            assert!(!han(text.of(Lang::En)), "{text:?}");
            assert!(han(text.of(Lang::ZhCn)), "{text:?}");
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in [
            (1, "1s"),
            (65, "1m5s"),
            (3_600, "1h"),
            (3_725, "1h2m"),
            (90_061, "1d1h"),
            (86_400 * 3 + 5, "3d"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(250)), "250ms");
        assert_eq!(duration(Duration::from_micros(10)), "0s");
    }

    #[test]
    fn times_are_relative_to_now() {
        let now = Timestamp(1_000_000_000);
        let at = |s: i64| Timestamp(now.0 + s * 1_000_000);
        assert_eq!(relative(at(-185), now, Lang::En), "3m5s ago");
        assert_eq!(relative(at(7), now, Lang::En), "in 7s");
        assert_eq!(relative(at(0), now, Lang::En), "now");
        assert_eq!(relative(at(-60), now, Lang::ZhCn), "1m前");
    }
}
