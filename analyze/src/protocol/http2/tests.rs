//! Conversations with a client and a server of HTTP/2 and what is to be told of them. Never a server: the bytes are written out here.

use super::*;
use crate::protocol::laws::{self, Dialog, line, told};
use crate::protocol::{Message, PROTOCOLS, Part, ids};
use afterpath_formats::mask::HUFFMAN;

/// A frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn settings(initial_window: u32) -> Vec<u8> {
    frame(4, 0, 0, &[&[0, 4][..], &initial_window.to_be_bytes()].concat())
}

/// A header block of an encoder that inserts what begins with `+`, and names what is a number alone.
fn block(fields: &[&str]) -> Vec<u8> {
    let mut block = Vec::new();
    for field in fields {
        if let Ok(index) = field.parse::<u8>() {
            block.push(0x80 | index);
            continue;
        }
        let (is_inserted, field) = match field.strip_prefix('+') {
            Some(field) => (true, field),
            None => (false, *field),
        };
        let (name, value) = field.split_once('=').expect("name=value");
        block.push(if is_inserted { 0x40 } else { 0 });
        let name = HUFFMAN.encode(name.as_bytes());
        block.push(0x80 | name.len() as u8);
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    block
}

const GET: &[&str] = &["2", "6", "+:authority=shop", "+:path=/cart?id=1"];
/// The same again: everything is in the table by now.
const GET_AGAIN: &[&str] = &["2", "6", "63", "62"];
const OK: &[&str] = &["8", "+content-type=text/plain"];

fn headers(flags: u8, stream: u32, fields: &[&str]) -> Vec<u8> {
    frame(1, 4 | flags, stream, &block(fields))
}

fn opening() -> Dialog {
    Dialog::tcp(8080)
        .client([&PREFACE[..], &settings(65_535)].concat())
        .server([settings(1 << 20), frame(4, 1, 0, b"")].concat())
        .client(frame(4, 1, 0, b""))
}

/// A dialog of two streams at once.
pub(crate) fn sample() -> Dialog {
    opening()
        .client([headers(1, 1, GET), headers(0, 3, GET_AGAIN)].concat())
        .client(frame(0, 0, 3, b"some "))
        .server([headers(0, 3, OK), headers(0, 1, &["8"]), frame(0, 0, 1, b"half")].concat())
        .client(frame(0, 1, 3, b"body"))
        .server([frame(0, 1, 3, b""), frame(0, 9, 1, b"\x03 a page\0\0\0")].concat())
}

fn grpc() -> Dialog {
    let asked = [
        "3",
        "6",
        "+:authority=shop",
        "+:path=/shop.Cart/Watch",
        "+content-type=application/grpc",
        "grpc-timeout=5S",
        "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ];
    let message = |text: &str| [&[0, 0, 0, 0, text.len() as u8][..], text.as_bytes()].concat();
    let (first, second) = (message("one"), message("number two"));
    let body = [first, second].concat();
    opening()
        .client([headers(0, 1, &asked), frame(0, 1, 1, &message("ask"))].concat())
        .server(
            [headers(0, 1, &["8", "content-type=application/grpc"]), frame(0, 0, 1, &body[..11])]
                .concat(),
        )
        .server([frame(0, 0, 1, &body[11..]), frame(0, 0, 1, &[1, 0, 0, 0, 0])].concat())
        .server(headers(1, 1, &["grpc-status=5", "grpc-message=no cart"]))
}

/// Lines of a side's messages, each with its part and stream.
fn lines(messages: &[Message]) -> Vec<String> {
    let part = |message: &Message| {
        let part = match message.part {
            None => "",
            Some(Part::Whole) => "whole",
            Some(Part::Begin) => "begin",
            Some(Part::Item) => "item",
            Some(Part::Stall) => "stall",
            Some(Part::End { .. }) => "end",
            Some(Part::Reset { .. }) => "reset",
            Some(Part::Lost) => "lost",
        };
        let id = message.correlation.map(|id| id.to_string()).unwrap_or_default();
        format!(
            "{part} {id}{}{}",
            message.inner.map(|i| format!(" {i} ")).unwrap_or_default(),
            line(message)
        )
    };
    messages.iter().map(part).collect()
}

#[track_caller]
fn check(dialog: &Dialog, client: &[&str], server: &[&str]) {
    let told = told(&Http2, dialog);
    assert_eq!(lines(&told.client), client);
    assert_eq!(lines(&told.server), server);
    laws::any_cutting_gives_equal_messages(&Http2, dialog);
    laws::any_cutting_of_lossy_captures_gives_equal_messages(&Http2, dialog);
}

#[test]
fn two_streams_at_once() {
    check(
        &sample(),
        &["whole 1?GET /cart?id=1 shop", "begin 3?GET /cart?id=1 shop", "end 3?"],
        &["begin 3=200 content_type=text/plain", "begin 1=200", "end 3=", "end 1="],
    );
}

#[test]
fn messages_of_grpc_are_counted_and_its_status_is_that_of_the_trailers() {
    check(
        &grpc(),
        &[
            "begin 1 grpc ?POST /shop.Cart/Watch shop content_type=application/grpc deadline_ns=5000000000 \
             traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "item 1?",
            "end 1?",
        ],
        &[
            "begin 1 grpc = content_type=application/grpc",
            "item 1=",
            "item 1=",
            "item 1=",
            "end 1=NOT_FOUND (client) grpc_message=no cart compressed_messages=1",
        ],
    );
}

#[test]
fn a_users_own_field_names_a_request() {
    // Also from the table, and of a name that the static table has (37 is `from`).
    let asked = [GET, &["+x-order=order-0007"]].concat();
    let from = [&block(&["2", "6", ":path=/a"])[..], &[0x0f, 37 - 15, 3], b"you"].concat();
    let dialog = opening().client(
        [
            headers(1, 1, &asked),
            headers(1, 3, &["2", "6", "64", "63", "62"]),
            frame(1, 5, 5, &from),
        ]
        .concat(),
    );
    let [get, order] = ["GET /cart?id=1 shop", "GET /cart?id=1 shop x-order:order-0007"];
    let two = |request: &str| [format!("whole 1?{request}"), format!("whole 3?{request}")];
    let check = |field: &str, first: &str, third: &str| {
        let [one, two] = two(first);
        check(&dialog.clone().id_field(field), &[&one, &two, third], &[]);
    };
    check("x-other", get, "whole 5?GET /a");
    check("X-Order", order, "whole 5?GET /a");
    check("From", get, "whole 5?GET /a from:you");
}

#[test]
fn a_name_as_long_as_any_is_not_taken_for_a_longer_one() {
    let name = "x".repeat(ids::LONGEST_NAME);
    let fields = [format!("{name}=own"), format!("{name}y=other")];
    let fields = [&["2", "6", ":path=/a"][..], &[&fields[0], &fields[1]]].concat();
    let dialog = opening().client(headers(1, 1, &fields)).id_field(&name);
    check(&dialog, &[&format!("whole 1?GET /a {name}:own")], &[]);
}

#[test]
fn trailers_of_grpc_web_are_in_its_body() {
    let trailers = b"\x80\0\0\0\x10grpc-status: 13\n";
    let dialog = opening()
        .client(headers(1, 1, &["3", "6", "+:path=/a.B/C"]))
        .server(headers(0, 1, &["8", "content-type=application/grpc-web+proto"]))
        .server(frame(0, 0, 1, b"\0\0\0\0\x01x"))
        .server(frame(0, 1, 1, trailers));
    check(
        &dialog,
        &["whole 1?POST /a.B/C"],
        &[
            "begin 1 grpc = content_type=application/grpc-web+proto",
            "item 1=",
            "end 1 grpc =INTERNAL (server)",
        ],
    );
}

#[test]
fn a_block_in_several_frames_and_an_interim_response() {
    let block = block(GET);
    let continued =
        [frame(1, 1, 1, &block[..3]), frame(9, 0, 1, &block[3..9]), frame(9, 4, 1, &block[9..])];
    let dialog = opening()
        .client(continued.concat())
        .server(headers(0, 1, &[":status=103"]))
        .server(headers(1, 1, &["13"]));
    check(&dialog, &["whole 1?GET /cart?id=1 shop"], &[" 1~103", "whole 1=404 (client)"]);
}

#[test]
fn resets_a_promise_and_the_end_of_a_connection() {
    let promise = [&2_u32.to_be_bytes()[..], &block(&["2", "6", ":path=/style.css"])].concat();
    let dialog = opening()
        .client([headers(1, 1, GET), headers(1, 3, GET_AGAIN)].concat())
        .client(frame(3, 0, 1, &8_u32.to_be_bytes()))
        .server(frame(5, 4, 3, &promise))
        .server([headers(0, 2, OK), frame(0, 1, 2, b"css"), headers(0, 3, OK)].concat())
        .server(frame(3, 0, 3, &2_u32.to_be_bytes()))
        .server(frame(7, 0, 0, &[&3_u32.to_be_bytes()[..], &11_u32.to_be_bytes()].concat()));
    check(
        &dialog,
        &[
            "whole 1?GET /cart?id=1 shop",
            "whole 3?GET /cart?id=1 shop",
            "reset 1?CANCEL (client) reset=CANCEL",
        ],
        &[
            " !GET /style.css promised_stream=2",
            "begin 3=200 content_type=text/plain",
            "reset 3=INTERNAL_ERROR (server) reset=INTERNAL_ERROR",
            " !GOAWAY ENHANCE_YOUR_CALM (client) last_stream=3",
        ],
    );
}

#[test]
fn where_a_window_is_used_up_its_sender_stands() {
    let body = [b'x'; 40];
    let dialog = Dialog::tcp(8080)
        .client([&PREFACE[..], &settings(20), &headers(1, 1, GET)].concat())
        .server([settings(65_535), headers(0, 1, OK), frame(0, 0, 1, &body[..5])].concat())
        .server(frame(0, 0, 1, &body[5..20]))
        .client(frame(8, 0, 1, &20_u32.to_be_bytes()))
        .server(frame(0, 0, 1, &body[20..30]))
        .server(frame(0, 1, 1, &body[30..]));
    check(
        &dialog,
        &["whole 1?GET /cart?id=1 shop"],
        &["begin 1=200 content_type=text/plain", "stall 1=", "end 1="],
    );
}

#[test]
fn joined_late_a_path_is_known_by_its_entrys_identity() {
    let named_before = &["2", "6", "64", "63"];
    let with_a_new = &["2", "6", "64", "63", "+user-agent=x"];
    let after_it = &["2", "6", "65", "64", "62"];
    let dialog = Dialog::tcp(8080)
        .joined_late()
        .client([headers(1, 5, named_before), headers(1, 7, with_a_new)].concat())
        .client([headers(1, 9, after_it), headers(1, 11, &["2", "6", ":path=/new"])].concat())
        .server([headers(0, 5, &["8"]), frame(0, 1, 5, b"abc")].concat());
    check(
        &dialog,
        &[
            "whole 5?GET h2:path?#2,1 missed-start",
            "whole 7?GET h2:path?#2,1 user_agent=x missed-start",
            "whole 9?GET h2:path?#2,1 user_agent=x missed-start",
            "whole 11?GET /new",
        ],
        &["begin 5=200 missed-start", "end 5="],
    );
}

#[test]
fn joined_inside_of_a_frame_the_next_ones_are_found() {
    let late =
        [&b"rest of a body\0\0\0\0\0\0\x12"[..], &headers(1, 7, GET), &headers(1, 9, GET_AGAIN)];
    check(
        &Dialog::tcp(8080).joined_late().client(late.concat()).server(headers(1, 7, OK)),
        &["whole 7?GET /cart?id=1 shop missed-start", "whole 9?GET /cart?id=1 shop"],
        &["whole 7=200 content_type=text/plain missed-start"],
    );
}

#[test]
fn behind_a_gap_that_swallowed_heads_nothing_is_named_wrongly() {
    let dialog = opening()
        .client(headers(1, 1, GET))
        .cut(Side::Client, [], 40)
        .client([headers(1, 5, GET_AGAIN), headers(1, 7, GET)].concat());
    check(
        &dialog,
        &[
            "whole 1?GET /cart?id=1 shop",
            "lost 0?",
            "whole 5?GET h2:path?#1.1,0 head-cut missed-start",
            "whole 7?GET /cart?id=1 shop",
        ],
        &[],
    );
}

#[test]
fn a_gap_too_short_for_an_insertion_leaves_the_table_known() {
    let data = frame(0, 1, 1, &[b'x'; 500]);
    let update = frame(8, 0, 0, &5_u32.to_be_bytes());
    let dialog = opening()
        .client([headers(0, 1, GET), data[..30].to_vec()].concat())
        .cut(Side::Client, [], data.len() - 30 + update.len())
        .client(headers(1, 3, GET_AGAIN));
    check(
        &dialog,
        &[
            "begin 1?GET /cart?id=1 shop",
            "end 1?",
            "lost 0?",
            "whole 3?GET /cart?id=1 shop head-cut",
        ],
        &[],
    );
}

#[test]
fn of_a_head_cut_by_the_snap_length_its_beginning_is_known() {
    let head = headers(1, 1, &["2", "6", ":path=/a", ":authority=a-long-name-of-a-host"]);
    let (known, rest) = head.split_at(20);
    let dialog = opening().cut(Side::Client, known, rest.len()).client(headers(1, 3, GET));
    check(&dialog, &["whole 1?GET /a head-cut", "whole 3?GET /cart?id=1 shop"], &[]);
}

#[test]
fn a_body_in_a_gap_is_passed_by_its_length() {
    let data = frame(0, 1, 1, &[b'x'; 500]);
    let dialog = opening()
        .client([headers(0, 1, GET), data[..30].to_vec()].concat())
        .cut(Side::Client, [], data.len() - 30)
        .client(headers(1, 3, GET_AGAIN));
    check(&dialog, &["begin 1?GET /cart?id=1 shop", "end 1?", "whole 3?GET /cart?id=1 shop"], &[]);
}

#[test]
fn it_claims_its_own_beginnings_only() {
    let asked = |dialog: &Dialog| laws::probed(&Http2, dialog);
    assert_eq!(asked(&opening()), Match::Yes);
    assert_eq!(asked(&Dialog::tcp(80).server(settings(1))), Match::Yes);
    assert_eq!(asked(&Dialog::tcp(80).client("PRI * HTTP/2.0")), Match::Maybe);
    assert_eq!(asked(&Dialog::tcp(80).client("GET / HTTP/1.1\r\n\r\n")), Match::No);
    assert_eq!(asked(&Dialog::udp(80).client(PREFACE)), Match::No);
    let late = Dialog::tcp(80).joined_late();
    assert_eq!(asked(&late.clone().client(headers(1, 5, &["2", "6", "63"]).repeat(2))), Match::Yes);
    assert_eq!(asked(&late.clone().server(headers(1, 5, &["2", "6", "63"]).repeat(2))), Match::No);
    assert_eq!(asked(&late.client("some text that is none of ours")), Match::No);
    assert!(PROTOCOLS.len() > 1);
}
