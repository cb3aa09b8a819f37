//! Damaged, foreign and hostile bundles: each gives its own named error or warning, and what can be used is used.

use afterpath_formats::bundle::{Bundles, pack, verify};
use afterpath_formats::import::{ImportPlan, Word, import};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "made/bundles.rs"]
mod bundles;
mod made;
use bundles::{bundle, table};
use made::{Scratch, frames, pcap, plan};

/// Damages one file: opening warns (or not) with `opened`, verifying finds `verified`, and `n_packets` can still be read.
fn check(
    of: &str,
    host: &str,
    damage: impl Fn(&Path),
    opened: &[&str],
    verified: &[&str],
    n_packets: usize,
) {
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    damage(&table(&bundle, of, host));
    let bundles = Bundles::open(std::slice::from_ref(&bundle)).expect("openable");
    let names = |errors: &[afterpath_formats::Error]| {
        errors.iter().map(|error| error.kind.name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&bundles.warnings), opened, "{of}");
    assert_eq!(names(&verify(&bundle).expect("verifiable").problems), verified, "{of}");
    let mut n_read = 0;
    for file in &bundles.packet_files {
        for batch in file.read(0..u64::MAX) {
            n_read += batch.map_or(0, |batch| {
                (0..batch.len()).filter(|row| batch.packet(*row).time_ns > 0).count()
            });
        }
    }
    assert_eq!(n_read, n_packets, "{of}");
}

fn cut(path: &Path) {
    let bytes = fs::read(path).expect("readable");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("writable");
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("removable");
}

fn flip_footer(path: &Path) {
    let mut bytes = fs::read(path).expect("readable");
    let at = bytes.len() - 40;
    bytes[at..].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(path, bytes).expect("writable");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let linked = |path: &Path| {
        let elsewhere = path.with_extension("moved");
        fs::rename(path, &elsewhere).expect("movable");
        std::os::unix::fs::symlink(elsewhere, path).expect("linkable");
    };
    check("packets", "a", linked, &["not-plain"], &["unlisted-file", "not-plain"], 1000);
    check(
        "packets",
        "a",
        |path| linked(path.parent().expect("a folder")),
        &["not-plain"],
        &["unlisted-file", "unlisted-file", "not-plain"],
        1000,
    );
}

#[test]
fn damaged_tables_are_named_and_the_rest_is_used() {
    check("packets", "a", |_| (), &[], &[], 3000);
    check("packets", "a", remove, &["missing-file"], &["missing-file"], 1000);
    check("packets", "a", cut, &["altered-file"], &["altered-file"], 1000);
    check("packets", "b", flip_footer, &["bad-parquet"], &["altered-file"], 2000);
    check("interfaces", "a", remove, &["missing-file"], &["missing-file"], 3000);
    check("losses", "b", cut, &["altered-file"], &["altered-file"], 3000);
    let foreign = |path: &Path| {
        let other = path.to_string_lossy().replace("packets", "losses");
        fs::copy(other, path).expect("copied");
    };
    check("packets", "a", foreign, &["altered-file"], &["altered-file"], 1000);
}

#[test]
fn any_altered_byte_of_packets_is_found_and_none_is_a_panic() {
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    let path = table(&bundle, "packets", "a");
    let bytes = fs::read(&path).expect("readable");
    for at in (0..bytes.len()).step_by(bytes.len() / 150) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x81;
        fs::write(&path, &damaged).expect("writable");
        let found = verify(&bundle).expect("verifiable");
        assert_eq!(
            found.problems.first().map(|problem| problem.kind.name()),
            Some("altered-file"),
            "{at}"
        );
        let bundles = Bundles::open(std::slice::from_ref(&bundle)).expect("openable");
        for file in &bundles.packet_files {
            // Cuts may fail, and rows may be wrong or fewer: nothing of it is a panic.
            let _ = file.flow_cuts(100);
            for batch in file.read(0..file.n_rows()).flatten() {
                let n_bytes = |row| batch.packet(row).payload.len();
                assert!((0..batch.len()).map(n_bytes).sum::<usize>() < usize::MAX);
            }
        }
    }
}

#[test]
fn manifests_decide_whether_it_is_a_bundle() {
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    let manifest = bundle.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("readable");
    let opened = |text: &str| {
        fs::write(&manifest, text).expect("writable");
        Bundles::open(std::slice::from_ref(&bundle))
            .map(|bundles| bundles.warnings.len())
            .map_err(|error| error.kind.name())
    };
    assert_eq!(opened(&text), Ok(0));
    assert_eq!(opened(&text.replace("\"0.1\"", "\"0.2\"")), Err("newer-bundle"));
    assert_eq!(opened(&text.replace("\"0.1\"", "\"2.0\"")), Err("newer-bundle"));
    assert_eq!(opened(&text.replace("packets/host", "../packets/host")), Err("bad-manifest"));
    assert_eq!(opened(&text.replace("\"table\": \"losses\"", "\"table\": \"omens\"")), Ok(2));
    assert_eq!(opened("{}"), Err("bad-manifest"));
    fs::remove_file(&manifest).expect("removable");
    assert_eq!(
        Bundles::open(&[bundle]).map(|_| ()).map_err(|error| error.kind.name()),
        Err("not-a-bundle")
    );
}

/// Entries in a tar give these files' fate: the result of opening, or how many warnings.
fn check_tar(entries: &[(&str, tar::EntryType, &[u8])], expected: Result<usize, &str>) {
    let scratch = Scratch::new();
    let mut bytes = Vec::new();
    for (name, kind, contents) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(contents.len() as u64);
        header.set_entry_type(*kind);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(contents);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    let path = scratch.write("x.tar", &bytes);
    let opened = Bundles::open(&[path]).map(|bundles| bundles.warnings.len());
    assert_eq!(opened.map_err(|error| error.kind.name()), expected);
}

#[test]
fn hostile_tars_are_harmless() {
    use tar::EntryType::{Regular, Symlink};
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    let whole = fs::read(bundle.join("manifest.json")).expect("readable");
    let empty = br#"{"format_version":"0.1","writer":"t","seal":"sealed","domains":[],"hosts":[],"files":[],"reductions":[],"losses":[]}"#;
    check_tar(&[("manifest.json", Regular, empty)], Ok(0));
    check_tar(&[("x.afterpath/manifest.json", Regular, empty)], Ok(0));
    check_tar(&[("manifest.json", Regular, empty), ("../../etc/x", Regular, b"")], Ok(1));
    check_tar(&[("manifest.json", Regular, empty), ("/etc/x", Regular, b"")], Ok(1));
    check_tar(&[("manifest.json", Regular, empty), ("link", Symlink, b"")], Ok(1));
    check_tar(&[("manifest.json", Symlink, b"")], Err("not-a-bundle"));
    check_tar(&[("manifest.json", Regular, &whole)], Ok(12));
    check_tar(&[("manifest.json", Regular, empty), ("manifest.json", Regular, b"{}")], Ok(1));
}

#[test]
fn packs_are_reproducible_and_cut_ones_still_open() {
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    let (one, two) = (scratch.path("1.tar"), scratch.path("2.tar"));
    pack(&bundle, &one, false).expect("packable");
    pack(&one, &two, false).expect("a pack is a bundle");
    let bytes = fs::read(&one).expect("readable");
    assert_eq!(bytes, fs::read(&two).expect("readable"));
    assert_eq!(pack(&bundle, &two, false).map_err(|error| error.kind.name()), Err("output-exists"));
    assert!(verify(&one).expect("verifiable").is_whole());
    let manifest_end =
        bytes.windows(5).position(|window| window == b"ustar").expect("a header") + 512;
    for length in (manifest_end + 8192..bytes.len()).step_by(bytes.len() / 40) {
        let cut = scratch.write("cut.tar", &bytes[..length]);
        assert!(
            !Bundles::open(std::slice::from_ref(&cut)).expect("openable").warnings.is_empty(),
            "{length}"
        );
        assert!(!verify(&cut).expect("verifiable").is_whole(), "{length}");
    }
    let packed = zstd::encode_all(&bytes[..], 1).expect("compressible");
    let zst = scratch.write("1.tar.zst", &packed);
    let bundles = Bundles::open(&[zst]).expect("openable");
    assert_eq!(
        bundles.warnings.iter().map(|note| note.kind.name()).collect::<Vec<_>>(),
        ["compressed-bundle"]
    );
    assert_eq!(bundles.packet_files.iter().map(|file| file.n_rows()).sum::<u64>(), 3000);
}

#[test]
fn damaged_captures_leave_what_was_whole_and_nothing_when_nothing_was() {
    let scratch = Scratch::new();
    let bytes = pcap(&frames(500, 1));
    let cut = scratch.write("cut.pcap", &bytes[..bytes.len() - 3]);
    let junk = scratch.write("junk.pcap", b"no capture at all, only words that go on for a while");
    let output = scratch.path("x.afterpath");
    let summary =
        import(&plan(&[cut.clone(), junk.clone()], &output), &|_| ()).expect("half is usable");
    let names: Vec<_> = summary.warnings.iter().map(|warning| warning.kind.name()).collect();
    assert_eq!((summary.n_packets, names), (499, vec!["truncated-capture", "not-a-capture"]));
    let bundles = Bundles::open(std::slice::from_ref(&output)).expect("openable");
    let causes: Vec<_> = bundles.losses.iter().map(|loss| loss.row.cause.as_str()).collect();
    assert!(
        causes.contains(&"truncated-capture") && causes.contains(&"not-a-capture"),
        "{causes:?}"
    );
    let import_of = |files: &[PathBuf], force| {
        let plan = ImportPlan { force, ..plan(files, &output) };
        import(&plan, &|_| ()).map(|summary| summary.n_packets).map_err(|error| error.kind.name())
    };
    assert_eq!(import_of(std::slice::from_ref(&cut), false), Err("output-exists"));
    assert_eq!(import_of(std::slice::from_ref(&junk), true), Err("not-a-capture"));
    assert_eq!(import_of(&[scratch.path("none.pcap")], true), Err("io"));
    assert_eq!(Bundles::open(std::slice::from_ref(&output)).expect("still there").hosts.len(), 2);
    assert_eq!(import_of(std::slice::from_ref(&cut), true), Ok(499));
    assert_eq!(import_of(&[cut.clone(), cut], true), Err("bad-arguments"));
    let no_bundle = ImportPlan { output: scratch.path("."), force: true, ..plan(&[junk], &output) };
    assert!(import(&no_bundle, &|_| ()).is_err());
    let left: Vec<_> = fs::read_dir(scratch.path(""))
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn hosts_namespaces_and_clocks_are_as_told() {
    let scratch = Scratch::new();
    let file =
        |name: &str, seed| scratch.write(name, &pcap(&frames(50, seed))).display().to_string();
    let (a, b, c) = (file("a/eth.pcap", 1), file("b/eth.pcap", 2), file("c.pcap", 3));
    let shape = |words: &[Word], same_clock, clock_per_interface| {
        let plan = ImportPlan::parse(words, scratch.path("x.afterpath")).expect("a plan");
        let plan = ImportPlan { force: true, same_clock, clock_per_interface, ..plan };
        import(&plan, &|_| ()).expect("importable");
        let bundles = Bundles::open(&[plan.output]).expect("openable");
        let interface = |i: &afterpath_formats::bundle::Interface| {
            let host = &bundles.hosts[i.host as usize].name;
            let domain = &bundles.domains[i.domain.0 as usize].name;
            format!("{host}:{}:{}@{domain}", i.netns.as_deref().unwrap_or(""), i.name)
        };
        bundles.interfaces.iter().map(interface).collect::<Vec<_>>().join(" ")
    };
    let bare = |path: &String| Word::File(path.into());
    assert_eq!(
        shape(&[bare(&a), bare(&b), bare(&c)], false, false),
        "a/eth::eth@a/eth b/eth::eth@b/eth c::c@c"
    );
    assert_eq!(shape(&[bare(&a), bare(&c)], true, false), "eth::eth@shared c::c@shared");
    let words = [
        Word::Host("box".into()),
        Word::Netns(format!("gw=lo@{a}")),
        Word::Netns(format!("pod={c}")),
    ];
    assert_eq!(shape(&words, false, false), "box:gw:lo@box box:pod:c@box");
    assert_eq!(shape(&words, false, true), "box:gw:lo@box/gw/lo box:pod:c@box/pod/c");
    let one = |name: &str| scratch.path(name).display().to_string();
    scratch.write("r1.pcap", &pcap(&frames(100, 5)[..50]));
    scratch.write("r2.pcap", &pcap(&frames(100, 5)[50..]));
    let rotated = Word::Host(format!("gw7={},{}", one("r1.pcap"), one("r2.pcap")));
    assert_eq!(shape(&[rotated], false, false), "gw7::r1@gw7");
}

#[test]
fn tables_not_used_are_compared_all_the_same() {
    check("clock", "a", cut, &["altered-file"], &["altered-file"], 3000);
    check("hosts", "b", remove, &["missing-file"], &["missing-file"], 3000);
    check("capture_blocks", "a", cut, &["altered-file"], &["altered-file"], 3000);
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    remove(&table(&bundle, "clock", "b"));
    let bundles = Bundles::open(&[bundle]).expect("openable");
    let path = bundles.warnings[0].path.display().to_string();
    assert!(path.contains("/clock/host=b-") && path.ends_with("/part-00000.parquet"), "{path}");
}

#[test]
fn what_is_no_bundle_is_told_what_it_is() {
    let scratch = Scratch::new();
    let capture = pcap(&frames(100, 1));
    let gzip = |bytes: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    let open = |name: &str, bytes: &[u8]| {
        let path = scratch.write(name, bytes);
        Bundles::open(&[path]).map(|bundles| bundles.warnings.len()).map_err(|e| e.kind.name())
    };
    assert_eq!(open("a.pcap", &capture), Err("is-a-capture"));
    assert_eq!(open("a.pcap.gz", &gzip(&capture)), Err("is-a-capture"));
    assert_eq!(open("a.txt", b"hello"), Err("not-a-bundle"));
    let (bundle, packed) = (bundle(&scratch), scratch.path("b.tar"));
    pack(&bundle, &packed, false).expect("packable");
    assert_eq!(open("b.tar.gz", &gzip(&fs::read(&packed).expect("readable"))), Ok(1));
    let broken = &gzip(&fs::read(&packed).expect("readable"))[..5000];
    assert_eq!(open("c.tar.gz", broken), Err("bad-compression"));
}

#[test]
fn a_damaged_tar_header_costs_its_file_alone() {
    let scratch = Scratch::new();
    let (bundle, packed) = (bundle(&scratch), scratch.path("b.tar"));
    pack(&bundle, &packed, false).expect("packable");
    let whole = fs::read(&packed).expect("readable");
    let headers: Vec<usize> =
        (0..whole.len()).step_by(512).filter(|at| &whole[at + 257..at + 262] == b"ustar").collect();
    assert!(headers.len() > 12);
    for at in &headers[1..] {
        for bit in [0, 5, 124 * 8 + 3, 136 * 8 + 1, 148 * 8 + 2, 257 * 8] {
            let mut bytes = whole.clone();
            bytes[at + bit / 8] ^= 1 << (bit % 8);
            let path = scratch.write("damaged.tar", &bytes);
            let bundles = Bundles::open(std::slice::from_ref(&path)).expect("openable");
            let names: Vec<_> = bundles.warnings.iter().map(|w| w.kind.name()).collect();
            assert_eq!(names[..2], ["damaged-tar", "missing-file"], "{at} {bit}");
            assert_eq!(names.len(), 2);
            assert!(!verify(&path).expect("verifiable").is_whole());
        }
    }
    let mut bytes = whole.clone();
    bytes[3] ^= 1;
    let path = scratch.write("damaged.tar", &bytes);
    assert_eq!(Bundles::open(&[path]).map(|_| ()).map_err(|e| e.kind.name()), Err("not-a-bundle"));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_bundle_and_nobody_waits() {
    let scratch = Scratch::new();
    let path = scratch.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
    assert!(made.success());
    assert_eq!(verify(&path).map(|_| ()).map_err(|error| error.kind.name()), Err("not-a-bundle"));
}
