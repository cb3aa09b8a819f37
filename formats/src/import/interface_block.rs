//! The two pcapng blocks that tell of interfaces: description and statistics (draft-ietf-opsawg-pcapng, 4.2 and 4.6).
//! Never fails on an option: what can't be read of it is as if not given.

use super::chunk::CaptureInterface;
use super::options::{Options, u16_of, u32_of, u64_of, u64_value};
use super::ticks::Ticks;
use crate::frame::LinkType;

const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const TIMESTAMP_RESOLUTION: u16 = 9;
const TIMESTAMP_OFFSET: u16 = 14;
const RECEIVED: u16 = 4;
const DROPPED_BY_INTERFACE: u16 = 5;
const DROPPED_BY_SYSTEM: u16 = 7;

/// Reads the body of an interface description block, as of section 0; none if it is too short to be one.
pub(crate) fn description(body: &[u8], big_endian: bool) -> Option<CaptureInterface> {
    let (fixed, options) = body.split_first_chunk::<8>()?;
    let number = u16_of([fixed[0], fixed[1]], big_endian);
    let mut interface = CaptureInterface {
        section: 0,
        name: String::new(),
        description: String::new(),
        link_type: LinkType::from_number(number),
        link_type_number: number,
        snap_length: u32_of([fixed[4], fixed[5], fixed[6], fixed[7]], big_endian),
        ticks_per_second: 1_000_000,
        offset_seconds: 0,
        received: None,
        dropped: None,
    };
    for (code, value) in Options::new(options, big_endian) {
        match (code, value) {
            (NAME, name) => interface.name = String::from_utf8_lossy(name).into_owned(),
            (DESCRIPTION, text) => {
                interface.description = String::from_utf8_lossy(text).into_owned();
            }
            (TIMESTAMP_RESOLUTION, &[resolution]) => {
                interface.ticks_per_second = Ticks::per_second(resolution);
            }
            (TIMESTAMP_OFFSET, value) => {
                if let Ok(bytes) = value.try_into() {
                    interface.offset_seconds = u64_of(bytes, big_endian) as i64;
                }
            }
            _ => {}
        }
    }
    Some(interface)
}

/// What an interface statistics block says.
pub(super) struct Statistics {
    /// The interface's number in its section.
    pub(super) interface: u32,
    pub(super) received: Option<u64>,
    /// By the interface and by the system together.
    pub(super) dropped: Option<u64>,
}

/// Reads the body of an interface statistics block; none if it is too short to be one.
pub(super) fn statistics(body: &[u8], big_endian: bool) -> Option<Statistics> {
    let (fixed, options) = body.split_first_chunk::<12>()?;
    let interface = u32_of([fixed[0], fixed[1], fixed[2], fixed[3]], big_endian);
    let mut statistics = Statistics { interface, received: None, dropped: None };
    for (code, value) in Options::new(options, big_endian) {
        let Some(count) = u64_value(value, big_endian) else { continue };
        match code {
            RECEIVED => statistics.received = Some(count),
            DROPPED_BY_INTERFACE | DROPPED_BY_SYSTEM => {
                let so_far = statistics.dropped.unwrap_or(0);
                statistics.dropped = Some(so_far.saturating_add(count));
            }
            _ => {}
        }
    }
    Some(statistics)
}
