//! The bundle as files: its manifest, its names, opening, verifying and packing it. Never decodes a frame.

pub(crate) mod blob;
pub(crate) mod cross_check;
mod flow_bounds;
mod fragment_rows;
pub mod manifest;
pub(crate) mod map;
pub mod names;
mod near_rows;
pub mod open;
pub mod pack;
pub mod packet_file;
pub(crate) mod plain_column;
pub(crate) mod plain_packets;
mod rows;
mod snapshot;
pub(crate) mod source;
pub(crate) mod table_file;
mod tar_index;
mod told;
mod unknown_points;
mod unsettled;
pub mod verify;
pub(crate) mod write;

pub use open::{Bundles, Domain, Host, Interface, Loss};
pub use pack::pack;
pub use packet_file::{PacketFile, PacketReader};
pub use verify::{Verification, verify};
