//! Bundles that are damaged, or given twice: what every later command says of it, also from stored results.

use crate::Place;
use std::fs;
use std::path::PathBuf;

/// The first packets file of a bundle.
fn packets_file(place: &Place, bundle: &str) -> PathBuf {
    let folder = place.path(bundle).join("packets");
    let host = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    fs::read_dir(host).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_missing_file_is_a_loss_until_it_is_back() {
    let place = Place::with_bundle();
    let whole = place.ok(&["analyze", "b.afterpath"]);
    assert!(whole.contains("nothing was lost"), "{whole}");
    let file = packets_file(&place, "b.afterpath");
    fs::rename(&file, place.path("aside")).unwrap();

    let text = place.ok(&["analyze", "b.afterpath"]);
    assert!(!text.contains("nothing was lost"), "{text}");
    assert!(text.contains("1  damaged: missing-file  b.afterpath/packets/host="), "{text}");
    let json = place.ok(&["analyze", "b.afterpath", "--json"]);
    let loss: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(loss["schema"], "afterpath.losses/1");
    assert_eq!(
        (&loss["cause"], loss["count"].as_u64()),
        (&"damaged: missing-file".into(), Some(1))
    );
    // Neither the results alone nor another way to the bundle tell it differently.
    assert_eq!(place.ok(&["analyze", "b.afterpath.analysis"]), text);
    assert_eq!(place.ok(&["analyze", place.path("b.afterpath").to_str().unwrap()]), text);
    let strict = "error[strict]: 1 warning and 0 kinds of loss";
    place.check(&["analyze", "b.afterpath", "--strict"], 1, strict);
    place.check(&["analyze", "b.afterpath.analysis", "--strict"], 1, strict);

    fs::rename(place.path("aside"), &file).unwrap();
    assert_eq!(place.ok(&["analyze", "b.afterpath"]), whole);
}

#[test]
fn the_same_bundle_twice_is_read_once() {
    let place = Place::with_bundle();
    place.ok(&["pack", "b.afterpath", "-o", "b.tar"]);
    let once = place.ok(&["analyze", "b.afterpath"]);
    for again in ["b.afterpath", "b.tar", "./b.afterpath/"] {
        let output = place.run(&["analyze", "b.afterpath", again]);
        let said = String::from_utf8(output.stderr).unwrap();
        let wanted = format!(
            "warning[same-bundle]: {again} is the same recording as b.afterpath; it is read once\n"
        );
        assert_eq!((said, String::from_utf8(output.stdout).unwrap()), (wanted, once.clone()));
    }
    place.ok(&["import", "server.pcap", "-o", "other.afterpath"]);
    let both = place.run(&["analyze", "b.afterpath", "other.afterpath"]);
    assert!(both.status.success());
    assert!(!String::from_utf8(both.stderr).unwrap().contains("same-bundle"));
    assert_ne!(String::from_utf8(both.stdout).unwrap(), once);
}
