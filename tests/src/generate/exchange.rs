//! One request and its response, as bytes: realistic heads, bodies by length or in chunks, or none.
//! It never knows how they are cut into segments.

use super::random::Random;

/// The bytes of both, and what they say.
pub(super) struct Exchange {
    pub(super) request: Vec<u8>,
    pub(super) response: Vec<u8>,
    pub(super) status: u16,
}

const PATHS: [&str; 8] = [
    "/",
    "/api/v1/cart/items",
    "/api/v1/products",
    "/search?q=",
    "/static/app.js",
    "/images/hero.webp",
    "/api/v1/orders",
    "/healthz",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "okhttp/4.12.0",
    "Go-http-client/1.1",
];
const BODY_TYPES: [&str; 3] = ["application/json", "text/html; charset=utf-8", "image/webp"];
const WORDS: &[u8] = b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore ";

/// Draws one. Nobody pipelines HEAD: its response can't be told from others without the request.
pub(super) fn draw(pipelined: bool, random: &mut Random) -> Exchange {
    let method = match random.below(100) {
        0..=79 => "GET",
        80..=94 => "POST",
        95..=97 => "PUT",
        _ if pipelined => "GET",
        _ => "HEAD",
    };
    let status = match random.below(100) {
        0..=83 => 200,
        84..=87 => 304,
        88..=89 => 204,
        90..=91 => 302,
        92..=95 => 404,
        96..=97 => 500,
        _ => 503,
    };
    Exchange {
        request: request(method, random),
        response: response(method, status, random),
        status,
    }
}

fn request(method: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {}{} HTTP/1.1\r\nHost: shop-{}.example\r\nUser-Agent: {}\r\nAccept: */*\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.7\r\n",
        random.pick(&PATHS),
        random.below(10_000),
        random.below(20),
        random.pick(&AGENTS),
    )
    .into_bytes();
    if random.percent(60) {
        bytes.extend(format!("Cookie: session={:016x}; theme=dark\r\n", random.next()).as_bytes());
    }
    if method == "POST" || method == "PUT" {
        let length = random.spread(64, 7) as usize;
        bytes.extend(
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
                .as_bytes(),
        );
        body(&mut bytes, length, random);
    } else {
        bytes.extend(b"\r\n");
    }
    bytes
}

fn response(method: &str, status: u16, random: &mut Random) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} {}\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: {}\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n",
        reason(status),
        random.pick(&BODY_TYPES),
    )
    .into_bytes();
    // Mostly what interfaces answer, a tenth pages and pictures.
    let length = match status {
        200 if random.percent(10) => random.spread(4_096, 5),
        200 => random.spread(128, 7),
        _ => random.spread(64, 3),
    } as usize;
    let bodyless = method == "HEAD" || status == 204 || status == 304;
    if bodyless && status != 200 {
        bytes.extend(b"\r\n");
    } else if !bodyless && random.percent(20) {
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        chunks(&mut bytes, length, random);
    } else {
        bytes.extend(format!("Content-Length: {length}\r\n\r\n").as_bytes());
        if !bodyless {
            body(&mut bytes, length, random);
        }
    }
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        304 => "Not Modified",
        404 => "Not Found",
        500 => "Internal Server Error",
        _ => "Service Unavailable",
    }
}

fn body(bytes: &mut Vec<u8>, length: usize, random: &mut Random) {
    let from = random.below(WORDS.len() as u64) as usize;
    bytes.extend(WORDS.iter().cycle().skip(from).take(length));
}

fn chunks(bytes: &mut Vec<u8>, mut length: usize, random: &mut Random) {
    while length > 0 {
        let size = length.min(random.between(64, 8_192) as usize);
        bytes.extend(format!("{size:x}\r\n").as_bytes());
        body(bytes, size, random);
        bytes.extend(b"\r\n");
        length -= size;
    }
    bytes.extend(b"0\r\n\r\n");
}
