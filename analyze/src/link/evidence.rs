//! The kinds of evidence, by name, and which of them may be used. One more kind is a line in `kinds!`, and a file that asks
//! whether it may speak. Never weighs anything.

/// Kinds, each a line: what it is in code, as it is asked for, and what it is for whoever asks.
macro_rules! kinds {
    ($($kind:ident $name:literal $about:literal)*) => {
        /// A kind of evidence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        /// All kinds.
        pub const KINDS: &[Named] =
            &[$(Named { kind: Kind::$kind, name: $name, about: $about }),*];
    };
}

/// A kind with its name and what it is.
#[derive(Debug)]
pub struct Named {
    /// Which.
    pub kind: Kind,
    /// As it is asked for.
    pub name: &'static str,
    /// For whoever asks.
    pub about: &'static str,
}

// Rules of threads stand together: see `Evidence::uses`.
kinds! {
    Ids "ids" "Ids that tracers planted"
    Threads "threads" "All that threads and tasks tell: the five below"
    Waits "waits" "Threads that wait for each of their calls work on one request"
    Tasks "tasks" "Goroutines: what each has open, and who made it"
    HandOffs "hand-offs" "What one thread or goroutine left for another, or woke it for"
    Turns "turns" "An event loop works in the order in which it read"
    Adjacency "adjacency" "What the thread or goroutine read last"
    Delays "delays" "How long after what a service usually asks"
    Content "content" "Words of a request that reappear in a call"
    Sizes "sizes" "How much longer what is passed on is, where it is encrypted"
    Counts "counts" "How often a request usually makes a kind of call"
    Transactions "transactions" "Statements of a transaction have one cause"
    Queues "queues" "A subscriber gets everything in the order of publication"
    Background "background" "Calls made while nothing is served, too, or whose cause was missed"
}

/// Which kinds may be used: all, less those left out to measure the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    left_out: u32,
}

impl Evidence {
    /// All of it.
    pub const ALL: Evidence = Evidence { left_out: 0 };
    /// All but planted ids.
    pub const WITHOUT_IDS: Evidence = Evidence::ALL.without(Kind::Ids);

    /// The same less one kind.
    #[must_use]
    pub const fn without(self, kind: Kind) -> Evidence {
        Evidence { left_out: self.left_out | 1 << kind as u32 }
    }

    /// Whether a kind may be used.
    pub fn uses(self, kind: Kind) -> bool {
        let is_rule_of_threads = (Kind::Waits..=Kind::Adjacency).contains(&kind);
        self.has(kind) && (!is_rule_of_threads || self.has(Kind::Threads))
    }

    fn has(self, kind: Kind) -> bool {
        self.left_out & 1 << kind as u32 == 0
    }
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<Kind> {
    KINDS.iter().find(|named| named.name == name).map(|named| named.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_used_and_threads_are_all_their_rules() {
        let all = Evidence::ALL;
        assert!(KINDS.iter().all(|named| all.uses(named.kind)));
        for named in KINDS {
            assert_eq!(kind(named.name), Some(named.kind));
            let less = all.without(named.kind);
            let left_out = KINDS.iter().filter(|other| !less.uses(other.kind)).count();
            assert_eq!(left_out, if named.kind == Kind::Threads { 6 } else { 1 }, "{}", named.name);
        }
        assert!(!all.without(Kind::Ids).without(Kind::Delays).uses(Kind::Ids));
    }
}
