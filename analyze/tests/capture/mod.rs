//! A small capture: requests over keep-alive connections, as one observation point saw them. Classic pcap, nanoseconds,
//! Ethernet, IPv4, TCP; checksums are zero.

const NANOSECOND_MAGIC: u32 = 0xa1b2_3c4d;
const START_S: u32 = 1_795_342_443;

/// `n` requests, one connection each, 50 ms apart, seen with this TTL and this much (ns) after the client sent them.
pub(crate) fn requests(n: u32, ttl: u8, delay_ns: u32) -> Vec<u8> {
    let mut file = head();
    for i in 0..n {
        connection(&mut file, i, ttl, delay_ns);
    }
    file
}

/// The same, answered after `service_us` and, as chance has it, up to a fifth of a millisecond more.
pub(crate) fn paced(n: u32, ttl: u8, delay_ns: u32, service_us: u32, chance: u32) -> Vec<u8> {
    let mut file = head();
    for i in 0..n {
        let jitter_us = (i * 37 + chance * 101) % 200;
        let request = format!("GET /item/{i} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        exchange(
            &mut file,
            &Wire::nth(i, ttl),
            &request,
            (service_us + jitter_us) * 1_000,
            delay_ns,
        );
    }
    file
}

fn head() -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(NANOSECOND_MAGIC.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend(65_535u32.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file
}

/// Two requests that a service works on at once, and for each what it asks its store meanwhile, the later one's first; seen at the
/// service. Their clients' ports are 40,000 and 40,001, and 50,000 and 50,001; only `X-Order` tells whose is whose.
pub(crate) fn crossed() -> Vec<u8> {
    let (client, service, store) = ([10, 0, 0, 2], [10, 0, 1, 5], [10, 0, 2, 7]);
    let from_client = |i: u16| Wire { client: (client, 40_000 + i), ..Wire::nth(0, 63) };
    let to_store =
        |i: u16| Wire { client: (service, 50_000 + i), server: (store, 9_090), ..Wire::nth(0, 64) };
    let mut file = head();
    // When it was asked and how long it took, in microseconds.
    for (wire, path, order, [at, took]) in [
        (from_client(0), "buy", 0, [0, 30_000]),
        (from_client(1), "buy", 1, [1_000, 30_000]),
        (to_store(1), "stock", 1, [10_000, 5_000]),
        (to_store(0), "stock", 0, [11_000, 5_000]),
    ] {
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: shop\r\nX-Order: order-000{order}\r\n\r\n");
        let wire = Wire { start_ns: at * 1_000, ..wire };
        exchange(&mut file, &wire, &request, took * 1_000, 0);
    }
    file
}

/// Whose packets, as seen with which TTL, and from when on.
struct Wire {
    client: ([u8; 4], u16),
    server: ([u8; 4], u16),
    ttl: u8,
    start_ns: u32,
}

impl Wire {
    fn nth(i: u32, ttl: u8) -> Wire {
        Wire {
            client: ([10, 0, 0, 2], 40_000 + i as u16),
            server: ([10, 0, 1, 5], 8_080),
            ttl,
            start_ns: i * 50_000_000,
        }
    }
}

fn connection(file: &mut Vec<u8>, i: u32, ttl: u8, delay_ns: u32) {
    let request = format!(
        "GET /item/{i} HTTP/1.1\r\nHost: shop.example\r\nX-Request-ID: request-{i}\r\n\r\n"
    );
    exchange(file, &Wire::nth(i, ttl), &request, 2_000_000 + i * 100_000, delay_ns);
}

fn exchange(file: &mut Vec<u8>, wire: &Wire, request: &str, service_ns: u32, delay_ns: u32) {
    let i = u32::from(wire.client.1) - 40_000;
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (c, s) = (1_000 + i * 100_000, 9_000 + i * 100_000);
    let (c_end, s_end) = (c + 1 + request.len() as u32, s + 1 + response.len() as u32);
    // What comes back was seen by the server's side earlier than by the client's.
    let there = |at: u32| at + delay_ns;
    let back = |at: u32| at + 400_000 - delay_ns;
    let mut packet = |from_client: bool, at: u32, seq: u32, ack: u32, flags: u8, data: &[u8]| {
        frame(file, wire, from_client, at, (seq, ack, flags), data);
    };
    packet(true, there(0), c, 0, 0x02, b"");
    packet(false, back(100_000), s, c + 1, 0x12, b"");
    packet(true, there(600_000), c + 1, s + 1, 0x10, b"");
    packet(true, there(700_000), c + 1, s + 1, 0x18, request.as_bytes());
    packet(false, back(1_000_000 + service_ns), s + 1, c_end, 0x18, response.as_bytes());
    packet(true, there(1_700_000 + service_ns), c_end, s_end, 0x11, b"");
    packet(false, back(2_000_000 + service_ns), s_end, c_end + 1, 0x11, b"");
    packet(true, there(2_700_000 + service_ns), c_end + 1, s_end + 1, 0x10, b"");
}

fn frame(
    file: &mut Vec<u8>,
    wire: &Wire,
    from_client: bool,
    at: u32,
    (seq, ack, flags): (u32, u32, u8),
    data: &[u8],
) {
    let (from, to) =
        if from_client { (wire.client, wire.server) } else { (wire.server, wire.client) };
    // The far side's frames arrive with the other side's TTL.
    let ttl = if from_client { wire.ttl } else { 127 - wire.ttl };
    let length = (40 + data.len()) as u16;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(length.to_be_bytes());
    frame.extend((seq as u16 ^ u16::from(flags)).to_be_bytes());
    frame.extend([0x40, 0, ttl, 6, 0, 0]);
    frame.extend(from.0.into_iter().chain(to.0));
    frame.extend(from.1.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(data);
    let ns = u64::from(wire.start_ns) + u64::from(at);
    file.extend((START_S + (ns / 1_000_000_000) as u32).to_le_bytes());
    file.extend(((ns % 1_000_000_000) as u32).to_le_bytes());
    file.extend([frame.len() as u32, frame.len() as u32].iter().flat_map(|n| n.to_le_bytes()));
    file.extend(frame);
}

/// `n` packets of one direction with `n_bytes` of data each, spread over flows, 1 µs apart.
pub(crate) fn packets(n: u32, n_bytes: usize) -> Vec<u8> {
    let mut file = head();
    let mut data = vec![0u8; n_bytes];
    let mut noise = 0x2545_f491u32;
    for i in 0..n {
        // Not to be compressed away: what is written should take as long as real traffic.
        for word in data.chunks_exact_mut(4) {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            word.copy_from_slice(&noise.to_le_bytes());
        }
        let seq = (i / 64).wrapping_mul(n_bytes as u32);
        frame(&mut file, &Wire::nth(i % 64, 64), true, i * 1_000, (seq, 1, 0x18), &data);
    }
    file
}
