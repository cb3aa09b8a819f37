//! The checkout: where it is, and the files in it. It never looks into build products or what version control hides.

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's folder.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// One file of the checkout.
#[derive(Debug, Clone)]
pub struct Source {
    /// From the root, with `/` between folders.
    pub path: String,
    /// Its content; empty when it is not text.
    pub text: String,
    /// Bytes on disk.
    pub size_bytes: u64,
}

/// Every file, in path order.
pub fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_product(&name, folder == root) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            found.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text: fs::read_to_string(&path).unwrap_or_default(),
                size_bytes: entry.metadata().map_or(0, |meta| meta.len()),
            });
        }
    }
}

fn is_product(name: &str, at_root: bool) -> bool {
    let built = at_root && ["target", "afterpath-demo"].contains(&name);
    built
        || [".git", "__pycache__"].contains(&name)
        || [".proptest-regressions", ".analysis"].iter().any(|end| name.ends_with(end))
        || (name.starts_with('.') && ![".ci", ".gitignore", ".cargo", ".github"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_found_and_its_products_are_not() {
        let sources = sources();
        let has = |path: &str| sources.iter().any(|source| source.path == path);
        assert!(has("Cargo.toml") && has("tests/src/checkout.rs"));
        assert!(!sources.iter().any(|source| source.path.starts_with("target/")));
    }
}
