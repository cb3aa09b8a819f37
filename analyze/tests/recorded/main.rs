//! Recordings of sockets and packets: what is reconstructed of both, of either alone, and of what is odd about them. Small
//! worlds with known times; never a real kernel.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "bundles are files")]

mod bundle;
mod calls;
mod links;
mod odd;
mod parts;
mod ways;
mod world;
