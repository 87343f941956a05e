//! The wire: types generated from `proto/`, and the conversions between them and `mooring-core`.
//!
//! Nothing else builds wire types by hand. Everything that comes from a peer passes through the fallible conversions
//! here, which check ranges, lengths and names, so that what is inside is well formed. The generated code comes from
//! protox at build time: no `protoc`, nothing checked in to go stale.

pub mod examine;
pub mod json;
pub mod link;
pub mod operator;
pub mod sessions;
mod wkt;

pub use wkt::{duration, duration_from, timestamp, timestamp_from};

/// As the packages are nested: what is generated of one names the types of another by that.
mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes,
        clippy::all,
        clippy::clone_on_ref_ptr,
        reason = "generated code; its documentation is that of the protos"
    )]
    pub mod mooring {
        pub mod v1 {
            tonic::include_proto!("mooring.v1");
        }
        pub mod agent {
            pub mod v1 {
                tonic::include_proto!("mooring.agent.v1");
            }
        }
        pub mod report {
            pub mod v1 {
                tonic::include_proto!("mooring.report.v1");
            }
        }
    }
}

/// `mooring.agent.v1`: the link between agent and controller.
pub use generated::mooring::agent::v1 as agent_v1;
/// `mooring.report.v1`: what a gateway says of itself, and the orders it takes.
pub use generated::mooring::report::v1 as report_v1;
/// `mooring.v1`: the operator API.
pub use generated::mooring::v1;

/// All descriptors with their comments, encoded: for reflection. Bytes, since decoding would lose custom options.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mooring.fds"));

/// The name of a status code, as in the gRPC documentation and in grpcurl's output.
#[must_use]
pub fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Why a message of a peer was refused: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// Path of the field.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Invalid {
    /// A problem with a field.
    pub fn new(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }
}
