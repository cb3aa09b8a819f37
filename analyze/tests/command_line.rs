//! The real binary over captures made here: every command, its streams, exit codes and errors. Never the network.
//! Long: one program, one place to run it in; each test is a few lines of commands and what they must say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "outputs are files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod capture;
mod damage;
mod gate;
mod id_fields;
#[cfg(unix)]
mod interrupt;
mod outputs;

/// A directory of its own with two captures of one request, and the program running in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("client.pcap"), capture::requests(20, 64, 0)).unwrap();
        fs::write(place.path("server.pcap"), capture::requests(20, 63, 150_000)).unwrap();
        place
    }

    fn with_bundle() -> Self {
        let place = Place::new();
        place.ok(&[
            "import",
            "--host",
            "box",
            "--netns",
            "client=eth0@client.pcap",
            "--netns",
            "server=eth0@server.pcap",
            "-o",
            "b.afterpath",
        ]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afterpath"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("XDG_CACHE_HOME", self.path("cache"));
        command.env_remove("COLUMNS").env_remove("NO_COLOR");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// stdout of a run that went well.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn check(&self, arguments: &[&str], code: i32, stderr: &str) {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(stderr), "{arguments:?}: {text}");
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn from_captures_to_every_report() {
    let place = Place::with_bundle();
    let summary = place.ok(&["analyze", "b.afterpath"]);
    assert!(summary.contains("20 traces") && summary.contains("http1"), "{summary}");
    let traces = place.ok(&["traces", "b.afterpath", "--slowest", "1"]);
    assert!(traces.contains("GET /item/"), "{traces}");
    let line = place.ok(&["traces", "b.afterpath", "--slowest", "1", "--json"]);
    let line: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(line["schema"], "afterpath.traces/1");
    let waterfall = place.ok(&["trace", line["id"].as_str().unwrap(), "b.afterpath"]);
    assert!(waterfall.contains("client/eth0") && waterfall.contains("server/eth0"), "{waterfall}");
    assert!(!waterfall.contains('\x1b'), "no colour without a terminal");
    let coloured =
        place.ok(&["trace", line["id"].as_str().unwrap(), "b.afterpath", "--color", "always"]);
    assert!(coloured.contains("\x1b[33;1m"));
    for report in [&["hops"][..], &["services"], &["flows"], &["explain", "+1s"]] {
        let arguments = [report, &["b.afterpath"]].concat();
        assert!(!place.ok(&arguments).is_empty());
        for line in place.ok(&[&arguments[..], &["--json"]].concat()).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["schema"].as_str().unwrap().starts_with("afterpath."));
        }
    }
    let planted = place.ok(&["trace", "request-7", "b.afterpath"]);
    assert!(planted.contains("/item/7"), "{planted}");
}

#[test]
fn results_are_kept_and_never_trusted_blindly() {
    let place = Place::with_bundle();
    let first = place.ok(&["export", "--format", "calls", "-o", "-", "b.afterpath"]);
    let [file] = &place.names("b.afterpath.analysis")[..] else { panic!("one file of results") };
    let stored = place.path("b.afterpath.analysis").join(file);
    let again = place.run(&["export", "--format", "calls", "-o", "-", "b.afterpath"]);
    assert_eq!((String::from_utf8(again.stdout).unwrap(), again.stderr.len()), (first.clone(), 0));
    assert_eq!(place.ok(&["export", "--format", "calls", "b.afterpath.analysis"]), first);

    let mut bytes = fs::read(&stored).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&stored, &bytes).unwrap();
    let altered = place.run(&["export", "--format", "calls", "-o", "-", "b.afterpath"]);
    assert_eq!(String::from_utf8(altered.stdout).unwrap(), first);
    assert!(String::from_utf8(altered.stderr).unwrap().contains("analyzing again"));

    for threads in ["1", "2", "8"] {
        let fresh = [
            "export",
            "--format",
            "calls",
            "-o",
            "-",
            "b.afterpath",
            "--again",
            "--threads",
            threads,
        ];
        assert_eq!(place.ok(&fresh), first, "{threads} threads");
    }
}

#[test]
fn outputs_appear_whole_and_overwrite_nothing() {
    let place = Place::with_bundle();
    place.check(&["import", "client.pcap", "-o", "b.afterpath"], 1, "error[output-exists]");
    place.ok(&["import", "client.pcap", "-o", "b.afterpath", "--force"]);
    place.ok(&["export", "--format", "parquet", "-o", "tables", "b.afterpath"]);
    assert_eq!(
        place.names("tables"),
        ["calls.parquet", "flows.parquet", "hops.parquet", "observations.parquet"]
    );
    place.check(
        &["export", "--format", "parquet", "-o", "tables", "b.afterpath"],
        1,
        "error[output-exists]",
    );
    place.ok(&["export", "--format", "parquet", "-o", "tables", "b.afterpath", "--force"]);
    fs::create_dir(place.path("precious")).unwrap();
    fs::write(place.path("precious/thesis.txt"), "x").unwrap();
    place.check(
        &["export", "--format", "parquet", "-o", "precious", "b.afterpath", "--force"],
        1,
        "error[output-exists]",
    );
    place.ok(&["export", "--format", "pcapng", "-o", "out.pcapng", "b.afterpath"]);
    assert_eq!(fs::read(place.path("out.pcapng")).unwrap()[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    place.ok(&["pack", "b.afterpath", "-o", "one.tar"]);
    place.ok(&["pack", "b.afterpath", "-o", "two.tar"]);
    assert_eq!(fs::read(place.path("one.tar")).unwrap(), fs::read(place.path("two.tar")).unwrap());
    assert!(place.ok(&["verify", "one.tar", "b.afterpath"]).contains("whole"));
    let hidden: Vec<_> = place.names(".").into_iter().filter(|n| n.starts_with('.')).collect();
    assert!(hidden.is_empty(), "left behind: {hidden:?}");
}

#[test]
fn errors_have_names_and_codes() {
    let place = Place::with_bundle();
    place.check(&["traces", "nowhere.afterpath"], 1, "error[");
    place.check(&["traces"], 2, "BUNDLE");
    place.check(
        &["traces", "b.afterpath", "--where", "durration > 5ms"],
        2,
        "error[bad-condition]: unknown field `durration`",
    );
    place.check(&["traces", "b.afterpath", "--tz", "Mars"], 2, "+02:00");
    place.check(&["explain", "yesterday", "b.afterpath"], 2, "error[bad-time]");
    place.check(&["trace", "ffff", "b.afterpath"], 1, "error[unknown-trace]");
    place.check(&["import", "-o", "x"], 2, "no capture");
    place.check(&["import", "--netns", "a=client.pcap", "-o", "x"], 2, "needs a --host");
    place.check(
        &["export", "--format", "parquet", "-o", "-", "b.afterpath"],
        2,
        "error[bad-output]",
    );
    for threads in ["0", "257", "100000"] {
        place.check(&["traces", "b.afterpath", "--threads", threads], 2, "1..=256");
    }
    for width in ["0", "39", "1001"] {
        place.check(&["traces", "b.afterpath", "--width", width], 2, "40..=1000");
    }
    fs::write(place.path("evil\x1b[31m.pcap"), "no capture at all").unwrap();
    let output = place.run(&["import", "evil\x1b[31m.pcap", "-o", "x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.contains(&0x1b), "a file's name is harmless too");
    assert!(!place.path("x").exists());
}

#[test]
fn an_option_that_does_not_apply_is_refused() {
    let place = Place::with_bundle();
    let refused = |format: &str, option: &[&str], name: &str| {
        let arguments =
            [&["export", "--format", format, "b.afterpath", "-o", "x"], option].concat();
        place.check(&arguments, 2, name);
        assert!(!place.path("x").exists());
    };
    for option in [&["--failed"][..], &["--where", "protocol = http1"]] {
        refused("pcapng", option, "error[bad-condition]: --where and --failed choose calls");
        refused("parquet", option, "error[bad-condition]: parquet holds everything");
    }
    refused("pcapng", &["--again"], "error[bad-option]");
    refused("calls", &["--host", "nope"], "error[bad-condition]: --host chooses packets");
    refused("parquet", &["--host", "box"], "error[bad-condition]: parquet holds everything");
    refused("pcapng", &["--host", "nope"], "error[unknown-host]");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_a_missing_folder_are_named() {
    let place = Place::with_bundle();
    for format in ["calls", "pcapng"] {
        let arguments = ["export", "--format", format, "b.afterpath"];
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.command(&arguments).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let wanted = "error[io]: stdout: can't be written: No space left on device";
        assert!(said.ends_with("(os error 28)\n") && said.contains(wanted), "{said}");
    }
    for arguments in [
        &["import", "client.pcap", "-o", "nowhere/x"][..],
        &["export", "--format", "calls", "b.afterpath", "-o", "nowhere/x"],
        &["export", "--format", "parquet", "b.afterpath", "-o", "nowhere/x"],
        &["pack", "b.afterpath", "-o", "nowhere/x"],
    ] {
        place.check(arguments, 1, "error[io]: nowhere/x: can't be written: No such file");
        let said = String::from_utf8(place.run(arguments).stderr).unwrap();
        assert!(!said.contains(".partial"), "{said}");
    }
}

#[test]
fn a_truncated_capture_is_used_and_said() {
    let place = Place::new();
    let whole = capture::requests(20, 64, 0);
    fs::write(place.path("cut.pcap"), &whole[..whole.len() - 7]).unwrap();
    place.check(&["import", "cut.pcap", "-o", "b"], 0, "warning[truncated-capture]");
    place.check(&["import", "cut.pcap", "-o", "c", "--strict"], 1, "error[strict]");
    assert!(place.ok(&["traces", "b"]).contains("GET /item/"));
}

#[test]
fn wrong_inputs_and_outputs_are_told_what_to_do() {
    let place = Place::with_bundle();
    place.check(
        &["import", "client.pcap", "-o", "-"],
        2,
        "error[bad-arguments]: a bundle is a directory",
    );
    assert!(!place.path("-").exists());
    place.check(&["traces", "client.pcap"], 1, "afterpath import FILE -o BUNDLE");
    fs::write(place.path("plain"), "x").unwrap();
    place.check(
        &["import", "client.pcap", "-o", "plain", "--force"],
        1,
        "error[output-exists]: plain is a file, the output a directory",
    );
    assert_eq!(fs::read(place.path("plain")).unwrap(), b"x");
    assert!(place.ok(&["verify", "b.afterpath"]).contains("format 0.1, sealed, by"));
    fs::write(place.path("b.afterpath/evil.sh"), "x").unwrap();
    place.check(&["verify", "b.afterpath"], 1, "error[not-whole]");
    // With no place for temporary files the error names where they should be.
    place.ok(&["pack", "b.afterpath", "-o", "b.tar"]);
    let packed = fs::read(place.path("b.tar")).unwrap();
    fs::write(place.path("b.tar.zst"), zstd::encode_all(&packed[..], 1).unwrap()).unwrap();
    let nowhere =
        place.command(&["traces", "b.tar.zst"]).env("TMPDIR", "/no/such").output().unwrap();
    let text = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(text.contains("error[io]: /no/such") && text.contains("TMPDIR"), "{text}");
    // An output that can't be written is named as it was asked for.
    let long = "x".repeat(300);
    let text = String::from_utf8_lossy(&place.run(&["pack", "b.afterpath", "-o", &long]).stderr)
        .into_owned();
    assert!(!text.contains(".partial"), "{text}");
}

#[test]
fn what_an_import_counts_is_said() {
    let place = Place::new();
    // Another link type: nothing of it is decoded. And a record longer than its frame was.
    let mut bytes = capture::requests(2, 64, 0);
    bytes[20..24].copy_from_slice(&4711u32.to_le_bytes());
    bytes[24 + 12] = 1;
    fs::write(place.path("odd.pcap"), &bytes).unwrap();
    place.check(&["import", "odd.pcap", "-o", "b"], 0, "note: 16 × unknown-link-type (odd.pcap)");
    place.check(&["import", "odd.pcap", "-o", "c"], 0, "note: 1 × over-long (odd.pcap)");
    place.check(&["import", "odd.pcap", "-o", "d", "--strict"], 1, "error[strict]");
    let json = place.ok(&["import", "odd.pcap", "-o", "e", "--json"]);
    let json: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(json["losses"][1]["cause"], "unknown-link-type");
    assert_eq!(
        (&json["losses"][1]["count"], &json["losses"][1]["is_damage"]),
        (&16.into(), &true.into())
    );
    bytes[20..24].copy_from_slice(&1u32.to_le_bytes());
    fs::write(place.path("noted.pcap"), &bytes).unwrap();
    place.check(&["import", "noted.pcap", "-o", "f", "--strict"], 0, "note: 1 × over-long");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::with_bundle();
    for format in ["calls", "pcapng"] {
        check_closed_pipe(&place, format);
    }
}

fn check_closed_pipe(place: &Place, format: &str) {
    let mut child = place
        .command(&["export", "--format", format, "-o", "-", "b.afterpath"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
        (Some(0), "")
    );
}

#[test]
fn a_read_only_place_uses_the_cache() {
    let place = Place::with_bundle();
    // A file where the folder would be: unwritable for every user.
    fs::write(place.path("b.afterpath.analysis"), "").unwrap();
    place.ok(&["traces", "b.afterpath"]);
    assert_eq!(place.names("cache/afterpath").len(), 1);
    assert!(place.run(&["traces", "b.afterpath"]).stderr.is_empty());
}

#[test]
fn the_demo_is_a_tour() {
    let place = Place::new();
    let tour = place.ok(&["demo"]);
    // What the README shows is what it prints.
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    let readme = readme.unwrap();
    let shown = readme.split("```text\n").nth(1).unwrap().split("\n…").next().unwrap();
    let printed: Vec<&str> = tour.lines().map(str::trim_end).collect();
    assert!(printed.join("\n").starts_with(shown), "{tour}");
    // The hop that held a packet back for 170 ms is the slowest part, by name.
    assert!(tour.contains("slowest part: through l4gw/eth0 → l4gw/eth1"), "{tour}");
    // What it suggests names this program as it was called, which need not be in PATH.
    let program = env!("CARGO_BIN_EXE_afterpath");
    for suggested in ["traces --slowest 5", "import a.pcap b.pcap -o mine.afterpath"] {
        assert!(tour.contains(&format!("  {program} {suggested}")), "{tour}");
    }
    assert_eq!(
        place.names("afterpath-demo"),
        [
            "README.md",
            "calls.jsonl",
            "demo.afterpath.tar",
            "demo.afterpath.tar.analysis",
            "report.html",
            "waterfall.txt"
        ]
    );
    place.check(&["demo"], 1, "error[output-exists]");
    place.ok(&["demo", "--force"]);
    let next = place.run(&["traces", "--slowest", "5", "afterpath-demo/demo.afterpath.tar"]);
    assert!(next.status.success() && next.stderr.is_empty());
}

/// With too little memory a run ends, whichever library lacked it; what it gives is whole, and never said to be damaged.
#[test]
#[cfg(target_os = "linux")]
fn under_a_memory_limit_it_is_all_or_nothing() {
    let place = Place::with_bundle();
    let expected = place.ok(&["traces", "b.afterpath"]);
    let results = place.path("b.afterpath.analysis");
    let (mut n_ended, mut n_whole) = (0, 0);
    for megabytes in (20..=400).step_by(20) {
        fs::remove_dir_all(&results).ok();
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--as={}", megabytes * 1_000_000));
        let program = env!("CARGO_BIN_EXE_afterpath");
        limited.args([program, "--threads", "2", "traces", "b.afterpath"]);
        let output = limited.current_dir(place.0.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{megabytes} MB: {text}");
            n_whole += 1;
        } else {
            assert!(output.stdout.is_empty(), "{megabytes} MB");
            n_ended += 1;
        }
        assert!(!text.contains("damaged"), "{megabytes} MB: {text}");
        assert!(
            !results.exists() || output.status.success(),
            "{megabytes} MB: half of the results"
        );
    }
    assert!(n_ended > 0 && n_whole > 0, "{n_ended} ended, {n_whole} whole");
    place.ok(&["verify", "b.afterpath"]);
}

#[test]
fn completions_and_man_pages() {
    let place = Place::new();
    assert!(place.ok(&["completions", "bash"]).contains("explain"));
    place.ok(&["man", "man1"]);
    assert!(place.names("man1").contains(&"afterpath-traces.1".to_owned()));
    // The same pages again change nothing; others stay unless told.
    place.ok(&["man", "man1"]);
    fs::write(place.path("man1/afterpath-hops.1"), "my own").unwrap();
    place.check(&["man", "man1"], 1, "man1/afterpath-hops.1 exists and differs");
    assert_eq!(fs::read_to_string(place.path("man1/afterpath-hops.1")).unwrap(), "my own");
    place.ok(&["man", "man1", "--force"]);
    assert!(fs::read_to_string(place.path("man1/afterpath-hops.1")).unwrap().contains("afterpath"));
    assert!(place.names("man1").iter().all(|name| name.ends_with(".1")));
}

#[test]
fn a_flipped_bit_in_the_packets_is_told_by_every_reading_command() {
    let place = Place::with_bundle();
    let packets = fs::read_dir(place.path("b.afterpath/packets")).unwrap().next().unwrap();
    let file = packets.unwrap().path().join("part-00000.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 0x10;
    fs::write(&file, bytes).unwrap();
    for command in [&["traces"][..], &["hops"], &["services"], &["explain", "+1ms"], &["analyze"]] {
        let output = place.run(&[command, &["b.afterpath"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("warning[altered-file]"), "{said}");
    }
    assert!(place.ok(&["analyze", "b.afterpath"]).contains("damaged: altered-file"));
    assert_eq!(place.run(&["traces", "--strict", "b.afterpath"]).status.code(), Some(1));
}
