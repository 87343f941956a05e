//! W3C trace context (`traceparent`, version 00) in and out of tracing spans.
//!
//! Orders are stored and sent with the `traceparent` of the span that created them, so that one trace leads from
//! observation to decision to execution to verification, across processes and restarts. Baggage and `tracestate` are
//! not accepted: both are free text of a peer's choosing.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The length in bytes of a version 00 `traceparent` (W3C Trace Context, section 3.2.2).
pub const TRACEPARENT_BYTES: usize = 55;

/// The `traceparent` of the current span; `None` outside any recorded span.
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

/// The `traceparent` of `span`.
pub fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove("traceparent")
}

/// The trace id of the current span in hexadecimal, for log lines and diagnosis records.
pub fn current_trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Makes `span` a child of the span that `traceparent` names. Call it before the span is entered.
///
/// False, and the span stays a root, when the text is not a valid `traceparent` or the span is not recorded.
pub fn set_parent(span: &Span, traceparent: &str) -> bool {
    parse(traceparent).is_some_and(|context| span.set_parent(context).is_ok())
}

/// Links `span` to the span that `traceparent` names, without being its child: for messages on a long stream.
///
/// False when the text is not a valid `traceparent`.
pub fn add_link(span: &Span, traceparent: &str) -> bool {
    let Some(context) = parse(traceparent) else { return false };
    let target: SpanContext = context.span().span_context().clone();
    span.add_link(target);
    true
}

/// `span`, made a child of the span that `traceparent` names where it names one.
///
/// ```
/// # use mooring_runtime::telemetry::trace_context::with_parent;
/// # let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
/// let span = with_parent(tracing::info_span!("order.execute"), traceparent.as_deref());
/// let _entered = span.enter();
/// ```
#[must_use]
pub fn with_parent(span: Span, traceparent: Option<&str>) -> Span {
    if let Some(traceparent) = traceparent {
        set_parent(&span, traceparent);
    }
    span
}

fn parse(traceparent: &str) -> Option<Context> {
    if traceparent.len() != TRACEPARENT_BYTES {
        return None;
    }
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // From an empty context: the span we happen to be in must not step in for an invalid parent.
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    context.span().span_context().is_valid().then_some(context)
}
