//! What fuzzing found worth keeping: every conversation of the corpus is endured by every protocol, whole, cut short, and joined late. The fuzzing
//! itself is `fuzz/run`, guided by coverage, for as long as one likes.

use afterpath_tests::checkout;
use afterpath_tests::conversation::Conversation;

#[test]
fn every_protocol_endures_the_corpus() {
    let folder = checkout::root().join("fuzz/corpus");
    let mut n = 0;
    for entry in std::fs::read_dir(folder).expect("a corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
        Conversation::read(&bytes).endure();
        let mut late = bytes.clone();
        if let Some(first) = late.first_mut() {
            *first |= 2;
        }
        Conversation::read(&late).endure();
        for cut in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            Conversation::read(&bytes[..cut]).endure();
        }
        n += 1;
    }
    assert!(n >= 30, "only {n} conversations");
}
