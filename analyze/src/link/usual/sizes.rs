//! How much longer a call is than the request it was made for, and the answer than that of the call, where one of the two can't be
//! read: who passes on what is encrypted adds about as much each time. Never looks at what can be read: words say more of that.

use super::contrast::Contrast;
use super::{Lesson, Usual};
use crate::call::{Call, CallState};
use crate::link::evidence::Kind;
use crate::link::pair::Pair;

/// Differences of requests, and of answers, in bytes.
#[derive(Debug, Clone, Default)]
pub(in crate::link) struct Sizes {
    requests: Contrast<i64>,
    answers: Contrast<i64>,
}

/// How much longer: the request that was made, and the answer that was given. An answer counts where both were seen.
fn longer(parent: &Call, child: &Call) -> (i64, Option<i64>) {
    let more =
        |of: u64, than: u64| i64::try_from(of).unwrap_or(i64::MAX).saturating_sub_unsigned(than);
    let is_answered = [parent, child].iter().all(|call| call.state == CallState::Complete);
    let request = more(child.request_bytes, parent.request_bytes);
    (request, is_answered.then(|| more(parent.response_bytes, child.response_bytes)))
}

/// The same of a pair of which one can't be read.
fn unread(pair: &Pair<'_>) -> Option<(i64, Option<i64>)> {
    let (parent, child) = (pair.parent_call(), pair.child_call());
    let is_unread = [parent, child].iter().any(|call| call.protocol == "opaque");
    is_unread.then(|| longer(parent, child))
}

impl Usual for Sizes {
    fn kind(&self) -> Kind {
        Kind::Sizes
    }

    fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        let Some((request, answer)) = unread(pair) else { return };
        self.requests.count(pair.edge(), request, of == Lesson::Sure);
        if let Some(answer) = answer {
            self.answers.count(pair.edge(), answer, of == Lesson::Sure);
        }
    }

    fn weight(&self, pair: &Pair<'_>) -> i64 {
        unread(pair).map_or(0, |(request, answer)| {
            let of_answer = answer.map_or(0, |answer| self.answers.log(pair.edge(), answer));
            self.requests.log(pair.edge(), request) + of_answer
        })
    }

    fn reason(&self, pair: &Pair<'_>) -> String {
        match unread(pair) {
            Some((request, Some(answer))) => {
                format!("{request:+} bytes as a request, {answer:+} as an answer")
            }
            Some((request, None)) => format!("{request:+} bytes as a request"),
            None => String::new(),
        }
    }

    fn is_of_each(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::shop;

    #[test]
    fn differences_are_of_both_ways_and_never_overflow() {
        let call = |request_bytes, response_bytes, state| Call {
            request_bytes,
            response_bytes,
            state,
            ..shop().calls[0].clone()
        };
        let check = |parent: (u64, u64), child: (u64, u64), state, expected| {
            let parent = call(parent.0, parent.1, CallState::Complete);
            assert_eq!(longer(&parent, &call(child.0, child.1, state)), expected);
        };
        check((100, 500), (130, 470), CallState::Complete, (30, Some(30)));
        check((130, 470), (100, 500), CallState::Complete, (-30, Some(-30)));
        check((130, 470), (100, 0), CallState::Open, (-30, None));
        check((u64::MAX, 0), (0, u64::MAX), CallState::Complete, (i64::MIN, Some(i64::MIN)));
    }
}
