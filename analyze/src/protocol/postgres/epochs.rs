//! How many requests lie between two ReadyForQuery: every query, Sync and start-up ends an *epoch* with exactly one of
//! them. Both halves count epochs on their own, so neither waits for the other; the server half needs the client's counts
//! only to tell which requests a failure skipped.
//! Never guesses: behind a loss, or joined late, nothing is said of epochs.

use std::collections::VecDeque;

const EPOCHS_MAX: usize = 4096;

/// Where one half stands: the epoch and how many requests or responses it has so far.
#[derive(Debug, Default)]
pub(super) struct Place {
    epoch: u64,
    count: u64,
    /// The first epoch that may have been counted wrongly.
    doubtful_from: Option<u64>,
}

/// The epochs that the client has ended and the server not yet: their number and how many requests they have.
#[derive(Debug, Default)]
pub(super) struct Epochs(VecDeque<(u64, u64)>);

impl Place {
    /// One more request or response.
    pub(super) fn count_one(&mut self) {
        self.count += 1;
    }

    /// Requests or responses of this epoch so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Epochs before this one.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// From here on counts mean nothing.
    pub(super) fn lose(&mut self) {
        self.doubt(self.epoch);
    }

    /// The same from an epoch on.
    pub(super) fn doubt(&mut self, epoch: u64) {
        self.doubtful_from = Some(self.doubtful_from.map_or(epoch, |from| from.min(epoch)));
    }

    pub(super) fn doubtful_from(&self) -> Option<u64> {
        self.doubtful_from
    }

    /// The client ends an epoch.
    pub(super) fn end_epoch(&mut self, epochs: &mut Epochs) {
        if epochs.0.len() == EPOCHS_MAX {
            epochs.0.pop_front();
        }
        epochs.0.push_back((self.epoch, self.count));
        self.begin_epoch();
    }

    /// It did not end after all.
    pub(super) fn resume_epoch(&mut self, epochs: &mut Epochs) {
        if let Some((epoch, count)) = epochs.0.pop_back() {
            (self.epoch, self.count) = (epoch, count);
        }
    }

    /// A new epoch.
    pub(super) fn begin_epoch(&mut self) {
        (self.epoch, self.count) = (self.epoch + 1, 0);
    }
}

impl Epochs {
    /// How many requests an epoch has; `None`: it is not ended, or that is unknown.
    pub(super) fn n_requests(&mut self, place: &Place) -> Option<u64> {
        if place.doubtful_from.is_some_and(|from| from <= place.epoch) {
            return None;
        }
        while self.0.front().is_some_and(|&(epoch, _)| epoch < place.epoch) {
            self.0.pop_front();
        }
        self.0.front().filter(|&&(epoch, _)| epoch == place.epoch).map(|&(_, n)| n)
    }
}
