//! Fresh recordings of the testbed for tests: recorded once per run, imported as a user would. Never touches anything
//! outside the testbed's own namespaces and a temporary folder.

use afterpath_formats::bundle::Bundles;
use afterpath_formats::import::{ImportPlan, Word, import};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The testbed is one: recordings come one after the other.
static TESTBED: Mutex<()> = Mutex::new(());

/// A recording and the bundle imported from it; both vanish when dropped.
pub struct Recording {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    /// The opened bundle.
    pub bundles: Bundles,
}

impl Recording {
    /// Records with the given `testbed record` options. `None`, said on the test's output, where this machine can't: not
    /// root or not Linux.
    ///
    /// # Panics
    /// When the testbed fails, and instead of giving `None` when `AFTERPATH_REQUIRE_ALL` is set.
    pub fn fresh(options: &[&str]) -> Option<Recording> {
        if !may_record() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        record(folder.path(), options);
        let bundle = folder.path().join("bundle.afterpath");
        import_recording(&folder.path().join("recording"), &bundle);
        Some(Recording::opened(folder, bundle))
    }

    /// The same, recorded by `afterpath-record` in the root namespace: one bundle of all namespaces, their processes' sockets too.
    /// Ids stay visible in it.
    ///
    /// # Panics
    /// As [`Recording::fresh`].
    pub fn by_recorder(options: &[&str]) -> Option<Recording> {
        if !may_record() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let recorder = crate::tool::own("afterpath-record");
        let recorder = recorder.to_str().expect("a path that is text");
        let all = [options, &["--capture", "recorder", "--recorder", recorder]].concat();
        record(folder.path(), &all);
        let bundle = folder.path().join("recording/box.afterpath");
        Some(Recording::opened(folder, bundle))
    }

    fn opened(folder: tempfile::TempDir, bundle: PathBuf) -> Recording {
        let bundles = Bundles::open(std::slice::from_ref(&bundle)).expect("the bundle opens");
        assert!(bundles.warnings.is_empty(), "{:?}", bundles.warnings);
        Recording { folder, bundle, bundles }
    }

    /// The folder with the captures and the truth.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("recording")
    }

    /// The bundle.
    pub fn bundle(&self) -> PathBuf {
        self.bundle.clone()
    }
}

fn record(folder: &Path, options: &[&str]) {
    let guard = TESTBED.lock().unwrap_or_else(PoisonError::into_inner);
    let status = Command::new(testbed())
        .args(["record", "--out"])
        .arg(folder.join("recording"))
        .args(options)
        .status()
        .expect("the testbed starts");
    drop(guard);
    assert!(status.success(), "testbed record {options:?} failed: {status}");
}

/// One small capture per protocol (`dns.pcap`, `tls.pcap` …) of real clients and servers, in a folder that vanishes when
/// dropped. `None`, said on the test's output, where this machine can't.
///
/// # Panics
/// As [`Recording::fresh`].
pub fn protocol_captures() -> Option<tempfile::TempDir> {
    if !may_record() {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let _guard = TESTBED.lock().unwrap_or_else(PoisonError::into_inner);
    let status = Command::new(testbed())
        .args(["protocols", "--out"])
        .arg(folder.path())
        .status()
        .expect("the testbed starts");
    assert!(status.success(), "testbed protocols failed: {status}");
    Some(folder)
}

/// Whether this machine can record; says why not, which is a failure where everything is required.
///
/// # Panics
/// When it can't and `AFTERPATH_REQUIRE_ALL` is set.
pub fn may_record() -> bool {
    let Some(why) = cannot_record() else { return true };
    assert!(std::env::var_os("AFTERPATH_REQUIRE_ALL").is_none(), "not skipped in CI: {why}");
    crate::tool::skip(why, "a fresh recording");
    false
}

fn cannot_record() -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return Some("the testbed needs Linux");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|l| l.starts_with("Uid:") && l.split_whitespace().nth(2) == Some("0"));
    if root { None } else { Some("the testbed needs root") }
}

/// The testbed's launcher.
pub fn testbed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed/testbed")
}

/// Imports a recording with the arguments that the testbed wrote beside it.
pub fn import_recording(recording: &Path, bundle: &Path) {
    let text =
        std::fs::read_to_string(recording.join("import-args")).expect("import-args is there");
    let arguments: Vec<&str> = text.split_whitespace().collect();
    let words: Vec<Word> = arguments
        .chunks(2)
        .map(|pair| match pair {
            ["--host", name] => Word::Host(name.to_string()),
            ["--netns", value] => Word::Netns(beside(recording, value)),
            other => panic!("import-args has {other:?}"),
        })
        .collect();
    let plan = ImportPlan::parse(&words, bundle).expect("import-args are valid");
    let summary = import(&plan, &|_| ()).expect("the recording imports");
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
}

/// `podA=eth0@podA.eth0.pcap,…` with the files' folder put before them.
fn beside(recording: &Path, value: &str) -> String {
    let (name, files) = value.split_once('=').expect("a namespace and its files");
    let place = |file: &str| match file.split_once('@') {
        Some((interface, file)) => format!("{interface}@{}", recording.join(file).display()),
        None => recording.join(file).display().to_string(),
    };
    let files: Vec<String> = files.split(',').map(place).collect();
    format!("{name}={}", files.join(","))
}
