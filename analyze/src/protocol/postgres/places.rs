//! Which request a response answers, counted by both halves on their own: every query, Sync and start-up ends an
//! *epoch* with exactly one ReadyForQuery, and inside an epoch requests and responses have the same order. So skipped
//! requests shift nothing, and no half waits for the other.
//! Never guesses: behind a loss, or joined late, there are no numbers, and pairing is by order.

use std::collections::VecDeque;

const EPOCHS_MAX: usize = 4096;

/// Where one half stands: the epoch and the request in it.
#[derive(Debug, Default)]
pub(super) struct Place {
    epoch: u64,
    index: u64,
    /// The first number that means nothing.
    doubtful_from: Option<u64>,
}

/// The epochs that the client has ended and the server not yet: their number and how many requests they have.
#[derive(Debug, Default)]
pub(super) struct Epochs(VecDeque<(u64, u64)>);

/// The number of the n-th request for encryption, outside all epochs.
pub(super) fn negotiation(n: u64) -> u64 {
    u64::MAX - n
}

fn number(epoch: u64, index: u64) -> u64 {
    epoch << 32 | index
}

impl Place {
    /// The number of the request or response that comes now.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.index += 1;
        self.number(self.index - 1)
    }

    /// The number of the `index`-th of this epoch.
    pub(super) fn number(&self, index: u64) -> Option<u64> {
        self.certain(number(self.epoch, index))
    }

    /// The number of the start-up.
    pub(super) fn startup(&self) -> Option<u64> {
        self.certain(0)
    }

    fn certain(&self, number: u64) -> Option<u64> {
        self.doubtful_from.is_none_or(|from| number < from).then_some(number)
    }

    /// Start-up was requested and nothing after it.
    pub(super) fn in_startup(&self) -> bool {
        self.epoch == 1 && self.index == 0
    }

    pub(super) fn is_at_epochs_start(&self) -> bool {
        self.index == 0
    }

    pub(super) fn index(&self) -> u64 {
        self.index
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// From here on numbers mean nothing.
    pub(super) fn lose(&mut self) {
        self.doubt(number(self.epoch, self.index));
    }

    /// The same from a number on.
    pub(super) fn doubt(&mut self, number: u64) {
        self.doubtful_from = Some(self.doubtful_from.map_or(number, |from| from.min(number)));
    }

    pub(super) fn doubtful_from(&self) -> Option<u64> {
        self.doubtful_from
    }

    /// The client ends an epoch.
    pub(super) fn end_epoch(&mut self, epochs: &mut Epochs) {
        if epochs.0.len() == EPOCHS_MAX {
            epochs.0.pop_front();
        }
        epochs.0.push_back((self.epoch, self.index));
        self.begin_epoch();
    }

    /// It did not end after all.
    pub(super) fn resume_epoch(&mut self, epochs: &mut Epochs) {
        if let Some((epoch, index)) = epochs.0.pop_back() {
            (self.epoch, self.index) = (epoch, index);
        }
    }

    /// A new epoch.
    pub(super) fn begin_epoch(&mut self) {
        (self.epoch, self.index) = (self.epoch + 1, 0);
    }
}

impl Epochs {
    /// How many requests an epoch has; `None`: not ended, or unknown.
    pub(super) fn n_requests(&mut self, place: &Place) -> Option<u64> {
        place.number(u64::from(u32::MAX))?;
        while self.0.front().is_some_and(|&(epoch, _)| epoch < place.epoch) {
            self.0.pop_front();
        }
        self.0.front().filter(|&&(epoch, _)| epoch == place.epoch).map(|&(_, n)| n)
    }
}
