//! What is deployed beside the recorder: the systemd unit is one that systemd takes, the Kubernetes manifests are what their schema
//! says, the arguments in both are ones that the recorder knows, and the binary asks for no newer glibc than is said.

use afterpath_tests::checkout::root;
use afterpath_tests::tool::{own, usable};
use std::path::PathBuf;
use std::process::Command;

/// The oldest glibc that the recorder runs with, as README says.
const GLIBC_FLOOR: (u32, u32) = (2, 34);

fn file(name: &str) -> PathBuf {
    root().join("capture/deploy").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).expect("readable")
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    if !usable("systemd-analyze", "the unit's check") {
        return;
    }
    // It must not depend on what is installed here: the program that it starts is the one that was built.
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("afterpath-record.service");
    let program = own("afterpath-record").display().to_string();
    let adapted =
        text("afterpath-record.service").replace("/usr/local/bin/afterpath-record", &program);
    std::fs::write(&unit, adapted).expect("written");
    let output =
        Command::new("systemd-analyze").arg("verify").arg(&unit).output().expect("started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let of_unit: Vec<_> = said.lines().filter(|line| line.contains("afterpath-record")).collect();
    assert!(output.status.success() && of_unit.is_empty(), "{said}");
}

/// Runs the recorder with these arguments, and `--help` behind them: wrong ones are told before.
fn knows(arguments: &[String]) {
    let output =
        Command::new(own("afterpath-record")).args(arguments).arg("--for").arg("soon").output();
    let said = String::from_utf8_lossy(&output.expect("started").stderr).into_owned();
    // The only thing wrong is the time that was added.
    assert!(said.contains("'soon'") && said.contains("--for"), "{arguments:?}: {said}");
}

#[test]
fn arguments_are_those_of_the_recorder() {
    let unit = text("afterpath-record.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    knows(&start.split(' ').skip(1).map(str::to_string).collect::<Vec<_>>());
    for name in ["daemonset.yaml", "sidecar.yaml"] {
        let manifest = text(name);
        let behind = manifest.split("/usr/local/bin/afterpath-record").nth(1).expect("a command");
        let arguments: Vec<String> = match behind.split_once(']') {
            Some((list, _)) if list.starts_with("\",") => {
                list.split('"').skip(2).step_by(2).map(str::to_string).collect()
            }
            _ => {
                let items = behind.lines().skip(1).map_while(|line| line.trim().strip_prefix("- "));
                items.map(str::to_string).collect()
            }
        };
        assert_eq!(arguments.first().map(String::as_str), Some("run"), "{name}");
        knows(&arguments);
    }
}

#[test]
fn the_binary_runs_with_the_oldest_glibc_that_is_promised() {
    let program = std::fs::read(own("afterpath-record")).expect("readable");
    let mut asked = Vec::new();
    let mut rest = program.as_slice();
    while let Some(at) = rest.windows(8).position(|window| window == b"GLIBC_2.") {
        rest = &rest[at + 8..];
        let digits: String = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .map(|byte| *byte as char)
            .collect();
        asked.extend(digits.parse::<u32>().map(|minor| (2, minor)));
    }
    let newest = asked.into_iter().max().expect("it is linked with glibc");
    assert!(newest <= GLIBC_FLOOR, "the recorder asks for glibc {newest:?}");
}
