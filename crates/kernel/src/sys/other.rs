//! Not Linux: nothing can be opened, and it says so.

use std::fs::File;
use std::io;

pub(crate) const SUPPORTED: bool = false;

/// Cannot be made.
#[derive(Debug)]
pub(crate) enum Socket {}

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn send(&self, _: &[u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn receive(&self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

pub(crate) fn enter_network(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_own_network(_: &File) -> bool {
    false
}
