//! A column chunk of plain values, laid out page by page in one buffer that is used again. The crate's writer takes values as
//! arrays and lets every page's buffer grow anew, which took a fifth of an import. Never keeps statistics of values.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

/// A page ends behind the row that brings it to so many rows, or bytes of values.
const PAGE_ROWS: u32 = 16 * 1024;
const PAGE_BYTES: usize = 1 << 20;
/// As the other columns are compressed.
const ZSTD_LEVEL: i32 = 1;

/// What compresses pages; one for several columns, as it holds a megabyte of tables.
pub(crate) struct PageCompressor {
    zstd: Compressor<'static>,
    packed: Vec<u8>,
}

/// A column chunk being written: values of INT32, BYTE_ARRAY or FIXED_LEN_BYTE_ARRAY, not nested.
pub(crate) struct PlainColumn {
    descriptor: ColumnDescPtr,
    /// Values of the page being filled.
    values: Vec<u8>,
    levels: Option<Levels>,
    n_rows: u32,
    pages: TrackedWrite<Vec<u8>>,
    offsets: OffsetIndexBuilder,
    sums: Sums,
}

/// A column chunk, ready for the file.
pub(crate) struct PlainChunk {
    pub(crate) bytes: Bytes,
    /// What the row group has to know of it.
    pub(crate) close: ColumnCloseResult,
}

#[derive(Default)]
struct Sums {
    n_rows: u64,
    n_pages: i32,
    unpacked_bytes: usize,
}

/// Which values of a page are there, as runs: rows are sorted by flow, so they are long.
#[derive(Default)]
struct Levels {
    encoded: Vec<u8>,
    is_there: bool,
    run: u32,
    n_nulls: u32,
}

impl PageCompressor {
    pub(crate) fn new() -> Result<PageCompressor> {
        let zstd = Compressor::new(ZSTD_LEVEL).map_err(failed)?;
        Ok(PageCompressor { zstd, packed: Vec::new() })
    }

    /// `bytes` compressed, or as they are where that would not make them shorter.
    fn pack<'a>(&'a mut self, bytes: &'a [u8]) -> Result<(&'a [u8], bool)> {
        self.packed.clear();
        self.packed.reserve(compress_bound(bytes.len()));
        self.zstd.compress_to_buffer(bytes, &mut self.packed).map_err(failed)?;
        match self.packed.len() < bytes.len() {
            true => Ok((&self.packed, true)),
            false => Ok((bytes, false)),
        }
    }
}

impl PlainColumn {
    pub(crate) fn new(descriptor: ColumnDescPtr) -> PlainColumn {
        let levels = (descriptor.max_def_level() > 0).then(Levels::default);
        PlainColumn {
            descriptor,
            values: Vec::new(),
            levels,
            n_rows: 0,
            pages: TrackedWrite::new(Vec::new()),
            offsets: OffsetIndexBuilder::new(),
            sums: Sums::default(),
        }
    }

    /// Appends a number to an INT32 column.
    #[inline]
    pub(crate) fn push_number(&mut self, value: Option<impl Into<u32>>) {
        self.push_fixed(value.map(|value| value.into().to_le_bytes()));
    }

    /// Appends a value of the column's fixed length.
    #[inline]
    pub(crate) fn push_fixed<const N: usize>(&mut self, value: Option<[u8; N]>) {
        self.push_level(value.is_some());
        if let Some(bytes) = value {
            self.values.extend_from_slice(&bytes);
        }
    }

    /// Appends a value to a BYTE_ARRAY column.
    #[inline]
    pub(crate) fn push_bytes(&mut self, value: &[u8]) {
        self.push_level(true);
        self.values.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.values.extend_from_slice(value);
    }

    #[inline]
    fn push_level(&mut self, is_there: bool) {
        self.n_rows += 1;
        match &mut self.levels {
            Some(levels) => levels.push(is_there),
            None => debug_assert!(is_there, "a column that may not be null has every value"),
        }
    }

    /// Ends the page if it is full; to be called after some rows.
    #[inline]
    pub(crate) fn end_full_page(&mut self, compressor: &mut PageCompressor) -> Result<()> {
        match self.n_rows >= PAGE_ROWS || self.values.len() >= PAGE_BYTES {
            true => self.end_page(compressor),
            false => Ok(()),
        }
    }

    fn end_page(&mut self, compressor: &mut PageCompressor) -> Result<()> {
        let levels = self.levels.as_mut().map(Levels::take).unwrap_or_default();
        let (packed, is_compressed) = compressor.pack(&self.values)?;
        let mut buffer = Vec::with_capacity(levels.0.len() + packed.len());
        buffer.extend_from_slice(&levels.0);
        buffer.extend_from_slice(packed);
        let page = Page::DataPageV2 {
            buf: buffer.into(),
            num_values: self.n_rows,
            encoding: Encoding::PLAIN,
            num_nulls: levels.1,
            num_rows: self.n_rows,
            def_levels_byte_len: levels.0.len() as u32,
            rep_levels_byte_len: 0,
            is_compressed,
            statistics: None,
        };
        let page = CompressedPage::new(page, levels.0.len() + self.values.len());
        let written = SerializedPageWriter::new(&mut self.pages).write_page(page)?;
        self.offsets.append_row_count(i64::from(self.n_rows));
        self.offsets.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        self.sums.n_rows += u64::from(self.n_rows);
        self.sums.n_pages += 1;
        self.sums.unpacked_bytes += written.uncompressed_size;
        self.values.clear();
        self.n_rows = 0;
        Ok(())
    }

    /// No more values follow.
    pub(crate) fn close(mut self, compressor: &mut PageCompressor) -> Result<PlainChunk> {
        if self.n_rows > 0 {
            self.end_page(compressor)?;
        }
        let bytes = self.pages.into_inner()?;
        let encodings = [Encoding::PLAIN, Encoding::RLE];
        let stats = PageEncodingStats {
            page_type: PageType::DATA_PAGE_V2,
            encoding: Encoding::PLAIN,
            count: self.sums.n_pages,
        };
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(vec![stats])
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.sums.unpacked_bytes as i64)
            .set_num_values(self.sums.n_rows as i64)
            .set_data_page_offset(0)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.sums.n_rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.offsets.build()),
        };
        Ok(PlainChunk { bytes: bytes.into(), close })
    }
}

impl Levels {
    #[inline]
    fn push(&mut self, is_there: bool) {
        if is_there != self.is_there {
            self.end_run();
            self.is_there = is_there;
        }
        self.run += 1;
        self.n_nulls += u32::from(!is_there);
    }

    /// RLE of Parquet's hybrid encoding: twice the run's length as a varint, then the level.
    fn end_run(&mut self) {
        if self.run > 0 {
            let mut header = u64::from(self.run) << 1;
            while header >= 0x80 {
                self.encoded.push(header as u8 | 0x80);
                header >>= 7;
            }
            self.encoded.extend_from_slice(&[header as u8, u8::from(self.is_there)]);
            self.run = 0;
        }
    }

    /// The page's levels, and how many values are missing.
    fn take(&mut self) -> (Vec<u8>, u32) {
        self.end_run();
        let Levels { encoded, n_nulls, .. } = std::mem::take(self);
        (encoded, n_nulls)
    }
}

fn failed(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
