//! TLS from records built by hand.

use super::Tls;
use crate::protocol::laws::{
    Dialog, any_cutting_gives_equal_messages, any_cutting_of_lossy_captures_gives_equal_messages,
    probed, survives, told,
};
use crate::protocol::{Match, Message, Outcome, Side, Switch};

const CHANGE: &[u8] = b"\x14\x03\x03\0\x01\x01";
const RETRY: &[u8] = b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\
    \xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &(content.len() as u16).to_be_bytes()[..], content].concat()
}

fn shake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

fn data(length: usize) -> Vec<u8> {
    record(23, &vec![0xee; length])
}

fn fatal(description: u8) -> Vec<u8> {
    record(21, &[2, description])
}

fn extension(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[0, kind], &(data.len() as u16).to_be_bytes()[..], data].concat()
}

/// A ClientHello offering 1.3 and h2, asking for shop.example, with this session id.
fn client_hello(session: u8) -> Vec<u8> {
    let extensions = [
        extension(0, b"\0\x0f\0\0\x0cshop.example"),
        extension(16, b"\0\x0c\x02h2\x08http/1.1"),
        extension(43, b"\x06\x1a\x1a\x03\x04\x03\x03"),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[1, session],
        b"\0\x02\x13\x01\x01\0",
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ];
    record(22, &shake(1, &body.concat()))
}

fn server_hello(random: &[u8], suite: &[u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = (extensions.len() as u16).to_be_bytes();
    let body = [&[3, 3], random, &[1, 9], suite, &[0], &length, extensions].concat();
    shake(2, &body)
}

fn hello_1_3(random: &[u8]) -> Vec<u8> {
    record(22, &server_hello(random, b"\x13\x02", &extension(43, b"\x03\x04")))
}

fn hello_1_2() -> Vec<u8> {
    record(22, &server_hello(&[8; 32], b"\xc0\x2c", &extension(16, b"\0\x03\x02h2")))
}

fn certificate_and_done() -> Vec<u8> {
    [record(22, &shake(11, &[0; 700])), record(22, &shake(14, &[]))].concat()
}

/// A full handshake of TLS 1.2, and data.
pub(in crate::protocol) fn sample() -> Dialog {
    Dialog::tcp(443)
        .client(client_hello(1))
        .server(hello_1_2())
        .server(certificate_and_done())
        .client(record(22, &shake(16, &[5; 33])))
        .client(CHANGE)
        .client(record(22, &[0xee; 40]))
        .server(record(22, &shake(4, &[6; 100])))
        .server(CHANGE)
        .server(record(22, &[0xee; 40]))
        .client(data(100))
        .server(data(100))
}

/// TLS 1.3: the server's flight has records of these lengths, the client's of those.
fn dialog_1_3(server: &[usize], client: &[usize]) -> Dialog {
    let records = |lengths: &[usize]| lengths.iter().flat_map(|&n| data(n)).collect::<Vec<_>>();
    Dialog::tcp(443)
        .client(client_hello(1))
        .server(hello_1_3(&[8; 32]))
        .server(CHANGE)
        .server(records(server))
        .client(CHANGE)
        .client(records(client))
        .server(data(282))
        .client(data(200))
        .client(data(200))
        .client(data(200))
        .client(data(200))
}

/// TLS 1.3 and one exchange: the request leaves with the client's Finished, the answer comes with two tickets. Who speaks takes turns.
pub(crate) fn exchange_1_3() -> [Vec<u8>; 4] {
    let server = [hello_1_3(&[8; 32]), CHANGE.to_vec(), data(900)].concat();
    let request = [CHANGE.to_vec(), data(69), data(81)].concat();
    [client_hello(1), server, request, [data(282), data(282), data(115)].concat()]
}

fn line(m: &Message) -> String {
    let issues: Vec<_> = m.issues.iter().map(|i| i.name()).collect();
    let attributes: Vec<_> = m.attributes.iter().map(|(name, v)| format!("{name}={v}")).collect();
    let what = format!("{:?} {} {} {} {}", m.role, m.request_type, m.host, m.version, m.status);
    let line =
        format!("{}..{} {what} {} {}", m.begin, m.end, attributes.join(" "), issues.join(" "));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(dialog: Dialog, client: &[&str], server: &[&str], switch: Option<(u64, u64)>) {
    let told = told(&Tls, &dialog);
    assert_eq!(told.client.iter().map(line).collect::<Vec<_>>(), client, "client");
    assert_eq!(told.server.iter().map(line).collect::<Vec<_>>(), server, "server");
    let at = |(client_at, server_at)| Switch { client_at, server_at, to: None, answered_as: None };
    assert_eq!(told.switch, switch.map(at));
    any_cutting_gives_equal_messages(&Tls, &dialog);
}

const HELLO: &str =
    "0..103 Request ClientHello shop.example version_offered=TLSv1.3 alpn=h2,http/1.1";

#[test]
fn full_1_2() {
    let response = "0..937 Response TLSv1.2 ok cipher_suite=0xc02c alpn=h2";
    check(sample(), &[HELLO], &[response], Some((196, 937)));
}

#[test]
fn resumed_1_2() {
    let dialog = Dialog::tcp(443)
        .client(client_hello(9))
        .server([hello_1_2(), CHANGE.to_vec(), record(22, &[0xee; 40])].concat())
        .client([CHANGE.to_vec(), record(22, &[0xee; 40]), data(10)].concat());
    let response = "0..110 Response TLSv1.2 ok cipher_suite=0xc02c alpn=h2 resumed=true";
    check(dialog, &[HELLO], &[response], Some((154, 110)));
}

#[test]
fn flights_of_1_3() {
    let told_end = |server: &[usize], client: &[usize], end: u64, switch: (u64, u64)| {
        let response = format!("0..{end} Response TLSv1.3 ok cipher_suite=0x1302");
        check(dialog_1_3(server, client), &[HELLO], &[&response], Some(switch));
    };
    let before = 56 + 6;
    let finished = before + 32 + 442 + 101 + 74;
    told_end(&[27, 437, 96, 69, 282], &[69], finished, (183, finished));
    told_end(&[27, 437, 96, 69], &[25, 69], finished, (213, finished));
    let packed = before + 905;
    told_end(&[900], &[69], packed, (183, packed));
    told_end(&[900, 282], &[850], packed, (964, packed));
}

#[test]
fn resumed_1_3() {
    let extensions = [extension(43, b"\x03\x04"), extension(41, b"\0\0")].concat();
    let hello = record(22, &server_hello(&[8; 32], b"\x13\x01", &extensions));
    let dialog = Dialog::tcp(443)
        .client(client_hello(1))
        .server([&hello[..], CHANGE, &data(27), &data(53), &data(282)].concat())
        .client([CHANGE, &data(53), &data(99)].concat());
    let response = "0..158 Response TLSv1.3 ok cipher_suite=0x1301 resumed=true";
    check(dialog, &[HELLO], &[response], Some((167, 158)));
}

#[test]
fn asked_to_try_again() {
    let dialog = Dialog::tcp(443)
        .client(client_hello(1))
        .server([&hello_1_3(RETRY)[..], CHANGE].concat())
        .client([CHANGE, &client_hello(1)].concat())
        .server([hello_1_3(&[8; 32]), data(900)].concat())
        .client([data(69), data(10)].concat());
    let again = HELLO.replace("0..103 Request", "109..212 OneWay");
    let retry = "0..56 Interim TLSv1.3 hello_retry_request";
    let response = "62..1023 Response TLSv1.3 ok cipher_suite=0x1302";
    check(dialog, &[HELLO, &again], &[retry, response], Some((286, 1023)));
}

#[test]
fn the_client_does_not_accept_the_certificate() {
    let dialog = Dialog::tcp(443)
        .client(client_hello(1))
        .server([hello_1_2(), certificate_and_done()].concat())
        .client(fatal(48))
        .server(record(21, &[1, 0]));
    let response =
        "0..777 Response TLSv1.2 unknown_ca cipher_suite=0xc02c alpn=h2 alert_from=client";
    assert_eq!(told(&Tls, &dialog).server[0].outcome, Some(Outcome::ServerError));
    check(dialog, &[HELLO], &[response], None);
    let response = "0..967 Response TLSv1.3 encrypted_alert cipher_suite=0x1302 alert_from=client";
    check(dialog_1_3(&[900], &[19]), &[HELLO], &[response], None);
}

#[test]
fn the_server_refuses() {
    let dialog = Dialog::tcp(443).client(client_hello(1)).server(fatal(40)).client(data(3));
    assert_eq!(told(&Tls, &dialog).server[0].outcome, Some(Outcome::ClientError));
    check(dialog, &[HELLO], &["0..7 Response handshake_failure alert_from=server"], None);
}

#[test]
fn cut_by_the_snap_length() {
    let (hello, flight) = (client_hello(1), [hello_1_2(), certificate_and_done()].concat());
    let dialog = Dialog::tcp(443)
        .cut(Side::Client, &hello[..80], hello.len() - 80)
        .cut(Side::Server, &flight[..62], flight.len() - 62)
        .client([&record(22, &shake(16, &[5; 33])), CHANGE, &record(22, &[0xee; 40])].concat());
    let request = "0..103 Request ClientHello shop.example version_offered=TLSv1.2 head-cut";
    let response = "0..59 Response TLSv1.2 ok cipher_suite=0xc02c alpn=h2 truncated";
    check(dialog, &[request], &[response], Some((196, 59)));
}

#[test]
fn unfinished() {
    let dialog = Dialog::tcp(443).client(client_hello(1)).server(hello_1_2());
    let response = "0..59 Response TLSv1.2 cipher_suite=0xc02c alpn=h2 truncated";
    check(dialog, &[HELLO], &[response], None);
    check(Dialog::tcp(443).client(client_hello(1)), &[HELLO], &[], None);
}

#[test]
fn lossy_captures_cut_anywhere() {
    any_cutting_of_lossy_captures_gives_equal_messages(&Tls, &sample());
    let dialog = dialog_1_3(&[27, 437, 96, 69, 282], &[69]);
    any_cutting_of_lossy_captures_gives_equal_messages(&Tls, &dialog);
}

#[test]
fn survives_anything() {
    let server = [hello_1_2(), certificate_and_done(), CHANGE.to_vec()].concat();
    survives(&Tls, &client_hello(1), &server);
    survives(&Tls, &client_hello(1), &[hello_1_3(&[1; 32]), data(69), data(69)].concat());
}

#[test]
fn claims_only_its_own() {
    let asks = |client: &[u8]| probed(&Tls, &Dialog::tcp(443).client(client));
    assert_eq!(probed(&Tls, &sample()), Match::Yes);
    assert_eq!(asks(&client_hello(1)[..3]), Match::Maybe);
    assert_eq!(asks(&data(10)), Match::No);
    assert_eq!(asks(b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10"), Match::No);
}
