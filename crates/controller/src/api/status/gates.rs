//! Shut gates as an error: all of them named, with their numbers.
//!
//! A gate that passes by itself with time or traffic (a budget, a cooldown) is a quota: RESOURCE_EXHAUSTED, and it is
//! worth asking again. One that stands for a state somebody or something must change (a pause, an absent agent) is a
//! precondition: FAILED_PRECONDITION. Where both kinds are shut the precondition decides, since waiting alone would not
//! help.

use mooring_core::cause::Lang;
use mooring_core::gate::{Gate, Verdict, retry_after};
use mooring_core::id::Target;
use mooring_core::order::Action;
use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use super::{Reason, build};

/// Whether the gate opens by waiting.
fn quota(gate: Gate) -> bool {
    match gate {
        Gate::Cooldown
        | Gate::Backoff
        | Gate::RestartBudget
        | Gate::GroupInFlight
        | Gate::GroupPercent
        | Gate::GroupRate
        | Gate::Storm => true,
        Gate::Paused
        | Gate::DryRun
        | Gate::WarmingUp
        | Gate::AgentOffline
        | Gate::NotConfigured
        | Gate::LiveOrder => false,
    }
}

/// The reason of a gate.
fn reason(gate: Gate) -> Reason {
    match gate {
        Gate::Paused => Reason::GatePaused,
        Gate::DryRun => Reason::GateDryRun,
        Gate::WarmingUp => Reason::GateWarmingUp,
        Gate::AgentOffline => Reason::GateAgentOffline,
        Gate::NotConfigured => Reason::GateNotConfigured,
        Gate::LiveOrder => Reason::GateLiveOrder,
        Gate::Cooldown => Reason::GateCooldown,
        Gate::Backoff => Reason::GateBackoff,
        Gate::RestartBudget => Reason::GateRestartBudget,
        Gate::GroupInFlight => Reason::GateGroupInFlight,
        Gate::GroupPercent => Reason::GateGroupPercent,
        Gate::GroupRate => Reason::GateGroupRate,
        Gate::Storm => Reason::GateStorm,
    }
}

/// What a shut gate means, in a sentence.
#[must_use]
pub fn gate_words(gate: Gate, lang: Lang) -> &'static str {
    let (en, zh) = match gate {
        Gate::Paused => ("Orders are paused.", "操作已被暂停。"),
        Gate::DryRun => ("The policy is on dry run.", "策略处于演练模式，只说明而不执行。"),
        Gate::WarmingUp => ("The controller has just started.", "控制器刚启动，尚未掌握全部状态。"),
        Gate::AgentOffline => ("The agent is not attached.", "代理未连接，无法执行。"),
        Gate::NotConfigured => ("The agent has nothing configured for it.", "代理未配置可执行该操作的方式。"),
        Gate::LiveOrder => ("Another order is not over.", "该目标上已有未结束的操作。"),
        Gate::Cooldown => ("The last order ended too recently.", "距上一次操作结束的时间过短，处于冷却期。"),
        Gate::Backoff => ("The backoff runs.", "正在退避等待。"),
        Gate::RestartBudget => {
            ("The gateway was restarted too often.", "该网关重启过于频繁，已停止自动重启。")
        }
        Gate::GroupInFlight => ("Too many live orders in the group.", "该组进行中的操作数已达上限。"),
        Gate::GroupPercent => {
            ("Too large a share of the group is under orders.", "该组进行中的操作比例已达上限。")
        }
        Gate::GroupRate => ("Too many new orders in the group.", "该组每分钟的新操作数已达上限。"),
        Gate::Storm => {
            ("Too many of the group are sick at once.", "该组同时异常的网关过多，已停止重启以防雪崩。")
        }
    };
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

/// The error for an order that shut gates keep from being made. `verdicts` may hold open ones too; at least one is shut.
///
/// Metadata: `target`, `action`, `gates` (comma-separated), each gate's numbers as `{gate}.{number}` (times in
/// milliseconds), its words as `{gate}.message`, and `retry_after_ms` where it is known.
#[must_use]
pub fn shut(target: &Target, action: Action, verdicts: &[Verdict], lang: Lang) -> Status {
    let closed: Vec<&Verdict> = verdicts.iter().filter(|v| !v.open).collect();
    let deciding = closed.iter().find(|v| !quota(v.gate)).or_else(|| closed.first());
    let reason = deciding.map_or(Reason::Internal, |v| reason(v.gate));
    let retry = retry_after(verdicts);
    let code = match deciding {
        Some(v) if quota(v.gate) => Code::ResourceExhausted,
        _ => Code::FailedPrecondition,
    };
    let mut details = ErrorDetails::new();
    let names: Vec<&str> = closed.iter().map(|v| v.gate.name()).collect();
    let mut metadata: Vec<(String, String)> = vec![
        ("target".to_owned(), target.to_string()),
        ("action".to_owned(), action.name().to_owned()),
        ("gates".to_owned(), names.join(",")),
    ];
    for v in &closed {
        let name = v.gate.name();
        let subject = format!("{name}:{target}");
        if quota(v.gate) {
            details.add_quota_failure_violation(subject, v.message.as_str());
        } else {
            details.add_precondition_failure_violation(
                self::reason(v.gate).name(),
                subject,
                v.message.as_str(),
            );
        }
        metadata.push((format!("{name}.message"), v.message.clone()));
        metadata.extend(v.numbers.iter().map(|(k, n)| (format!("{name}.{k}"), n.to_string())));
    }
    if let Some(retry) = retry {
        metadata.push(("retry_after_ms".to_owned(), retry.as_millis().to_string()));
        if code == Code::ResourceExhausted {
            details.set_retry_info(Some(retry));
        }
    }
    if lang == Lang::ZhCn {
        let words: Vec<&str> = closed.iter().map(|v| gate_words(v.gate, lang)).collect();
        details.set_localized_message("zh-CN", words.concat());
    }
    let said: Vec<String> = closed.iter().map(|v| format!("{}: {}", v.gate.name(), v.message)).collect();
    let message = format!("{action} on {target} is not possible now; {}", said.join("; "));
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    build(code, reason, &message, &metadata, details)
}
