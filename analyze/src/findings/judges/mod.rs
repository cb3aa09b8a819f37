//! The judges, one file each, one line each in [`JUDGES`]. None asks for another's findings; what two of them tell apart alike (where a
//! packet was lost, whom it slowed, who reset a connection) stands in the one that it is about.

use super::Judge;

mod accept_queue;
mod bypassed;
mod clocks;
mod connects;
mod dns;
mod errors;
mod held_back;
mod lost;
mod many_calls;
mod not_running;
mod pool_wait;
mod queue;
mod recording;
mod resets;
mod retries;
mod self_time;
mod slow_stretch;
mod stalls;
mod tls;
mod together;
mod zero_window;

/// Every judge.
pub const JUDGES: &[Judge] = &[
    errors::ERRORS,
    connects::CONNECTS,
    resets::RESETS,
    dns::DNS,
    tls::TLS,
    lost::LOST,
    stalls::STALLS,
    slow_stretch::SLOW_STRETCH,
    not_running::NOT_RUNNING,
    together::TOGETHER,
    accept_queue::ACCEPT_QUEUE,
    pool_wait::POOL_WAIT,
    queue::QUEUE,
    held_back::HELD_BACK,
    zero_window::ZERO_WINDOW,
    self_time::SELF_TIME,
    retries::RETRIES,
    many_calls::MANY_CALLS,
    bypassed::BYPASSED,
    clocks::CLOCKS,
    recording::RECORDING,
];
