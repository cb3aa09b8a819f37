//! The rules put to threads and tasks that did this and that.

use super::*;
use crate::dissect::sockets::log::Task;
use crate::link::threads::hand_backs::GivenBack;
use crate::link::threads::minds::{Habits, Mind};
use crate::link::threads::timeline::{Act, Actor, Entry};
use std::collections::BTreeSet;

/// A call written at 9 µs.
fn entry(task: Option<Task>) -> Entry {
    Entry { host: 0, at_ns: 9_000, tid: 7, task, act: Act::Asks(9), pid: 5 }
}

fn asking<'a>(entry: &'a Entry, possible: &'a [u32]) -> Asking<'a> {
    Asking {
        entry,
        possible,
        next: None,
        given_back: None,
        waited_ns: i64::MIN,
        by_timer: false,
        is_freed: false,
    }
}

/// What the first rule that can tell says.
fn told(
    asking: &Asking<'_>,
    habits: &Habits,
    minds: Vec<(Actor, Mind)>,
) -> Option<(Vec<u32>, Way)> {
    let by_actor = minds.into_iter().map(|(actor, mind)| ((0, actor), mind)).collect();
    let minds = Minds { habits, by_actor };
    let cause = RULES.iter().find_map(|rule| rule.cause(asking, &minds))?;
    Some((cause.parents, cause.way))
}

/// What a thread that read this, and has these open, tells.
fn check(
    done: &[(i64, Option<u32>)],
    open: &[u32],
    habits: &Habits,
    expected: Option<(&[u32], Way)>,
) {
    let mut mind = Mind::default();
    open.iter().for_each(|call| mind.opens(*call, 0));
    for (at_ns, read) in done {
        mind.read(read.map(|call| vec![call]), *at_ns);
        if let Some(call) = read {
            mind.turn.read(*call, vec![*call], *at_ns);
        }
    }
    let entry = entry(None);
    let found = told(&asking(&entry, &[3, 4]), habits, vec![(Actor::Thread(7), mind)]);
    assert_eq!(found, expected.map(|(parents, way)| (parents.to_vec(), way)));
}

const LATELY: Way = Way::Adjacent(0, false);

#[test]
fn one_open_request_or_nothing_else_read() {
    let patient = Habits { patient: [((0, 5), false)].into(), ..Habits::default() };
    let other = Habits::default();
    check(&[(1, Some(3))], &[3], &patient, Some((&[3], Way::Waits)));
    check(&[(1, Some(3))], &[3], &other, Some((&[3], LATELY)));
    check(&[(1, Some(3)), (2, Some(4))], &[3, 4], &patient, Some((&[3, 4], LATELY)));
    check(&[(2, Some(4))], &[3, 4], &other, Some((&[4], LATELY)));
    check(&[(2, Some(4)), (3, None)], &[3, 4], &other, None);
    check(&[], &[], &patient, None);
}

#[test]
fn an_orderly_loop_works_on_the_first_that_is_possible() {
    let orderly = Habits { disorderly: Some(BTreeSet::new()), ..Habits::default() };
    let disorderly = Habits { disorderly: Some([(0, 5)].into()), ..Habits::default() };
    check(&[(1, Some(3)), (2, Some(4))], &[], &orderly, Some((&[3], Way::InOrder)));
    check(&[(1, Some(5)), (2, Some(4))], &[], &orderly, Some((&[4], Way::InOrder)));
    let both: &[u32] = &[3, 4];
    check(&[(1, Some(3)), (2, Some(4))], &[], &disorderly, Some((both, LATELY)));
    check(&[(1, Some(3)), (2, Some(4))], &[], &Habits::default(), Some((both, LATELY)));
}

#[test]
fn who_waits_answers_the_one_it_works_on_next() {
    let patient = Habits { patient: [((0, 5), false)].into(), ..Habits::default() };
    let entry = entry(None);
    let asking = Asking { next: Some(4), ..asking(&entry, &[]) };
    assert_eq!(told(&asking, &patient, Vec::new()), Some((vec![4], Way::AnswersNext)));
    assert_eq!(told(&asking, &Habits::default(), Vec::new()), None);
}

#[test]
fn a_wait_in_between_is_told_and_a_timer_tells_nothing() {
    let entry = entry(None);
    let told = |waited_ns, by_timer| {
        let mut mind = Mind::default();
        mind.read(Some(vec![3]), 1_000);
        let asking = Asking { waited_ns, by_timer, ..asking(&entry, &[]) };
        told(&asking, &Habits::default(), vec![(Actor::Thread(7), mind)]).map(|(_, way)| way)
    };
    assert_eq!(told(500, false), Some(LATELY));
    assert_eq!(told(500, true), Some(LATELY), "it ended before");
    assert_eq!(told(5_000, false), Some(Way::Adjacent(0, true)));
    assert_eq!(told(5_000, true), None);
}

/// What goroutine 2 of a program asks for; goroutine 1, which made it, and thread 7 read something before.
fn check_goroutine(pumps: bool, made_by: &[u32], thread: &[u32], expected: Option<(&[u32], Way)>) {
    let task = |id: i64| Task { pid: 5, id };
    let (mut maker, mut ran) = (Mind::default(), Mind::default());
    made_by.iter().for_each(|call| maker.opens(*call, 0));
    thread.iter().for_each(|call| ran.read(Some(vec![*call]), 1));
    let habits = Habits {
        makers: [((0, task(2)), task(1))].into(),
        pumps: pumps.then_some((0, task(2))).into_iter().collect(),
        ..Habits::default()
    };
    let entry = entry(Some(task(2)));
    let minds = vec![(Actor::Task(task(1)), maker), (Actor::Thread(7), ran)];
    let found = told(&asking(&entry, &[]), &habits, minds);
    assert_eq!(found, expected.map(|(parents, way)| (parents.to_vec(), way)));
}

#[test]
fn one_that_was_made_for_a_request_and_one_that_writes_for_others() {
    check_goroutine(false, &[3], &[4], Some((&[3], Way::Made)));
    check_goroutine(false, &[3, 4], &[4], None);
    check_goroutine(false, &[], &[4], None);
    check_goroutine(true, &[3], &[4], Some((&[4], Way::HandedOver(0, false))));
    check_goroutine(true, &[3], &[], None);
}

/// What thread 7 asks for that read and, at these instants, was woken by threads that had read something.
fn check_woken(
    done: &[(i64, u32)],
    woken: &[(i64, u32)],
    gave: bool,
    expected: Option<(&[u32], Way)>,
) {
    let mut mind = Mind::default();
    let mut acts: Vec<(i64, bool, u32)> =
        done.iter().map(|(at, call)| (*at, false, *call)).collect();
    acts.extend(woken.iter().map(|(at, call)| (*at, true, *call)));
    acts.sort_unstable();
    for (at_ns, is_woken, call) in acts {
        if is_woken && gave {
            mind.gave();
        }
        match is_woken {
            true => mind.is_told(Some(vec![call]), at_ns),
            false => mind.read(Some(vec![call]), at_ns),
        }
    }
    let entry = entry(None);
    let found = told(&asking(&entry, &[3, 4]), &Habits::default(), vec![(Actor::Thread(7), mind)]);
    assert_eq!(found, expected.map(|(parents, way)| (parents.to_vec(), way)));
}

#[test]
fn who_was_woken_works_for_another_unless_its_own_work_goes_on() {
    check_woken(&[], &[(5, 4)], false, Some((&[4], Way::Woken(0))));
    check_woken(&[(1, 2)], &[(5, 4)], false, Some((&[4], Way::Woken(0))));
    check_woken(&[(1, 3)], &[(5, 4)], false, Some((&[3], LATELY)));
    check_woken(&[(1, 3)], &[(5, 4)], true, Some((&[4], Way::Woken(0))));
    check_woken(&[(6, 3)], &[(5, 4)], false, Some((&[3], LATELY)));
    check_woken(&[], &[(5, 4), (6, 3)], false, Some((&[3, 4], Way::Woken(0))));
    check_woken(&[], &[(1, 4), (2, 3), (3, 1), (4, 2), (5, 7)], false, None);
}

#[test]
fn what_a_worker_asks_is_of_what_is_answered_with_its_gift() {
    let habits =
        Habits { workers: [(0, 7)].into(), patient: [((0, 5), true)].into(), ..Habits::default() };
    let entry = entry(None);
    let back = GivenBack { job: 0, requests: &[4] };
    let asking = Asking { given_back: Some(back), ..asking(&entry, &[3, 4]) };
    assert_eq!(told(&asking, &habits, Vec::new()), Some((vec![4], Way::GivenBack)));
    assert_eq!(told(&asking, &Habits::default(), Vec::new()), None, "it does not wait");
}
