//! What the whole-program suites and the benches share: the checkout they run in, captures made from a seed, other
//! makers' tools, the testbed's truth and the scorer. Never part of the product.

pub mod checkout;
pub mod delay;
pub mod endure;
pub mod generate;
pub mod machine;
pub mod numbered;
pub mod oracle;
pub mod recording;
pub mod rewrite;
pub mod sample;
pub mod score;
pub mod scrub;
pub mod spans;
pub mod split;
pub mod tool;
pub mod truth;
pub mod unix_leg;
