//! The committed eBPF objects are those that their sources give: built again, compared byte by byte. Never leaves anything in the
//! checkout.

use afterpath_tests::checkout::root;
use afterpath_tests::tool;
use std::path::PathBuf;
use std::process::Command;

fn objects() -> Vec<PathBuf> {
    let probes = root().join("capture/src/probes");
    let folders = std::fs::read_dir(probes).expect("the probes").flatten();
    let sources = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten());
    let paths = sources.flatten().map(|file| file.path());
    let mut objects: Vec<PathBuf> = paths
        .filter(|path| path.to_string_lossy().ends_with(".bpf.c"))
        .map(|path| path.with_extension("o"))
        .collect();
    objects.sort();
    objects
}

#[test]
fn committed_objects_are_what_their_sources_give() {
    let what = "rebuilding the eBPF objects";
    if !tool::usable("clang-19", what) || !tool::usable("llvm-strip-19", what) {
        return;
    }
    let objects = objects();
    assert!(objects.len() >= 2, "{objects:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let build = root().join("capture/build-probes");
    let status = Command::new(build).arg(folder.path()).status().expect("the script starts");
    assert!(status.success());
    for object in objects {
        let built = folder.path().join(object.file_name().expect("a name"));
        let (built, committed) = (std::fs::read(built).expect("built"), std::fs::read(&object));
        let committed = committed.unwrap_or_default();
        assert!(
            built == committed,
            "{} is not what its source gives: run capture/build-probes",
            object.display()
        );
    }
}
