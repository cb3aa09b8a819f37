//! The document: what the build of the page made, and the data between. Data is gzip in base64, so that no text of a recording can be
//! read as HTML, and small.

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::io::{self, BufWriter, Write};

/// The page as it was built (`analyze/build-page`), with marks where the two parts below belong.
const PAGE: &str = include_str!("../../../assets/page.html");
/// Other people's libraries that it uses, with their licences.
const LIBRARIES: &str = include_str!("../../../assets/third-party/libraries.js");
const LIBRARIES_MARK: &str = "/*libraries*/";
const DATA_MARK: &str = "<!--data-->";

/// A page that is being written.
pub(super) struct Page<'a> {
    out: &'a mut dyn Write,
    rest: &'static str,
}

impl<'a> Page<'a> {
    /// Writes what stands before the data.
    pub(super) fn begin(out: &'a mut dyn Write) -> io::Result<Page<'a>> {
        let (before, rest) = PAGE.split_once(DATA_MARK).unwrap_or((PAGE, ""));
        out.write_all(before.as_bytes())?;
        Ok(Page { out, rest })
    }

    /// One more part of the data.
    pub(super) fn put<T: Serialize>(&mut self, name: &str, value: &T) -> io::Result<()> {
        write!(self.out, "<script type=\"application/gzip\" id=\"{name}\">")?;
        let encoder = EncoderWriter::new(&mut *self.out, &STANDARD);
        // Each write to the compressor costs it a buffer's clearing.
        let gzip = GzEncoder::new(encoder, Compression::new(6));
        let mut buffered = BufWriter::with_capacity(1 << 16, gzip);
        serde_json::to_writer(&mut buffered, value)?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?.finish()?;
        self.out.write_all(b"</script>\n")
    }

    /// Writes what stands behind the data: the libraries, and the page's own script, which read it.
    pub(super) fn end(self) -> io::Result<()> {
        let (before, after) = self.rest.split_once(LIBRARIES_MARK).unwrap_or((self.rest, ""));
        let parts = [before, LIBRARIES.trim_end(), after];
        parts.iter().try_for_each(|part| self.out.write_all(part.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_page_has_both_marks_once_data_first() {
        for mark in [LIBRARIES_MARK, DATA_MARK] {
            assert_eq!(PAGE.matches(mark).count(), 1, "{mark}");
        }
        assert!(PAGE.find(DATA_MARK) < PAGE.find(LIBRARIES_MARK));
    }
}
