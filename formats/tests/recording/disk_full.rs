//! A full disk: named, nothing lost that was synced, sealed when there is room again.

use super::made::{PACKETS, batch, n_prefix, recording, rolling, scratch};
use afterpath_formats::bundle::verify;
use afterpath_formats::recording::repair;
use std::io::Write;
use std::path::Path;
use std::process::Command;

#[test]
fn a_full_disk_is_named_and_what_was_synced_stays() {
    let scratch = scratch();
    if let Err(why) = mount(scratch.path(), "1m") {
        let required = std::env::var("AFTERPATH_REQUIRE_ALL").is_ok_and(|value| value == "1");
        assert!(!required, "a small disk can't be mounted and AFTERPATH_REQUIRE_ALL=1: {why}");
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED a full disk: a small one can't be mounted here ({why})"
        );
        return;
    }
    let done = std::panic::catch_unwind(|| fill(scratch.path()));
    let unmounted = Command::new("umount").arg(scratch.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}

fn fill(disk: &Path) {
    let bundle = disk.join("a.afterpath");
    let mut recording = recording(&bundle, &rolling(2000));
    let (mut synced, mut refusal) = (0, None);
    for begin in (0..1_000_000).step_by(500) {
        recording.append(PACKETS, batch(PACKETS, begin..begin + 500)).expect("memory");
        match recording.sync() {
            Ok(()) => synced = begin as usize + 500,
            Err(error) => {
                refusal = Some(error.kind.name());
                break;
            }
        }
    }
    assert_eq!(refusal, Some("disk-full"));
    assert!(synced >= 2000, "{synced}");
    assert!(n_prefix(&bundle, PACKETS) >= synced);
    let sealed = recording.seal();
    assert_eq!(sealed.map(|_| ()).map_err(|error| error.kind.name()), Err("disk-full"));
    let n = n_prefix(&bundle, PACKETS);
    assert!(n >= synced, "{n} rows, {synced} were synced");
    // Someone makes room.
    mount(disk, "remount,64m").expect("it is mounted");
    repair(&bundle).expect("room");
    let found = verify(&bundle).expect("verifiable");
    assert!(found.is_whole(), "{:?}", found.problems);
    assert_eq!(n_prefix(&bundle, PACKETS), n);
}

fn mount(folder: &Path, size: &str) -> Result<(), String> {
    let (remount, size) =
        size.strip_prefix("remount,").map_or(("", size), |size| ("remount,", size));
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &format!("{remount}size={size}"), "none"]).arg(folder);
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
    }
}
