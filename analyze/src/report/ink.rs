//! How text reports look: colours only where they mean something, and an ASCII rendering of every glyph. Never colours
//! text that did not pass [`super::harmless`].

use super::harmless::width;
use super::{Options, harmless};
use std::io::{self, Write};

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
            width: options.width.clamp(60, 400),
        }
    }

    /// One line; spaces at its end are dropped.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        let text = text.trim_end();
        if self.ascii {
            writeln!(self.out, "{}", ascii(text))
        } else {
            writeln!(self.out, "{text}")
        }
    }

    /// `text` in words, broken at spaces to the width, further lines indented by `indent`; a no-break space keeps two
    /// words on one line and is written as a space.
    pub(super) fn wrapped(&mut self, first: &str, indent: &str, text: &str) -> io::Result<()> {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            if !empty && width(&line) + 1 + width(word) > self.width {
                self.line(&line)?;
                line = indent.to_owned();
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            let room = self.width.saturating_sub(width(&line));
            line.push_str(&harmless::fit(&word.replace('\u{a0}', " "), room.max(20)));
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
            c => "?".repeat(unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)),
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
}
