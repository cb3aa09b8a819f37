//! The tables: names whose values are credentials, in headers, forms, JSON, queries, commands and arguments; and the command
//! line programs with flags of their own. It never looks at a value.

/// A name with one of these in it names a credential; in order. Compared without case, and without `_`, `-` and `.` between letters.
const FRAGMENTS: &[&str] = &[
    "accesskey",
    "apikey",
    "assertion",
    "authenticationinfo",
    "authkey",
    "authorization",
    "cookie",
    "credential",
    "csrf",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "samlresponse",
    "secret",
    "sessid",
    "session",
    "signature",
    "subscriptionkey",
    "token",
    "xsrf",
];

/// A name whose last word is one of these names a credential; words are what stands between signs.
const LAST_WORDS: &[&str] =
    &["auth", "bearer", "dpop", "jwt", "otp", "pat", "pin", "psw", "pw", "sid", "sig"];

/// A name that ends so names a credential.
const ENDINGS: &[&str] = &["pass", "masterauth"];

/// Longest name that is looked at; of a longer one, its last bytes.
pub(super) const LONGEST_NAME: usize = 48;

/// Whether a value of this name is a credential. `%5B` and brackets around parts of it do no harm.
pub(super) fn is_credential(name: &[u8]) -> bool {
    let name = &name[name.len().saturating_sub(LONGEST_NAME)..];
    let mut letters = [0; LONGEST_NAME];
    let mut n = 0;
    let mut last_word = 0;
    for &byte in name {
        if byte.is_ascii_alphanumeric() {
            letters[n] = byte.to_ascii_lowercase();
            n += 1;
        } else {
            if !matches!(byte, b'_' | b'-' | b'.' | b'%' | b'[' | b']') {
                // What is between other signs is a name of its own, unless nothing follows.
                n = 0;
            }
            last_word = n;
        }
    }
    let letters = &letters[..n];
    let last_word = &letters[last_word.min(n)..];
    (n >= 3
        && (has_fragment(letters) || ENDINGS.iter().any(|end| letters.ends_with(end.as_bytes()))))
        || LAST_WORDS.iter().any(|word| last_word == word.as_bytes())
}

/// Whether one of [`FRAGMENTS`] is in it. Most names are none, so each letter is compared only with those that begin with it.
fn has_fragment(letters: &[u8]) -> bool {
    (0..letters.len()).any(|at| {
        let rest = &letters[at..];
        let (begin, end) = BEGIN_WITH[usize::from(rest[0])];
        let few = &FRAGMENTS[usize::from(begin)..usize::from(end)];
        few.iter().any(|fragment| rest.starts_with(fragment.as_bytes()))
    })
}

/// Which of [`FRAGMENTS`], that are in order, begin with a letter.
const BEGIN_WITH: [(u8, u8); 256] = {
    let mut ranges = [(0, 0); 256];
    let mut at = 0;
    while at < FRAGMENTS.len() {
        let letter = FRAGMENTS[at].as_bytes()[0] as usize;
        let (begin, end) = ranges[letter];
        ranges[letter] = (if begin == end { at as u8 } else { begin }, at as u8 + 1);
        at += 1;
    }
    ranges
};

/// Entries of HPACK's static table whose values are credentials: authorization, cookie, proxy-authorization, set-cookie
/// (RFC 7541, Appendix A).
pub(super) const STATIC_CREDENTIALS: [u32; 4] = [23, 32, 49, 55];

/// HPACK's static entry `content-encoding`.
pub(super) const STATIC_CONTENT_ENCODING: u32 = 26;

/// What a flag of a program takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A credential, joined to the flag: `-psecret`. Alone it takes nothing.
    Joined,
    /// A credential, joined or as the next argument.
    Either,
    /// `user:password`, joined or as the next argument.
    Pair,
}

/// Programs (their names' beginnings) and their short flags that bear credentials.
pub(super) const FLAGS: &[(&str, &str, Takes)] = &[
    ("curl", "-u", Takes::Pair),
    ("curl", "-U", Takes::Pair),
    ("curl", "--user", Takes::Pair),
    ("curl", "--proxy-user", Takes::Pair),
    ("docker", "-p", Takes::Either),
    ("ldap", "-w", Takes::Either),
    ("mariadb", "-p", Takes::Joined),
    ("mongo", "-p", Takes::Either),
    ("mosquitto", "-P", Takes::Either),
    ("mysql", "-p", Takes::Joined),
    ("podman", "-p", Takes::Either),
    ("redis-cli", "-a", Takes::Either),
    ("smbclient", "-U", Takes::Either),
    ("sqlcmd", "-P", Takes::Either),
    ("sshpass", "-p", Takes::Either),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: bool) {
        assert_eq!(is_credential(name.as_bytes()), expected, "{name}");
    }

    #[test]
    fn fragments_are_in_order() {
        assert!(FRAGMENTS.is_sorted());
    }

    #[test]
    fn credentials_by_name() {
        let yes = "Authorization proxy-authorization Cookie Set-Cookie X-Api-Key x_auth_token X-Amz-Security-Token \
            X-CSRF-Token x-xsrf-token Authentication-Info password PassWord passwd user[password] user%5Bpassword%5D pass \
            db_pass sig x-sig jwt auth_token api.key client_secret JSESSIONID PHPSESSID X-Amz-Signature PGPASSWORD pwd \
            credential requirepass masterauth pin ACCESS_KEY otp sid";
        yes.split_whitespace().for_each(|name| check(name, true));
    }

    #[test]
    fn everything_else_by_name() {
        let no = "host content-length traceparent tracestate x-request-id www-authenticate etag passenger pinned \
            signed author content-type x-b3-traceid design key id user name sec-websocket-key spin a p";
        no.split_whitespace().for_each(|name| check(name, false));
        check("", false);
        check(&"x".repeat(500), false);
        check(&format!("{}password", "x".repeat(500)), true);
    }
}
