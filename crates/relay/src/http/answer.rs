//! Answers of our own: a status and one line that says who speaks and why. Nothing of the inside is told: no address, no
//! error text of the system.

/// An answer of the relay itself. The connection is closed after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
    /// `Retry-After`, seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Own {
    pub(crate) const fn new(status: u16, why: &'static str) -> Self {
        Self { status, why, retry_after: None }
    }

    pub(crate) const fn retry(status: u16, why: &'static str, after: u32) -> Self {
        Self { status, why, retry_after: Some(after) }
    }

    /// As it stands on the wire; without its body for a HEAD request.
    pub(crate) fn bytes(&self, head_only: bool) -> Vec<u8> {
        let reason = match self.status {
            400 => "Bad Request",
            403 => "Forbidden",
            408 => "Request Timeout",
            426 => "Upgrade Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Error",
        };
        let body = format!("mooring relay: {}\n", self.why);
        let mut out = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            body.len()
        );
        if let Some(seconds) = self.retry_after {
            out.push_str(&format!("Retry-After: {seconds}\r\n"));
        }
        if self.status == 426 {
            out.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        }
        out.push_str("\r\n");
        if !head_only {
            out.push_str(&body);
        }
        out.into_bytes()
    }
}
