//! The conversation with the kernel: a request, its answers, one reused buffer.
//!
//! A dump is always read to its end: the kernel refuses another on the same socket before that. It is flow-controlled by
//! our reading, so nothing is lost however long it is.

use std::io;

use crate::connection::{Connection, Family};
use crate::diag::message;
use crate::diag::netlink::{DUMP_INTR, Messages, NLMSG_DONE, NLMSG_ERROR, errno};
use crate::diag::request::{self, SOCK_DIAG_BY_FAMILY, Tuple};
use crate::process::ProcessError;
use crate::sys;

/// Why the connections could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The netlink socket failed. Open another [`crate::Reader`].
    #[error("netlink failed while reading connections; open the namespace again")]
    Netlink(#[source] io::Error),
    /// It failed in an earlier scan.
    #[error("netlink failed in an earlier scan; open the namespace again")]
    Broken,
    /// The kernel refused the request.
    #[error("the kernel refuses to list connections (it needs CONFIG_INET_TCP_DIAG: module tcp_diag)")]
    Refused(#[source] io::Error),
    /// The selector names nothing.
    #[error("the selector names neither port, process nor remote end, so no connection is anybody's")]
    NothingSelected,
    /// The selector's process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// `ENOENT` and `ESTALE`: no such socket, or another one with its addresses.
const ENOENT: i32 = 2;
const ESTALE: i32 = 116;

/// A netlink socket and its buffers.
#[derive(Debug)]
pub(crate) struct Link {
    socket: sys::Socket,
    buffer: Vec<u8>,
    request: Vec<u8>,
    sequence: u32,
}

impl Link {
    /// The kernel fills datagrams of a dump up to 32 KiB, if the reader's buffer holds that much.
    const BUFFER: usize = 64 * 1024;

    pub(crate) fn new(socket: sys::Socket) -> Self {
        Self { socket, buffer: vec![0; Self::BUFFER], request: Vec::new(), sequence: 0 }
    }

    /// Walks the sockets of a family that pass the bytecode. Whether the walk was undisturbed.
    pub(crate) fn dump(
        &mut self,
        family: Family,
        bytecode: &[u8],
        each: &mut dyn FnMut(Connection),
    ) -> Result<bool, ScanError> {
        let sequence = self.next();
        request::dump(&mut self.request, family, bytecode, sequence);
        self.socket.send(&self.request).map_err(ScanError::Netlink)?;
        let mut undisturbed = true;
        loop {
            let length = self.receive()?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                if message.sequence != sequence {
                    continue;
                }
                undisturbed &= message.flags & DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match errno(message.body) {
                            0 => Ok(undisturbed),
                            number => Err(ScanError::Refused(io::Error::from_raw_os_error(number))),
                        };
                    }
                    SOCK_DIAG_BY_FAMILY => {
                        if let Some(connection) = message::parse(message.body) {
                            each(connection);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Looks at one socket. `None`: there is none with these addresses and this cookie.
    pub(crate) fn one(&mut self, tuple: &Tuple) -> Result<Option<Connection>, ScanError> {
        let sequence = self.next();
        request::one(&mut self.request, tuple, sequence);
        match self.answer(sequence).map_err(ScanError::Netlink)? {
            Ok(found) => Ok(found),
            Err(ENOENT | ESTALE) => Ok(None),
            Err(number) => Err(ScanError::Refused(io::Error::from_raw_os_error(number))),
        }
    }

    /// Destroys one socket. `Err` inside: the kernel's errno.
    pub(crate) fn destroy(&mut self, tuple: &Tuple) -> io::Result<Result<(), i32>> {
        let sequence = self.next();
        request::destroy(&mut self.request, tuple, sequence);
        Ok(self.answer(sequence)?.map(|_| ()))
    }

    /// Sends the request and waits for its one answer: a socket, an acknowledgement, or an errno.
    fn answer(&mut self, sequence: u32) -> io::Result<Result<Option<Connection>, i32>> {
        self.socket.send(&self.request)?;
        loop {
            let length = self.socket.receive(&mut self.buffer)?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                match message.kind {
                    _ if message.sequence != sequence => {}
                    NLMSG_ERROR => {
                        return Ok(match errno(message.body) {
                            0 => Ok(None),
                            number => Err(number),
                        });
                    }
                    SOCK_DIAG_BY_FAMILY => return Ok(Ok(message::parse(message.body))),
                    _ => {}
                }
            }
        }
    }

    fn receive(&mut self) -> Result<usize, ScanError> {
        let length = self.socket.receive(&mut self.buffer).map_err(ScanError::Netlink)?;
        if length > self.buffer.len() {
            // Never seen: the kernel fits its datagrams to the reader's buffer. Sockets would be missing.
            return Err(ScanError::Netlink(io::Error::new(io::ErrorKind::InvalidData, "datagram cut short")));
        }
        Ok(length)
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}
