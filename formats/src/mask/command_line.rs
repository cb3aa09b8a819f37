//! Command lines: values of options and environment-like words that name a credential, what certain programs take by a short
//! flag, and what any text hides. It never runs a shell's quoting: words are what stands between blanks.

use super::names::{self, Takes};
use super::pen::{Pen, STAR};
use super::text::Text;

/// What the next word is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Ordinary,
    Secret,
    Pair,
}

/// A process's arguments, joined by blanks, credentials overwritten at equal length.
pub fn mask_command_line(args: &[&[u8]]) -> Vec<u8> {
    let mut line = Vec::with_capacity(args.iter().map(|arg| arg.len() + 1).sum());
    let mut program = None;
    let mut next = Next::Ordinary;
    for (n, arg) in args.iter().enumerate() {
        if n > 0 {
            line.push(b' ');
        }
        let begin = line.len();
        line.extend_from_slice(arg);
        let arg = &mut line[begin..];
        if next == Next::Secret {
            // As a whole, whatever blanks are in it.
            arg.fill(STAR);
            next = Next::Ordinary;
            continue;
        }
        // The whole argument first: `sh -c "…"` is one, and so is a header that curl sends.
        let is_whole = mask_value(arg);
        for word in arg.split_mut(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            next = mask_word(word, next, &mut program);
        }
        if !is_whole {
            Text::default().feed(arg, &mut Pen::default());
        }
    }
    line
}

/// `--name=value` and `Name: value` of a credential: all that follows is overwritten.
fn mask_value(arg: &mut [u8]) -> bool {
    let Some(sign) = arg.iter().position(|byte| matches!(byte, b'=' | b':')) else { return false };
    let is_name =
        !arg[..sign].iter().any(u8::is_ascii_whitespace) && names::is_credential(&arg[..sign]);
    if is_name {
        let blanks = arg[sign + 1..].iter().take_while(|byte| **byte == b' ').count();
        arg[sign + 1 + blanks..].fill(STAR);
    }
    is_name
}

/// Masks a word, and says what the next one is.
fn mask_word(word: &mut [u8], expected: Next, program: &mut Option<&'static str>) -> Next {
    match expected {
        Next::Secret => {
            word.fill(STAR);
            return Next::Ordinary;
        }
        Next::Pair => {
            mask_pair(word);
            return Next::Ordinary;
        }
        Next::Ordinary => {}
    }
    let base = word.rsplit(|byte| *byte == b'/').next().unwrap_or(b"");
    if let Some((name, ..)) =
        names::FLAGS.iter().find(|(name, ..)| base.starts_with(name.as_bytes()))
    {
        *program = Some(name);
    }
    let is_option = word.starts_with(b"-");
    if let Some((flag, takes)) =
        program.filter(|_| is_option).and_then(|program| flag(program, word))
    {
        let joined = &mut word[flag.len()..];
        return match (takes, joined.is_empty()) {
            (Takes::Joined, true) => Next::Ordinary,
            (Takes::Either, true) => Next::Secret,
            (Takes::Pair, true) => Next::Pair,
            (Takes::Joined | Takes::Either, false) => {
                joined.fill(STAR);
                Next::Ordinary
            }
            (Takes::Pair, false) => {
                mask_pair(joined);
                Next::Ordinary
            }
        };
    }
    mask_value(word);
    let is_bare = is_option && !word.iter().any(|byte| matches!(byte, b'=' | b':'));
    if is_bare && names::is_credential(word) { Next::Secret } else { Next::Ordinary }
}

/// The program's flag that this word begins with.
fn flag(program: &str, word: &[u8]) -> Option<(&'static str, Takes)> {
    let is_it = |flag: &str| {
        // A long option has its value behind `=` or in the next word.
        word.starts_with(flag.as_bytes())
            && (!flag.starts_with("--") || word.get(flag.len()).is_none_or(|byte| *byte == b'='))
            && word.starts_with(b"--") == flag.starts_with("--")
    };
    let found = names::FLAGS.iter().find(|(name, flag, _)| *name == program && is_it(flag));
    found.map(|(_, flag, takes)| (*flag, *takes))
}

/// `user:password`: behind the colon.
fn mask_pair(word: &mut [u8]) {
    if let Some(colon) = word.iter().position(|&byte| byte == b':') {
        word[colon + 1..].fill(STAR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments are separated by `|`.
    #[track_caller]
    fn check(args: &str, expected: &str) {
        let args: Vec<&[u8]> = args.split('|').map(str::as_bytes).collect();
        assert_eq!(String::from_utf8(mask_command_line(&args)).unwrap(), expected);
    }

    #[test]
    fn options_by_name() {
        check("app|--password=hunter2|--port=80", "app --password=******* --port=80");
        check("app|--password|hunter2|--port|80", "app --password ******* --port 80");
        check("app|--password|my secret words|x", "app --password *************** x");
        check("app|--api-key=a b&c|x", "app --api-key=***** x");
        check("app|-token|abc", "app -token ***");
        check("app|--token-file=/run/x|y", "app --token-file=****** y");
        check("app|PGPASSWORD=a'b c|psql", "app PGPASSWORD=***** psql");
        check("java|-Ddb.password=abc|Main", "java -Ddb.password=*** Main");
    }

    #[test]
    fn flags_of_programs() {
        check("/usr/bin/mysql|-uroot|-phunter2|db", "/usr/bin/mysql -uroot -p******* db");
        check("mysql|-p|db", "mysql -p db");
        check("ssh|-p|2222|host", "ssh -p 2222 host");
        check("sshpass|-p|hunter2|ssh|-p|22|host", "sshpass -p ******* ssh -p ** host");
        check("redis-cli|-a|hunter2|ping", "redis-cli -a ******* ping");
        check("curl|-u|bob:hunter2|http://h/", "curl -u bob:******* http://h/");
        check("curl|-ubob:hunter2|--user|al:b", "curl -ubob:******* --user al:*");
        check("curl|--user=bob:hunter2|--upload-file|x", "curl --user=bob:******* --upload-file x");
        check("sudo|mysqldump|--port=3306|-pabc", "sudo mysqldump --port=3306 -p***");
        check("sh|-c|mysql -uroot -phunter2 && ls", "sh -c mysql -uroot -p******* && ls");
        check("sh|-c|app --password hunter2 x", "sh -c app --password ******* x");
    }

    #[test]
    fn texts_in_arguments() {
        check(
            "curl|-H|Authorization: Bearer abc.def|https://h/p",
            "curl -H Authorization: ************** https://h/p",
        );
        check("app|postgres://bob:hunter2@db/x", "app postgres://bob:*******@db/x");
        check("curl|-d|{\"password\":\"hunter2\"}", "curl -d {\"password\":\"*******\"}");
        check("curl|https://h/?x=1&token=abc&y=2", "curl https://h/?x=1&token=***&y=2");
        check("sh|-c|exec env TOKEN=abc app", "sh -c exec env TOKEN=*** app");
        // An argument that begins with such a name is its value to the end.
        check("sh|-c|TOKEN=abc app", "sh -c TOKEN=*******");
        check("", "");
    }
}
