//! A recorder that runs, and what it recorded. It never records but into a folder that goes away.

use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::counters::{self, CounterRow};
use afterpath_formats::table::losses::{self, LossRow};
use afterpath_formats::table::socket_events::{self, SocketEventRow};
use afterpath_formats::table::sockets::{self, SocketRow};
use afterpath_formats::table::tcp_info::{self, TcpInfoRow};
use arrow::array::RecordBatch;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_afterpath-record");

/// Whether `probe` can run here. When not, says that `what` was skipped.
///
/// # Panics
/// When it can't and nothing may be skipped.
pub(crate) fn can_record(probe: &str, what: &str) -> bool {
    let checked =
        Command::new(PROGRAM).args(["check", probe]).output().expect("the recorder starts");
    if checked.status.success() {
        return true;
    }
    skip(what, &String::from_utf8_lossy(&checked.stdout));
    false
}

/// Says that `what` was skipped.
///
/// # Panics
/// When nothing may be.
pub(crate) fn skip(what: &str, why: &str) {
    let required = std::env::var("AFTERPATH_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{what} can't be skipped, AFTERPATH_REQUIRE_ALL=1: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {}", why.replace('\n', " "));
}

/// A recorder at work.
pub(crate) struct Recorder {
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

/// A Python program that ends when its input does, and does so when dropped.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start(program: &str) -> Load {
        let mut command = Command::new("python3");
        Load(command.args(["-c", program]).stdin(Stdio::piped()).spawn().expect("it starts"))
    }

    pub(crate) fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// What it left.
pub(crate) struct Recorded {
    pub(crate) code: Option<i32>,
    /// Everything on standard error.
    pub(crate) said: String,
    pub(crate) path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // A test that failed leaves none behind; one that ended was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Recorder {
    /// Starts it with these arguments and waits until it records.
    pub(crate) fn start(arguments: &[&str]) -> Recorder {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut recorder = Recorder::start_at(&folder.path().join("x.afterpath"), arguments);
        recorder.folder = Some(folder);
        recorder
    }

    /// The same with a bundle whose place is the caller's.
    pub(crate) fn start_at(path: &Path, arguments: &[&str]) -> Recorder {
        let mut child = Command::new(PROGRAM)
            .arg("run")
            .arg("--output")
            .arg(path)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the recorder starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it was piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        assert!(line.starts_with("recording "), "{line}");
        Recorder { folder: None, path: path.to_path_buf(), child, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The bundle that it writes.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Recorded {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("text");
        let status = self.child.wait().expect("it ends");
        let path = self.path.clone();
        Recorded { code: status.code(), said, path, _folder: self.folder.take() }
    }

    /// Stops it as Ctrl-C does; it must end well.
    pub(crate) fn stop(self) -> Recorded {
        self.signal("INT");
        let recorded = self.wait();
        assert_eq!(recorded.code, Some(0), "{}", recorded.said);
        recorded
    }
}

impl Recorded {
    fn batches(&self, table: &'static afterpath_formats::table::Table) -> Vec<RecordBatch> {
        batches(&self.path, table)
    }

    /// Runs `each` over the socket events, in the table's order.
    pub(crate) fn each_event(&self, mut each: impl FnMut(SocketEventRow<'_>)) {
        for batch in self.batches(&socket_events::TABLE) {
            socket_events::rows(&batch).for_each(&mut each);
        }
    }

    pub(crate) fn sockets(&self) -> Vec<SocketRow> {
        self.batches(&sockets::TABLE).iter().flat_map(sockets::rows).collect()
    }

    pub(crate) fn tcp_info(&self) -> Vec<TcpInfoRow> {
        self.batches(&tcp_info::TABLE).iter().flat_map(tcp_info::rows).collect()
    }

    pub(crate) fn losses(&self) -> Vec<LossRow> {
        self.batches(&losses::TABLE).iter().flat_map(losses::rows).collect()
    }

    /// The last value of a counter of `subject`.
    pub(crate) fn counter(&self, name: &str, subject: Option<&str>) -> Option<i64> {
        let rows = self.batches(&counters::TABLE);
        let is_it = |row: &CounterRow| row.name == name && row.subject.as_deref() == subject;
        let all = rows.iter().flat_map(counters::rows).filter(is_it);
        all.max_by_key(|row| row.time_ns).map(|row| row.value)
    }
}

/// All rows of the only host's table.
pub(crate) fn batches(
    bundle: &Path,
    table: &'static afterpath_formats::table::Table,
) -> Vec<RecordBatch> {
    let bundles = Bundles::open(&[bundle.to_path_buf()]).expect("the bundle opens");
    bundles.batches(0, table).map(|batch| batch.expect("readable")).collect()
}
