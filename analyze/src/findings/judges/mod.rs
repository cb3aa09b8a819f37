//! The judges, one file each, one line each in [`JUDGES`]. None knows of another.

use super::Judge;

mod accept_queue;
mod bypassed;
mod clocks;
mod connects;
mod dns;
mod errors;
mod lost;
mod many_calls;
mod not_running;
mod recording;
mod resets;
mod retries;
mod self_time;
mod slow_stretch;
mod together;

/// Every judge.
pub const JUDGES: &[Judge] = &[
    errors::ERRORS,
    connects::CONNECTS,
    resets::RESETS,
    dns::DNS,
    lost::LOST,
    slow_stretch::SLOW_STRETCH,
    not_running::NOT_RUNNING,
    together::TOGETHER,
    accept_queue::ACCEPT_QUEUE,
    self_time::SELF_TIME,
    retries::RETRIES,
    many_calls::MANY_CALLS,
    bypassed::BYPASSED,
    clocks::CLOCKS,
    recording::RECORDING,
];
