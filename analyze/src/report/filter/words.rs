//! The text of conditions, word by word: names, signs, quoted values. Never knows a field.

use super::FilterError;

/// What is left of the text.
pub(super) struct Rest<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// A value as it was given.
pub(super) struct Word {
    pub(super) text: String,
    /// Then it is text, whatever it says.
    pub(super) quoted: bool,
}

impl<'a> Rest<'a> {
    pub(super) fn trimmed(&self) -> &'a str {
        self.text[self.at..].trim_start()
    }

    pub(super) fn at_end(&self) -> bool {
        self.trimmed().is_empty()
    }

    /// The name that comes next, not taken yet.
    pub(super) fn word(&self) -> &'a str {
        let rest = self.trimmed();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        &rest[..end.unwrap_or(rest.len())]
    }

    pub(super) fn skip(&mut self, n: usize) {
        self.at = self.text.len() - self.trimmed().len() + n;
    }

    /// Takes a value: quoted with `'` or `"` (backslash escapes), else up to the next space.
    pub(super) fn value(&mut self) -> Result<Word, FilterError> {
        let rest = self.trimmed();
        let Some(quote @ ('\'' | '"')) = rest.chars().next() else {
            let word = rest.split_whitespace().next().unwrap_or("");
            self.skip(word.len());
            return if word.is_empty() {
                Err(self.error("expected a value".to_owned()))
            } else {
                Ok(Word { text: word.to_owned(), quoted: false })
            };
        };
        let mut value = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.skip(i + 1);
                    return Ok(Word { text: value, quoted: true });
                }
                c => value.push(c),
            }
        }
        Err(self.error(format!("the quote {quote} is not closed")))
    }

    pub(super) fn error(&self, reason: String) -> FilterError {
        FilterError { at: self.text.len() - self.trimmed().len(), reason }
    }
}
