//! Conversations with a NATS server and what is to be told of them. Never a server: the bytes are written out here.

use super::Nats;
use crate::protocol::laws::{
    Dialog, any_cutting_gives_equal_messages, any_cutting_of_lossy_captures_gives_equal_messages,
    line, probed, survives, told,
};
use crate::protocol::{Match, Side};

const INFO: &str = "INFO {\"server_id\":\"N1\",\"server_name\":\"bus\",\"version\":\"2.9.10\",\"headers\":true} \r\n";
const CONNECT: &str = "CONNECT {\"verbose\":false,\"user\":\"u\",\"pass\":\"sesame\",\"lang\":\"go\",\"version\":\"1.25.0\"}\r\n";

/// The beginning of a conversation that only NATS claims.
pub(crate) fn sample() -> Dialog {
    Dialog::tcp(4222)
        .server(INFO)
        .client(format!("{CONNECT}PING\r\n"))
        .server("PONG\r\n")
        .client("SUB orders.* workers 1\r\nPUB orders.new _INBOX.a.1 5\r\nhello\r\n")
        .server("MSG orders.new 1 _INBOX.a.1 5\r\nhello\r\n")
        .client("PUB _INBOX.a.1 2\r\nok\r\n")
        .server("MSG _INBOX.a.1 2 2\r\nok\r\n")
}

/// Expects these messages however the conversation is cut.
fn check(dialog: &Dialog, client: &[&str], server: &[&str]) {
    let told = told(&Nats, dialog);
    assert_eq!(told.client.iter().map(line).collect::<Vec<_>>(), client);
    assert_eq!(told.server.iter().map(line).collect::<Vec<_>>(), server);
    any_cutting_gives_equal_messages(&Nats, dialog);
}

#[test]
fn requests_lead_to_replies_from_either_side() {
    let dialog = sample();
    check(
        &dialog,
        &[
            "!CONNECT client=go 1.25.0",
            "?PING",
            "!SUB orders.* queue=workers",
            "?PUB orders.new",
            "=PUB _INBOX.a.1 OK",
        ],
        &["!INFO bus", "=OK", "?MSG orders.new", "=MSG _INBOX.a.1 OK"],
    );
    let told = told(&Nats, &dialog);
    let (asked, answered) = (&told.client[3], &told.server[3]);
    assert_eq!(asked.correlation, answered.correlation);
    let (delivered, replied) = (&told.server[2], &told.client[4]);
    assert_eq!(delivered.correlation, replied.correlation);
    assert_ne!(asked.correlation, delivered.correlation, "who asked tells them apart");
}

#[test]
fn replies_to_subjects_of_any_name() {
    let dialog = Dialog::tcp(4222)
        .server(INFO)
        .client("PUB time.now my.replies.7 0\r\n\r\nPUB my.other 1\r\nx\r\n")
        .server("MSG my.replies.7 4 2\r\nok\r\n");
    check(&dialog, &["?PUB time.now", "!PUB my.other"], &["!INFO bus", "=MSG my.replies.7 OK"]);
}

#[test]
fn headers_bear_ids_and_a_status() {
    let headers = "NATS/1.0\r\ntraceparent: 00-1-2-01\r\nother: x\r\n\r\n";
    let asked =
        format!("HPUB a _INBOX.b {} {}\r\n{headers}hello\r\n", headers.len(), headers.len() + 5);
    let dialog = Dialog::tcp(4222)
        .server(INFO)
        .client(asked)
        .server("HMSG _INBOX.b 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")
        .server("HMSG _INBOX.c 1 28 28\r\nNATS/1.0 100 Heartbeat\r\n\r\n!!\r\n");
    check(
        &dialog,
        &["?PUB a traceparent:00-1-2-01"],
        &["!INFO bus", "=MSG _INBOX.b 503 (server)", "~MSG _INBOX.c 100"],
    );
}

#[test]
fn a_users_own_field_names_a_request() {
    let headers = "NATS/1.0\r\nX-Order: order-0007\r\nb3: 1-2\r\n\r\n";
    let asked = format!("HPUB a {} {}\r\n{headers}hello\r\n", headers.len(), headers.len() + 5);
    let dialog = Dialog::tcp(4222).server(INFO).client(asked);
    check(&dialog, &["!PUB a b3:1-2"], &["!INFO bus"]);
    let dialog = dialog.id_field("x-order");
    check(&dialog, &["!PUB a x-order:order-0007 b3:1-2"], &["!INFO bus"]);
}

#[test]
fn jetstream_names_stream_and_sequence() {
    let stored = "{\"stream\":\"ORDERS\", \"seq\":7}";
    let failed = "{\"type\":\"x\",\"error\":{\"code\":404,\"description\":\"no\"}}";
    let dialog = Dialog::tcp(4222)
        .server(INFO)
        .client("PUB orders.new _INBOX.s 2\r\nhi\r\nPUB $JS.API.STREAM.INFO.X _INBOX.t 0\r\n\r\n")
        .server(format!("MSG _INBOX.s 1 {}\r\n{stored}\r\n", stored.len()))
        .server(format!("MSG _INBOX.t 1 {}\r\n{failed}\r\n", failed.len()))
        .server("MSG orders.new 2 $JS.ACK.ORDERS.w.1.7.3.99.0 2\r\nhi\r\n")
        .client("PUB $JS.ACK.ORDERS.w.1.7.3.99.0 4\r\n+ACK\r\n")
        .server("MSG orders.new 2 $JS.ACK.d.acc.ORDERS.w.2.8.3.99.0.tok 2\r\nhi\r\n")
        .client("PUB $JS.ACK.d.acc.ORDERS.w.2.8.3.99.0.tok 17\r\n-NAK {\"delay\":10}\r\n");
    check(
        &dialog,
        &[
            "?PUB orders.new",
            "?PUB $JS.API.STREAM.INFO.X",
            "=PUB $JS.ACK.ORDERS.w.1.7.3.99.0 +ACK",
            "=PUB $JS.ACK.d.acc.ORDERS.w.2.8.3.99.0.tok -NAK (server)",
        ],
        &[
            "!INFO bus",
            "=MSG _INBOX.s OK stream=ORDERS sequence=7",
            "=MSG _INBOX.t 404 (client)",
            "?MSG orders.new stream=ORDERS consumer=w deliveries=1 sequence=7",
            "?MSG orders.new stream=ORDERS consumer=w deliveries=2 sequence=8",
        ],
    );
}

#[test]
fn verbose_clients_and_errors() {
    let dialog = Dialog::tcp(4222)
        .server(INFO)
        .client("CONNECT {\"verbose\":true,\"lang\":\"go\"}\r\n")
        .server("+OK\r\nPING\r\n")
        .client("PONG\r\nPUB a 1\r\nx\r\nDEADBEEF\r\n")
        .server("+OK\r\n-ERR 'Unknown Protocol Operation'\r\n");
    check(
        &dialog,
        &["?CONNECT client=go", "!PUB a"],
        &["!INFO bus", "=OK", "!ERR 'Unknown Protocol Operation' (client)"],
    );
    let refused = Dialog::tcp(4222)
        .server(INFO)
        .client("CONNECT {\"verbose\":true}\r\n")
        .server("-ERR 'Authorization Violation'\r\n");
    check(&refused, &["?CONNECT"], &["!INFO bus", "=ERR 'Authorization Violation' (client)"]);
}

#[test]
fn nonsense_and_gaps_are_passed_over_and_said() {
    let dialog = Dialog::tcp(4222)
        .server(INFO)
        .client("PUB a 3\r\nabcd\r\nPUB b 1\r\nx\r\n")
        .cut(Side::Client, "PUB c 100\r\nab", 100)
        .client("PUB d 1\r\nx\r\n")
        .cut(Side::Client, "PUB e", 9)
        .client("rest\r\nPUB f 1\r\nx\r\n");
    check(&dialog, &["!PUB b malformed", "!PUB c", "!PUB d", "!PUB f head-cut"], &["!INFO bus"]);
}

#[test]
fn a_conversation_joined_late_is_found() {
    let dialog = Dialog::tcp(4222)
        .joined_late()
        .client("lo\r\nPUB a _INBOX.1 2\r\nhi\r\n")
        .server("MSG _INBOX.1 1 2\r\nok\r\n");
    check(&dialog, &["?PUB a missed-start"], &["=MSG _INBOX.1 OK missed-start"]);
    assert_eq!(probed(&Nats, &dialog), Match::Yes);
    let other = Dialog::tcp(4222).joined_late().client("PING\r\n").server("+PONG\r\n");
    assert_eq!(probed(&Nats, &other), Match::No);
}

#[test]
fn tls_is_switched_to() {
    let dialog = Dialog::tcp(4222).server(INFO).client([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]);
    let told = told(&Nats, &dialog);
    let switch = told.switch.expect("it switches");
    assert_eq!((switch.client_at, switch.server_at), (0, INFO.len() as u64));
    assert_eq!(switch.to, Some("tls"));
    any_cutting_gives_equal_messages(&Nats, &dialog);
}

#[test]
fn whatever_comes_is_survived() {
    let client =
        format!("{CONNECT}PING\r\nHPUB a _INBOX.1 14 16\r\nNATS/1.0\r\n\r\n\r\nhi\r\nSUB x 1\r\n");
    survives(&Nats, client.as_bytes(), format!("{INFO}MSG a 1 2\r\nhi\r\nPONG\r\n").as_bytes());
    any_cutting_of_lossy_captures_gives_equal_messages(&Nats, &sample());
}
