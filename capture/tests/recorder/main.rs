//! The recorder on this kernel, as its users run it: what it says it recorded is what happened. The traffic is this program's own,
//! on loopback. Without privileges or tracefs a test says that it was skipped.

mod chosen;
mod coroutines;
mod counters;
mod filters;
mod full;
mod killed;
mod made;
mod metadata;
mod net;
mod overload;
mod packets;
mod passages;
mod private;
mod privileges;
mod processes;
mod refusals;
mod sample;
mod sockets;
mod stops;
mod streams;
mod tcp_info;
mod tiling;
mod wakeups;
