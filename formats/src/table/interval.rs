//! The two columns that tables of things with a lifetime share. Never a table of its own.

use super::{Column, Layout, Type};

pub(super) const FROM: Column = Column::new(
    "valid_from_ns",
    Type::Int64,
    "when it appeared, or the recording's start; BOOTTIME",
)
.layout(Layout::Delta);

pub(super) const TO: Column = Column::new(
    "valid_to_ns",
    Type::Int64,
    "when it went; null: still there, as far as known; BOOTTIME",
)
.nullable()
.layout(Layout::Delta);
