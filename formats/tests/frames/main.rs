//! Frame decoding against frames built by hand, against another decoder, and under damage. Never touches a file.

mod build;
mod damage;
mod oracle;
mod table;
