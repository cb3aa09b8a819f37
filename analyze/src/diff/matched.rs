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
    // What was asked of a service of that name, whoever asked.
    let learnt = |server: &str, protocol: &str, asked: &str| {
        let key = Key::Endpoint {
            service: server.to_string(),
            protocol: protocol.to_string(),
            route: asked.to_string(),
        };
        match rename(key) {
            Key::Endpoint { route, .. } => route,
            _ => asked.to_string(),
        }
    };
    for run in runs {
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        for (key, mut row) in std::mem::take(&mut run.rows) {
            let values = std::mem::take(&mut row.values);
            let whole = rows.entry(rename(key.clone())).or_default();
            whole.merge(row);
            for (asked, values) in values {
                let asked = learnt(key.server(), key.protocol(), &asked);
                whole.merge(Row { values: [(asked, values)].into(), ..Row::default() });
            }
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
        let row = |name: &str| {
            let values = [(format!("GET /people/{name}/photos"), vec![(0, 7)])].into();
            Row { n: 1, values, ..Row::default() }
        };
        let rows = names.map(|name| (endpoint(name.clone()), row(&name))).collect();
        Run { rows, ..Run::default() }
    }

    #[test]
    fn what_one_recording_took_for_many_names_is_one_in_all() {
        let name = |n: u8| format!("{}{}x", char::from(b'a' + n % 26), char::from(b'a' + n / 26));
        // Neither saw more names than anybody chooses; both together did.
        let (mut few, mut others) = (run((0..30).map(name)), run((25..60).map(name)));
        matched(&mut [&mut few, &mut others]);
        assert_eq!((few.rows.len(), others.rows.len()), (1, 1));
        assert_eq!(few.rows.keys().next(), others.rows.keys().next());
        assert_eq!(few.rows.values().next().map(|row| (row.n, row.values.len())), Some((30, 1)));
        let mut alone = run((0..30).map(name));
        matched(&mut [&mut alone]);
        assert_eq!(alone.rows.len(), 30);
    }
}
