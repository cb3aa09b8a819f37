//! What fuzzing found worth keeping, and where it began: every file of the corpus is endured, whole, otherwise begun, and cut short. The
//! fuzzing itself is `fuzz/run`, guided by coverage, for as long as one likes.

use afterpath_tests::checkout;
use afterpath_tests::endure::WAYS;

#[test]
fn the_corpus_is_endured() {
    for way in WAYS {
        let folder = checkout::root().join("fuzz/corpus").join(way.name);
        let mut n = 0;
        for entry in std::fs::read_dir(folder).expect("a corpus") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
            (way.endure)(&bytes);
            let mut other = bytes.clone();
            if let Some(first) = other.first_mut() {
                *first ^= 2;
            }
            (way.endure)(&other);
            let cuts = if way.is_quick { 40 } else { 4 };
            for cut in (0..bytes.len()).step_by(bytes.len() / cuts + 1) {
                (way.endure)(&bytes[..cut]);
            }
            n += 1;
        }
        assert!(n >= 4, "{}: only {n} files", way.name);
    }
}
