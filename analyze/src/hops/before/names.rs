//! Look-ups of names that calls waited for: made in the same place for the same reason, answered just before the connection was opened
//! or the request sent. Each is one call's at most, the first that follows. Never takes the time alone for a reason: the name asked, or
//! the address answered, is the call's.

use super::{AT_ONCE_NS, Given};
use crate::call::{Before, Call, CallIndex, Known, Part};
use crate::point::Process;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// So many of a place's last look-ups are looked at: a resolver tries a few servers, types and suffixes.
const MOST_TRIES: usize = 64;
/// A resolver gives up after this long (resolv.conf(5): 5 s, 2 attempts, 3 servers).
const LONGEST_NS: i64 = 30_000_000_000;

/// Who looks up: a process, else a namespace, else an address.
type Place<'a> = (&'a str, &'a str, Option<&'a Process>, Option<IpAddr>);

/// Look-ups of one place.
#[derive(Default)]
struct Tries {
    /// In the order of their begin.
    all: Vec<CallIndex>,
    /// Those that a call waited for.
    used: BTreeSet<CallIndex>,
}

/// Adds the look-ups that calls waited for. `found` has their connects.
pub(super) fn look_ups(given: &Given<'_>, found: &mut [Vec<Before>]) {
    let mut places: BTreeMap<Place<'_>, Tries> = BTreeMap::new();
    for (index, call) in (0..).zip(given.calls).filter(|(_, call)| call.protocol == "dns") {
        places.entry(place(call)).or_default().all.push(index);
    }
    if places.is_empty() {
        return;
    }
    for (call, parts) in given.calls.iter().zip(found) {
        let Some(tries) = places.get_mut(&place(call)).filter(|_| call.protocol != "dns") else {
            continue;
        };
        let connect = parts.iter().find(|part| part.part == Part::ClientConnect);
        let Some(at_ns) = connect.map(|c| c.from_ns).or(call.times().first()) else { continue };
        parts.extend(look_up(given, call, at_ns, tries));
    }
}

fn place(call: &Call) -> Place<'_> {
    let client = &call.client;
    let is_unknown = client.host.is_empty() && client.process.is_none();
    let address = is_unknown.then_some(client.address);
    (&client.host, &client.netns, client.process.as_ref(), address)
}

/// The look-up that a call waited for until `at_ns`: all tries together.
fn look_up(given: &Given<'_>, call: &Call, at_ns: i64, tries: &mut Tries) -> Option<Before> {
    let first_ns = |try_: &CallIndex| given.calls[*try_ as usize].times().first();
    let end = tries.all.partition_point(|try_| first_ns(try_).is_none_or(|first| first <= at_ns));
    let recent = tries.all[end.saturating_sub(MOST_TRIES)..end].iter().copied();
    let own: Vec<(CallIndex, Known)> = recent
        .filter(|try_| !tries.used.contains(try_))
        .filter_map(|try_| Some((try_, reason(given, call, try_, at_ns)?)))
        .collect();
    let answered = own.iter().filter_map(|(try_, _)| {
        let end_ns = given.calls[*try_ as usize].times().response_last?;
        (end_ns <= at_ns).then_some((end_ns, *try_))
    });
    let (end_ns, last) = answered.max()?;
    if at_ns.saturating_sub(end_ns) > AT_ONCE_NS {
        return None;
    }
    let from_ns = own.iter().filter_map(|(try_, _)| first_ns(try_)).min()?;
    let known = own.iter().map(|(_, known)| *known).max()?;
    tries.used.extend(own.iter().map(|(try_, _)| *try_));
    let ns = end_ns.saturating_sub(from_ns);
    Some(Before { part: Part::ClientDns, from_ns, ns, known, call: Some(last) })
}

/// Whether a look-up was made for a call, and how sure that is.
fn reason(given: &Given<'_>, call: &Call, try_: CallIndex, at_ns: i64) -> Option<Known> {
    let asked = &given.calls[try_ as usize];
    let first_ns = asked.times().first()?;
    let is_here = given.domain(asked.spans[0].point) == given.domain(call.spans[0].point);
    if !is_here || at_ns.saturating_sub(first_ns) > LONGEST_NS || !is_of(given, asked, call) {
        return None;
    }
    let parent = |call: &Call| call.link.as_ref().map(|link| link.parent);
    match (parent(asked), parent(call)) {
        (Some(a), Some(b)) => (a == b).then_some(Known::Measured),
        _ if is_same_thread(given, asked, call) => Some(Known::Measured),
        (None, None) => Some(Known::Estimated),
        _ => None,
    }
}

/// Whether it asked for the call's server: by its name, with or without a search suffix, or by the address it was told.
fn is_of(given: &Given<'_>, asked: &Call, call: &Call) -> bool {
    let address = given.flows[call.spans[0].flow as usize].server.ip();
    let answers = asked.attributes.iter().filter(|(name, _)| name == "answers");
    let mut answers = answers.flat_map(|(_, text)| text.split(' '));
    is_name(&asked.resource, host(&call.authority))
        || answers.any(|answer| answer.parse() == Ok(address))
}

/// `db.shop.svc.cluster.local` is `db` as well, looked up with a suffix.
fn is_name(asked: &str, host: &str) -> bool {
    let Some((begin, rest)) = asked.split_at_checked(host.len()) else { return false };
    !host.is_empty()
        && begin.eq_ignore_ascii_case(host)
        && (rest.is_empty() || rest.starts_with('.'))
}

/// An authority's host; empty for an address.
fn host(authority: &str) -> &str {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_address = authority.starts_with('[') || authority.parse::<IpAddr>().is_ok();
    if is_address || host.parse::<IpAddr>().is_ok() { "" } else { host.trim_end_matches('.') }
}

/// Whether one thread sent the question and the request.
fn is_same_thread(given: &Given<'_>, asked: &Call, call: &Call) -> bool {
    let writer = |call: &Call| {
        let log = given.sockets.logs.get(&call.spans[0].flow)?;
        let wrote = log.written_at(call.times().request_first?).or(log.connected.as_ref())?;
        Some((log.host, wrote.pid, wrote.tid))
    };
    writer(asked).is_some_and(|thread| writer(call) == Some(thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &str, authority: &str, expected: bool) {
        assert_eq!(is_name(asked, host(authority)), expected, "{asked} for {authority}");
    }

    #[test]
    fn a_name_is_looked_up_with_and_without_a_suffix() {
        check("shop.example", "shop.example:8080", true);
        check("Shop.Example", "shop.example", true);
        check("db.prod.svc.cluster.local", "db:5432", true);
        check("db", "db.", true);
    }

    #[test]
    fn other_names_and_addresses_are_no_reason() {
        check("dbx.example", "db", false);
        check("example", "shop.example", false);
        check("shop.example", "", false);
        check("10.0.0.1", "10.0.0.1:80", false);
        check("::1", "[::1]:80", false);
        check("é", "e", false);
    }
}
