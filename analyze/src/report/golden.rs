//! Golden tests: every report over every sample as readable text under `tests/golden/`. `AFTERPATH_BLESS=1` writes them
//! anew; a difference is shown with its first line.

#![allow(clippy::disallowed_methods, reason = "goldens are files")]

use super::{Moment, Options, REPORTS, sample};
use crate::analysis::Analysis;
use std::path::PathBuf;

fn check(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("AFTERPATH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; AFTERPATH_BLESS=1 writes it", path.display()));
    for (n, (got, wanted)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, wanted, "{file}, line {}; AFTERPATH_BLESS=1 accepts it", n + 1);
    }
    assert_eq!(text, expected, "{file} differs in length; AFTERPATH_BLESS=1 accepts it");
}

fn options(columns: usize) -> Options {
    Options {
        width: columns,
        trace: "3f9c21aa04b7d100".into(),
        moment: Some(Moment::AfterStart(230_000_000)),
        ..Options::default()
    }
}

fn text(analysis: &Analysis, report: &super::Report, options: &Options) -> String {
    let mut out = Vec::new();
    (report.write)(analysis, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_report_over_every_sample() {
    for (sample, analysis) in [
        ("shop", sample::shop()),
        ("two-clocks", sample::two_clocks()),
        ("recorded", sample::recorded()),
    ] {
        for report in REPORTS {
            if report.name == "calls" {
                continue; // JSON only: below
            }
            check(
                &format!("{}-{sample}.txt", report.name),
                &text(&analysis, report, &options(100)),
            );
        }
    }
}

#[test]
fn json_of_every_report() {
    for report in REPORTS {
        let json = text(&sample::shop(), report, &Options { json: true, ..options(100) });
        for line in json.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(
                value["schema"].as_str().is_some_and(|s| s.starts_with("afterpath.")),
                "{line}"
            );
        }
        check(&format!("{}-shop.jsonl", report.name), &json);
    }
}

#[test]
fn a_waterfall_narrow_in_ascii_and_in_colour() {
    let trace = super::named("trace").unwrap();
    let shop = sample::shop();
    let narrow = Options { ascii: true, verbose: true, ..options(80) };
    let ascii = text(&shop, trace, &narrow);
    assert!(ascii.is_ascii());
    check("trace-shop-80-ascii-verbose.txt", &ascii);
    check("trace-shop-80.txt", &text(&shop, trace, &options(80)));
    let colour = text(&shop, trace, &Options { colour: true, ..options(100) });
    let plain = colour.replace("\x1b[33;1m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
    assert_eq!(plain, text(&shop, trace, &options(100)), "colour changes nothing but colour");
    check("traces-shop-80.txt", &text(&shop, super::named("traces").unwrap(), &options(80)));
}

/// `analysis` with everything that has a name called by a long one, and a chain of calls as deep as they are many.
fn stretched(mut analysis: Analysis) -> Analysis {
    let long = "a-very-long-name-without-an-end/日本語/".repeat(4);
    for (i, call) in analysis.calls.iter_mut().enumerate() {
        for field in
            [&mut call.resource, &mut call.status, &mut call.protocol, &mut call.request_type]
        {
            field.push_str(&long);
        }
        call.server.netns = format!("{i}{long}");
        call.ids = vec![(long.clone(), long.clone())];
        if let Some(link) = call.link.as_mut().filter(|_| i > 0) {
            link.parent = i as u32 - 1;
            link.evidence = vec![long.clone(); 3];
        }
    }
    analysis.points.iter_mut().for_each(|p| p.interface.push_str(&long));
    analysis.losses.iter_mut().for_each(|l| l.place = long.clone());
    analysis
}

#[test]
fn no_line_is_wider_than_asked() {
    let samples = [sample::shop(), sample::two_clocks()];
    let stretched = samples.clone().map(stretched);
    for (i, analysis) in samples.into_iter().chain(stretched).enumerate() {
        for report in REPORTS.iter().filter(|report| report.name != "calls") {
            for (columns, ascii, verbose) in
                [40, 60, 80, 120, 1000].into_iter().flat_map(|columns| {
                    [(columns, false, false), (columns, true, false), (columns, false, true)]
                })
            {
                let options = Options { ascii, verbose, ..options(columns) };
                let plain = text(&analysis, report, &options);
                for line in plain.lines() {
                    let wide = super::harmless::width(line);
                    assert!(wide <= columns, "{} of {i}: {wide} > {columns}: {line}", report.name);
                }
                let colour = text(&analysis, report, &Options { colour: true, ..options });
                let bare = ["\x1b[33;1m", "\x1b[31m", "\x1b[0m"]
                    .iter()
                    .fold(colour, |t, c| t.replace(c, ""));
                let same = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect();
                let (bare, plain): (Vec<String>, Vec<String>) = (same(&bare), same(&plain));
                assert_eq!(
                    bare, plain,
                    "{} of {i}: colour changes nothing but colour",
                    report.name
                );
            }
        }
    }
}

#[test]
fn lists_and_a_waterfall_in_sixty_columns() {
    for name in ["traces", "hops", "services", "explain", "analyze", "trace"] {
        let report = super::named(name).unwrap();
        check(&format!("{name}-shop-60.txt"), &text(&sample::shop(), report, &options(60)));
    }
}

#[test]
fn nothing_from_the_network_reaches_the_terminal_as_it_came() {
    let mut hostile = sample::shop();
    let evil = "\x1b]0;x\x07\u{9b}2J\u{202e}\r\n\u{2028}".to_owned();
    for call in &mut hostile.calls {
        for field in
            [&mut call.resource, &mut call.status, &mut call.protocol, &mut call.request_type]
        {
            *field = evil.clone();
        }
        call.server.netns = evil.clone();
        call.ids = vec![(evil.clone(), evil.clone())];
        call.link.iter_mut().for_each(|l| l.evidence = vec![evil.clone()]);
    }
    hostile.points.iter_mut().for_each(|p| p.interface = evil.clone());
    hostile.losses.iter_mut().for_each(|l| l.place = evil.clone());
    for report in REPORTS {
        for json in [false, true] {
            let text = text(&hostile, report, &Options { json, ..options(100) });
            let bad = text.chars().find(|&c| c != '\n' && super::harmless::is_harmful(c));
            assert_eq!(bad, None, "{} json {json}", report.name);
            assert!(
                !json || text.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok())
            );
        }
    }
}
