//! HTTP/1 from literal bytes.

use super::Http1;
use crate::issue::Issue;
use crate::protocol::laws::{
    self, Dialog, any_cutting_gives_equal_messages,
    any_cutting_of_lossy_captures_gives_equal_messages, line, probed, survives, told,
};
use crate::protocol::{Match, Message, Outcome, Role, Side, Switch};

/// Keep-alive, pipelining, chunks, interim responses, bodies of every kind.
pub(in crate::protocol) fn sample() -> Dialog {
    Dialog::tcp(80)
        .client("GET /a?b=c HTTP/1.1\r\nHost: shop\r\nUser-Agent: curl/8\r\nTraceParent: 00-ab-cd-01\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello")
        .client("\r\nPOST /cart HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n")
        .server("HTTP/1.1 100 Continue\r\n\r\n")
        .client("GET /x y")
        .server("HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n4;n=v\r\nHTTP\r\n1\r\nx\r\n0\r\nTrailer: t\r\n\r\n")
        .client("HEAD /h HTTP/1.1\nhost: shop\n\nGET /p HTTP/1.1\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
        .client("GET /last HTTP/1.0\r\n\r\n")
        .server("HTTP/1.0 404 Not Found\r\n\r\nuntil the end")
}

/// Checks `begin..end kind status issues` of each message against a line, and the laws of cutting and survival.
#[track_caller]
fn check(dialog: Dialog, client: &[&str], server: &[&str]) {
    let line = |m: &Message| {
        let issues: Vec<_> = m.issues.iter().map(|i| i.name()).collect();
        let what = if m.role == Role::Request {
            format!("{} {} {}", m.request_type, m.resource, m.host)
        } else {
            format!("{:?} {}", m.role, m.status)
        };
        let line = format!("{}..{} {what} {}", m.begin, m.end, issues.join(","));
        line.trim_end().replace("  ", " ")
    };
    let told = told(&Http1, &dialog);
    assert_eq!(told.client.iter().map(line).collect::<Vec<_>>(), client, "client");
    assert_eq!(told.server.iter().map(line).collect::<Vec<_>>(), server, "server");
    any_cutting_gives_equal_messages(&Http1, &dialog);
}

#[test]
fn a_long_conversation() {
    check(
        sample(),
        &[
            "0..81 GET /a?b=c shop",
            "83..167 POST /cart shop",
            "167..196 HEAD /h shop",
            "196..215 GET /p",
            "215..237 GET /last",
        ],
        &[
            "0..69 Response 200",
            "69..94 Interim 100",
            "94..194 Response 503",
            "194..234 Response 200",
            "234..272 Response 304",
            "272..311 Response 404",
        ],
    );
}

#[test]
fn a_users_own_field_names_a_request() {
    let dialog = Dialog::tcp(80)
        .client("GET / HTTP/1.1\r\nX-Order: order-0007\r\nX-Order-2: no\r\nB3: 1-2\r\n\r\n")
        .server("HTTP/1.1 204 No Content\r\nx-order: order-0007\r\n\r\n");
    let check = |dialog: &Dialog, client: &str, server: &str| {
        let told = told(&Http1, dialog);
        assert_eq!(
            (line(&told.client[0]).as_str(), line(&told.server[0]).as_str()),
            (client, server)
        );
        any_cutting_gives_equal_messages(&Http1, dialog);
    };
    check(&dialog, "?GET / b3:1-2", "=204");
    let dialog = dialog.id_field("X-Order");
    check(&dialog, "?GET / b3:1-2 x-order:order-0007", "=204 x-order:order-0007");
}

#[test]
fn what_a_message_says() {
    let told = told(&Http1, &sample());
    let request = &told.client[0];
    assert_eq!((&*request.version, &*request.ids[0].field), ("1.1", "traceparent"));
    assert_eq!(request.ids[0].value, "00-ab-cd-01");
    assert_eq!(request.attributes, [("user_agent", "curl/8".to_owned())]);
    let attributes =
        [("content_length", "5".to_owned()), ("content_type", "text/plain".to_owned())];
    assert_eq!(told.server[0].attributes, attributes);
    let outcomes: Vec<_> = told.server.iter().map(|m| m.outcome).collect();
    let (ok, client, server) =
        (Some(Outcome::Ok), Some(Outcome::ClientError), Some(Outcome::ServerError));
    assert_eq!(outcomes, [ok, None, server, ok, ok, client]);
}

#[test]
fn bodies_lie_in_gaps() {
    check(
        Dialog::tcp(80)
            .cut(Side::Client, "POST /up HTTP/1.1\r\nContent-Length: 3000\r\n\r\nabc", 2_997)
            .cut(Side::Server, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", 4_000)
            .cut(Side::Server, "some more", 5_991)
            .client("GET /next HTTP/1.1\r\n\r\n")
            .server("HTTP/1.1 204 No Content\r\n\r\n"),
        &["0..3043 POST /up", "3043..3065 GET /next"],
        &["0..10042 Response 200", "10042..10069 Response 204"],
    );
}

#[test]
fn heads_are_cut_by_the_snap_length() {
    check(
        Dialog::tcp(80)
            .cut(Side::Client, "GET /a/long HTTP/1.1\r\nHost: shop\r\nX-Requ", 100)
            .cut(Side::Server, "HTTP/1.1 200 OK\r\nContent-Le", 100)
            .cut(Side::Server, "not a head", 100)
            .cut(Side::Client, "GET /b/lon", 100)
            .cut(Side::Server, "HTTP/1.1 500 Oops\r\n", 100),
        &["0..140 GET /a/long shop head-cut", "140..250 GET /b/lon head-cut"],
        &["0..237 Response 200 head-cut", "237..356 Response 500 head-cut"],
    );
}

#[test]
fn chunks_lie_in_gaps() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        Dialog::tcp(80)
            .client("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            .cut(Side::Server, format!("{head}10\r\nabcd"), 12)
            .server("\r\n0\r\n\r\n")
            .cut(Side::Server, format!("{head}10\r\nabcd"), 20)
            .server("d\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n."),
        &["0..18 GET /", "18..36 GET /", "36..54 GET /"],
        &["0..74 Response 200", "74..158 Response 200 truncated", "158..197 Response 200"],
    );
}

#[test]
fn ends_in_the_middle() {
    check(
        Dialog::tcp(80)
            .client("POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n123")
            .server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        &["0..48 POST /a truncated"],
        &["0..52 Response 200 truncated"],
    );
}

#[test]
fn joined_late() {
    let dialog = Dialog::tcp(80)
        .server("ody of an unknown response\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        .client("x=1&y=2GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        .server("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .joined_late();
    check(
        dialog,
        &["7..35 GET /a h missed-start"],
        &["28..68 Response 200 missed-start", "68..111 Response 201"],
    );
}

#[test]
fn nonsense_is_left_behind() {
    check(
        Dialog::tcp(80)
            .client("GET / HTTP/1.1\r\n\r\n\x01\x02 what\r\nGET /b HTTP/1.1\r\n\r\n")
            .server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.more HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n"),
        &["0..18 GET /", "27..46 GET /b malformed"],
        &["0..39 Response 200", "44..83 Response 200 malformed,malformed"],
    );
}

#[test]
fn what_httparse_refuses() {
    check(
        Dialog::tcp(80)
            .client(b"GET /a b\xc3 HTTP/1.1\r\nHost:\r\n shop\r\nBad Name\x01: 1\r\nContent-Length: 1, 1\r\n\r\n.GET /c HTTP/1.1\r\n\r\n")
            .server("HTTP/1.1 200\r\nTransfer-Encoding: gzip,\r\n chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        &["0..73 GET /a b\u{fffd} shop", "73..92 GET /c"],
        &["0..82 Response 200"],
    );
}

#[test]
fn a_head_without_end() {
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: {}", "c".repeat(70_000));
    let told = told(&Http1, &Dialog::tcp(80).client(&long));
    assert_eq!(told.client[0].issues, [Issue::LimitExceeded]);
    assert_eq!((told.client[0].end, told.client[0].host.as_str()), (long.len() as u64, "h"));
}

#[test]
fn an_unframed_response_ends_where_the_next_begins() {
    check(
        Dialog::tcp(80)
            .client("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
            .server("HTTP/1.1 200 OK\r\n\r\nbodyHTTP/1.1 404 No\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        &["0..19 GET /a", "19..38 GET /b"],
        &["0..23 Response 200", "23..80 Response 404"],
    );
}

#[test]
fn upgrades_and_tunnels() {
    let upgrade = Dialog::tcp(80)
        .client("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
        .client(b"\x81\x82abcdGET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        told(&Http1, &upgrade).switch,
        Some(Switch { client_at: 61, server_at: 56, to: Some("websocket"), answered_as: None })
    );
    check(upgrade, &["0..61 GET /ws"], &["0..56 Response 101"]);
    let refused = Dialog::tcp(80)
        .client("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
        .server("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        .client("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
        .server("HTTP/1.1 200 Connection established\r\n\r\n\x16\x03")
        .client("\x16\x03\x01");
    let switch = told(&Http1, &refused).switch;
    assert_eq!(switch, Some(Switch { client_at: 78, server_at: 77, to: None, answered_as: None }));
    check(
        refused,
        &["0..39 CONNECT h:443 h:443", "39..78 CONNECT h:443 h:443"],
        &["0..38 Response 407", "38..77 Response 200"],
    );
}

#[test]
fn lossy_captures_cut_anywhere() {
    let plain = Dialog::tcp(80)
        .client("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        .server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .server("0\r\n\r\n")
        .client("GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    any_cutting_of_lossy_captures_gives_equal_messages(&Http1, &plain);
    any_cutting_of_lossy_captures_gives_equal_messages(&Http1, &plain.joined_late());
}

#[test]
fn survives_anything() {
    let tunnel = b"CONNECT h:1 HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n";
    survives(
        &Http1,
        tunnel,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    );
}

#[test]
fn claims_only_its_own() {
    let asks =
        |client: &str, server: &str| probed(&Http1, &Dialog::tcp(80).client(client).server(server));
    assert_eq!(asks("GET / HTTP/1.1\r\n", ""), Match::Yes);
    assert_eq!(asks("GET /very/lo", ""), Match::Yes);
    assert_eq!(asks("", "HTTP/1.1 200 OK\r\n"), Match::Yes);
    assert_eq!(asks("GE", ""), Match::Maybe);
    assert_eq!(asks("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""), Match::No);
    assert_eq!(asks("OPTIONS sip:a SIP/2.0\r\n", ""), Match::No);
    assert_eq!(asks("GET key\r\n", "$-1\r\n"), Match::No);
    assert_eq!(asks("GET / HTTP/1.1\r\n", "\x16\x03"), Match::No);
}

#[test]
fn joined_late_a_head_anywhere_claims_and_nothing_else_does() {
    let asks = |client: &str, server: &str| {
        probed(&Http1, &Dialog::tcp(80).client(client).server(server).joined_late())
    };
    assert_eq!(asks("of a body GET / HTTP/1.1\r\n", "rest of a response"), Match::Yes);
    assert_eq!(asks("\x01\x02", "rest of a responseHTTP/1.1 200 OK\r\n"), Match::Yes);
    assert_eq!(asks("Q\0\0\0\x0foops_oops;\0", "E\0\0\0\x05"), Match::No);
    assert_eq!(asks("\x01\x02", ""), Match::No);
}

#[test]
fn grpc_web_is_counted_and_has_its_own_status() {
    let message = b"\0\0\0\0\x03abc";
    let trailers = b"\x80\0\0\0\x20grpc-status: 5\r\ngrpc-message: no";
    let response = |body: &[&[u8]]| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    let request = b"POST /shop.Cart/Get HTTP/1.1\r\nContent-Type: application/grpc-web\r\ngrpc-timeout: 1S\r\nContent-Length: 8\r\n\r\n";
    let dialog = Dialog::tcp(80).client([&request[..], message].concat()).server(response(&[
        &message[..4],
        &message[4..],
        trailers,
    ]));
    let told = laws::told(&Http1, &dialog);
    assert_eq!((told.client[0].inner, told.server[0].inner), (Some("grpc"), Some("grpc")));
    let lines = [&told.client[0], &told.server[0]].map(laws::line);
    assert_eq!(
        lines,
        [
            "?POST /shop.Cart/Get content_length=8 content_type=application/grpc-web deadline_ns=1000000000 messages=1",
            "=NOT_FOUND (client) content_type=application/grpc-web+proto messages=1 grpc_message=no",
        ]
    );
    laws::any_cutting_gives_equal_messages(&Http1, &dialog);
    laws::any_cutting_of_lossy_captures_gives_equal_messages(&Http1, &dialog);
}
