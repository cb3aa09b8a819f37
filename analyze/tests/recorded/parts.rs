//! Packets of one host in several files are the packets of that host.

use crate::bundle::split_packets;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use std::path::Path;
use std::process::Command;

#[test]
fn packets_in_three_parts_are_the_same_packets() {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    for sample in std::fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()) {
        let packed = sample.join("bundle.afterpath.tar");
        if !packed.exists() {
            continue;
        }
        let place = folder.path().join(sample.file_name().unwrap());
        std::fs::create_dir(&place).unwrap();
        let unpacked =
            Command::new("tar").args(["-xf"]).arg(&packed).arg("-C").arg(&place).status();
        assert!(unpacked.unwrap().success());
        let whole = Bundles::open(std::slice::from_ref(&place)).unwrap();
        let n_files = whole.packet_files.len();
        let whole = analyze(&whole, &Config::default());
        assert!(whole.calls.len() > 10);
        split_packets(&place, 3);
        let split = Bundles::open(&[place]).unwrap();
        assert_eq!(split.packet_files.len(), n_files + 2, "one of them in three");
        assert!(analyze(&split, &Config::default()) == whole);
    }
}
