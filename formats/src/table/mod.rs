//! The bundle's tables as data: names, columns, types, units and meanings, one file per table.
//! Never opens a file; `bundle/` does.

pub mod capture_blocks;
mod cells;
pub mod clock;
pub mod counters;
pub mod hosts;
pub mod interfaces;
mod interval;
pub mod kernel_path;
pub mod losses;
pub mod nat;
pub mod packet_batch;
pub(crate) mod packet_rows;
pub mod packets;
pub mod plaintext;
pub mod processes;
pub mod recorded_packets;
pub mod socket_events;
pub mod sockets;
pub mod spans;
pub mod tasks;
pub mod tcp_info;
mod texts;
pub mod threads;
pub mod wakeups;

pub(crate) use cells::Cells;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::sync::Arc;

/// Rows of a full row group.
pub const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Every table of the format.
pub const TABLES: &[&Table] = &[
    &hosts::TABLE,
    &clock::TABLE,
    &interfaces::TABLE,
    &packets::TABLE,
    &losses::TABLE,
    &capture_blocks::TABLE,
    &processes::TABLE,
    &threads::TABLE,
    &sockets::TABLE,
    &socket_events::TABLE,
    &nat::TABLE,
    &counters::TABLE,
    &kernel_path::TABLE,
    &plaintext::TABLE,
    &wakeups::TABLE,
    &tasks::TABLE,
    &tcp_info::TABLE,
    &spans::TABLE,
];

/// The table called `name`.
pub fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name).copied()
}

/// A table as it stands in the specification.
pub fn markdown(table: &Table) -> String {
    let mut text = format!("### {}\n\nOne row is {}.", table.name, table.about);
    if !table.order.is_empty() {
        text.push_str(&format!(" Sorted by {}.", table.order.join(", ")));
    }
    text.push_str("\n\n| column | type | meaning |\n|---|---|---|\n");
    for Column { name, kind, nullable, about, .. } in table.columns {
        let kind = kind.name();
        let null = if *nullable { ", may be null" } else { "" };
        text.push_str(&format!("| {name} | {kind}{null} | {about} |\n"));
    }
    text.push('\n');
    text
}

/// One table of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its folder.
    pub name: &'static str,
    /// One row is …
    pub about: &'static str,
    /// The columns its rows are sorted by.
    pub order: &'static [&'static str],
    /// Its columns, in file order.
    pub columns: &'static [Column],
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name, units last.
    pub name: &'static str,
    /// Type.
    pub kind: Type,
    /// Whether values may be absent.
    pub nullable: bool,
    /// How it is encoded in Parquet.
    pub layout: Layout,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Whether it came after the table: older files have no such column, which is as if none had a value.
    pub is_later: bool,
}

/// Column types. No unsigned 64-bit and no timestamp type: Spark refuses both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Signed 64-bit; all times and large counts.
    Int64,
    /// Unsigned 32-bit.
    UInt32,
    /// Unsigned 16-bit.
    UInt16,
    /// Unsigned 8-bit.
    UInt8,
    /// True or false.
    Boolean,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
    /// 16 bytes; an IPv4 address stands in the first four, the rest zero.
    Address,
}

/// How a column is laid out in Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Dictionary, falling back to plain when it grows too large.
    Dictionary,
    /// DELTA_BINARY_PACKED.
    Delta,
    /// Plain.
    Plain,
    /// Plain, without statistics: large bytes that nobody searches by range.
    Payload,
    /// Dictionary, compressed by Snappy: few values or the same one; a zstd context would take more memory than they do.
    Seldom,
}

impl Layout {
    fn is_dictionary(self) -> bool {
        matches!(self, Layout::Dictionary | Layout::Seldom)
    }
}

impl Column {
    /// Integers are plain: zstd finds their repetitions, in less time and fewer bytes than a dictionary does.
    pub(crate) const fn new(name: &'static str, kind: Type, about: &'static str) -> Column {
        let layout = match kind {
            Type::UInt32 | Type::UInt16 | Type::UInt8 => Layout::Plain,
            _ => Layout::Dictionary,
        };
        Column { name, kind, nullable: false, layout, about, is_later: false }
    }

    pub(crate) const fn nullable(self) -> Column {
        Column { nullable: true, ..self }
    }

    /// Nullable, and absent from files of versions before it.
    pub(crate) const fn later(self) -> Column {
        Column { nullable: true, is_later: true, ..self }
    }

    pub(crate) const fn layout(self, layout: Layout) -> Column {
        Column { layout, ..self }
    }
}

impl Type {
    /// The Arrow type of a column.
    pub fn arrow(self) -> DataType {
        match self {
            Type::Int64 => DataType::Int64,
            Type::UInt32 => DataType::UInt32,
            Type::UInt16 => DataType::UInt16,
            Type::UInt8 => DataType::UInt8,
            Type::Boolean => DataType::Boolean,
            Type::Text => DataType::Utf8,
            Type::Binary => DataType::Binary,
            Type::Address => DataType::FixedSizeBinary(16),
        }
    }

    /// The name used in the specification.
    pub fn name(self) -> &'static str {
        match self {
            Type::Int64 => "INT64",
            Type::UInt32 => "UINT32",
            Type::UInt16 => "UINT16",
            Type::UInt8 => "UINT8",
            Type::Boolean => "BOOLEAN",
            Type::Text => "UTF8",
            Type::Binary => "BINARY",
            Type::Address => "BINARY(16)",
        }
    }
}

impl Table {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        self.schema_by(|column| column.kind.arrow())
    }

    /// The Arrow schema of batches to be written: payloads are views of bytes that lie elsewhere. The file is the same.
    pub(crate) fn written_schema(&self) -> SchemaRef {
        self.schema_by(|column| match column.layout {
            Layout::Payload => DataType::BinaryView,
            _ => column.kind.arrow(),
        })
    }

    fn schema_by(&self, kind: impl Fn(&Column) -> DataType) -> SchemaRef {
        let field = |column: &Column| Field::new(column.name, kind(column), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// Parquet writer settings; the reasons are measurements written down in `formats/README.md`.
    pub fn properties(&self) -> WriterProperties {
        let level = ZstdLevel::try_new(1).expect("zstd has a level 1");
        let mut builder = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_compression(Compression::ZSTD(level))
            .set_created_by(concat!("afterpath-formats ", env!("CARGO_PKG_VERSION")).into())
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_write_batch_size(8192)
            .set_statistics_enabled(EnabledStatistics::Page);
        for column in self.columns {
            let path = ColumnPath::from(column.name);
            if column.kind == Type::Address {
                // Rows are in order of flow hashes: any page holds the whole range of addresses.
                let none = EnabledStatistics::None;
                builder = builder.set_column_statistics_enabled(path.clone(), none);
            }
            // What a dictionary falls back to is made beside it: the crate's own choice, deltas, takes a megabyte a column that is
            // touched at once. Of bits there is no dictionary.
            if column.layout.is_dictionary() && column.kind != Type::Boolean {
                builder = builder.set_column_encoding(path.clone(), Encoding::PLAIN);
            }
            builder = match column.layout {
                Layout::Dictionary => builder,
                Layout::Seldom => builder.set_column_compression(path, Compression::SNAPPY),
                Layout::Delta => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
                Layout::Plain => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::PLAIN),
                Layout::Payload => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), Encoding::PLAIN)
                    .set_column_statistics_enabled(path, EnabledStatistics::None),
            };
        }
        builder.build()
    }

    /// What is wrong with a file's schema for this table (`Err`), or the columns it has that this version does not know.
    pub fn check(&self, found: &Schema) -> Result<Vec<String>, String> {
        for column in self.columns {
            let Ok(field) = found.field_with_name(column.name) else {
                if column.is_later {
                    continue;
                }
                return Err(format!("{} has no column `{}`", self.name, column.name));
            };
            if *field.data_type() != column.kind.arrow() {
                return Err(format!(
                    "{}.{} is {}, not {}",
                    self.name,
                    column.name,
                    field.data_type(),
                    column.kind.arrow()
                ));
            }
        }
        let known = |name: &str| self.columns.iter().any(|column| column.name == name);
        let unknown = found.fields().iter().filter(|field| !known(field.name()));
        Ok(unknown.map(|field| field.name().clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn table_and_column_names_are_unique() {
        let names: HashSet<_> = TABLES.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), TABLES.len());
        for table in TABLES {
            let columns: HashSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            assert!(table.order.iter().all(|name| columns.contains(name)), "{}", table.name);
        }
    }

    #[test]
    fn a_schema_is_checked_and_newer_columns_are_named() {
        let table = &losses::TABLE;
        assert_eq!(table.check(&table.schema()), Ok(vec![]));
        let before = |name: &str| {
            let fields = interfaces::TABLE.schema().fields().clone();
            let fields = fields.iter().filter(|field| field.name() != name).cloned();
            interfaces::TABLE.check(&Schema::new(fields.collect::<Vec<_>>()))
        };
        assert_eq!(before("netns_inode"), Ok(vec![]), "it came later");
        assert!(before("netns").is_err());
        let mut fields: Vec<_> = table.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("novelty", DataType::Int64, true)));
        assert_eq!(table.check(&Schema::new(fields.clone())), Ok(vec!["novelty".to_string()]));
        fields.remove(0);
        assert!(table.check(&Schema::new(fields)).is_err());
    }
}
