//! One test binary, a module for each side: the server inside the test, and the process around it.

mod gateway;
mod process;
mod support;
