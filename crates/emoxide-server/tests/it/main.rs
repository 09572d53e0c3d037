//! The service as a function: requests in, answers out, no socket.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod analyze;
mod document;
mod explain;
mod guards;
mod predict;
mod refusals;
mod support;
mod video;
