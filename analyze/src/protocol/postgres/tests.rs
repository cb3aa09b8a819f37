//! Conversations with PostgreSQL and what is to be told of them. Never a server: the bytes are written out here.

use super::Postgres;
use crate::protocol::laws::{
    self, Dialog, any_cutting_gives_equal_messages,
    any_cutting_of_lossy_captures_gives_equal_messages, probed, survives, told,
};
use crate::protocol::{Match, Message, Side};

/// The beginning of a conversation that only PostgreSQL claims.
pub(crate) fn sample() -> Dialog {
    let parameters = b"\0\x03\0\0user\0me\0database\0shop\0application_name\0till\0\0";
    Dialog::tcp(5432)
        .client(opening(parameters))
        .server(m(b'R', b"\0\0\0\x03"))
        .client(m(b'p', b"secret\0"))
        .server([m(b'R', b"\0\0\0\0"), m(b'S', b"a\0b\0"), m(b'K', b"12345678"), ready()].concat())
        .client(m(b'Q', b"SELECT 'x' FROM t\0"))
        .server([m(b'T', b"\0\0"), m(b'D', b"\0\0"), m(b'C', b"SELECT 1\0"), ready()].concat())
}

/// The same without its start.
fn begun() -> Dialog {
    Dialog::tcp(5432)
        .client(opening(b"\0\x03\0\0user\0me\0\0"))
        .server([m(b'R', b"\0\0\0\0"), ready()].concat())
}

fn m(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn opening(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn ready() -> Vec<u8> {
    m(b'Z', b"I")
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    m(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

fn bind(name: &str) -> Vec<u8> {
    m(b'B', format!("\0{name}\0\0\0\0\0\0\0").as_bytes())
}

fn execute() -> Vec<u8> {
    m(b'E', b"\0\0\0\0\0")
}

fn sync() -> Vec<u8> {
    m(b'S', b"")
}

fn error(code: &str) -> Vec<u8> {
    m(b'E', format!("SERROR\0C{code}\0Msecret\0\0").as_bytes())
}

fn line(message: &Message) -> String {
    let line = laws::line(message);
    let (role, said) = line.split_at(1);
    format!("{role} {}", said.trim_start()).trim_end().to_string()
}

fn check_whole(dialog: &Dialog, client: &[&str], server: &[&str]) {
    let told = told(&Postgres, dialog);
    assert_eq!(told.client.iter().map(line).collect::<Vec<_>>(), client);
    assert_eq!(told.server.iter().map(line).collect::<Vec<_>>(), server);
    any_cutting_gives_equal_messages(&Postgres, dialog);
}

/// Expects these messages behind the start-up, however the conversation is cut.
fn check(client: &[Vec<u8>], server: &[Vec<u8>], requests: &[&str], responses: &[&str]) {
    let dialog = begun().client(client.concat()).server(server.concat());
    check_whole(
        &dialog,
        &[&["? Startup me user=me"], requests].concat(),
        &[&["= OK"], responses].concat(),
    );
}

#[test]
fn startup_is_one_span() {
    check_whole(
        &sample(),
        &["? Startup shop application_name=till user=me", "~", "? SELECT SELECT ? FROM t"],
        &["~", "= OK", "= OK rows=1 tag=SELECT 1"],
    );
    let refused =
        Dialog::tcp(5432).client(opening(b"\0\x03\0\0user\0me\0\0")).server(error("28000"));
    check_whole(&refused, &["? Startup me user=me"], &["= 28000 (client)"]);
    let cancel = Dialog::tcp(5432).client(opening(b"\x04\xd2\x16\x2e12345678"));
    check_whole(&cancel, &["! CancelRequest"], &[]);
}

#[test]
fn encryption_is_another_protocol() {
    let ssl = || Dialog::tcp(5432).client(opening(b"\x04\xd2\x16\x2f"));
    let gss = Dialog::tcp(5432).client(opening(b"\x04\xd2\x16\x30")).server("N");
    let both =
        gss.client(opening(b"\x04\xd2\x16\x2f")).server("S").client("\x16\x03\x01").server("\x16");
    check_whole(&both, &["? GSSENCRequest", "? SSLRequest"], &["= N", "= S"]);
    let switch = told(&Postgres, &both).switch.map(|s| (s.client_at, s.server_at, s.to));
    assert_eq!(switch, Some((16, 2, Some("tls"))));
    let plain = ssl().server("N").client(opening(b"\0\x03\0\0user\0me\0\0")).server(error("3D000"));
    check_whole(&plain, &["? SSLRequest", "? Startup me user=me"], &["= N", "= 3D000 (client)"]);
}

#[test]
fn a_simple_query_is_one_request() {
    check(
        &[m(b'Q', b"BEGIN; UPDATE t SET a=1\0"), m(b'X', b"")],
        &[m(b'C', b"BEGIN\0"), m(b'N', b"x\0"), m(b'C', b"UPDATE 7\0"), ready()],
        &["? BEGIN BEGIN; UPDATE t SET a=? statements=2", "! Terminate"],
        &["= OK rows=7 tag=UPDATE 7"],
    );
    check(
        &[m(b'Q', b"SELEC\0"), m(b'Q', b"\0")],
        &[
            error("42601"),
            ready(),
            m(b'N', b"x\0"),
            m(b'I', b""),
            m(b'A', b"\0\0\0\x01chan\0x\0"),
            ready(),
            m(b'A', b"\0\0\0\x01c\0x\0"),
        ],
        &["? SELEC SELEC", "?"],
        &["= 42601 (client)", "~", "= OK", "! NOTIFY chan", "! NOTIFY c"],
    );
    check(
        &[m(b'Q', b"SELECT pg_sleep(9)\0")],
        &[error("57014"), ready(), error("57P01")],
        &["? SELECT SELECT pg_sleep(?)"],
        &["= 57014 (server)", "= 57P01 (server)"],
    );
}

#[test]
fn each_execute_is_a_request() {
    check(
        &[
            parse("s", "SELECT $1"),
            m(b'D', b"Ss\0"),
            sync(),
            bind("s"),
            execute(),
            bind("s"),
            execute(),
            sync(),
        ],
        &[
            m(b'1', b""),
            m(b't', b"\0\0"),
            m(b'n', b""),
            ready(),
            m(b'2', b""),
            m(b'D', b"\0\0"),
            m(b'C', b"SELECT 1\0"),
            m(b'2', b""),
            m(b's', b""),
            ready(),
        ],
        &["? PREPARE SELECT $1", "? SELECT SELECT $1", "? SELECT SELECT $1"],
        &["= OK", "= OK rows=1 tag=SELECT 1", "= OK rows=0 tag=PortalSuspended"],
    );
    check(
        &[
            m(b'C', b"Ss\0"),
            sync(),
            parse("", "SELECT 1"),
            bind(""),
            m(b'D', b"P\0"),
            execute(),
            m(b'C', b"P\0"),
            sync(),
            bind("s"),
            execute(),
            sync(),
        ],
        &[
            m(b'3', b""),
            ready(),
            m(b'1', b""),
            m(b'2', b""),
            m(b'T', b"\0\0"),
            m(b'D', b"\0\0"),
            m(b'C', b"SELECT 1\0"),
            m(b'3', b""),
            ready(),
            error("26000"),
            ready(),
        ],
        &["? CLOSE", "? SELECT SELECT ?", "? EXECUTE <prepared s>"],
        &["= OK", "= OK rows=1 tag=SELECT 1", "= 26000 (client)"],
    );
}

#[test]
fn what_a_failure_skips_is_told() {
    let insert = [parse("", "INSERT INTO t VALUES (1)"), bind(""), execute()].concat();
    let done = [m(b'1', b""), m(b'2', b""), m(b'C', b"INSERT 0 1\0")].concat();
    let requests = ["? INSERT INSERT INTO t VALUES (?)"; 4];
    check(
        &[insert.repeat(3), sync(), insert.clone(), sync()],
        &[done.clone(), error("23505"), ready(), done.clone(), ready()],
        &requests,
        &[
            "= OK rows=1 tag=INSERT 0 1",
            "= 23505 (client)",
            "= skipped",
            "= OK rows=1 tag=INSERT 0 1",
        ],
    );
    check(
        &[insert, sync()],
        &[done, error("23503"), ready()],
        &["? INSERT INSERT INTO t VALUES (?)"],
        &["= 23503 (client) rows=1 tag=INSERT 0 1"],
    );
}

#[test]
fn copied_data_belong_to_who_sends_them() {
    let data = [m(b'd', b"1\n"), m(b'd', b"2\n"), m(b'c', b"")].concat();
    let dialog = begun()
        .client(m(b'Q', b"COPY t FROM STDIN\0"))
        .server(m(b'G', b"\0\0\0"))
        .client(&data)
        .server([m(b'C', b"COPY 2\0"), ready()].concat())
        .client([parse("", "COPY t FROM STDIN"), bind(""), execute(), sync()].concat())
        .server([m(b'1', b""), m(b'2', b""), m(b'G', b"\0\0\0")].concat())
        .client([data.clone(), sync()].concat())
        .server([m(b'C', b"COPY 2\0"), ready()].concat())
        .client(m(b'Q', b"COPY t TO STDOUT\0"))
        .server([m(b'H', b"\0\0\0"), data, m(b'C', b"COPY 2\0"), ready()].concat());
    check_whole(
        &dialog,
        &[
            "? Startup me user=me",
            "? COPY COPY t FROM STDIN",
            "? COPY COPY t FROM STDIN",
            "? COPY COPY t TO STDOUT",
        ],
        &["= OK", "= OK rows=2 tag=COPY 2", "= OK rows=2 tag=COPY 2", "= OK rows=2 tag=COPY 2"],
    );
    let replication = begun()
        .client(m(b'Q', b"START_REPLICATION 0/0\0"))
        .server([m(b'W', b"\0\0\0"), m(b'd', b"wal")].concat())
        .client(m(b'd', b"status"));
    check_whole(
        &replication,
        &["? Startup me user=me", "? START_REPLICATION START_REPLICATION ?/?"],
        &["= OK", "= OK"],
    );
    assert!(told(&Postgres, &replication).switch.is_some_and(|s| s.to.is_none()));
}

#[test]
fn what_is_joined_late_is_paired_by_order() {
    let query = m(b'Q', b"SELECT 1\0");
    let answer = [m(b'T', b"\0\0"), m(b'D', b"\0\0"), m(b'C', b"SELECT 1\0"), ready()].concat();
    let late = Dialog::tcp(5432).joined_late().client("rest").server("rest");
    let late = late.client(query.repeat(2)).server(answer.repeat(2));
    let late = late.client([bind("s"), execute(), sync()].concat());
    check_whole(
        &late,
        &["? SELECT SELECT ?", "? SELECT SELECT ?", "? EXECUTE <prepared s> missed-start"],
        &["= OK rows=1 tag=SELECT 1", "= OK rows=1 tag=SELECT 1"],
    );
    assert_eq!(probed(&Postgres, &late), Match::Maybe);
}

#[test]
fn rows_are_passed_over_gaps() {
    let row = [b"D".to_vec(), 1_000u32.to_be_bytes().to_vec(), b"abc".to_vec()].concat();
    let dialog = begun()
        .client(m(b'Q', b"SELECT 1\0"))
        .server(m(b'T', b"\0\0"))
        .cut(Side::Server, row, 993)
        .server([m(b'C', b"SELECT 1\0"), ready()].concat())
        .client(m(b'Q', b"SELECT 1\0"))
        .cut(Side::Server, m(b'T', b"\0\0"), 50)
        .server([m(b'C', b"SELECT 1\0"), ready()].concat());
    let requests = ["? Startup me user=me", "? SELECT SELECT ?", "? SELECT SELECT ?"];
    let responses = ["= OK", "= OK rows=1 tag=SELECT 1", "= head-cut", "= OK rows=1 tag=SELECT 1"];
    check_whole(&dialog, &requests, &responses);
}

#[test]
fn is_claimed_by_its_first_bytes() {
    let claims = |client: &[u8], server: &[u8]| {
        probed(&Postgres, &Dialog::tcp(5432).client(client).server(server))
    };
    assert_eq!(claims(&opening(b"\x04\xd2\x16\x2f"), b""), Match::Yes);
    assert_eq!(claims(&opening(b"\x04\xd2\x16\x2f"), b"N"), Match::Yes);
    assert_eq!(claims(&opening(b"\x04\xd2\x16\x2f"), b"HTTP"), Match::No);
    assert_eq!(claims(&opening(b"\x04\xd2\x16\x2f")[..6], b""), Match::Maybe);
    assert_eq!(claims(&m(b'Q', b"SELECT\0").repeat(2), &ready().repeat(2)), Match::Yes);
    assert_eq!(claims(b"GET / HTTP/1.1\r\n\r\n", b""), Match::No);
    assert_eq!(claims(b"", b""), Match::No);
}

#[test]
fn the_laws_hold() {
    let dialog = sample()
        .client([parse("s", "SELECT $1"), m(b'D', b"Ss\0"), m(b'H', b"")].concat())
        .server([m(b'1', b""), m(b't', b"\0\0"), m(b'n', b"")].concat())
        .client([bind("s"), execute(), bind("s"), execute(), sync()].concat())
        .server([m(b'2', b""), error("22012"), ready()].concat())
        .client(m(b'Q', b"SELECT 1\0"))
        .server([m(b'C', b"SELECT 1\0"), ready()].concat());
    any_cutting_gives_equal_messages(&Postgres, &dialog);
    any_cutting_of_lossy_captures_gives_equal_messages(&Postgres, &dialog);
    any_cutting_of_lossy_captures_gives_equal_messages(&Postgres, &dialog.clone().joined_late());
    let queries = m(b'Q', b"COPY t FROM STDIN\0").repeat(3);
    survives(&Postgres, &queries, &ready().repeat(3));
    survives(
        &Postgres,
        &[opening(b"\x04\xd2\x16\x2f"), queries].concat(),
        b"NR\0\0\0\x08\0\0\0\x03Z\0\0\0\x05I",
    );
}

#[test]
fn joined_late_one_query_and_its_error_are_enough() {
    let dialog = Dialog::tcp(5432).client(m(b'Q', b"oops;\0")).server(error("42601")).joined_late();
    assert_eq!(probed(&Postgres, &dialog), Match::Maybe);
    check_whole(&dialog, &["? OOPS oops;"], &["= 42601 (client)"]);
}
