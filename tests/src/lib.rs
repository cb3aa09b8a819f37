//! What the whole-program tests share: the testbed's truth and the scorer. Never part of the product.

pub mod recording;
pub mod score;
pub mod truth;
