//! Where results go, stdout or a file, and what became of writing there. Never loses an operating system's refusal, however
//! the writer of the results put it: a closed pipe ends quietly, a full disk is named with its file.

use anyhow::{Context, Result};
use std::io::{self, BufWriter, Write};

/// Writes buffered to `to`, which errors call `name`.
pub(crate) fn written(
    to: impl Write,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, Remembering { to, refusal: None });
    let done = write(&mut out).and_then(|()| Ok(out.flush()?));
    let (remembering, _) = out.into_parts();
    match remembering.refusal {
        Some(error) => Err(error).with_context(|| format!("{name}: can't be written")),
        None => done,
    }
}

struct Remembering<W> {
    to: W,
    /// The first one.
    refusal: Option<io::Error>,
}

impl<W> Remembering<W> {
    fn remember<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            let same = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            self.refusal.get_or_insert(same);
        }
        result
    }
}

impl<W: Write> Write for Remembering<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.to.write(bytes);
        self.remember(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.to.flush();
        self.remember(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(kind: io::ErrorKind) {
        let done = written(Refusing(kind), "out", |out| {
            // As a library does that keeps only the text of an error.
            out.write_all(&[0; 1 << 17]).map_err(|error| anyhow::anyhow!("{error}"))
        });
        let error = done.unwrap_err();
        assert_eq!(error.to_string(), "out: can't be written");
        assert_eq!(error.downcast_ref::<io::Error>().map(io::Error::kind), Some(kind));
    }

    #[test]
    fn a_refusal_is_remembered_though_its_writer_made_text_of_it() {
        check(io::ErrorKind::BrokenPipe);
        check(io::ErrorKind::StorageFull);
    }
}
