//! How text reports look: colours only where they mean something, and an ASCII rendering of every glyph. Never colours
//! text that did not pass [`super::harmless`].

use super::harmless::width;
use super::{Options, harmless};
use std::borrow::Cow;
use std::io::{self, Write};
use unicode_width::UnicodeWidthChar;

/// Less than this nothing can be told in.
const LEAST_COLUMNS: usize = 20;

/// A text report's way out.
pub(super) struct Ink<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    ascii: bool,
    /// Columns of a line.
    pub(super) width: usize,
}

impl<'a> Ink<'a> {
    /// Writes to `out` as `options` ask.
    pub(super) fn new(out: &'a mut dyn Write, options: &Options) -> Self {
        Ink {
            out,
            colour: options.colour,
            ascii: options.ascii,
            width: options.width.max(LEAST_COLUMNS),
        }
    }

    /// One line; spaces at its end are dropped, and what is too long is cut.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        let text = text.trim_end();
        if self.ascii {
            writeln!(self.out, "{}", cut(&ascii(text), self.width, '~'))
        } else {
            writeln!(self.out, "{}", cut(text, self.width, '…'))
        }
    }

    /// `first` and `text` as one line where they fit, else [`Self::wrapped`].
    pub(super) fn fitted(&mut self, first: &str, indent: &str, text: &str) -> io::Result<()> {
        match width(first) + width(text) <= self.width {
            true => self.line(&format!("{first}{text}")),
            false => self.wrapped(first, indent, text),
        }
    }

    /// `text` in words, broken at spaces to the width, further lines indented by `indent`; a no-break space keeps two
    /// words on one line and is written as a space.
    pub(super) fn wrapped(&mut self, first: &str, indent: &str, text: &str) -> io::Result<()> {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            let word = word.replace('\u{a0}', " ");
            let word = if self.ascii { ascii(&word) } else { word };
            if !empty && columns(&line) + 1 + width(&word) > self.width {
                self.line(&line)?;
                line = indent.to_owned();
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            let room = self.width.saturating_sub(columns(&line));
            line.push_str(&harmless::fit(&word, room.max(20)));
            empty = false;
        }
        self.line(&line)
    }

    /// Where the time went: yellow.
    pub(super) fn slow(&self, text: &str) -> String {
        self.painted("33;1", text)
    }

    /// What failed: red.
    pub(super) fn failed(&self, text: &str) -> String {
        self.painted("31", text)
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `text` cut to `columns`, the cut shown by `mark`; colours take no column and end where they would have ended.
fn cut(text: &str, columns: usize, mark: char) -> Cow<'_, str> {
    if text.len() <= columns || self::columns(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let (mut used, mut is_cut) = (0, false);
    for (part, wide) in visible(text) {
        let is_colour = part.starts_with('\x1b');
        if !is_cut && !is_colour && used + wide + 1 > columns {
            kept.push(mark);
            is_cut = true;
        }
        if !is_cut || is_colour {
            used += wide;
            kept.push_str(part);
        }
    }
    Cow::Owned(kept)
}

/// Columns of `text`, whose colours take none.
fn columns(text: &str) -> usize {
    visible(text).map(|(_, wide)| wide).sum()
}

/// The characters of `text` with their columns; a colour's code as a whole, with none.
fn visible(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = match first {
            '\x1b' => rest.find('m').map_or(rest.len(), |at| at + 1),
            c => c.len_utf8(),
        };
        let (part, after) = rest.split_at(end);
        rest = after;
        Some((part, if first == '\x1b' { 0 } else { first.width().unwrap_or(0) }))
    })
}

/// `text` with each glyph as ASCII of the same width where columns depend on it; unknown characters become `?`.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii() => c.to_string(),
            'µ' => "u".into(),
            '→' | '↳' | '▸' => ">".into(),
            '←' | '◀' => "<".into(),
            '⇄' | '≈' | '…' => "~".into(),
            '│' | '▏' | '▎' | '▍' => "|".into(),
            '├' => "+".into(),
            '└' => "`".into(),
            '─' | '┄' | '·' => "-".into(),
            '≥' => ">".into(),
            '±' => "+/-".into(),
            '×' => "x".into(),
            '✗' => "!".into(),
            '█' | '▉' | '▊' | '▋' | '▌' => "#".into(),
            '░' => "=".into(),
            c => "?".repeat(c.width().unwrap_or(0)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(ascii(text), expected);
    }

    #[test]
    fn glyphs_keep_their_width() {
        check("├ a → b  ≥ 3 µs", "+ a > b  > 3 us");
        check("日", "??");
    }

    #[test]
    fn what_is_too_long_is_cut_and_colours_end() {
        let cut = |text, columns| cut(text, columns, '…').into_owned();
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("\x1b[31mabcdef\x1b[0m", 6), "\x1b[31mabcdef\x1b[0m");
        assert_eq!(cut("\x1b[31mabcdef\x1b[0m gh", 5), "\x1b[31mabcd…\x1b[0m");
        assert_eq!(cut("ab… cdef", 6), "ab… c…");
    }
}
