//! What a running probe is to the recorder: something to drain, to ask for losses, and to stop. Never a thread of its own
//! unless the kernel's side needs one (a packet socket of another namespace).

use afterpath_formats::table::Table;
use afterpath_formats::table::losses::LossRow;
use arrow::array::RecordBatch;

/// Where rows go.
pub trait Rows {
    /// Appends rows of `table`. Whether they could be written is the recorder's business.
    fn append(&mut self, table: &'static Table, batch: RecordBatch);
}

/// A probe that runs.
pub trait Source {
    /// Takes what the kernel has ready, without waiting. Called some 20 times a second, and once more after [`stop`](Self::stop).
    fn drain(&mut self, rows: &mut dyn Rows);

    /// Once a second, after a drain: what is read rather than delivered, new namespaces, new processes.
    /// `now_ns` is CLOCK_BOOTTIME.
    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows);

    /// What could not be delivered since the last call, by cause and processor. Times are filled in by the recorder.
    fn losses(&mut self) -> Vec<LossRow>;

    /// Records made by the kernel's side so far, delivered or lost; `None` where nothing counts them apart.
    fn n_made(&mut self) -> Option<u64> {
        None
    }

    /// Stops the kernel's side: nothing more comes in, what came is still there to be drained. Called once.
    fn stop(&mut self);
}
