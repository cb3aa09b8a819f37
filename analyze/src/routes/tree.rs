//! The paths of one service as a tree of segments. Where more names stand at one place than anybody chooses, they are one: `/user/alice` and a hundred
//! others → `/user/{name}`. Equal trees, whatever order the paths came in.

use super::shape;
use std::collections::BTreeMap;

/// So many names at one place are chosen; more are data.
const MAX_NAMES: usize = 50;
/// Segments that are told apart; what is deeper is one.
const MAX_DEPTH: usize = 16;
/// What stands for names that are data.
const NAME: &str = "{name}";

/// A segment, and those behind it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    children: BTreeMap<String, Tree>,
}

/// The segments of a path, in their shapes.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let segments = path.trim_start_matches('/').splitn(MAX_DEPTH, '/');
    segments.map(|segment| shape::of(segment).unwrap_or(segment))
}

impl Tree {
    pub(super) fn add(&mut self, path: &str) {
        let mut tree = self;
        for segment in segments(path) {
            if !tree.children.contains_key(segment) {
                tree.children.insert(segment.to_string(), Tree::default());
            }
            tree = tree.children.get_mut(segment).expect("it was put in if it was not there");
        }
    }

    /// Makes one of what are too many.
    pub(super) fn learn(&mut self) {
        let is_shape = |name: &str| name.starts_with('{');
        let n_names = self.children.keys().filter(|name| !is_shape(name)).count();
        if n_names > MAX_NAMES {
            let mut one = Tree::default();
            for (name, child) in std::mem::take(&mut self.children) {
                if is_shape(&name) && name != NAME {
                    self.children.insert(name, child);
                } else {
                    one.merge(child);
                }
            }
            self.children.insert(NAME.to_string(), one);
        }
        self.children.values_mut().for_each(Tree::learn);
    }

    fn merge(&mut self, other: Tree) {
        for (name, child) in other.children {
            self.children.entry(name).or_default().merge(child);
        }
    }

    /// The route of a path that was added.
    pub(super) fn route(&self, path: &str) -> String {
        let (mut tree, mut route) = (self, String::with_capacity(path.len()));
        for segment in segments(path) {
            route.push('/');
            let known =
                tree.children.get_key_value(segment).or_else(|| tree.children.get_key_value(NAME));
            match known {
                Some((name, child)) => {
                    route.push_str(name);
                    tree = child;
                }
                None => route.push_str(segment),
            }
        }
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[String], expected: &[(&str, &str)]) {
        let mut tree = Tree::default();
        paths.iter().for_each(|path| tree.add(path));
        tree.learn();
        for (path, route) in expected {
            assert_eq!(tree.route(path), *route);
        }
    }

    #[test]
    fn ids_by_their_shape_names_by_their_number() {
        let mut paths: Vec<String> = (0..200).map(|n| format!("/user/{n}/cart")).collect();
        let letters = |n: u8| char::from(b'a' + n % 26);
        let name = |n: u8| format!("{}{}x", letters(n), letters(n / 26));
        paths.extend((0..200).map(|n| format!("/people/{}/photos/{}", name(n), n % 3)));
        paths.extend(["/", "/user/me", "/health"].map(str::to_string));
        check(
            &paths,
            &[
                ("/user/7/cart", "/user/{id}/cart"),
                ("/user/me", "/user/me"),
                ("/people/aax/photos/1", "/people/{name}/photos/{id}"),
                ("/", "/"),
                ("/health", "/health"),
            ],
        );
    }

    #[test]
    fn hostile_paths_are_bounded() {
        let deep = "/a".repeat(10_000);
        check(std::slice::from_ref(&deep), &[("/a/b", "/a/b")]);
        let mut tree = Tree::default();
        tree.add(&deep);
        tree.learn();
        assert_eq!(tree.route(&deep), deep);
    }
}
