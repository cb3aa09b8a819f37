//! Spans of tracers through the real binary: import, what it says of losses and of parents that are forgotten, and every report over them.
//! Never the network.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "outputs are files")]

use std::process::{Command, Output};

const SPANS: &str = r#"{"data":[{"traceID":"a1","spans":[
{"traceID":"a1","spanID":"1","operationName":"GET /","startTime":1700000000000000,"duration":500,"tags":[{"key":"span.kind","value":"server"},{"key":"http.method","value":"GET"},{"key":"http.url","value":"http://shop/"},{"key":"http.status_code","value":200}],"processID":"p1"},
{"traceID":"a1","spanID":"2","operationName":"/store.Store/Get","references":[{"refType":"CHILD_OF","traceID":"a1","spanID":"1"}],"startTime":1700000000000100,"duration":300,"tags":[{"key":"span.kind","value":"client"},{"key":"component","value":"gRPC"}],"processID":"p1"},
{"traceID":"a1","spanID":"3","operationName":"/store.Store/Get","references":[{"refType":"CHILD_OF","traceID":"a1","spanID":"2"}],"startTime":1700000003000000,"duration":100,"tags":[{"key":"span.kind","value":"server"},{"key":"component","value":"gRPC"}],"processID":"p2"},
{"traceID":"a1","startTime":1,"duration":1}],
"processes":{"p1":{"serviceName":"shop"},"p2":{"serviceName":"store"}}}]}
{"data":[{"tra"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::write(place.0.path().join("shop.json"), SPANS).unwrap();
        place
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afterpath"));
        command.args(line.split(' ')).current_dir(self.0.path());
        command.env("XDG_CACHE_HOME", self.0.path().join("cache")).env_remove("COLUMNS");
        command.output().unwrap()
    }

    /// What a command says, both streams, and its code.
    fn check(&self, line: &str, code: i32, said: &[&str]) {
        let output = self.run(line);
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        let all = String::from_utf8(all).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {all}");
        for words in said {
            assert!(all.contains(words), "{line}: no {words:?} in {all}");
        }
    }
}

#[test]
fn an_import_says_what_it_read_forgot_and_could_not_use() {
    let place = Place::new();
    let said = [
        "3 spans of 1 trace, 2 services",
        "from 2023-11-14T22:13:20",
        "1 span left out",
        "1 × no-span-id",
        "1 × cut-document",
    ];
    place.check("import --format jaeger shop.json -o a.afterpath", 0, &said);
    place.check("import --format jaeger --strict shop.json -o s.afterpath", 1, &["error[strict]"]);
    let json = ["\"n_spans\":3", "\"n_parents_forgotten\":1", "afterpath.import-spans/1"];
    place.check(
        "import --format jaeger --forget-parents --json shop.json -o f.afterpath",
        0,
        &json,
    );
    place.check("verify f.afterpath", 0, &["forgotten-parents"]);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let place = Place::new();
    for (line, why) in [
        ("import --forget-parents shop.json -o x.afterpath", "--forget-parents is about spans"),
        ("import --format otlp --same-clock shop.json -o x.afterpath", "are about captures"),
    ] {
        place.check(line, 2, &["error[bad-arguments]", why]);
    }
    place.check("import --format otlp shop.json -o x.afterpath", 1, &["error[not-spans]"]);
    place.check("import --format otlp none.json -o x.afterpath", 1, &["error[io]"]);
    assert!(!place.0.path().join("x.afterpath").exists());
}

#[test]
fn every_report_reads_them() {
    let place = Place::new();
    place.run("import --format jaeger shop.json -o a.afterpath");
    place.check("analyze a.afterpath", 0, &["1 trace · 2 calls", "3 tracer spans"]);
    place.check("services a.afterpath", 0, &["named by: tracer 2", "shop     store"]);
    // The clocks are three seconds apart: the way is known both ways together only.
    place.check(
        "hops a.afterpath",
        0,
        &["unknown → shop http", "shop → store grpc", "⇄", "200 µs"],
    );
    place.check("traces a.afterpath", 0, &["GET /"]);
    // The tracer's id finds it.
    let words = ["parent span id names it", "one-way unknown (clocks)", "span 0000000000000002 → "];
    place.check("trace 00000000000000a1 a.afterpath", 0, &words);
    let fields = ["\"trace_id\":\"00000000000000a1\"", "\"server_span_id\":\"0000000000000003\""];
    place.check("export --format calls a.afterpath", 0, &fields);
    place.check("export --format parquet a.afterpath -o tables", 0, &[]);
}
