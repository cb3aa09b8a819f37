//! The gate as a build uses it: recordings in, an exit code out. Never the statistics themselves: those are the library's tests.

use crate::{Place, capture};
use serde_json::Value;
use std::fs;

/// A place with folders of recordings: of the base, of one that answers half a millisecond later, of the base once more.
fn place(n: u32) -> Place {
    let place = Place::new();
    for (folder, service_us, first) in
        [("base", 3_000, 0), ("slow", 4_000, 100), ("again", 3_000, 200)]
    {
        fs::create_dir(place.path(folder)).unwrap();
        for number in 0..n {
            let name = |side: &str| format!("{folder}/{side}.pcap");
            let chance = first + number;
            fs::write(place.path(&name("client")), capture::paced(40, 64, 0, service_us, chance))
                .unwrap();
            fs::write(
                place.path(&name("server")),
                capture::paced(40, 63, 150_000, service_us, chance),
            )
            .unwrap();
            let [client, server] =
                ["client", "server"].map(|side| format!("{side}=eth0@{folder}/{side}.pcap"));
            let bundle = format!("{folder}/{number:02}.afterpath");
            place.ok(&[
                "import", "--host", "box", "--netns", &client, "--netns", &server, "-o", &bundle,
            ]);
        }
    }
    place
}

fn verdict(place: &Place, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = place.run(&[&["diff", "--json"], arguments].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    let first = said.lines().next().expect("a verdict");
    (output.status.code(), serde_json::from_str(first).unwrap())
}

#[test]
fn a_slower_build_fails_and_the_same_one_passes() {
    let place = place(5);
    let (code, said) = verdict(&place, &["base", "slow"]);
    assert_eq!((code, said["verdict"].as_str()), (Some(3), Some("regressed")), "{said}");
    assert_eq!(said["blamed"]["part"], "server", "{said}");
    assert_eq!([&said["n_base"], &said["n_candidate"]], [5, 5]);
    let (code, said) = verdict(&place, &["base", "again"]);
    assert_eq!((code, said["verdict"].as_str()), (Some(0), Some("passed")), "{said}");
    // What is too little to matter is the user's to say.
    let (code, _) = verdict(&place, &["base", "slow", "--floor-us", "2000"]);
    assert_eq!(code, Some(0));
    let text = String::from_utf8(place.run(&["diff", "base", "slow"]).stdout).unwrap();
    for words in ["verdict: regressed", "most likely: server", "users' requests", "+1.0"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Each by its name says the same as all of a folder.
    let named = |side: &str| {
        (0..5)
            .flat_map(|n| {
                [
                    format!("--{side}"),
                    format!("{}/{n:02}.afterpath", if side == "base" { "base" } else { "slow" }),
                ]
            })
            .collect::<Vec<_>>()
    };
    let arguments = [named("base"), named("candidate")].concat();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(verdict(&place, &arguments), verdict(&place, &["base", "slow"]));
}

#[test]
fn what_is_kept_of_a_recording_says_the_same_and_is_not_believed_when_altered() {
    let place = place(5);
    let of_bundles = verdict(&place, &["base", "slow"]);
    for folder in ["base", "slow"] {
        let kept = format!("{folder}-kept");
        fs::create_dir(place.path(&kept)).unwrap();
        for number in 0..5 {
            let from = place.path(&format!("{folder}/{number:02}.afterpath.analysis"));
            let to = place.path(&format!("{kept}/{number:02}"));
            fs::create_dir(&to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let file = entry.unwrap().path();
                if file.extension().is_some_and(|ending| ending == "run") {
                    fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
    }
    assert_eq!(verdict(&place, &["base-kept", "slow-kept"]), of_bundles);
    let folder = place.path("slow-kept/03");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes).unwrap();
    place.check(&["diff", "base-kept", "slow-kept"], 1, "error[bad-results]");
    fs::write(&file, &bytes[..40]).unwrap();
    place.check(&["diff", "base-kept", "slow-kept"], 1, "cut short");
}

#[test]
fn what_can_not_be_told_is_no_pass() {
    let place = place(1);
    place.check(&["diff", "base", "slow"], 4, "error[too-few]");
    place.check(&["diff", "base"], 2, "error[bad-sides]");
    place.check(&["diff", "base", "slow", "--base", "again"], 2, "error[bad-sides]");
    place.check(&["diff", "base", "slow", "--alpha", "2"], 2, "between 0 and 1");
    fs::create_dir(place.path("empty")).unwrap();
    place.check(&["diff", "base", "empty"], 1, "error[no-recording]");
    place.check(&["diff", "base", "nowhere"], 1, "nowhere");
}
