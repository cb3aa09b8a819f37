//! Capture files of every kind, generated: read whole, cut, damaged and compressed, and written back. Never touches a file.

mod classic;
mod compressed;
mod damage;
mod generate;
mod read;
mod round_trip;
mod stamps;
