//! DNS from literal bytes.

use super::Dns;
use crate::protocol::laws::{
    Dialog, any_cutting_gives_equal_messages, any_cutting_of_lossy_captures_gives_equal_messages,
    probed, survives, told,
};
use crate::protocol::{Match, Message, Outcome, Side};

const ASK: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04Shop\x03svc\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\x01\x04shop\x03svc\0\0\x01\0\x01\
    \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01x\xc0\x11\
    \xc0\x28\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x07\
    \0\0\x29\x04\xd0\0\0\0\0\0\0";
const NO_NAME: &[u8] = b"\x12\x34\x81\x83\0\x01\0\0\0\0\0\0\x04shop\x03svc\0\0\x1c\0\x01";

/// A look-up over UDP.
pub(in crate::protocol) fn sample() -> Dialog {
    Dialog::udp(53).client(ASK).server(ANSWER)
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

fn line(m: &Message) -> String {
    let issues: Vec<_> = m.issues.iter().map(|i| i.name()).collect();
    let attributes: Vec<_> = m.attributes.iter().map(|(name, v)| format!("{name}={v}")).collect();
    let what = format!("{:?} {} {} {}", m.role, m.request_type, m.resource, m.status);
    let notes = format!("{} {}", attributes.join(","), issues.join(","));
    let line = format!("{}..{} {what} {notes}", m.begin, m.end);
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(dialog: Dialog, client: &[&str], server: &[&str]) {
    let told = told(&Dns, &dialog);
    assert_eq!(told.client.iter().map(line).collect::<Vec<_>>(), client, "client");
    assert_eq!(told.server.iter().map(line).collect::<Vec<_>>(), server, "server");
    any_cutting_gives_equal_messages(&Dns, &dialog);
}

#[test]
fn a_look_up() {
    let (request, response) =
        ("Request A Shop.svc", "Response A shop.svc NOERROR n_answers=2,answers=x.svc 10.0.0.7");
    check(sample(), &[&format!("0..26 {request}")], &[&format!("0..69 {response}")]);
    check(
        Dialog::tcp(53).client(framed(ASK)).server(framed(ANSWER)).server(framed(NO_NAME)),
        &[&format!("0..28 {request}")],
        &[&format!("0..71 {response}"), "71..99 Response AAAA shop.svc NXDOMAIN n_answers=0"],
    );
}

#[test]
fn correlation_is_id_and_question() {
    let told = told(&Dns, &sample().server(NO_NAME));
    assert_eq!(told.client[0].correlation, told.server[0].correlation);
    assert_ne!(told.client[0].correlation, told.server[1].correlation);
    assert_eq!(told.server[1].outcome, Some(Outcome::ClientError));
}

#[test]
fn cut_by_the_snap_length() {
    check(
        Dialog::udp(53)
            .cut(Side::Client, &ASK[..20], 6)
            .cut(Side::Server, &ANSWER[..30], 39)
            .cut(Side::Server, &ANSWER[..3], 66)
            .server(&ANSWER[..30]),
        &["0..26 Request truncated"],
        &[
            "0..69 Response A shop.svc NOERROR n_answers=2 truncated",
            "138..168 Response A shop.svc NOERROR n_answers=2 malformed",
        ],
    );
}

#[test]
fn gaps_in_a_byte_stream() {
    check(
        Dialog::tcp(53)
            .cut(Side::Server, &framed(ANSWER)[..50], 21)
            .cut(Side::Server, [], 30)
            .server(framed(NO_NAME))
            .server(b"\0\x01nonsense"),
        &[],
        &[
            "0..71 Response A shop.svc NOERROR n_answers=2,answers=x.svc truncated",
            "101..129 Response AAAA shop.svc NXDOMAIN n_answers=0",
        ],
    );
    let lossy = Dialog::tcp(53).client(framed(ASK)).client(framed(ASK)).client(framed(ASK));
    any_cutting_of_lossy_captures_gives_equal_messages(&Dns, &lossy);
    any_cutting_of_lossy_captures_gives_equal_messages(&Dns, &lossy.joined_late());
}

#[test]
fn multicast_has_no_responses() {
    let multicast = Dialog::udp(5353).client_port(5353).client(ANSWER);
    check(multicast, &["0..69 OneWay A shop.svc NOERROR n_answers=2,answers=x.svc 10.0.0.7"], &[]);
}

#[test]
fn survives_anything() {
    survives(&Dns, &framed(ASK), &framed(ANSWER));
    survives(&Dns, ASK, ANSWER);
}

#[test]
fn claims_only_its_own() {
    assert_eq!(probed(&Dns, &sample()), Match::Yes);
    assert_eq!(probed(&Dns, &Dialog::tcp(53).client(framed(ASK))), Match::Yes);
    assert_eq!(probed(&Dns, &Dialog::udp(8_600).client(ASK)), Match::Maybe);
    assert_eq!(probed(&Dns, &Dialog::udp(8_600).client(ANSWER)), Match::No);
    assert_eq!(probed(&Dns, &Dialog::udp(53).client(b"GET / HTTP/1.1\r\n\r\n")), Match::No);
    assert_eq!(probed(&Dns, &Dialog::tcp(80).client("GET / HTTP/1.1\r\n\r\n")), Match::No);
}
