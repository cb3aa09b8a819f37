//! Bytes as a document of tracers' spans, in either format: imported, analyzed, everything printed. What is one of Jaeger is none of OTLP.

use super::{Way, answer, folder};
use afterpath_formats::import::spans::{SpanFormat, SpanPlan, import};
use afterpath_formats::import::{HostPlan, ImportPlan};

pub(super) const WAY: Way = Way { name: "spans", endure, is_quick: false };

fn endure(bytes: &[u8]) {
    for format in [SpanFormat::Jaeger, SpanFormat::Otlp] {
        let folder = folder();
        let document = folder.path().join("a.json");
        std::fs::write(&document, bytes).expect("room for it");
        let output = folder.path().join("a.afterpath");
        let plan = ImportPlan {
            hosts: vec![HostPlan::bare(&document)],
            output: output.clone(),
            ..ImportPlan::default()
        };
        if import(&plan, &SpanPlan { format, forget_parents: false }, &|_| ()).is_ok() {
            answer(output);
        }
    }
}
