//! Bytes as a document of tracers' spans, in either format: imported, analyzed, everything printed. What is one of Jaeger is none of OTLP.

use super::{Way, answer_import};
use afterpath_formats::import::spans::{SpanFormat, SpanPlan, import};

pub(super) const WAY: Way = Way { name: "spans", endure, is_quick: false };

fn endure(bytes: &[u8]) {
    for format in [SpanFormat::Jaeger, SpanFormat::Otlp] {
        let spans = SpanPlan { format, forget_parents: false };
        answer_import(bytes, |plan| import(plan, &spans, &|_| ()).is_ok());
    }
}
