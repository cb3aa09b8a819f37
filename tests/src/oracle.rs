//! What can be known at best where services wait on timers: the most probable assignment of calls to requests, given every true
//! time and the true distributions of delays, but not who called. Never used by the product; a bound to hold it against.

use crate::truth::{TrueCall, Truth};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

/// Hypotheses kept: where fewer are possible the assignment is exact.
const BEAM: usize = 256;
/// Bins of a delay distribution: two per doubling of microseconds.
const BINS: usize = 64;
/// What follows an event that did not happen: a delay below nothing.
const IMPOSSIBLE: f64 = -1e6;

/// How many calls of services were given to the right request, and of how many requests all were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Best {
    /// Calls given right.
    pub right: u64,
    /// Calls.
    pub calls: u64,
    /// Requests all of whose calls were given right.
    pub whole: u64,
    /// Requests.
    pub requests: u64,
}

/// One request at a service.
struct Asked<'a> {
    id: &'a str,
    read_ns: i64,
    answer_ns: i64,
}

/// One call of a service, and which of its requests it is of.
struct Made {
    start_ns: i64,
    end_ns: i64,
    parent: usize,
    request: usize,
    /// Whether it is asked about.
    counts: bool,
}

#[derive(Default)]
struct Service<'a> {
    asked: Vec<Asked<'a>>,
    made: Vec<Made>,
}

/// The best that can be done on a recording, of the calls that count.
pub fn best(truth: &Truth, counts: impl Fn(&TrueCall) -> bool) -> Best {
    let mut best = Best { requests: truth.requests.len() as u64, ..Best::default() };
    let mut wrong = vec![false; truth.requests.len()];
    for service in services(truth, counts).values() {
        let given = service.assign();
        for (made, given) in service.made.iter().zip(given).filter(|(made, _)| made.counts) {
            best.calls += 1;
            best.right += u64::from(given == made.parent);
            wrong[made.request] |= given != made.parent;
        }
    }
    best.whole = wrong.iter().filter(|wrong| !**wrong).count() as u64;
    best
}

/// Requests and calls by service, both in order of time.
fn services(truth: &Truth, counts: impl Fn(&TrueCall) -> bool) -> BTreeMap<&str, Service<'_>> {
    let mut services: BTreeMap<&str, Service<'_>> = BTreeMap::new();
    for call in truth.requests.iter().flat_map(|request| &request.calls) {
        if let Some((read_ns, answer_ns)) = call.served {
            let service = services.entry(&call.answerer).or_default();
            service.asked.push(Asked { id: &call.call_id, read_ns, answer_ns });
        }
    }
    services.values_mut().for_each(|service| service.asked.sort_by_key(|asked| asked.read_ns));
    for (request, call) in
        truth.requests.iter().enumerate().flat_map(|(i, r)| r.calls.iter().map(move |c| (i, c)))
    {
        let Some(service) = services.get_mut(call.asker.as_str()) else { continue };
        let parent = call.parent_call_id.as_deref();
        if let Some(parent) = service.asked.iter().position(|asked| Some(asked.id) == parent) {
            let (start_ns, end_ns) = (call.t_start_ns, call.t_end_ns);
            service.made.push(Made { start_ns, end_ns, parent, request, counts: counts(call) });
        }
    }
    services.values_mut().for_each(|service| service.made.sort_by_key(|made| made.start_ns));
    services
}

/// A distribution of delays, as logarithms of densities.
struct Delays([f64; BINS]);

impl Delays {
    fn of(delays: &[i64]) -> Delays {
        let mut counts = [0.5; BINS];
        delays.iter().for_each(|&delay| counts[bin(delay)] += 1.0);
        let total: f64 = counts.iter().sum();
        let width = |i: usize| 2_f64.powf((i + 1) as f64 / 2.0) - 2_f64.powf(i as f64 / 2.0);
        Delays(std::array::from_fn(|i| (counts[i] / total / width(i)).ln()))
    }

    fn log(&self, delay_ns: i64) -> f64 {
        if delay_ns < 0 { IMPOSSIBLE } else { self.0[bin(delay_ns)] }
    }
}

fn bin(delay_ns: i64) -> usize {
    let micro = (delay_ns.max(0) as f64 / 1_000.0) + 1.0;
    ((2.0 * micro.log2()) as usize).min(BINS - 1)
}

/// What services do after what: the true distributions.
struct Model {
    /// To a call while no other of the same request is out, and while one is.
    to_call: [Delays; 2],
    to_answer: Delays,
    /// Logarithms of how often a call is made while another is out, and is not.
    out: [f64; 2],
}

/// A request that is being worked on, in one hypothesis.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Open {
    asked: usize,
    last_ns: i64,
    /// Calls whose answers are awaited.
    out: Vec<usize>,
}

/// Who was given what so far, latest first.
struct Given {
    made: usize,
    to: usize,
    before: Option<Rc<Given>>,
}

#[derive(Clone)]
struct Hypothesis {
    log: f64,
    open: Vec<Open>,
    given: Option<Rc<Given>>,
}

/// In order of time; at one instant in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Read(usize),
    Reply(usize),
    Call(usize),
    Answer(usize),
}

impl Service<'_> {
    fn events(&self) -> Vec<(i64, Event)> {
        let asked = self.asked.iter().enumerate();
        let made = self.made.iter().enumerate();
        let mut events: Vec<(i64, Event)> = asked
            .flat_map(|(i, a)| [(a.read_ns, Event::Read(i)), (a.answer_ns, Event::Answer(i))])
            .chain(
                made.flat_map(|(i, m)| [(m.start_ns, Event::Call(i)), (m.end_ns, Event::Reply(i))]),
            )
            .collect();
        events.sort_unstable();
        events
    }

    /// What delays are so, learnt from who really called.
    fn model(&self) -> Model {
        let (mut to_call, mut to_answer) = ([Vec::new(), Vec::new()], Vec::new());
        let mut open: BTreeMap<usize, Open> = BTreeMap::new();
        for (at_ns, event) in self.events() {
            match event {
                Event::Read(asked) => {
                    open.insert(asked, Open { asked, last_ns: at_ns, out: Vec::new() });
                }
                Event::Reply(made) => {
                    if let Some(open) = open.get_mut(&self.made[made].parent) {
                        open.out.retain(|out| *out != made);
                        open.last_ns = at_ns;
                    }
                }
                Event::Call(made) => {
                    if let Some(open) = open.get_mut(&self.made[made].parent) {
                        let class = usize::from(!open.out.is_empty());
                        to_call[class].push(at_ns - open.last_ns);
                        open.out.push(made);
                    }
                }
                Event::Answer(asked) => {
                    to_answer.extend(open.remove(&asked).map(|open| at_ns - open.last_ns));
                }
            }
        }
        let [alone, beside] = to_call;
        let share = |n: usize| ((n as f64 + 0.5) / (alone.len() + beside.len() + 1) as f64).ln();
        Model {
            out: [share(alone.len()), share(beside.len())],
            to_call: [Delays::of(&alone), Delays::of(&beside)],
            to_answer: Delays::of(&to_answer),
        }
    }

    /// For each call the request that it is given to.
    fn assign(&self) -> Vec<usize> {
        let model = self.model();
        let mut beam = vec![Hypothesis { log: 0.0, open: Vec::new(), given: None }];
        for (at_ns, event) in self.events() {
            match event {
                Event::Read(asked) => {
                    let open = Open { asked, last_ns: at_ns, out: Vec::new() };
                    beam.iter_mut().for_each(|h| h.open.push(open.clone()));
                }
                Event::Reply(made) => beam.iter_mut().for_each(|h| h.reply(made, at_ns)),
                Event::Call(made) => beam = called(&beam, made, at_ns, &model),
                Event::Answer(asked) => {
                    beam.iter_mut().for_each(|h| h.answer(asked, at_ns, &model));
                    narrow(&mut beam);
                    merge(&mut beam);
                }
            }
        }
        let mut given = vec![usize::MAX; self.made.len()];
        let mut latest = beam.first().and_then(|best| best.given.clone());
        while let Some(here) = latest {
            given[here.made] = here.to;
            latest = here.before.clone();
        }
        given
    }
}

impl Hypothesis {
    /// How probable it is when each of the open requests made a call; as it is where none is open: a call with no request open is
    /// nobody's.
    fn ways(&self, at_ns: i64, model: &Model) -> Vec<(f64, Option<usize>)> {
        let each = self.open.iter().enumerate();
        let way = |(i, open): (usize, &Open)| {
            let class = usize::from(!open.out.is_empty());
            let log = model.to_call[class].log(at_ns - open.last_ns) + model.out[class];
            (self.log + log, Some(i))
        };
        let ways: Vec<_> = each.map(way).collect();
        if ways.is_empty() { vec![(self.log, None)] } else { ways }
    }

    fn called_by(&self, made: usize, (log, by): (f64, Option<usize>)) -> Hypothesis {
        let mut next = Hypothesis { log, ..self.clone() };
        if let Some(by) = by {
            next.open[by].out.push(made);
            let (to, before) = (next.open[by].asked, next.given.take());
            next.given = Some(Rc::new(Given { made, to, before }));
        }
        next
    }

    fn reply(&mut self, made: usize, at_ns: i64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.out.contains(&made)) {
            open.out.retain(|out| *out != made);
            open.last_ns = at_ns;
        }
    }

    fn answer(&mut self, asked: usize, at_ns: i64, model: &Model) {
        let Some(at) = self.open.iter().position(|open| open.asked == asked) else { return };
        let open = self.open.remove(at);
        let waits = if open.out.is_empty() { 0.0 } else { IMPOSSIBLE };
        self.log += model.to_answer.log(at_ns - open.last_ns) + waits;
    }
}

/// The most probable of all ways in which a call was made; only they are written out.
fn called(beam: &[Hypothesis], made: usize, at_ns: i64, model: &Model) -> Vec<Hypothesis> {
    let mut ways: Vec<_> = beam
        .iter()
        .flat_map(|hypothesis| {
            hypothesis.ways(at_ns, model).into_iter().map(move |way| (way, hypothesis))
        })
        .collect();
    ways.sort_by(|((a, _), _), ((b, _), _)| b.total_cmp(a));
    ways.truncate(BEAM);
    ways.into_iter().map(|(way, hypothesis)| hypothesis.called_by(made, way)).collect()
}

/// The most probable ones.
fn narrow(beam: &mut Vec<Hypothesis>) {
    beam.sort_by(|a, b| b.log.total_cmp(&a.log));
    beam.truncate(BEAM);
}

/// Of those that expect the same from now on, the most probable one; they are in that order.
fn merge(beam: &mut Vec<Hypothesis>) {
    let mut expected: HashSet<&[Open]> = HashSet::new();
    let kept: Vec<bool> = beam.iter().map(|hypothesis| expected.insert(&hypothesis.open)).collect();
    let mut kept = kept.into_iter();
    beam.retain(|_| kept.next().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests (read, answered) and calls (start, end, whose) of a service, in microseconds: whom the calls are given to.
    fn check(asked: &[(i64, i64)], made: &[(i64, i64, usize)], expected: &[usize]) {
        let asked = asked.iter().map(|&(read, answer)| Asked {
            id: "",
            read_ns: read * 1_000,
            answer_ns: answer * 1_000,
        });
        let made = made.iter().map(|&(start, end, parent)| Made {
            start_ns: start * 1_000,
            end_ns: end * 1_000,
            parent,
            request: 0,
            counts: true,
        });
        let service = Service { asked: asked.collect(), made: made.collect() };
        assert_eq!(service.assign(), expected);
    }

    #[test]
    fn a_call_is_of_the_request_whose_events_fit() {
        // Each call follows its request by 10 µs, each answer its reply by 10 µs.
        check(&[(0, 120), (50, 180)], &[(10, 110, 0), (60, 170, 1)], &[0, 1]);
        // Both are out at once; the answers tell.
        check(&[(0, 220), (5, 120)], &[(10, 210, 0), (15, 110, 1)], &[0, 1]);
        // Nobody has asked: nobody's.
        check(&[], &[(10, 20, 0)], &[usize::MAX]);
    }
}
