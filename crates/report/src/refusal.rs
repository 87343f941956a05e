//! Why a call was refused: one value, said as a gRPC status and as JSON alike.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of our reasons (AIP-193).
const DOMAIN: &str = "report.mooring";

/// Why a call was refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: Code,
    /// A stable name.
    pub reason: &'static str,
    pub message: String,
    /// What to do; one line.
    pub hint: String,
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), hint: String::new(), retry_after: None }
    }

    /// A field that is not as it should be.
    pub fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidArgument, "INVALID", format!("{field}: {problem}"))
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Message and hint in one line.
    pub fn text(&self) -> String {
        if self.hint.is_empty() { self.message.clone() } else { format!("{}: {}", self.message, self.hint) }
    }

    /// The status code of HTTP for it.
    pub fn http(&self) -> http::StatusCode {
        use http::StatusCode as S;
        match self.code {
            Code::Ok => S::OK,
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => S::BAD_REQUEST,
            Code::Unauthenticated => S::UNAUTHORIZED,
            Code::PermissionDenied => S::FORBIDDEN,
            Code::NotFound => S::NOT_FOUND,
            Code::ResourceExhausted => S::TOO_MANY_REQUESTS,
            Code::Unavailable => S::SERVICE_UNAVAILABLE,
            Code::Unimplemented => S::METHOD_NOT_ALLOWED,
            Code::DeadlineExceeded => S::REQUEST_TIMEOUT,
            _ => S::INTERNAL_SERVER_ERROR,
        }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        let mut body = serde_json::json!({
            "code": mooring_proto::code_name(self.code),
            "reason": self.reason,
            "message": self.message,
        });
        if !self.hint.is_empty() {
            body["hint"] = self.hint.clone().into();
        }
        body
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(refusal.reason, DOMAIN, std::collections::HashMap::new());
        if let Some(wait) = refusal.retry_after {
            details.set_retry_info(Some(wait));
        }
        Self::with_error_details(refusal.code, refusal.text(), details)
    }
}
