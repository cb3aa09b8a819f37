//! Capture stamps: ticks of an interface's resolution to Unix nanoseconds and back. Never rounds silently: what
//! nanoseconds can't hold keeps its two raw halves.

const NS_PER_SECOND: i128 = 1_000_000_000;

/// How an interface counts time (pcapng `if_tsresol` and `if_tsoffset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    per_second: u64,
    offset_seconds: i64,
    /// Whole nanoseconds a tick lasts, where the offset is 0; else 0. Makes the common case one multiplication.
    ns_per_tick: u64,
}

impl Ticks {
    /// `per_second` ticks a second (`u64::MAX`: finer than 64 bits hold), counted from `offset_seconds` after 1970.
    pub fn new(per_second: u64, offset_seconds: i64) -> Self {
        let divides = per_second > 0 && 1_000_000_000 % per_second == 0;
        let ns_per_tick =
            if divides && offset_seconds == 0 { 1_000_000_000 / per_second } else { 0 };
        Ticks { per_second, offset_seconds, ns_per_tick }
    }

    /// Ticks per second that an `if_tsresol` byte means: a negative power of 10, or of 2 if its highest bit is set
    /// (draft-ietf-opsawg-pcapng, 4.2). `u64::MAX` where 64 bits can't hold it.
    pub fn per_second(tsresol: u8) -> u64 {
        let base: u64 = if tsresol & 0x80 != 0 { 2 } else { 10 };
        base.checked_pow(u32::from(tsresol & 0x7f)).unwrap_or(u64::MAX)
    }

    /// The `if_tsresol` byte of that many ticks per second, the opposite of [`Ticks::per_second`].
    pub fn resolution(per_second: u64) -> Option<u8> {
        let of_ten = (0..=19u8).find(|&power| Ticks::per_second(power) == per_second);
        let of_two =
            || per_second.is_power_of_two().then(|| 0x80 | per_second.trailing_zeros() as u8);
        of_ten.or_else(of_two)
    }

    /// Unix nanoseconds of a stamp, and its two halves if nanoseconds (rounded down, or clamped to what a signed 64-bit
    /// count holds) are not exactly it.
    #[inline]
    pub fn to_ns(self, high: u32, low: u32) -> (i64, Option<(u32, u32)>) {
        let ticks = (u64::from(high) << 32) | u64::from(low);
        match ticks.checked_mul(self.ns_per_tick).map(i64::try_from) {
            Some(Ok(ns)) if self.ns_per_tick > 0 => (ns, None),
            _ => self.to_ns_slowly(ticks, (high, low)),
        }
    }

    fn to_ns_slowly(self, ticks: u64, halves: (u32, u32)) -> (i64, Option<(u32, u32)>) {
        let offset = i128::from(self.offset_seconds) * NS_PER_SECOND;
        if self.is_beyond_reach() {
            // All 2^64 ticks are less than a second.
            return (clamp(offset), Some(halves));
        }
        let scaled = i128::from(ticks) * NS_PER_SECOND;
        let ns = offset + scaled / i128::from(self.per_second);
        let exact = scaled % i128::from(self.per_second) == 0 && i64::try_from(ns).is_ok();
        (clamp(ns), (!exact).then_some(halves))
    }

    /// The two halves of the stamp of `ns` Unix nanoseconds, rounded down to a tick. None if it can't be written: before
    /// the offset, or past 64 bits of ticks.
    pub fn from_ns(self, ns: i64) -> Option<(u32, u32)> {
        if self.is_beyond_reach() {
            return None;
        }
        let since = i128::from(ns) - i128::from(self.offset_seconds) * NS_PER_SECOND;
        // Both factors are below 2^94 and 2^64: the product may pass 2^127.
        let scaled = since.checked_mul(i128::from(self.per_second))?;
        let ticks = u64::try_from(scaled.div_euclid(NS_PER_SECOND)).ok()?;
        Some(((ticks >> 32) as u32, ticks as u32))
    }

    fn is_beyond_reach(self) -> bool {
        self.per_second == u64::MAX || self.per_second == 0
    }
}

fn clamp(ns: i128) -> i64 {
    ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
