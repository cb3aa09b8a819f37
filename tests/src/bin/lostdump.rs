//! Temporary.
#![allow(clippy::print_stdout, reason = "temporary")]
use afterpath_formats::bundle::Bundles;
use afterpath_tests::truth::Truth;
use std::path::PathBuf;
fn main() -> anyhow::Result<()> {
    for dir in std::env::args().skip(1) {
        let dir = PathBuf::from(dir);
        let bundle = ["box.afterpath", "X.ap"]
            .iter()
            .map(|n| dir.join(n))
            .find(|p| p.exists())
            .unwrap_or(dir.clone());
        let bundles = Bundles::open(&[bundle])?;
        let begin = std::time::Instant::now();
        let a = afterpath::pipeline::analyze(&bundles, &afterpath_tests::score::MASKED);
        println!(
            "== {} {:?} flows {} calls {}",
            dir.display(),
            begin.elapsed(),
            a.flows.len(),
            a.calls.len()
        );
        for l in &a.losses {
            if l.place == "lost" {
                println!("  {l:?}");
            }
        }
        if dir.join("truth.json").exists() {
            let truth = Truth::read(&dir);
            let s = afterpath_tests::score::score(&a, &truth);
            println!("  {}", s.losses.as_ref().map_or("-".to_string(), |l| l.to_string()));
            for m in s.losses.iter().flat_map(|l| &l.missed) {
                println!("   missed {m}");
            }
        }
        let mut tally = std::collections::BTreeMap::<String, (usize, String)>::new();
        let label = |f: u32| a.points[a.flows[f as usize].point as usize].label();
        for l in &a.lost_packets {
            let f = &a.flows[l.from as usize];
            let line = format!(
                "{:?} {} → {} [{}] len {}",
                l.fate,
                label(l.from),
                l.to.map_or("-".into(), label),
                l.reason,
                if l.length == 0 {
                    "0"
                } else if l.length == 1 {
                    "1"
                } else {
                    "n"
                }
            );
            let e = tally.entry(line).or_default();
            e.0 += 1;
            e.1 = format!(
                "{:?} {}->{} seq {} len {} rep {:?} slowed {:?} at {}",
                l.sender,
                f.client,
                f.server,
                l.sequence,
                l.length,
                l.repaired_ns,
                l.slowed.len(),
                l.at_ns
            );
            if std::env::var("V").is_ok() {
                println!(
                    "    {:?} {} → {} {} [{}]",
                    l.fate,
                    label(l.from),
                    l.to.map_or("-".into(), label),
                    e.1,
                    l.reason
                );
            }
        }
        for (k, (n, last)) in tally {
            println!("  {n:4} {k}   e.g. {last}");
        }
    }
    Ok(())
}
