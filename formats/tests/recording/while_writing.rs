//! Opening a bundle that is being recorded: a snapshot, whatever the recorder does meanwhile.

use super::made::{PACKETS, batch, n_prefix, recording, rolling, scratch};
use afterpath_formats::bundle::{Bundles, verify};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_snapshot_has_all_that_was_synced_before_it() {
    let scratch = scratch();
    let bundle = scratch.path().join("a.afterpath");
    let synced = AtomicUsize::new(0);
    let mut recording = recording(&bundle, &rolling(300));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for begin in (0..20_000).step_by(100) {
                recording.append(PACKETS, batch(PACKETS, begin..begin + 100)).expect("room");
                recording.sync().expect("room");
                synced.store(begin as usize + 100, Ordering::SeqCst);
            }
            recording.seal().expect("room");
        });
        loop {
            let at_least = synced.load(Ordering::SeqCst);
            let n = n_prefix(&bundle, PACKETS);
            assert!(n >= at_least, "{n} rows, {at_least} were synced");
            let bundles = Bundles::open(std::slice::from_ref(&bundle)).expect("openable");
            let mut names = bundles.warnings.iter().map(|warning| warning.kind.name());
            assert!(names.all(|name| ["unsealed", "cut-segment"].contains(&name)));
            if at_least == 20_000 {
                break;
            }
        }
    });
    assert_eq!(n_prefix(&bundle, PACKETS), 20_000);
    assert!(verify(&bundle).expect("verifiable").is_whole());
}
