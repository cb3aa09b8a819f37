//! Bytes as a capture, plain or compressed: imported, analyzed, everything printed.

use super::{Way, answer, folder};
use afterpath_formats::import::{HostPlan, ImportPlan, Limits, import_within};

pub(super) const WAY: Way = Way { name: "captures", endure, is_quick: false };

/// Small, so that sorted runs are merged, too.
const LIMITS: Limits = Limits { run_bytes: 1 << 12, chunk_bytes: 1 << 10 };

fn endure(bytes: &[u8]) {
    let folder = folder();
    let capture = folder.path().join("a.pcap");
    std::fs::write(&capture, bytes).expect("room for it");
    let output = folder.path().join("a.afterpath");
    let plan = ImportPlan {
        hosts: vec![HostPlan::bare(&capture)],
        output: output.clone(),
        ..ImportPlan::default()
    };
    if import_within(&plan, &LIMITS, &|_| ()).is_ok() {
        answer(output);
    }
}
