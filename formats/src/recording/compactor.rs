//! The thread that turns finished segments into parts while the recorder goes on, and lets go of what a ring doesn't keep.
//! Never stops the recorder: what goes wrong is told at the next sync, and tried again when the bundle is sealed.

use super::options::Retention;
use super::state::{Finished, State};
use crate::error::{At, Error, Kind, Result};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The thread at work.
pub(super) struct Compactor {
    finished: SyncSender<Finished>,
    thread: JoinHandle<()>,
}

impl Compactor {
    /// Begins to wait for finished segments of `host`.
    pub(super) fn start(
        state: Arc<State>,
        host: &str,
        retention: Option<Retention>,
    ) -> Result<Compactor> {
        let failed = |why: String| Error::new(&state.root, At::File, Kind::Io(why));
        // Columns are encoded on this thread alone: a recorder leaves the other processors to what it records.
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        // In a ring the room that waiting segments take would cost parts.
        let most_waiting = if retention.is_some() { 1 } else { 1024 };
        let (finished, segments) = sync_channel(most_waiting);
        let (host, shared) = (host.to_string(), state.clone());
        let work = move || {
            let pool = pool();
            for finished in segments {
                let compact = || compact(&shared, &host, retention, &finished);
                match &pool {
                    Ok(pool) => pool.install(compact),
                    Err(_) => compact(),
                }
            }
        };
        let thread = std::thread::Builder::new().name("compactor".into()).spawn(work);
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        Ok(Compactor { finished, thread })
    }

    /// Hands over a finished segment; waits if too many are waiting.
    pub(super) fn push(&self, finished: Finished) {
        // Should the thread be gone, the segment stays, and is compacted when the bundle is sealed.
        let _ = self.finished.send(finished);
    }

    /// Waits until all segments handed over are done with.
    pub(super) fn finish(self) {
        drop(self.finished);
        // What a panic left undone is still a segment.
        let _ = self.thread.join();
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
