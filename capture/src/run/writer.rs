//! The thread that writes: rows into the bundle, synced once a second. Never touches the kernel's side.

use super::queue::{Message, Queue};
use afterpath_formats::error::Error;
use afterpath_formats::recording::{Recording, Sealed};
use afterpath_formats::table::losses::LossRow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The writer's thread.
pub(super) struct Writer {
    thread: JoinHandle<Ended>,
    failed: Arc<AtomicBool>,
    error: Arc<Mutex<Option<Error>>>,
}

/// What came of it.
pub(super) struct Ended {
    /// The bundle, sealed, or why it could not be.
    pub(super) sealed: Result<Sealed, Error>,
    /// The first thing that went wrong before.
    pub(super) error: Option<Error>,
    /// Rows that could not be written, by table.
    pub(super) unwritten: BTreeMap<&'static str, u64>,
}

impl Writer {
    /// Writes what comes through `queue` until it is closed, then seals.
    pub(super) fn start(recording: Recording, queue: Queue) -> std::io::Result<Writer> {
        let failed = Arc::new(AtomicBool::new(false));
        let error = Arc::new(Mutex::new(None));
        let state = (failed.clone(), error.clone());
        let thread = std::thread::Builder::new()
            .name("writer".to_string())
            .spawn(move || write(recording, &queue, &state.0, &state.1))?;
        Ok(Writer { thread, failed, error })
    }

    /// Whether writing went wrong: recording should stop, as nothing more can be kept.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits until everything is written. The queue has been closed.
    pub(super) fn finish(self) -> Option<Ended> {
        let error = self.error;
        let ended = self.thread.join().ok()?;
        let first = error.lock().unwrap_or_else(PoisonError::into_inner).take();
        Some(Ended { error: first, ..ended })
    }
}

fn write(
    mut recording: Recording,
    queue: &Queue,
    failed: &AtomicBool,
    first: &Mutex<Option<Error>>,
) -> Ended {
    let mut unwritten: BTreeMap<&'static str, u64> = BTreeMap::new();
    let went_wrong = |error: Error| {
        first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        failed.store(true, Ordering::Release);
    };
    while let Some(message) = queue.pop() {
        match message {
            Message::Rows(table, batch) => {
                let n_rows = batch.num_rows() as u64;
                if let Err(error) = recording.append(table, batch) {
                    *unwritten.entry(table.name).or_default() += n_rows;
                    went_wrong(error);
                }
            }
            Message::Lost(rows) => {
                if let Err(error) = recording.lost(&rows) {
                    *unwritten.entry("losses").or_default() += rows.len() as u64;
                    went_wrong(error);
                }
            }
            Message::Sync => recording.sync().unwrap_or_else(went_wrong),
        }
    }
    let lost: Vec<LossRow> = unwritten
        .iter()
        .map(|(table, n_rows)| LossRow {
            source: table.to_string(),
            cause: "not-written".to_string(),
            count: *n_rows as i64,
            ..LossRow::default()
        })
        .collect();
    if !lost.is_empty() {
        // On a full disk this fails too; the exit line says it in any case.
        let _ = recording.lost(&lost);
    }
    Ended { sealed: recording.seal(), error: None, unwritten }
}
