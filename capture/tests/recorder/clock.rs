//! A clock that is set while recording goes on. It is the machine's: only one of its own may be treated so.

use super::made::{Recorder, can_record};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn set(to: Duration) {
    let status = Command::new("date").args(["-s", &format!("@{}", to.as_secs_f64())]).output();
    assert!(status.expect("date starts").status.success());
}

#[test]
#[ignore = "it sets the machine's clock: tests/other-kernel runs it, in a machine of its own"]
fn a_clock_that_is_set_is_told_each_time() {
    if !can_record("packets", "a clock that is set") {
        return;
    }
    let recorder = Recorder::start(&["--probes", "packets"]);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    std::thread::sleep(Duration::from_millis(1300));
    set(now() + Duration::from_secs(90));
    std::thread::sleep(Duration::from_millis(2500));
    set(now() - Duration::from_secs(90));
    std::thread::sleep(Duration::from_millis(1500));
    let recorded = recorder.stop();
    let losses = recorded.losses();
    let steps: Vec<_> = losses.iter().filter(|row| row.cause == "clock-stepped").collect();
    assert_eq!(steps.len(), 2, "{losses:?}");
    assert!(steps.iter().all(|row| row.from_ns < row.to_ns), "{steps:?}");
    assert!(recorded.said.contains("clock-stepped"), "{}", recorded.said);
}
