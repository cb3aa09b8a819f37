//! Between the thread that drains the kernel and the one that writes: rows in order, bounded in bytes. Never drops a row: when
//! the disk is too slow, the kernel's rings fill, and what they lose they count.

use crate::source::Rows;
use afterpath_formats::table::Table;
use afterpath_formats::table::losses::LossRow;
use arrow::array::RecordBatch;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What the writer is told, in order.
pub(super) enum Message {
    /// Rows of a table.
    Rows(&'static Table, RecordBatch),
    /// What was lost.
    Lost(Vec<LossRow>),
    /// Make it survive a crash.
    Sync,
}

/// The queue's end for the drainer.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    max_bytes: usize,
}

#[derive(Default)]
struct Inner {
    messages: VecDeque<(usize, Message)>,
    n_bytes: usize,
    closed: bool,
}

impl Queue {
    /// A queue of about `max_bytes` (one batch more fits always).
    pub(super) fn new(max_bytes: usize) -> Queue {
        let inner = Mutex::new(Inner::default());
        Queue(Arc::new(Shared { inner, changed: Condvar::new(), max_bytes }))
    }

    /// Waits for room.
    pub(super) fn push(&self, message: Message) {
        let n_bytes = match &message {
            Message::Rows(_, batch) => batch.get_array_memory_size(),
            Message::Lost(rows) => rows.len() * 128,
            Message::Sync => 0,
        };
        let mut inner = self.inner();
        while inner.n_bytes > 0 && inner.n_bytes + n_bytes > self.0.max_bytes && !inner.closed {
            inner = self.0.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.n_bytes += n_bytes;
        inner.messages.push_back((n_bytes, message));
        self.0.changed.notify_all();
    }

    /// The next message; `None` when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<Message> {
        let mut inner = self.inner();
        loop {
            if let Some((n_bytes, message)) = inner.messages.pop_front() {
                inner.n_bytes -= n_bytes;
                self.0.changed.notify_all();
                return Some(message);
            }
            if inner.closed {
                return None;
            }
            inner = self.0.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more comes, or nothing more is taken.
    pub(super) fn close(&self) {
        self.inner().closed = true;
        self.0.changed.notify_all();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows for Queue {
    fn append(&mut self, table: &'static Table, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.push(Message::Rows(table, batch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afterpath_formats::table::losses;

    fn rows(n: usize) -> RecordBatch {
        losses::batch(&vec![LossRow::default(); n])
    }

    #[test]
    fn messages_keep_their_order_and_a_closed_queue_ends() {
        let mut queue = Queue::new(1 << 20);
        queue.append(&losses::TABLE, rows(2));
        queue.append(&losses::TABLE, rows(0));
        queue.push(Message::Sync);
        queue.close();
        assert!(matches!(queue.pop(), Some(Message::Rows(_, batch)) if batch.num_rows() == 2));
        assert!(matches!(queue.pop(), Some(Message::Sync)));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn a_full_queue_waits_for_its_reader() {
        let queue = Queue::new(1);
        let mut writer = queue.clone();
        let pushing = std::thread::spawn(move || {
            (0..100).for_each(|_| writer.append(&losses::TABLE, rows(1)));
            writer.close();
        });
        let mut n = 0;
        while queue.pop().is_some() {
            n += 1;
            assert!(queue.inner().messages.len() <= 1);
        }
        pushing.join().expect("the writer ends");
        assert_eq!(n, 100);
    }
}
