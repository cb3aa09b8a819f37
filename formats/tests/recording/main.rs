//! Recordings: what was synced is there after a kill, a cut, a full disk; nothing comes out that did not go in.

mod cuts;
mod disk_full;
mod killed;
mod made;
mod ring;
mod sealed;
mod steps;
mod while_writing;
