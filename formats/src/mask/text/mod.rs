//! Credentials in any text: `key=value`, `"key": "value"`, `Header: value`, `Bearer …`, JSON web tokens, AWS key ids, private
//! keys, passwords in URLs, SQL, XML elements, and the AUTH, PASS and LOGIN lines of mail, FTP and the like.
//! A byte's fate is decided by the bytes before it alone (a small state, and a window of the last bytes as they were written),
//! so that a cutting changes nothing. It never looks ahead and knows no framing: whoever calls it says where a text begins.

mod key;
mod trigger;
mod value;

use super::pen::Pen;
pub(super) use trigger::next as next_trigger;

/// Bytes of the past that a trigger may look at.
const WINDOW: usize = 64;

/// Where a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In ordinary text.
    Idle,
    /// In the first words of a line, where commands stand; how many words there were.
    Word(u8),
    /// `b`, `be` … of `bearer `; whether it is the first word of a line.
    Bearer { n: u8, first: bool },
    /// `:` of `scheme://`, and how many slashes followed.
    Slashes(u8),
    /// In a URL's authority, before a colon.
    Authority,
    /// Behind `PRIVATE K`, up to the end of that line's dashes.
    PemHead,
    /// A value comes: blanks and quotes may precede it.
    Expect { value: Value, level: u8, blanks: bool },
    /// In a value.
    In(Value),
    /// Behind a single quote that ended a value, or is the first of two that stand for one (SQL).
    Doubled,
    /// A value's line ended: a blank means that it goes on.
    Fold { answers: u8 },
    /// Nobody knows what this is: unseen bytes came before.
    Lost,
}

/// How a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// With its line, and the lines folded to it. The first words of `answers` lines behind it are credentials, too.
    Line { answers: u8 },
    /// The first word of an answer to a challenge.
    Answer { answers: u8 },
    /// With its quote, which is preceded by `level` backslashes; `run` is how many there are just now.
    Quoted { quote: u8, level: u8, run: u8, depth: u8 },
    /// A bare JSON value, `depth` arrays deep.
    Json { depth: u8 },
    /// Behind a colon: with the line, a quote or `<`.
    Colon,
    /// Behind an equals sign: with a blank, `&`, a quote or `<`.
    Equals,
    /// A token's alphabet; `blank`: none of it came yet.
    Token { blank: bool },
    /// A password in a URL, with `@` or the end of the authority.
    UserInfo,
    /// A private key, with five dashes.
    Pem { dashes: u8 },
    /// An XML element's content.
    Xml,
}

/// A text's state.
#[derive(Clone, Debug)]
pub(super) struct Text {
    state: State,
    window: [u8; WINDOW],
    n: u8,
}

impl Default for Text {
    fn default() -> Self {
        Self { state: State::Word(0), window: [0; WINDOW], n: 0 }
    }
}

impl Text {
    /// A text of which nothing is known until a caller begins another.
    pub(super) fn lost() -> Self {
        Self { state: State::Lost, ..Self::default() }
    }

    /// Goes on through `bytes`, overwriting credentials. Only heads wanted: withholds all.
    pub(super) fn body(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        if pen.heads_only { pen.withhold(bytes) } else { self.feed(bytes, pen) }
    }

    /// Goes on through `bytes`, overwriting credentials.
    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::Idle => self.search(bytes, at, pen),
                State::Lost => {
                    pen.withhold(&mut bytes[at..]);
                    bytes.len()
                }
                _ => self.step(bytes, at, pen),
            };
        }
        self.remember(bytes);
    }

    /// Whether the next byte would be overwritten or may begin a value.
    pub(super) fn is_in_value(&self) -> bool {
        !matches!(
            self.state,
            State::Idle
                | State::Word(_)
                | State::Bearer { .. }
                | State::Slashes(_)
                | State::Authority
                | State::Fold { .. }
                | State::Doubled
        )
    }

    /// A line of a protocol's head ended here, whatever the text thought: only a header's own value may go on.
    pub(super) fn end_line(&mut self) {
        if !matches!(self.state, State::Fold { .. } | State::Lost) {
            self.state = State::Word(0);
        }
    }

    /// From ordinary text to the next trigger, and what it means.
    fn search(&mut self, bytes: &mut [u8], at: usize, pen: &mut Pen) -> usize {
        let Some(n) = trigger::next(&bytes[at..]) else {
            pen.keep(bytes.len() - at);
            return bytes.len();
        };
        pen.keep(n + 1);
        self.state = self.judge(bytes, at + n);
        at + n + 1
    }

    /// The state that the byte at `at` leads to.
    fn judge(&self, bytes: &[u8], at: usize) -> State {
        let mut joined = [0; WINDOW];
        key::judge(bytes[at], self.before(&bytes[..at], &mut joined))
    }

    /// The last bytes before the end of `seen`.
    fn before<'a>(&self, seen: &'a [u8], joined: &'a mut [u8; WINDOW]) -> &'a [u8] {
        if seen.len() >= WINDOW {
            return &seen[seen.len() - WINDOW..];
        }
        let old = usize::from(self.n).min(WINDOW - seen.len());
        joined[..old].copy_from_slice(&self.window[usize::from(self.n) - old..usize::from(self.n)]);
        joined[old..old + seen.len()].copy_from_slice(seen);
        &joined[..old + seen.len()]
    }

    fn remember(&mut self, bytes: &[u8]) {
        let new = bytes.len().min(WINDOW);
        let n = usize::from(self.n);
        let old = n.min(WINDOW - new);
        self.window.copy_within(n - old..n, 0);
        self.window[old..old + new].copy_from_slice(&bytes[bytes.len() - new..]);
        self.n = (old + new) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::super::laws::check;

    #[test]
    fn keys_and_values() {
        check("x password=hunter2&y=1 z", "x password=*******&y=1 z");
        check("x password = hunter2 z", "x password = ******* z");
        check("x password=&y=1", "x password=&y=1");
        check("x user%5Bpassword%5D=abc&k=1", "x user%5Bpassword%5D=***&k=1");
        check("x token: abc def\r\nnext", "x token: *******\r\nnext");
        check("x password='a b' c", "x password='***' c");
        check("x max=3&monkey=4 key=5", "x max=3&monkey=4 key=5");
    }

    #[test]
    fn json() {
        check(r#"{"password":"hunter2","a":"b"}"#, r#"{"password":"*******","a":"b"}"#);
        check(r#"{"password" : "a\"b\\","a":"b"}"#, r#"{"password" : "******","a":"b"}"#);
        check(r#"{"pin": 1234, "x": 5}"#, r#"{"pin": ****, "x": 5}"#);
        check(r#"{"tokens":["a","b c"],"x":"y"}"#, r#"{"tokens":["*","***"],"x":"y"}"#);
        check(r#"{"tokens":[["a"],[1,2]],"x":"y"}"#, r#"{"tokens":[["*"],[*,*]],"x":"y"}"#);
        check(r#"{"session":{"id":1,"secret":"s"}}"#, r#"{"session":{"id":1,"secret":"*"}}"#);
        check(
            r#"{"j":"{\"password\":\"ab\",\"c\":\"d\"}"}"#,
            r#"{"j":"{\"password\":\"**\",\"c\":\"d\"}"}"#,
        );
        check("{'password': 'ab', 'c': 'd'}", "{'password': '**', 'c': 'd'}");
        check("{\n  \"password\":\n    \"ab\"\n}", "{\n  \"password\":\n    \"**\"\n}");
    }

    #[test]
    fn tokens() {
        check("x Bearer abc.DEF-1 y", "x Bearer ********* y");
        check("Bearer abc", "Bearer ***");
        check("x eyJhbGciOi.eyJz.sig y", "x eyJ**************** y");
        check("eyJhbGciOi.eyJz.sig y", "eyJ**************** y");
        check("heyJude and aeyJx", "heyJude and aeyJx");
        check("id AKIAIOSFODNN7EXAMPLE z", "id AKIA**************** z");
        check(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nnext",
            "-----BEGIN RSA PRIVATE KEY-----\n****\n****\n-----END RSA PRIVATE KEY-----\nnext",
        );
        check("-----BEGIN PUBLIC KEY-----\nMIIE\n", "-----BEGIN PUBLIC KEY-----\nMIIE\n");
    }

    #[test]
    fn urls() {
        check("x https://bob:hunter2@host/p y", "x https://bob:*******@host/p y");
        check("x redis://:hunter2@host:1/p", "x redis://:*******@host:1/p");
        check("x http://host/p:1?a=b", "x http://host/p:1?a=b");
        // Whether a port or a password follows the colon is not known in time.
        check("x http://host:80/p", "x http://host:**/p");
    }

    #[test]
    fn sql_and_elements() {
        check("ALTER ROLE bob PASSWORD 'it''s' VALID", "ALTER ROLE bob PASSWORD '**''*' VALID");
        check("CREATE USER b IDENTIFIED BY 'ab' x 'y'", "CREATE USER b IDENTIFIED BY '**' x 'y'");
        check("select 'x' where a = 'b'", "select 'x' where a = 'b'");
        check("where password = 'ab' and b = 'c'", "where password = '**' and b = 'c'");
        check(
            "<a><Password t=\"1\">ab</Password><b>c</b>",
            "<a><Password t=\"1\">**</Password><b>c</b>",
        );
    }

    #[test]
    fn lines() {
        check(
            "EHLO x\r\nAUTH PLAIN abc=\r\nMAIL FROM\r\n",
            "EHLO x\r\nAUTH **********\r\n**** FROM\r\n",
        );
        check(
            "AUTH LOGIN\r\nYm9i\r\ncGFzcw==\r\nMAIL x\r\n",
            "AUTH *****\r\n****\r\n********\r\nMAIL x\r\n",
        );
        check("USER bob\r\nPASS hunter2\r\nLIST\r\n", "USER bob\r\nPASS *******\r\nLIST\r\n");
        check("b1 LOGIN bob pw\r\nb2 LIST a\r\n", "b1 LOGIN ******\r\nb2 LIST a\r\n");
        check(
            "CONNECT {\"user\":\"u\",\"pass\":\"p\",\"jwt\":\"j\",\"sig\":\"s\"}\r\nPING\r\n",
            "CONNECT {\"user\":\"u\",\"pass\":\"*\",\"jwt\":\"*\",\"sig\":\"*\"}\r\nPING\r\n",
        );
    }
}
