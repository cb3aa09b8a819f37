//! The thread that turns finished segments into parts while the recorder goes on, and lets go of what a ring doesn't keep.
//! Never stops the recorder: what goes wrong is told at the next sync, and tried again when the bundle is sealed.

use super::options::Retention;
use super::state::{Finished, State};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The thread, once there is work for it: it has the privileges of who brings the first.
pub(super) struct Compactor {
    state: Arc<State>,
    host: String,
    retention: Option<Retention>,
    running: Option<(SyncSender<Finished>, JoinHandle<()>)>,
}

impl Compactor {
    /// For finished segments of `host`.
    pub(super) fn new(state: Arc<State>, host: &str, retention: Option<Retention>) -> Compactor {
        Compactor { state, host: host.to_string(), retention, running: None }
    }

    /// Hands over a finished segment; waits if too many are waiting.
    pub(super) fn push(&mut self, finished: Finished) {
        if self.running.is_none() {
            self.running = self.start();
        }
        // Without the thread the segment stays, and is compacted when the bundle is sealed.
        if let Some((segments, _)) = &self.running {
            let _ = segments.send(finished);
        }
    }

    fn start(&self) -> Option<(SyncSender<Finished>, JoinHandle<()>)> {
        // Columns are encoded on this thread alone: a recorder leaves the other processors to what it records.
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        // In a ring the room that waiting segments take would cost parts.
        let most_waiting = if self.retention.is_some() { 1 } else { 1024 };
        let (finished, segments) = sync_channel(most_waiting);
        let (host, state, retention) = (self.host.clone(), self.state.clone(), self.retention);
        let work = move || {
            let pool = pool();
            for finished in segments {
                let compact = || compact(&state, &host, retention, &finished);
                match &pool {
                    Ok(pool) => pool.install(compact),
                    Err(_) => compact(),
                }
            }
        };
        let thread = std::thread::Builder::new().name("compactor".into()).spawn(work);
        Some((finished, thread.ok()?))
    }

    /// Waits until all segments handed over are done with.
    pub(super) fn finish(self) {
        if let Some((segments, thread)) = self.running {
            drop(segments);
            // What a panic left undone is still a segment.
            let _ = thread.join();
        }
    }
}

fn compact(state: &State, host: &str, retention: Option<Retention>, finished: &Finished) {
    let done = state
        .compact(host, finished)
        .and_then(|_| retention.map_or(Ok(()), |retention| state.retain(&retention)));
    if let Err(error) = done {
        state.inner().error.get_or_insert(error);
    }
}
