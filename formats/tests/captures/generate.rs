//! Capture files from a seed, with what a reader should find in them. Never uses the code under test to build.

use afterpath_formats::record::BlockKind;

/// A record or block of a generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A record with its file-wide interface.
    Record {
        kind: BlockKind,
        interface: u32,
        time_ns: i64,
        raw_stamp: Option<(u32, u32)>,
        original_length: u32,
        drops: u16,
        options: Vec<u8>,
        frame: Vec<u8>,
    },
    /// Any other block: its section and type; its bytes are those of the file.
    Other { section: u32, block_type: u32 },
}

/// A generated file.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// Each item with the offset it begins at.
    pub(crate) items: Vec<(usize, Item)>,
    pub(crate) n_out_of_range: u64,
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    pub(crate) fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.roll() as u8).collect()
    }
}

/// Numbers in a section's byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, n: u16) -> Vec<u8> {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }.to_vec()
    }

    fn u32(self, n: u32) -> Vec<u8> {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }.to_vec()
    }

    fn u64(self, n: u64) -> Vec<u8> {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }.to_vec()
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        padded([self.u16(code), self.u16(value.len() as u16), value.to_vec()].concat())
    }

    fn block(self, block_type: u32, body: Vec<u8>) -> Vec<u8> {
        let body = padded(body);
        let total = self.u32(body.len() as u32 + 12);
        [self.u32(block_type), total.clone(), body, total].concat()
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An interface of the section being generated: ticks per second as base and power, offset, snap length.
struct Interface {
    base: u32,
    power: u32,
    offset: i64,
    snap: u32,
}

impl Interface {
    /// Unix nanoseconds of `ticks`, and whether that is exact: by way of the numerator alone.
    fn expect(&self, ticks: u64) -> (i64, bool) {
        let per_second = i128::from(self.base).pow(self.power);
        let numerator = i128::from(ticks) * 1_000_000_000;
        let ns = i128::from(self.offset) * 1_000_000_000 + numerator.div_euclid(per_second);
        let clamped = ns.clamp(i64::MIN.into(), i64::MAX.into());
        (clamped as i64, clamped == ns && numerator.rem_euclid(per_second) == 0)
    }
}

/// A pcapng of some sections, with every block type.
pub(crate) fn pcapng(seed: u64) -> File {
    let mut dice = Dice(seed);
    let mut file = File::default();
    let (mut first_interface, mut last_ns) = (0, 0);
    for section in 0..1 + dice.below(3) as u32 {
        let order = Order { big: dice.below(2) == 1 };
        let mut body = vec![];
        for _ in 0..1 + dice.below(12) {
            block(&mut dice, order, section, first_interface, &mut body, &mut file.n_out_of_range);
        }
        let length: u64 = match dice.below(2) {
            0 => u64::MAX,
            _ => body.iter().map(|(bytes, _, _)| bytes.len() as u64).sum(),
        };
        let head = [order.u32(0x1a2b_3c4d), order.u16(1), order.u16(0), order.u64(length)].concat();
        let head = [head, order.option(4, b"generator"), vec![0; 4]].concat();
        push(&mut file, order.block(0x0a0d_0d0a, head), other(section, 0x0a0d_0d0a));
        for (bytes, mut item, interface) in body {
            first_interface += u32::from(interface.is_some());
            match &mut item {
                // No stamp of its own: the one before.
                Item::Record { kind: BlockKind::Simple, time_ns, .. } => *time_ns = last_ns,
                Item::Record { time_ns, .. } => last_ns = *time_ns,
                Item::Other { .. } => {}
            }
            push(&mut file, bytes, item);
        }
    }
    file
}

fn other(section: u32, block_type: u32) -> Item {
    Item::Other { section, block_type }
}

fn push(file: &mut File, bytes: Vec<u8>, item: Item) {
    file.items.push((file.bytes.len(), item));
    file.bytes.extend(bytes);
}

type Built = (Vec<u8>, Item, Option<Interface>);

/// Adds one more block to a section.
fn block(
    dice: &mut Dice,
    order: Order,
    section: u32,
    first: u32,
    body: &mut Vec<Built>,
    n_out_of_range: &mut u64,
) {
    let interfaces: Vec<&Interface> =
        body.iter().filter_map(|(_, _, found)| found.as_ref()).collect();
    let built = match dice.below(10) {
        0 | 1 => description(dice, order, section),
        2..=5 if !interfaces.is_empty() => stamped(dice, order, first, &interfaces),
        6 if !interfaces.is_empty() => simple(dice, order, first, interfaces[0].snap),
        7 => {
            // A packet of an interface that is not there, and no more comes after 0xffff.
            *n_out_of_range += 1;
            let fields = [0xffff, 0, 1, 0, 60].map(|n| order.u32(n)).concat();
            (order.block(6, fields), other(section, 6), None)
        }
        8 => {
            let fields = [order.u32(0), order.u32(0), order.u32(0)].concat();
            let options = [order.option(4, &order.u64(1000)), order.option(5, &order.u64(3))];
            (order.block(5, [fields, options.concat()].concat()), other(section, 5), None)
        }
        _ => {
            let kinds = [4, 9, 10, 0x0bad, 0x4000_0bad, 0x8000_0001, 77];
            let kind = kinds[dice.below(kinds.len() as u64) as usize];
            (order.block(kind, dice.bytes(40)), other(section, kind), None)
        }
    };
    body.push(built);
}

fn description(dice: &mut Dice, order: Order, section: u32) -> Built {
    let mut interface = Interface { base: 10, power: 6, offset: 0, snap: 0 };
    let mut options = order.option(2, b"eth0");
    if dice.below(2) == 1 {
        let powers = [(10, 0), (10, 3), (10, 6), (10, 9), (10, 12), (2, 10), (2, 20), (2, 32)];
        (interface.base, interface.power) = powers[dice.below(8) as usize];
        let byte = interface.power as u8 | if interface.base == 2 { 0x80 } else { 0 };
        options.extend(order.option(9, &[byte]));
    }
    if dice.below(3) == 0 {
        interface.offset = dice.below(1000) as i64 - 500;
        options.extend(order.option(14, &order.u64(interface.offset as u64)));
    }
    if dice.below(3) == 0 {
        interface.snap = 32 + dice.below(64) as u32;
    }
    options.extend([0; 4]);
    let body = [order.u16(1), order.u16(0), order.u32(interface.snap), options].concat();
    (order.block(1, body), other(section, 1), Some(interface))
}

fn stamped(dice: &mut Dice, order: Order, first: u32, interfaces: &[&Interface]) -> Built {
    let place = dice.below(interfaces.len() as u64) as u32;
    let ticks = dice.roll() >> dice.below(64);
    let (high, low) = ((ticks >> 32) as u32, ticks as u32);
    let frame = dice.bytes(70);
    let original_length = (frame.len() as u64 + dice.below(100)) as u32;
    let obsolete = dice.below(3) == 0;
    let drops = if obsolete { dice.roll() as u16 } else { 0 };
    let options = match dice.below(3) {
        0 => vec![],
        1 => [order.option(1, &dice.bytes(9)), order.option(2, &order.u32(2)), vec![0; 4]].concat(),
        _ => order.option(5, &order.u64(9)),
    };
    let head = match obsolete {
        true => [order.u16(place as u16), order.u16(drops)].concat(),
        false => order.u32(place),
    };
    let fields = [high, low, frame.len() as u32, original_length].map(|n| order.u32(n)).concat();
    let body = [head, fields, padded(frame.clone()), options.clone()].concat();
    let (time_ns, exact) = interfaces[place as usize].expect(ticks);
    let item = Item::Record {
        kind: if obsolete { BlockKind::Obsolete } else { BlockKind::Enhanced },
        interface: first + place,
        time_ns,
        raw_stamp: (!exact).then_some((high, low)),
        original_length,
        drops,
        options,
        frame,
    };
    (order.block(if obsolete { 2 } else { 6 }, body), item, None)
}

fn simple(dice: &mut Dice, order: Order, first: u32, snap: u32) -> Built {
    let mut frame = dice.bytes(120);
    let original_length = frame.len() as u32;
    if snap > 0 {
        frame.truncate(snap as usize);
    }
    let block = order.block(3, [order.u32(original_length), frame.clone()].concat());
    let item = Item::Record {
        kind: BlockKind::Simple,
        interface: first,
        time_ns: 0,
        raw_stamp: None,
        original_length,
        drops: 0,
        options: vec![],
        frame,
    };
    (block, item, None)
}

/// A classic pcap: either byte order, microseconds, nanoseconds or modified records.
pub(crate) fn pcap(seed: u64) -> File {
    let mut dice = Dice(seed);
    let order = Order { big: dice.below(2) == 1 };
    let (magic, per_fraction) =
        [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1), (0xa1b2_cd34, 1000)][dice.below(3) as usize];
    let mut file = File::default();
    let link = 1 | if dice.below(2) == 1 { 0x5400_0000 } else { 0 };
    file.bytes = [order.u32(magic), order.u16(2), order.u16(4), vec![0; 8]].concat();
    file.bytes.extend([order.u32(65535), order.u32(link)].concat());
    for _ in 0..dice.below(20) {
        let (seconds, fraction) = (dice.roll() as u32, dice.below(1_000_000) as u32);
        let frame = dice.bytes(70);
        let original_length = (frame.len() as u64 + dice.below(100)) as u32;
        let fields = [seconds, fraction, frame.len() as u32, original_length];
        let mut bytes = fields.map(|n| order.u32(n)).concat();
        if magic == 0xa1b2_cd34 {
            bytes.extend([0, 0, 0, 1, 8, 0, 4, 0]);
        }
        bytes.extend(&frame);
        let item = Item::Record {
            kind: BlockKind::Pcap,
            interface: 0,
            time_ns: i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * per_fraction,
            raw_stamp: None,
            original_length,
            drops: 0,
            options: vec![],
            frame,
        };
        push(&mut file, bytes, item);
    }
    file
}

/// Any of them.
pub(crate) fn any_file(seed: u64) -> File {
    if seed.is_multiple_of(3) { pcap(seed) } else { pcapng(seed) }
}
