//! The same rows in every recording: routes are learnt from all of them together, since one that saw few names at a place took each for
//! itself where another took all for one.

use super::run::{Key, Made, Row, Run};
use crate::routes::Routes;
use std::collections::BTreeMap;

/// Rewrites the keys of all runs by the routes of all.
pub(super) fn matched(runs: &mut [&mut Run]) {
    let mut routes: BTreeMap<(String, String), Routes> = BTreeMap::new();
    let keys = runs.iter().flat_map(|run| run.rows.keys().chain(run.made.keys()));
    for (service, protocol, path) in keys.filter_map(path) {
        let key = (service.to_string(), protocol.to_string());
        routes.entry(key).or_default().add(path);
    }
    routes.values_mut().for_each(Routes::learn);
    let rename = |key: Key| match (path(&key), &key) {
        (Some((service, protocol, path)), Key::Endpoint { route, .. }) => {
            let known = routes.get(&(service.to_string(), protocol.to_string()));
            let learnt = known.map_or_else(|| path.to_string(), |routes| routes.route(path));
            let route = format!("{}{learnt}", &route[..route.len() - path.len()]);
            Key::Endpoint { service: service.to_string(), protocol: protocol.to_string(), route }
        }
        _ => key,
    };
    for run in runs {
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        for (key, row) in std::mem::take(&mut run.rows) {
            rows.entry(rename(key)).or_default().merge(row);
        }
        let mut all: BTreeMap<Key, Made> = BTreeMap::new();
        for (key, made) in std::mem::take(&mut run.made) {
            all.entry(rename(key)).or_default().merge(made);
        }
        (run.rows, run.made) = (rows, all);
    }
}

/// Service, protocol and path of an endpoint that has one: the route is `GET /page/{id}`.
fn path(key: &Key) -> Option<(&str, &str, &str)> {
    let Key::Endpoint { service, protocol, route } = key else { return None };
    let path = route.split_once(' ').map_or(route.as_str(), |(_, path)| path);
    path.starts_with('/').then_some((service, protocol, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(names: impl Iterator<Item = String>) -> Run {
        let endpoint = |name| Key::Endpoint {
            service: "web".to_string(),
            protocol: "http1".to_string(),
            route: format!("GET /people/{name}/photos"),
        };
        let row = || Row { n: 1, values: vec![(0, 7)], ..Row::default() };
        Run { rows: names.map(|name| (endpoint(name), row())).collect(), ..Run::default() }
    }

    #[test]
    fn what_one_recording_took_for_many_names_is_one_in_all() {
        let name = |n: u8| format!("{}{}x", char::from(b'a' + n % 26), char::from(b'a' + n / 26));
        // Neither saw more names than anybody chooses; both together did.
        let (mut few, mut others) = (run((0..30).map(name)), run((25..60).map(name)));
        matched(&mut [&mut few, &mut others]);
        assert_eq!((few.rows.len(), others.rows.len()), (1, 1));
        assert_eq!(few.rows.keys().next(), others.rows.keys().next());
        assert_eq!(few.rows.values().next().map(|row| (row.n, row.values.len())), Some((30, 30)));
        let mut alone = run((0..30).map(name));
        matched(&mut [&mut alone]);
        assert_eq!(alone.rows.len(), 30);
    }
}
