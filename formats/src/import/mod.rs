//! Captures → bundle.

pub mod chunk;
