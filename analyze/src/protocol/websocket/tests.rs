//! Conversations with a WebSocket server and what is to be told of them. Never a server: the bytes are written out here.

use super::*;
use crate::protocol::laws::{self, Dialog, Told, line};

fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        n @ 0..126 => bytes.push(mask | n as u8),
        n => {
            bytes.push(mask | 126);
            bytes.extend((n as u16).to_be_bytes());
        }
    }
    bytes.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A client's frame.
fn asks(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, Some([0x11, 0x82, 0x33, 0xf4]), payload)
}

/// A server's.
fn tells(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, None, payload)
}

/// Joined late, as the law of samples wants one that is recognised.
pub(crate) fn sample() -> Dialog {
    Dialog::tcp(80)
        .joined_late()
        .client([asks(0x81, b"hello"), asks(0x82, &[0; 300]), asks(0x89, b"beat")].concat())
        .server([tells(0x81, b"well"), tells(0x8a, b"beat"), tells(0x81, b"bye")].concat())
}

#[track_caller]
fn check(dialog: &Dialog, client: &[&str], server: &[&str]) {
    let Told { client: asked, server: told, .. } = laws::told(&Websocket, dialog);
    assert_eq!(asked.iter().map(line).collect::<Vec<_>>(), client);
    assert_eq!(told.iter().map(line).collect::<Vec<_>>(), server);
    laws::any_cutting_gives_equal_messages(&Websocket, dialog);
    laws::any_cutting_of_lossy_captures_gives_equal_messages(&Websocket, dialog);
}

#[test]
fn messages_fragments_pings_and_the_end() {
    let dialog = Dialog::tcp(80)
        .client(
            [asks(0x01, b"in "), asks(0x89, b"beat"), asks(0x00, b"three "), asks(0x80, b"parts")]
                .concat(),
        )
        .server([tells(0xc2, b"\x01\x02"), tells(0x8a, b"beat")].concat())
        .server(tells(0x81, &[b'x'; 1000]))
        .client(asks(0x88, b"\x03\xe8"))
        .server(tells(0x88, b"\x03\xf3sorry"));
    check(
        &dialog,
        &["?PING", "!TEXT fragments=3", "!CLOSE 1000"],
        &["!BINARY compressed=true", "=OK", "!TEXT", "!CLOSE 1011 (server)"],
    );
    let told = laws::told(&Websocket, &dialog);
    assert_eq!(told.client[0].correlation, told.server[1].correlation);
}

#[test]
fn joined_late_it_begins_where_frames_follow_one_another() {
    check(
        &sample(),
        &["!TEXT missed-start", "!BINARY", "?PING"],
        &["!TEXT missed-start", "=OK", "!TEXT"],
    );
    check(&Dialog::tcp(80).joined_late().server(tells(0x80, b"rest")), &[], &["! missed-start"]);
}

#[test]
fn a_gap_inside_of_a_payload_is_passed_one_over_a_head_is_said() {
    let long = tells(0x82, &[7; 500]);
    let dialog =
        Dialog::tcp(80).cut(Side::Server, &long[..40], long.len() - 40).server(tells(0x81, b"a"));
    check(&dialog, &[], &["!BINARY", "!TEXT"]);
    let dialog = Dialog::tcp(80)
        .server([tells(0x01, b"begun"), tells(0x81, b"a")[..1].to_vec()].concat())
        .cut(Side::Server, [], 5)
        .server([tells(0x81, b"b"), tells(0x89, b"")].concat());
    check(&dialog, &[], &["!TEXT truncated", "!TEXT head-cut", "?PING"]);
}

#[test]
fn what_is_cut_at_the_end_is_truncated() {
    let long = asks(0x82, &[7; 500]);
    check(&Dialog::tcp(80).client(&long[..100]), &["!BINARY truncated"], &[]);
}

#[test]
fn it_is_asked_only_where_an_upgrade_was_missed() {
    assert_eq!(laws::probed(&Websocket, &sample()), Match::Yes);
    assert_eq!(laws::probed(&Websocket, &Dialog::tcp(80).client(asks(0x81, b"hello"))), Match::No);
    let text = Dialog::tcp(80).joined_late().client("some text").server("and more");
    assert_eq!(laws::probed(&Websocket, &text), Match::No);
}
