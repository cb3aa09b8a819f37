//! Any bytes are something that comes in, and it is endured. `fuzz/run WAY` builds and runs it; the ways in are `tests/src/endure/`.

#![no_main]

use afterpath_tests::endure::{WAYS, Way, named};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static WAY: LazyLock<&Way> = LazyLock::new(|| {
    let name = std::env::var("AFTERPATH_FUZZ_WAY").unwrap_or_default();
    let names: Vec<&str> = WAYS.iter().map(|way| way.name).collect();
    named(&name).unwrap_or_else(|| panic!("{name:?} is no way in: {}", names.join(", ")))
});

fuzz_target!(|data: &[u8]| (WAY.endure)(data));
