//! Text that came from the network, made fit for a terminal or a page: what could move the cursor, reorder or hide text
//! becomes a visible escape. Never drops a character silently: what is cut leaves an ellipsis.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` with every harmful character as a visible escape (`\x1b`, `\u{202e}`).
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_harmless(&mut safe, c);
    }
    Cow::Owned(safe)
}

/// Like [`harmless`] for bytes that may not be UTF-8: bytes that are not become `\xNN`.
pub fn harmless_bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_harmless(&mut safe, c));
        chunk.invalid().iter().for_each(|b| safe.push_str(&format!("\\x{b:02x}")));
    }
    safe
}

/// Whether a terminal, an editor or a page may do something other than show this character: C0 and C1 controls, line
/// separators, bidirectional overrides and isolates, zero-width and tag characters.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns a terminal gives `text`.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` made harmless and cut to `columns`, the cut shown by `…`.
pub fn fit(text: &str, columns: usize) -> String {
    let text = harmless(text);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// `text` made harmless and cut in its middle to `columns`: names of places and paths differ at both ends.
pub fn fit_middle(text: &str, columns: usize) -> String {
    let text = harmless(text);
    if text.width() <= columns || columns < 5 {
        return fit(&text, columns);
    }
    let head = fit(&text, columns - (columns - 1) * 2 / 5);
    let mut room = columns - head.width();
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let is_room = wide <= room;
        room = room.saturating_sub(wide);
        is_room
    };
    let tail: Vec<char> = text.chars().rev().take_while(fits).collect();
    head + &tail.into_iter().rev().collect::<String>()
}

/// [`fit`], then filled with spaces on the right up to `columns`.
pub fn fit_left(text: &str, columns: usize) -> String {
    let mut cell = fit(text, columns);
    let missing = columns.saturating_sub(cell.width());
    cell.extend(std::iter::repeat_n(' ', missing));
    cell
}

/// [`fit`], then filled with spaces on the left up to `columns`.
pub fn fit_right(text: &str, columns: usize) -> String {
    let cell = fit(text, columns);
    let missing = columns.saturating_sub(cell.width());
    format!("{}{cell}", " ".repeat(missing))
}

fn push_harmless(out: &mut String, c: char) {
    match c {
        _ if !is_harmful(c) => out.push(c),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
        c => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(harmless(input), expected);
    }

    #[test]
    fn hostile_text_becomes_visible() {
        check("plain é 日本", "plain é 日本");
        check("\x1b[2Jx\x07", "\\x1b[2Jx\\x07");
        check("\u{9b}31m", "\\x9b31m");
        check("a\u{202e}b\u{2028}c\r\n", "a\\u{202e}b\\u{2028}c\\r\\n");
        assert_eq!(harmless_bytes(b"a\xff\xfe\x1bz"), "a\\xff\\xfe\\x1bz");
    }

    #[test]
    fn cuts_the_middle_out() {
        let check =
            |text: &str, columns, expected: &str| assert_eq!(fit_middle(text, columns), expected);
        check("ap-podA/node:9001", 17, "ap-podA/node:9001");
        check("ap-podA/node:9001", 12, "ap-podA…9001");
        check("ap-podA/node:9001", 4, "ap-…");
        check("漢字漢字漢字漢字", 9, "漢字…漢字");
        check("x\u{1b}yzabcdefgh", 9, "x\\x1b…fgh");
    }

    #[test]
    fn cuts_by_columns_not_by_characters() {
        assert_eq!(fit("日本語テキスト", 7), "日本語…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit_right("ab", 4), "  ab");
    }

    proptest! {
        #[test]
        fn nothing_harmful_gets_through(bytes in proptest::collection::vec(any::<u8>(), 0..64), columns in 0usize..20) {
            prop_assert!(!harmless_bytes(&bytes).chars().any(is_harmful));
            let text = String::from_utf8_lossy(&bytes);
            prop_assert!(!harmless(&text).chars().any(is_harmful));
            prop_assert_eq!(width(&fit_left(&text, columns)), columns);
        }
    }
}
