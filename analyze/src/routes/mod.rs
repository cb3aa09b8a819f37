//! Resources → routes: what calls are grouped by. Paths lose their query and their ids, learnt from all paths of a service together
//! (`/user/8123/cart` → `/user/{id}/cart`); keys of stores lose theirs (`item:166` → `item:{id}`); other resources are routes already, SQL
//! without its literals. Never changes a resource.
//!
//! A service has 2,000 routes at most: the most frequent ones; calls of others have the route `other`, and are counted.

use crate::call::Call;
use crate::loss::Loss;
use std::collections::{BTreeMap, BTreeSet};

mod shape;
mod tree;

use tree::Tree;

/// Routes of a service, learnt from its paths or from routes that were learnt before.
#[derive(Debug, Default)]
pub struct Routes(Tree);

impl Routes {
    /// Notes a path.
    pub fn add(&mut self, path: &str) {
        self.0.add(path);
    }

    /// Makes one of what are too many to have been chosen by anybody.
    pub fn learn(&mut self) {
        self.0.learn();
    }

    /// The route of a path that was added.
    pub fn route(&self, path: &str) -> String {
        self.0.route(path)
    }
}

/// Routes of one service.
const MAX_ROUTES: usize = 2_000;
/// The route of calls whose own was not kept.
const OTHER: &str = "other";

/// By whom a call is served, as its client names it: its authority, else the server's socket.
type Service = (String, String);

/// Gives every call its route.
pub fn learn(calls: &mut [Call]) -> Vec<Loss> {
    let mut by_service: BTreeMap<Service, Vec<usize>> = BTreeMap::new();
    for (index, call) in calls.iter().enumerate().filter(|(_, call)| !call.resource.is_empty()) {
        by_service.entry(service(call)).or_default().push(index);
    }
    let mut losses = Vec::new();
    for ((_, name), indices) in by_service {
        let mut tree = Tree::default();
        for &index in &indices {
            if let Some(path) = path(&calls[index]) {
                tree.add(path);
            }
        }
        tree.learn();
        for &index in &indices {
            let call = &calls[index];
            let route = match path(call) {
                Some(path) => tree.route(path),
                None if call.protocol == "redis" => key(&call.resource),
                None => call.resource.clone(),
            };
            calls[index].route = route;
        }
        // So few calls have no more routes.
        if indices.len() > MAX_ROUTES {
            losses.extend(limit(calls, &indices, &name));
        }
    }
    losses
}

/// Keeps the most frequent routes of a service; of equals the first by name.
fn limit(calls: &mut [Call], indices: &[usize], name: &str) -> Option<Loss> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for &index in indices {
        *counts.entry(&calls[index].route).or_default() += 1;
    }
    if counts.len() <= MAX_ROUTES {
        return None;
    }
    let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
    ranked.sort_by_key(|(route, n)| (std::cmp::Reverse(*n), *route));
    let kept: BTreeSet<&str> = ranked[..MAX_ROUTES].iter().map(|(route, _)| *route).collect();
    let is_other = |index: &usize| !kept.contains(calls[*index].route.as_str());
    let others: Vec<usize> = indices.iter().copied().filter(is_other).collect();
    for &index in &others {
        calls[index].route = OTHER.to_string();
    }
    let count = others.len() as u64;
    Some(Loss { place: name.to_string(), cause: "other-route".to_string(), count })
}

fn service(call: &Call) -> Service {
    let name = match call.authority.is_empty() {
        true => format!("{}:{}", call.server.address, call.server.port),
        false => call.authority.clone(),
    };
    (call.protocol.clone(), name)
}

/// A key of a store without its ids: `item:166` → `item:{id}`.
fn key(key: &str) -> String {
    let parts = key.split(':').map(|part| shape::of(part).unwrap_or(part));
    parts.collect::<Vec<_>>().join(":")
}

/// The path of a request that has one.
fn path(call: &Call) -> Option<&str> {
    let has_path = ["http1", "http2", "http", "websocket"].contains(&call.protocol.as_str());
    let resource = call.resource.as_str();
    // An absolute form names the authority again (RFC 9112, 3.2.2).
    let rest = resource
        .split_once("://")
        .map_or(resource, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    (has_path && path.starts_with('/')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn asked(resources: impl Iterator<Item = String>, protocol: &str) -> Vec<Call> {
        let call = sample::shop().calls[0].clone();
        let of = |resource| Call { resource, protocol: protocol.to_string(), ..call.clone() };
        resources.map(of).collect()
    }

    fn routes(calls: &[Call]) -> BTreeSet<&str> {
        calls.iter().map(|call| call.route.as_str()).collect()
    }

    #[test]
    fn queries_and_authorities_are_no_part_of_a_route() {
        let paths = ["/item/1?a=2", "http://shop/item/2", "*", "/item#x"].map(str::to_string);
        let mut calls = asked(paths.into_iter(), "http1");
        assert_eq!(learn(&mut calls), []);
        let expected = ["/item/{id}", "/item/{id}", "*", "/item"];
        assert!(calls.iter().map(|call| call.route.as_str()).eq(expected));
    }

    #[test]
    fn keys_of_stores_lose_their_ids() {
        let keys = ["item:166", "user:8:cart", "session", "550e8400-e29b-41d4-a716-446655440000"];
        let mut calls = asked(keys.into_iter().map(str::to_string), "redis");
        assert_eq!(learn(&mut calls), []);
        let expected = ["item:{id}", "user:{id}:cart", "session", "{id}"];
        assert!(calls.iter().map(|call| call.route.as_str()).eq(expected));
    }

    #[test]
    fn the_most_frequent_routes_are_kept_and_the_others_counted() {
        let names = (0..MAX_ROUTES + 30).map(|n| format!("key {n}"));
        let twice = (0..10).map(|n| format!("key {}", MAX_ROUTES + n));
        let mut calls = asked(names.chain(twice), "postgres");
        let losses = learn(&mut calls);
        assert_eq!((losses.len(), losses[0].count), (1, 30));
        let routes = routes(&calls);
        assert_eq!(routes.len(), MAX_ROUTES + 1);
        assert!(routes.contains(OTHER) && routes.contains("key 2009"));
    }
}
