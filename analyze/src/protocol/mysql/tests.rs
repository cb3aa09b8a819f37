//! Conversations with MySQL and what is to be told of them. Never a server: the bytes are written out here.

use super::*;
use crate::protocol::laws::{self, Dialog, Told, line};
use crate::protocol::{Message, Naming};

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(sequence);
    bytes.extend(payload);
    bytes
}

/// Payloads, numbered from one.
fn response(payloads: &[&[u8]]) -> Vec<u8> {
    payloads.iter().zip(1..).flat_map(|(payload, n)| packet(n, payload)).collect()
}

fn greeting() -> Vec<u8> {
    packet(0, b"\x0a8.0.36\0\x05\0\0\0saltsalt\0\xff\xff\x21\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0native\0")
}

/// With a database; flags beyond the usual ones.
fn login(more: u32) -> Vec<u8> {
    let flags: u32 = 1 << 3 | 1 << 9 | 1 << 15 | more;
    let mut payload = flags.to_le_bytes().to_vec();
    payload.extend([0, 0, 0, 1, 33]);
    payload.extend([0; 23]);
    payload.extend(b"bob\0\x04hashshop\0native\0");
    packet(1, &payload)
}

fn query(sql: &str) -> Vec<u8> {
    packet(0, format!("\x03{sql}").as_bytes())
}

const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const EOF: &[u8] = b"\xfe\0\0\x02\0";
const COLUMN: &[u8] = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";

fn opening() -> Dialog {
    Dialog::tcp(3306).server(greeting()).client(login(0)).server(packet(2, OK))
}

/// A login and a query.
pub(crate) fn sample() -> Dialog {
    opening()
        .client(query("SELECT a FROM t WHERE b = 'x'"))
        .server(response(&[b"\x01", COLUMN, EOF, b"\x011", b"\xfb", EOF]))
}

fn lines(messages: &[Message]) -> Vec<String> {
    messages.iter().map(line).collect()
}

#[track_caller]
fn check(dialog: &Dialog, client: &[&str], server: &[&str]) {
    let Told { client: asked, server: told, .. } = laws::told(&Mysql, dialog);
    assert_eq!((lines(&asked), lines(&told)), (owned(client), owned(server)));
    laws::any_cutting_gives_equal_messages(&Mysql, dialog);
    laws::any_cutting_of_lossy_captures_gives_equal_messages(&Mysql, dialog);
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.to_string()).collect()
}

const LOGIN: &str = "?LOGIN shop user=bob";

#[test]
fn a_login_and_a_query() {
    check(&sample(), &[LOGIN, "?SELECT SELECT a FROM t WHERE b = ?"], &["=OK", "=OK rows=2"]);
    let told = laws::told(&Mysql, &sample());
    assert_eq!(told.server[0].version, "8.0.36");
}

#[test]
fn without_eofs_and_with_several_results() {
    let ended: &[u8] = b"\xfe\0\0\x0a\0\0\0";
    let dialog = opening().client(query("CALL p(1); SELECT 2")).server(response(&[
        b"\x02",
        COLUMN,
        COLUMN,
        b"\x011\x012",
        ended,
        b"\x01",
        COLUMN,
        ended,
        b"\0\x05\0\x02\0\0\0",
    ]));
    check(
        &dialog,
        &[LOGIN, "?CALL CALL p(?); SELECT ? statements=2"],
        &["=OK", "=OK rows=1 affected_rows=5 results=3"],
    );
}

#[test]
fn errors_are_the_clients_or_the_servers() {
    let dialog = opening()
        .client(query("SELEC 1"))
        .server(response(&[b"\xff\x28\x04#42000You have an error"]))
        .client(query("UPDATE t SET a = 1"))
        .server(response(&[b"\xff\xb5\x04#HY000Lock wait"]))
        .client(packet(0, b"\x0e"))
        .server(response(&[OK]))
        .client(packet(0, b"\x01"))
        .server(packet(0, b"\xff\xbf\x0f#HY000inactive"));
    check(
        &dialog,
        &[LOGIN, "?SELEC SELEC ?", "?UPDATE UPDATE t SET a = ?", "?PING", "!QUIT"],
        &[
            "=OK",
            "=1064 (client) sqlstate=42000",
            "=1205 (server) sqlstate=HY000",
            "=OK",
            "!ERR 4031 (server) sqlstate=HY000",
        ],
    );
    let refused = Dialog::tcp(3306).server(packet(0, b"\xff\x10\x04Too many connections"));
    check(&refused, &[], &["!ERR 1040 (server)"]);
}

fn prepared(eof: bool) -> Dialog {
    let mut told: Vec<&[u8]> = vec![b"\0\x05\0\0\0\x01\0\x02\0\0\0\0", COLUMN, COLUMN];
    told.extend(eof.then_some(EOF));
    told.push(COLUMN);
    told.extend(eof.then_some(EOF));
    let mut rows: Vec<&[u8]> = vec![b"\x01", COLUMN];
    rows.extend(eof.then_some(EOF));
    rows.push(b"\0\0\x01\0\0\0");
    rows.push(if eof { EOF } else { b"\xfe\0\0\x02\0\0\0" });
    opening()
        .client(packet(0, b"\x16SELECT a FROM t WHERE b = ? AND c = 3"))
        .server(response(&told))
        .client(packet(0, b"\x17\x05\0\0\0\0\x01\0\0\0"))
        .server(response(&rows))
        .client([packet(0, b"\x19\x05\0\0\0"), packet(0, b"\x0e")].concat())
        .server(response(&[OK]))
}

#[test]
fn a_prepared_statement_tells_its_number() {
    for eof in [true, false] {
        let dialog = prepared(eof);
        check(
            &dialog,
            &[
                LOGIN,
                "?PREPARE SELECT a FROM t WHERE b = ? AND c = ?",
                "?EXECUTE #5 prepared=true",
                "!CLOSE #5",
                "?PING",
            ],
            &["=OK", "=OK", "=OK rows=1", "=OK"],
        );
        let told = laws::told(&Mysql, &dialog);
        assert_eq!(told.client[1].naming.as_deref(), Some(&Naming::Asks("SELECT".to_string())));
        assert_eq!(told.server[1].naming.as_deref(), Some(&Naming::Defines(5)));
        assert_eq!(told.client[2].naming.as_deref(), Some(&Naming::Executes(5)));
    }
}

#[test]
fn other_ways_to_answer() {
    let dialog = opening()
        .client(packet(0, b"\x09"))
        .server(response(&[b"Uptime: 17  Threads: 1"]))
        .client(packet(0, b"\x04t\0"))
        .server(response(&[COLUMN, COLUMN, EOF]))
        .client(query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t"))
        .server(response(&[b"\xfbf"]))
        .client([packet(2, b"1\n2\n"), packet(3, b"")].concat())
        .server(packet(4, b"\0\x02\0\x02\0\0\0"))
        .client(packet(0, b"\x11eve\0\0shop\0"))
        .server(response(&[b"\xfemysql_native_password\0saltsalt\0"]))
        .client(packet(2, b"proof"))
        .server(packet(3, OK))
        .client(packet(0, b"\x02other"));
    check(
        &dialog,
        &[
            LOGIN,
            "?STATISTICS",
            "?FIELD_LIST",
            "?LOAD LOAD DATA LOCAL INFILE ? INTO TABLE t",
            "?CHANGE_USER user=eve",
            "?INIT_DB other",
        ],
        &["=OK", "=OK", "=OK rows=0", "=OK affected_rows=2", "=OK"],
    );
}

#[test]
fn a_query_with_attributes_and_one_of_several_packets() {
    let attributes = 1 << 27;
    let opening =
        || Dialog::tcp(3306).server(greeting()).client(login(attributes)).server(packet(2, OK));
    let with = opening().client(packet(0, b"\x03\0\x01SELECT 1")).server(response(&[OK]));
    check(&with, &[LOGIN, "?SELECT SELECT ?"], &["=OK", "=OK"]);
    let with = opening().client(packet(0, b"\x03\x01\x01\0\x01\x03\0\x01aSELECT 1"));
    check(&with, &[LOGIN, "?QUERY query_attributes=1"], &["=OK"]);
}

#[test]
fn tls_and_compression_are_another_matter() {
    let ask = {
        let mut payload = (1_u32 << 9 | 1 << 11).to_le_bytes().to_vec();
        payload.extend([0; 28]);
        packet(1, &payload)
    };
    let dialog = Dialog::tcp(3306)
        .server(greeting())
        .client([&ask[..], b"\x16\x03\x01"].concat())
        .server(b"\x16\x03\x03\x02\0\0\0\0\0\x02\0\0\0");
    let switch = laws::told(&Mysql, &dialog).switch.expect("a switch");
    let expected = (ask.len() as u64, greeting().len() as u64, Some("tls"));
    assert_eq!((switch.client_at, switch.server_at, switch.to), expected);
    check(&dialog, &[], &[]);
    let compressed = Dialog::tcp(3306)
        .server(greeting())
        .client(login(1 << 5))
        .server(packet(2, OK))
        .client(b"\x09\0\0\0\0\0\0\x05\0\0\0\x03SEL");
    let told = laws::told(&Mysql, &compressed);
    assert_eq!(lines(&told.server), ["=OK"]);
    let switch = told.switch.expect("a switch");
    assert_eq!((switch.client_at, switch.to), (login(0).len() as u64, None));
    laws::any_cutting_gives_equal_messages(&Mysql, &compressed);
}

#[test]
fn joined_late_it_begins_at_a_query_or_a_response() {
    let late = Dialog::tcp(3306)
        .joined_late()
        .client(query("SELECT a FROM t"))
        .server(response(&[b"\x01", COLUMN, EOF, b"\x011", EOF]))
        .client(packet(0, b"\x17\x05\0\0\0\0\x01\0\0\0"))
        .server(response(&[OK]));
    check(
        &late,
        &["?SELECT SELECT a FROM t missed-start", "?EXECUTE #5 prepared=true"],
        &["=OK rows=1 missed-start", "=OK"],
    );
    let inside = Dialog::tcp(3306)
        .joined_late()
        .server([packet(7, b"\x011"), packet(8, b"\x012"), packet(9, EOF)].concat())
        .client(query("SELECT 1 FROM t"))
        .server(response(&[OK]));
    check(&inside, &["?SELECT SELECT ? FROM t missed-start"], &["=OK missed-start"]);
}

#[test]
fn a_gap_inside_of_rows_is_passed_where_lengths_lead() {
    let row = packet(4, &[&[0xfc, 0xe8, 0x03][..], &[b'x'; 1_000]].concat());
    let dialog = opening()
        .client(query("SELECT a FROM t"))
        .server([response(&[b"\x01", COLUMN, EOF]), row[..40].to_vec()].concat())
        .cut(Side::Server, [], row.len() - 40)
        .server(packet(5, EOF));
    check(&dialog, &[LOGIN, "?SELECT SELECT a FROM t"], &["=OK", "=OK rows=1"]);
}

#[test]
fn it_claims_its_own_beginnings_only() {
    let asked = |dialog: &Dialog| laws::probed(&Mysql, dialog);
    assert_eq!(asked(&Dialog::tcp(3306).server(greeting())), Match::Yes);
    assert_eq!(asked(&Dialog::tcp(3306).client(login(0))), Match::Yes);
    assert_eq!(asked(&Dialog::tcp(25).server("220 mail.test ESMTP\r\n")), Match::No);
    assert_eq!(
        asked(&Dialog::tcp(3306).joined_late().client(query("SELECT 1 FROM t"))),
        Match::Yes
    );
    assert_eq!(asked(&Dialog::tcp(3306).joined_late().client("SELECT 1 FROM t")), Match::No);
}
