//! Which reconstructed call is which true one. Never looks at anything but sockets, protocols, order and time.

use crate::truth::{TrueCall, Truth};
use afterpath::analysis::Analysis;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Client socket, protocol, request type, resource.
type Key = (String, String, String, String);

/// Truth call → reconstructed call.
pub struct Matching<'a> {
    calls: BTreeMap<&'a str, usize>,
}

impl<'a> Matching<'a> {
    /// Finds counterparts: calls of one client socket, protocol, request type and resource, in order of time. Where only ciphertext
    /// was seen it is the exchanges of the socket, in order of time.
    pub fn new(analysis: &Analysis, truth: &'a Truth) -> Matching<'a> {
        let resource = |protocol: &str, resource: &str| match protocol {
            "postgres" => String::new(), // texts differ in how they write parameters
            _ => resource.to_string(),
        };
        let mut reconstructed: BTreeMap<Key, Vec<(i64, usize)>> = BTreeMap::new();
        for (i, call) in analysis.calls.iter().enumerate() {
            let client = SocketAddr::new(call.client.address, call.client.port).to_string();
            let asked_of = resource(&call.protocol, &call.resource);
            let key = match call.protocol.as_str() {
                // Refused: nobody logs the port that it was tried from.
                "tcp" => {
                    let server = SocketAddr::new(call.server.address, call.server.port);
                    unconnected(&server.to_string())
                }
                _ => (client, call.protocol.clone(), call.request_type.clone(), asked_of),
            };
            let host = &analysis.points[call.spans[0].point as usize].host;
            let begin = call.times().first().map(|at| truth.true_ns(host, at)).unwrap_or(i64::MAX);
            reconstructed.entry(key).or_default().push((begin, i));
        }
        let mut logged: BTreeMap<Key, Vec<(i64, u32, &TrueCall)>> = BTreeMap::new();
        for call in truth.requests.iter().flat_map(|r| &r.calls) {
            let asked_of = resource(&call.protocol, &call.resource);
            let key = match call.client.as_str() {
                "" => unconnected(&call.server),
                _ => {
                    let (protocol, request_type) = (&call.protocol, &call.request_type);
                    let clear = (client_of(call), protocol.clone(), request_type.clone(), asked_of);
                    match call.kind == "tls" && !reconstructed.contains_key(&clear) {
                        true => unreadable(&client_of(call)),
                        false => clear,
                    }
                }
            };
            let place = call.pipeline.map_or(0, |(place, _)| place);
            logged.entry(key).or_default().push((call.t_start_ns, place, call));
        }
        let mut calls = BTreeMap::new();
        for (key, mut true_calls) in logged {
            true_calls.sort_by_key(|(start, place, _)| (*start, *place));
            let Some(candidates) = reconstructed.get_mut(&key) else { continue };
            candidates.sort_unstable();
            calls.extend(pair(&true_calls, candidates));
        }
        Matching { calls }
    }

    /// The counterpart of a true call.
    pub fn of(&self, call_id: &str) -> Option<usize> {
        self.calls.get(call_id).copied()
    }
}

/// What an exchange of ciphertext is known by: its socket.
fn unreadable(client: &str) -> Key {
    (client.to_string(), "opaque".to_string(), String::new(), String::new())
}

/// What a call that never had a connection is known by: where it should have gone.
fn unconnected(server: &str) -> Key {
    (format!("to {server}"), "tcp".to_string(), "CONNECT".to_string(), String::new())
}

/// The client's end as the analyzer shows it: a unix socket has a made-up address with the low bits of its number.
fn client_of(call: &TrueCall) -> String {
    let unix = call.client.strip_prefix("unix:").and_then(|number| number.parse::<u64>().ok());
    unix.map_or(call.client.clone(), |number| format!("[::1]:{}", (number as u16).max(1)))
}

/// Pairs in order of time. Where one side lacks some, each of the fewer goes to the nearest of the others that is still to come.
fn pair<'a>(logged: &[(i64, u32, &'a TrueCall)], found: &[(i64, usize)]) -> Vec<(&'a str, usize)> {
    let starts: Vec<i64> = logged.iter().map(|(start, ..)| *start).collect();
    let begins: Vec<i64> = found.iter().map(|(begin, _)| *begin).collect();
    let pairs: Vec<(usize, usize)> = match starts.len() < begins.len() {
        true => nearest(&starts, &begins),
        false => {
            nearest(&begins, &starts).into_iter().map(|(found, logged)| (logged, found)).collect()
        }
    };
    pairs.into_iter().map(|(n, i)| (logged[n].2.call_id.as_str(), found[i].1)).collect()
}

/// For each of the fewer times its place among the more; both rise, and so do the places. As many of both go one to one.
fn nearest(fewer: &[i64], more: &[i64]) -> Vec<(usize, usize)> {
    let (mut pairs, mut next) = (Vec::with_capacity(fewer.len()), 0);
    for (i, &time) in fewer.iter().enumerate() {
        // So many may still be passed over.
        let last = more.len() - (fewer.len() - i);
        while next < last && more[next + 1].abs_diff(time) <= more[next].abs_diff(time) {
            next += 1;
        }
        pairs.push((i, next));
        next += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_choose_among_the_more_in_order() {
        let check = |fewer: &[i64], more: &[i64], expected: &[usize]| {
            let places: Vec<usize> = nearest(fewer, more).into_iter().map(|(_, at)| at).collect();
            assert_eq!(places, expected);
        };
        check(&[10, 20], &[11, 19], &[0, 1]);
        check(&[10, 20], &[9, 12, 14, 21], &[0, 3]);
        // What is too much at the end does not shift what comes before.
        check(&[10, 20], &[11, 21, 90], &[0, 1]);
        // Each has one of its own, however near another is.
        check(&[10, 11, 12], &[1, 2, 12], &[0, 1, 2]);
        check(&[], &[1], &[]);
    }
}
