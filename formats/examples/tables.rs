//! Prints the tables of the format as they stand in `README.md`; a test compares the two. Never writes the file itself.
#![allow(clippy::print_stdout, reason = "it is printed")]

use afterpath_formats::table::{TABLES, markdown};

fn main() {
    TABLES.iter().for_each(|table| print!("{}", markdown(table)));
}
