//! Bytes as a capture, plain or compressed: imported, analyzed, everything printed.

use super::{Way, answer_import};
use afterpath_formats::import::{Limits, import_within};

pub(super) const WAY: Way = Way { name: "captures", endure, is_quick: false };

/// Small, so that sorted runs are merged, too.
const LIMITS: Limits = Limits { run_bytes: 1 << 12, chunk_bytes: 1 << 10 };

fn endure(bytes: &[u8]) {
    answer_import(bytes, |plan| import_within(plan, &LIMITS, &|_| ()).is_ok());
}
