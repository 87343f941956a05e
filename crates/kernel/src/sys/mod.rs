//! The system calls that `std` has not, and what stands in for them where there is no Linux.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{SUPPORTED, Socket, enter_network, is_own_network};

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{SUPPORTED, Socket, enter_network, is_own_network};
