//! The gate over recordings made here: what must be found, and what must not.

use super::*;

const MS: i64 = 1_000_000;

fn key(kind: &str) -> Key {
    let [client, server, protocol] = ["shop", "stock", "http1"].map(String::from);
    match kind {
        "endpoint" => Key::Endpoint { service: server, protocol, route: "GET /stock/{id}".into() },
        "edge" => Key::Edge { client, server, protocol },
        part => {
            let [part, from, to] = [part, "gw/eth0", "gw/eth1"].map(String::from);
            Key::Hop { client, server, protocol, part, from, to }
        }
    }
}

/// What a recording is made with.
#[derive(Clone, Copy)]
struct Plan {
    n: u64,
    /// Of the hop `wire`, and of the hop `server`, nanoseconds.
    wire_ns: i64,
    server_ns: i64,
    n_failed: u64,
    calls_each: u64,
}

const USUAL: Plan = Plan { n: 120, wire_ns: MS, server_ns: 8 * MS, n_failed: 0, calls_each: 1 };

/// A recording of ten seconds; numbers differ from recording to recording as chance has it.
fn run(plan: Plan, seed: u64) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut run = Run { length_ns: 10_000 * MS, ..Run::default() };
    let machine = Machine { cpus: Some(2), kernel: Some("6.1.0".into()) };
    run.conditions.machines.push(machine);
    for i in 0..plan.n {
        let mut made = |ns: i64| (ns as f64 * (0.9 + 0.2 * random.f64())) as i64;
        let (wire_ns, server_ns) = (made(plan.wire_ns), made(plan.server_ns));
        for call in 0..plan.calls_each {
            let is_failed = call == 0 && i < plan.n_failed;
            let second = (i * 10 / plan.n) as u32;
            for (kind, ns) in [
                ("endpoint", wire_ns + server_ns),
                ("edge", wire_ns + server_ns),
                ("wire", wire_ns),
                ("server", server_ns),
            ] {
                let row = run.rows.entry(key(kind)).or_default();
                row.n += 1;
                row.n_failed += u64::from(is_failed);
                row.values
                    .entry("GET /stock/{id}".into())
                    .or_default()
                    .push((second, value::of(ns)));
            }
        }
        let made = run.made.entry(key("endpoint")).or_default();
        made.n += 1;
        made.total_ns += wire_ns + server_ns;
        *made.parts.entry(key("wire")).or_default() += wire_ns;
        *made.parts.entry(key("server")).or_default() += server_ns;
    }
    run
}

fn runs(plan: Plan, n: u64, seed: u64) -> Vec<Run> {
    (0..n).map(|i| run(plan, seed + i)).collect()
}

/// What became of each kind of row, when so many recordings of each are compared.
fn check(candidate: Plan, n: u64, expected: &[(&str, Change)]) -> Compared {
    let compared = compare(&runs(USUAL, n, 1), &runs(candidate, n, 1_000), &Wanted::default());
    for (kind, change) in expected {
        let row = compared.rows.iter().find(|row| row.key == key(kind)).expect("there is a row");
        assert_eq!(row.change, *change, "{kind}: {:?}", row.tested);
    }
    compared
}

#[test]
fn the_same_twice_is_no_change() {
    let all = ["endpoint", "edge", "wire", "server"].map(|kind| (kind, Change::Same));
    let compared = check(USUAL, 5, &all);
    assert!(compared.is_enough && compared.blamed().is_none() && compared.different.is_empty());
}

#[test]
fn a_slower_hop_is_found_blamed_and_accounts_for_the_change() {
    let slower = Plan { wire_ns: 2 * MS, ..USUAL };
    let rows =
        [("wire", Change::Regressed), ("endpoint", Change::Regressed), ("server", Change::Same)];
    let compared = check(slower, 5, &rows);
    assert_eq!(compared.blamed().map(|row| &row.key), Some(&key("wire")));
    let first = &compared.attributed[0].parts[0];
    assert_eq!(first.key.as_ref(), Some(&key("wire")));
    assert!((first.change_ns() / 1e6 - 1.0).abs() < 0.1, "{first:?}");
    let wire = compared.rows.iter().find(|row| row.key == key("wire")).expect("it is there");
    let shift = wire.shift_ns.expect("both sides have it");
    assert!((shift / 1e6 - 1.0).abs() < 0.1, "{shift}");
    let median = wire.percentiles[1][0].expect("it was measured");
    assert!(median.low < median.value && median.value < median.high);
}

#[test]
fn quicker_is_improved_and_little_is_nothing() {
    check(
        Plan { server_ns: 6 * MS, ..USUAL },
        5,
        &[("server", Change::Improved), ("wire", Change::Same)],
    );
    // Beyond chance, but not beyond 200 µs.
    check(Plan { wire_ns: MS + MS / 10, ..USUAL }, 5, &[("wire", Change::Same)]);
}

#[test]
fn so_few_recordings_show_nothing() {
    let slower = Plan { wire_ns: 20 * MS, ..USUAL };
    for n in [1, 4] {
        let compared = check(slower, n, &[("wire", Change::TooFew)]);
        assert!(!compared.is_enough);
    }
}

#[test]
fn failures_and_repeated_calls_are_told() {
    let failing = check(Plan { n_failed: 30, ..USUAL }, 5, &[("endpoint", Change::Regressed)]);
    let row = failing.regressed().find(|row| row.key == key("endpoint")).expect("it regressed");
    let names: Vec<_> =
        row.tested.iter().filter(|t| t.change == Change::Regressed).map(|t| t.name).collect();
    assert_eq!(names, ["failed"]);
    let compared = check(Plan { calls_each: 3, ..USUAL }, 5, &[("edge", Change::Regressed)]);
    let edge = compared.rows.iter().find(|row| row.key == key("edge")).expect("it is there");
    assert_eq!(edge.calls, [1.0, 3.0]);
}

#[test]
fn what_only_one_side_has_is_new_or_gone() {
    let without = |mut run: Run| {
        run.rows.remove(&key("edge"));
        run
    };
    let base: Vec<Run> = runs(USUAL, 5, 1).into_iter().map(without).collect();
    let candidate = runs(USUAL, 5, 1_000);
    let change = |compared: &Compared, kind: &str| {
        compared.rows.iter().find(|row| row.key == key(kind)).map(|row| row.change)
    };
    let forth = compare(&base, &candidate, &Wanted::default());
    let back = compare(&candidate, &base, &Wanted::default());
    assert_eq!(change(&forth, "edge"), Some(Change::New));
    assert_eq!(change(&back, "edge"), Some(Change::Vanished));
    assert_eq!(change(&forth, "wire"), Some(Change::Same));
}

#[test]
fn spoilt_recordings_are_left_out_and_said() {
    let mut base = runs(USUAL, 6, 1);
    base[2].conditions.spoilt.push("stolen".into());
    let compared = compare(&base, &runs(USUAL, 5, 1_000), &Wanted::default());
    assert_eq!(compared.n_runs, [5, 5]);
    assert_eq!(compared.left_out, [(0, 2, "stolen".to_string())]);
    base.iter_mut().for_each(|run| run.conditions.spoilt.push("stolen".into()));
    let compared = compare(&base, &runs(USUAL, 5, 1_000), &Wanted::default());
    assert!(!compared.is_enough && compared.regressed().next().is_none());
}

#[test]
fn another_machine_or_load_is_no_comparison() {
    let alike = |change: fn(&mut Run)| {
        let mut candidate = runs(USUAL, 5, 1_000);
        candidate.iter_mut().for_each(change);
        compare(&runs(USUAL, 5, 1), &candidate, &Wanted::default())
    };
    assert_eq!(alike(|run| run.conditions.machines[0].cpus = Some(8)).different.len(), 1);
    let unknown = alike(|run| run.conditions.machines.clear());
    assert_eq!((unknown.different.len(), unknown.notes.len()), (0, 1));
    // Workers that wait for answers ask more slowly when these are slow: as many are under way.
    let slower = alike(|run| {
        run.length_ns *= 2;
        run.made.values_mut().for_each(|made| made.total_ns *= 2);
    });
    assert_eq!(slower.different, [] as [String; 0]);
    let busier = alike(|run| {
        run.length_ns /= 2;
        run.made.values_mut().for_each(|made| {
            made.n *= 3;
            made.total_ns *= 3;
        });
    });
    assert_eq!(busier.different.len(), 1);
}

#[test]
fn nothing_against_nothing() {
    let compared = compare(&[], &[], &Wanted::default());
    assert!(!compared.is_enough && compared.rows.is_empty() && compared.attributed.is_empty());
    let compared = compare(&runs(USUAL, 5, 1), &[], &Wanted::default());
    assert!(compared.rows.iter().all(|row| row.change == Change::TooFew));
}
