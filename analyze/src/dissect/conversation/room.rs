//! Memory and knowledge that the conversations of one partition hand on to one another. Never a byte of one.

use crate::dissect::Given;
use crate::dissect::direction::Direction;
use crate::protocol::IdFields;

/// Memory that finished conversations leave to the next ones: growing anew each time took a tenth of dissection. And what all are told.
#[derive(Default)]
pub(in crate::dissect) struct Room {
    arenas: Vec<Vec<u8>>,
    pub(super) given: Given,
}

/// Arenas kept, and the largest worth keeping.
const KEPT_ARENAS: usize = 16;
const KEPT_BYTES: usize = 1 << 20;

impl Room {
    /// Room for conversations that are told this.
    pub(in crate::dissect) fn knowing(given: &Given) -> Room {
        Room { arenas: Vec::new(), given: given.clone() }
    }

    /// The fields that name requests.
    pub(in crate::dissect) fn id_fields(&self) -> IdFields {
        self.given.id_fields.clone()
    }

    pub(super) fn direction(&mut self) -> Direction {
        Direction::reusing(self.arenas.pop().unwrap_or_default())
    }

    pub(super) fn take_back(&mut self, direction: Direction) {
        let arena = direction.into_arena();
        if self.arenas.len() < KEPT_ARENAS && (1..=KEPT_BYTES).contains(&arena.capacity()) {
            self.arenas.push(arena);
        }
    }
}
