//! Conversations with Redis and what is to be told of them. Never a server: the bytes are written out here.

use super::Redis;
use crate::protocol::laws::{
    Dialog, any_cutting_gives_equal_messages, any_cutting_of_lossy_captures_gives_equal_messages,
    line, probed, survives, told,
};
use crate::protocol::{Match, Role, Side};

/// The beginning of a conversation that only Redis claims.
pub(crate) fn sample() -> Dialog {
    Dialog::tcp(6379)
        .client("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
        .server("$5\r\nvalue\r\n")
        .client("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$6\r\nsecret\r\nPING\r\n")
        .server("+OK\r\n+PONG\r\n")
}

/// A request in RESP.
fn command(words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let bulks = words.iter().map(|w| format!("${}\r\n{w}\r\n", w.len()));
    format!("*{}\r\n{}", words.len(), bulks.collect::<String>())
}

/// Expects these messages however the conversation is cut.
fn check(dialog: &Dialog, client: &[&str], server: &[&str]) {
    let told = told(&Redis, dialog);
    assert_eq!(told.client.iter().map(line).collect::<Vec<_>>(), client);
    assert_eq!(told.server.iter().map(line).collect::<Vec<_>>(), server);
    any_cutting_gives_equal_messages(&Redis, dialog);
}

/// Expects a request and the messages of its reply.
fn check_reply(reply: &str, expected: &[&str]) {
    check(&Dialog::tcp(6379).client(command("GET k")).server(reply), &["?GET k"], expected);
}

#[test]
fn requests_are_named_by_command_and_first_key() {
    let sent = command("set k secret") + "\r\nget k\r\n" + &command("CONFIG GET requirepass");
    let sent =
        sent + "*0\r\n" + &command("AUTH bob secret") + &command("XREAD COUNT 2 STREAMS a b 0 0");
    check(
        &Dialog::tcp(6379).client(sent).server("+OK\r\n$1\r\nv\r\n*0\r\n+OK\r\n*-1\r\n"),
        &["?SET k", "?GET k", "?CONFIG GET", "?AUTH", "?XREAD a"],
        &["=OK", "=OK", "=OK", "=OK", "=OK null=true"],
    );
}

#[test]
fn every_kind_of_reply_is_one_message() {
    check_reply(":12\r\n", &["=OK"]);
    check_reply("$-1\r\n", &["=OK null=true"]);
    check_reply("_\r\n", &["=OK null=true"]);
    check_reply("$0\r\n\r\n", &["=OK"]);
    check_reply("*2\r\n*2\r\n:1\r\n*0\r\n$-1\r\n", &["=OK"]);
    check_reply("%1\r\n+a\r\n~2\r\n#t\r\n,1.5\r\n", &["=OK"]);
    check_reply("=7\r\ntxt:abc\r\n", &["=OK"]);
    check_reply("(3492890328409238509324850943850943825024385\r\n", &["=OK"]);
    check_reply("$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", &["=OK"]);
    check_reply("*?\r\n:1\r\n%?\r\n+a\r\n+b\r\n.\r\n.\r\n", &["=OK"]);
    check_reply("|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|1\r\n+x\r\n+y\r\n:2\r\n", &["=OK"]);
    check_reply("-WRONGTYPE Operation against\r\n", &["=WRONGTYPE (client)"]);
    check_reply("!21\r\nSYNTAX invalid syntax\r\n", &["=SYNTAX (client)"]);
    check_reply("-LOADING Redis is loading\r\n", &["=LOADING (server)"]);
    check_reply("-MOVED 3999 127.0.0.1:6381\r\n", &["=MOVED"]);
}

#[test]
fn what_the_server_says_unasked_is_one_way() {
    let published = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$6\r\nsecret\r\n";
    check_reply(published, &["=OK"]);
    let confirmed = |c| format!("*3\r\n$9\r\nsubscribe\r\n$1\r\n{c}\r\n:1\r\n");
    check(
        &Dialog::tcp(6379)
            .client(command("SUBSCRIBE a b"))
            .server(confirmed('a') + published + &confirmed('b') + published)
            .client(command("SUBSCRIBE c"))
            .server(confirmed('c').replace('*', ">") + ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"),
        &["?SUBSCRIBE a", "?SUBSCRIBE c"],
        &["=OK", "!MESSAGE a", "!", "!MESSAGE a", "=OK", "!"],
    );
    check(
        &Dialog::tcp(6379)
            .client("MONITOR\r\n")
            .server("+OK\r\n+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n"),
        &["?MONITOR"],
        &["=OK", "!"],
    );
}

#[test]
fn silenced_replies_are_not_waited_for() {
    let sent = command("CLIENT REPLY OFF") + &command("SET k v") + &command("CLIENT REPLY ON");
    let sent = sent + &command("CLIENT REPLY SKIP") + &command("SET k v") + &command("GET k");
    check(
        &Dialog::tcp(6379).client(sent).server("+OK\r\n$1\r\nv\r\n"),
        &["!CLIENT REPLY", "!SET k", "?CLIENT REPLY", "!CLIENT REPLY", "!SET k", "?GET k"],
        &["=OK", "=OK"],
    );
}

#[test]
fn replication_leaves_the_protocol() {
    let dialog = Dialog::tcp(6379)
        .client(command("PING"))
        .server("+PONG\r\n")
        .client(command("PSYNC ? -1"))
        .server("-NOMASTERLINK no\r\n")
        .client(command("PSYNC ? -1"))
        .server("+FULLRESYNC 8de1787ba490483314a4d30f1c628bc5025eb761 0\r\n$10\r\nREDIS")
        .client(command("REPLCONF ACK 14"));
    check(&dialog, &["?PING", "?PSYNC", "?PSYNC"], &["=OK", "=NOMASTERLINK (client)", "=OK"]);
    let switch = told(&Redis, &dialog).switch.map(|s| (s.client_at, s.server_at, s.to));
    assert_eq!(switch, Some((14 + 2 * 30, 7 + 18 + 56, None)));
}

#[test]
fn bulks_are_passed_over_gaps() {
    let dialog = Dialog::tcp(6379)
        .cut(Side::Client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nabc", 97)
        .client("\r\n")
        .server("+OK\r\n")
        .client(command("GET k"))
        .cut(Side::Server, "$100\r\nabc", 97)
        .server("\r\n")
        .client(command("GET k"))
        .server("$1\r\nv\r\n");
    check(&dialog, &["?SET k", "?GET k", "?GET k"], &["=OK", "=OK", "=OK"]);
}

#[test]
fn the_search_goes_on_behind_lost_heads() {
    let dialog = Dialog::tcp(6379)
        .cut(Side::Client, "*2\r\n$3\r\nGE", 20)
        .client(command("GET k"))
        .cut(Side::Server, "*2\r\n$3\r\na", 10)
        .server("$1\r\nv\r\n");
    check(&dialog, &["?GE head-cut", "?GET k"], &["=OK head-cut", "=OK"]);
    let late = Dialog::tcp(6379).joined_late().client("lue\r\n".to_owned() + &command("GET k"));
    check(&late.server("lue\r\n+OK\r\n"), &["?GET k"], &["=OK"]);
    let cut = Dialog::tcp(6379).client("*2\r\n$3\r\nGET\r\n$9\r\nk");
    check(&cut, &["?GET k truncated"], &[]);
}

#[test]
fn is_claimed_by_its_first_bytes() {
    let claims = |client: &str, server: &str| {
        probed(&Redis, &Dialog::tcp(6379).client(client).server(server))
    };
    assert_eq!(claims("*1\r\n$4\r\nPING\r\n", ""), Match::Yes);
    assert_eq!(claims("*1\r\n$4\r\nPI", "+PONG\r\n"), Match::Yes);
    assert_eq!(claims("*1\r\n$4", ""), Match::Maybe);
    assert_eq!(claims("ping\r\n", "+PONG\r\n"), Match::Maybe);
    assert_eq!(claims("", "$5\r\n"), Match::Maybe);
    assert_eq!(claims("*1\r\n$4\r\nPING\r\n", "HTTP/1.1 200 OK\r\n"), Match::No);
    assert_eq!(claims("GET / HTTP/1.1\r\n\r\n", ""), Match::No);
    assert_eq!(claims("\x16\x03\x01", ""), Match::No);
    assert_eq!(claims("", ""), Match::No);
}

#[test]
fn joined_late_inside_a_value_it_is_still_claimed() {
    let claims = |client: &str, server: &str| {
        probed(&Redis, &Dialog::tcp(6379).client(client).server(server).joined_late())
    };
    assert_eq!(claims("*1\r\n$4\r\nPING\r\n", "of a value\r\n+PONG\r\n"), Match::Yes);
    assert_eq!(claims("lue\r\n*1\r\n$4\r\nPING\r\n", "+OK\r\n"), Match::Yes);
    assert_eq!(claims("*1\r\n$4\r\nPING\r\n", "\x01\x02\x03"), Match::No);
    assert_eq!(claims("", "$5\r\n"), Match::Maybe);
    assert_eq!(claims("\x01\x02", "+OK\r\n"), Match::No);
}

#[test]
fn the_laws_hold() {
    let dialog = sample()
        .client(command("SUBSCRIBE a b") + &command("LRANGE k 0 -1"))
        .server("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n|1\r\n+a\r\n:1\r\n%2\r\n+a\r\n*2\r\n:1\r\n$3\r\nabc\r\n$?\r\n;3\r\nabc\r\n;0\r\n#t\r\n");
    any_cutting_of_lossy_captures_gives_equal_messages(&Redis, &dialog);
    any_cutting_of_lossy_captures_gives_equal_messages(&Redis, &dialog.clone().joined_late());
    survives(&Redis, command("EVAL s 1 k v").as_bytes(), b"*1\r\n*1\r\n*1\r\n$3\r\nabc\r\n");
    let nested = "*1\r\n".repeat(80_000);
    let deep = told(&Redis, &Dialog::tcp(6379).server(&nested));
    assert!(deep.server.iter().all(|m| m.role == Role::Response));
}
