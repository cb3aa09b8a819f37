//! TLS between real programs, recorded by the recorder and analyzed: what the libraries were given stands at every point that the
//! ciphertext passed. Programs with a library of their own, or without a socket beneath it, stay opaque and say so.
//! Long: one site with its server and recorder, and every library once.

use afterpath::analysis::Analysis;
use afterpath::call::{Call, CallState};
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::plaintext;
use afterpath_tests::score::place_names;
use afterpath_tests::tool::{can_record, go_program, own, unpacked, usable};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A credential that a client sends.
const SECRET: &str = "sesame-open-4711";

/// A certificate, a server and a bundle; all gone when dropped.
struct Site {
    folder: tempfile::TempDir,
    server: Child,
    port: u16,
}

impl Drop for Site {
    fn drop(&mut self) {
        // nginx's first process ends its workers when asked, not when killed.
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}

fn can_test() -> bool {
    let what = "plaintext of TLS";
    can_record(&["tls", "sockets"], what)
        && ["nginx", "curl", "openssl", "python3"].iter().all(|name| usable(name, what))
}

impl Site {
    /// nginx that answers over TLS of these versions.
    fn nginx(versions: &str) -> Site {
        Site::nginx_listening(versions, "ssl")
    }

    /// The same with these words to `listen`.
    fn nginx_listening(versions: &str, words: &str) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let at = folder.path().display().to_string();
        let made = Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(' '))
            .args(["-keyout", &format!("{at}/key"), "-out", &format!("{at}/cert")])
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl starts").success());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .collect();
        let config = format!(
            "worker_processes 1; daemon off; pid {at}/pid; error_log {at}/errors; events {{}}\n\
             http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port} {words};\n\
             ssl_protocols {versions}; ssl_certificate {at}/cert; ssl_certificate_key {at}/key;\n\
             location / {{ return 200 \"well\\n\"; }} location /big {{ root {at}; }} }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).expect("written");
        std::fs::write(folder.path().join("big"), vec![b'x'; 300_000]).expect("written");
        let server = Command::new("nginx")
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let site = Site { folder, server, port };
        site.wait_until_open();
        site
    }

    fn wait_until_open(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the server did not open its port");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn worker(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.server.id());
        std::fs::read_to_string(children).expect("readable").trim().to_string()
    }

    /// Records while `work` runs.
    fn record(&self, options: &[&str], work: impl FnOnce()) -> PathBuf {
        let bundle = self.folder.path().join("x.afterpath");
        let mut recorder = Command::new(own("afterpath-record"))
            .args(["run", "--with", "tls", "--output"])
            .arg(&bundle)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the recorder starts");
        let mut said = BufReader::new(recorder.stderr.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        assert!(line.starts_with("recording "), "{line}");
        work();
        let stopped = Command::new("kill").args(["-INT", &recorder.id().to_string()]).status();
        assert!(stopped.expect("kill").success());
        let mut rest = String::new();
        said.read_line(&mut rest).expect("a line");
        assert!(recorder.wait().expect("it ends").success(), "{rest}");
        bundle
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Five requests of curl, three of Python, over three connections.
    fn ask(&self) {
        let [one, two, big] = ["/curl-1", "/curl-2", "/big"].map(|path| self.url(path));
        let header = format!("Authorization: Bearer {SECRET}");
        let curl = |urls: &[&String]| {
            let mut command = Command::new("curl");
            command.args(["-sk", "--http1.1", "-H", &header]);
            urls.iter().for_each(|url| {
                command.arg(url).args(["-o", "/dev/null"]);
            });
            assert!(command.status().expect("curl starts").success());
        };
        curl(&[&one]);
        curl(&[&one, &two, &big, &two]);
        let program = format!(
            "import http.client, ssl\n\
             c = http.client.HTTPSConnection('127.0.0.1', {}, context=ssl._create_unverified_context())\n\
             for i in range(3):\n    c.request('POST', '/python-%d' % i, b'b' * 20000 * i)\n    c.getresponse().read()\n",
            self.port
        );
        let python = Command::new("python3").args(["-c", &program]).status();
        assert!(python.expect("python starts").success());
    }
}

fn analyzed(bundle: &Path) -> Analysis {
    let bundles = Bundles::open(&[bundle.to_path_buf()]).expect("it opens");
    analyze(&bundles, &Config::default())
}

/// The calls of a protocol that a server answered; other tests' may be recorded too.
fn calls<'a>(analysis: &'a Analysis, site: &Site, protocol: &str) -> Vec<&'a Call> {
    let is_it = |call: &&Call| call.protocol == protocol && call.server.port == site.port;
    analysis.calls.iter().filter(is_it).collect()
}

/// Resource and status of each HTTP call, by time.
fn said<'a>(analysis: &'a Analysis, site: &Site) -> Vec<(&'a str, &'a str)> {
    let calls = calls(analysis, site, "http1").into_iter();
    calls.map(|call| (call.resource.as_str(), call.status.as_str())).collect()
}

const ASKED: [(&str, &str); 8] = [
    ("/curl-1", "200"),
    ("/curl-1", "200"),
    ("/curl-2", "200"),
    ("/big", "200"),
    ("/curl-2", "200"),
    ("/python-0", "200"),
    ("/python-1", "200"),
    ("/python-2", "200"),
];

fn check(versions: &str) {
    let site = Site::nginx(versions);
    let bundle = site.record(&[], || site.ask());
    let analysis = analyzed(&bundle);
    assert_eq!(said(&analysis, &site), ASKED, "{:?}", analysis.losses);
    for call in calls(&analysis, &site, "http1") {
        let client = if call.resource.contains("python") { "python3" } else { "curl" };
        let client = if call.resource == "/big" { "curl" } else { client };
        assert_eq!(place_names(&analysis, call), [client, "lo", "nginx"], "{}", call.resource);
        assert!(call.attributes.contains(&("encrypted".to_string(), "tls".to_string())));
        let times: Vec<_> = call.spans.iter().map(|span| span.times).collect();
        assert!(times.is_sorted_by_key(|times| times.request_first), "{times:?}");
        assert!(times.is_sorted_by_key(|times| std::cmp::Reverse(times.response_last)));
        let hops: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
        assert_eq!(Some(hops), call.spans[0].times.duration_ns(), "{}", call.resource);
    }
    let handshakes = calls(&analysis, &site, "tls").into_iter();
    assert_eq!(handshakes.filter(|call| call.status == "ok").count(), 3);
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    for batch in bundles.batches(0, &plaintext::TABLE) {
        for row in plaintext::rows(&batch.expect("readable")) {
            let text = String::from_utf8_lossy(row.bytes.unwrap_or_default()).into_owned();
            assert!(!text.contains(SECRET), "{row:?}");
        }
    }
}

#[test]
fn plaintext_stands_at_every_point_over_tls_1_3() {
    if can_test() {
        check("TLSv1.3");
    }
}

#[test]
fn plaintext_stands_at_every_point_over_tls_1_2() {
    if can_test() {
        check("TLSv1.2");
    }
}

#[test]
fn http2_inside_is_as_clear_stream_by_stream() {
    if !can_test() {
        return;
    }
    let site = Site::nginx_listening("TLSv1.3", "ssl http2");
    let bundle = site.record(&[], || {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--http2", "--parallel", "--parallel-max", "4"]);
        for path in ["/one", "/two", "/big", "/three"] {
            curl.args(["-o", "/dev/null"]).arg(site.url(path));
        }
        assert!(curl.status().expect("curl starts").success());
    });
    let analysis = analyzed(&bundle);
    let calls = calls(&analysis, &site, "http2");
    let mut said: Vec<_> =
        calls.iter().map(|call| (call.resource.as_str(), call.status.as_str())).collect();
    said.sort_unstable();
    let expected = [("/big", "200"), ("/one", "200"), ("/three", "200"), ("/two", "200")];
    assert_eq!(said, expected, "{:?}", analysis.losses);
    for call in calls {
        assert_eq!(place_names(&analysis, call), ["curl", "lo", "nginx"], "{}", call.resource);
        let times: Vec<_> = call.spans.iter().map(|span| span.times).collect();
        assert!(times.is_sorted_by_key(|times| times.request_first), "{times:?}");
        let hops: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
        assert_eq!(Some(hops), call.spans[0].times.duration_ns(), "{}", call.resource);
    }
}

#[test]
fn one_end_is_enough() {
    if !can_test() {
        return;
    }
    for versions in ["TLSv1.2", "TLSv1.3"] {
        let site = Site::nginx(versions);
        let worker = site.worker();
        let bundle = site.record(&["--pid", &worker], || site.ask());
        let analysis = analyzed(&bundle);
        assert_eq!(said(&analysis, &site), ASKED, "{:?}", analysis.losses);
        for call in calls(&analysis, &site, "http1") {
            assert_eq!(place_names(&analysis, call), ["lo", "nginx"], "{}", call.resource);
        }
    }
}

/// A library of OpenSSL that only this process has, loaded when it is no young process any more.
const LATE: &str = "
import sys, time
time.sleep(float(sys.argv[2]))
import http.client, ssl
time.sleep(2.2)
connection = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[1]), context=ssl._create_unverified_context())
connection.request('GET', '/late')
connection.getresponse().read()
";

#[test]
fn a_library_that_is_loaded_late_is_attached_within_a_second_or_two() {
    if !can_test() {
        return;
    }
    let site = Site::nginx("TLSv1.3");
    let own_copies = site.folder.path().join("lib");
    std::fs::create_dir(&own_copies).expect("made");
    for name in ["libssl.so.3", "libcrypto.so.3"] {
        let from = Path::new("/usr/lib/x86_64-linux-gnu").join(name);
        std::fs::copy(&from, own_copies.join(name)).expect("Debian's OpenSSL is there");
    }
    let mut python = None;
    // Young processes are looked at in their first ten seconds.
    let bundle = site.record(&[], || {
        let mut command = Command::new("python3");
        command
            .args(["-c", LATE, &site.port.to_string(), "13"])
            .env("LD_LIBRARY_PATH", &own_copies);
        let mut child = command.spawn().expect("python starts");
        python = Some(child.id());
        assert!(child.wait().expect("it ends").success());
    });
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    let mut texts = Vec::new();
    for batch in bundles.batches(0, &plaintext::TABLE) {
        for row in plaintext::rows(&batch.expect("readable")) {
            let is_its = Some(row.pid) == python;
            texts.extend(row.bytes.filter(|_| is_its).map(<[u8]>::to_vec));
        }
    }
    assert!(texts.iter().any(|text| text.starts_with(b"GET /late")), "{} texts", texts.len());
}

#[test]
fn a_library_of_its_own_stays_opaque() {
    // Debian's takes the system's library, and has no socket beneath it: that stays opaque, too.
    if !can_test() || !usable("node", "TLS of a program that brings its own library") {
        return;
    }
    let site = Site::nginx("TLSv1.3");
    let at = site.folder.path().display().to_string();
    let program = format!(
        "const https = require('https'), fs = require('fs');\n\
         const server = https.createServer({{key: fs.readFileSync('{at}/key'), cert: fs.readFileSync('{at}/cert')}},\n\
           (request, response) => response.end('node'));\n\
         let left = 4;\n\
         const ask = () => left-- ? https.get({{host: '127.0.0.1', port: server.address().port, path: '/node',\n\
           rejectUnauthorized: false}}, response => {{ response.resume(); response.on('end', ask); }}) : process.exit(0);\n\
         server.listen(0, '127.0.0.1', ask);"
    );
    let bundle = site.record(&[], || {
        let node = Command::new("node").args(["-e", &program]).status();
        assert!(node.expect("node starts").success());
    });
    let analysis = analyzed(&bundle);
    let is_of_node = |call: &&Call| place_names(&analysis, call).contains(&"node".to_string());
    let calls: Vec<&Call> = analysis.calls.iter().filter(is_of_node).collect();
    let of_node: Vec<&str> = calls.iter().map(|call| call.protocol.as_str()).collect();
    assert!(of_node.contains(&"tls") && of_node.contains(&"opaque"), "{of_node:?}");
    let exchanged = |call: &&&Call| call.protocol == "opaque" && call.state == CallState::Complete;
    assert_eq!(calls.iter().filter(exchanged).count(), 4, "{calls:?}");
    // Node's older releases say goodbye: an alert (a record of two bytes, its type and a tag) that nobody answers.
    let took_leave =
        |call: &Call| call.state == CallState::OneWay && call.request_bytes == 5 + 2 + 1 + 16;
    let is_other = |call: &&&Call| call.protocol == "opaque" && !exchanged(call);
    assert!(
        calls.iter().filter(is_other).all(|call| took_leave(call)),
        "session tickets are no calls: {calls:?}"
    );
    assert!(!of_node.contains(&"http1"), "{of_node:?}");
}

/// A listener in clear that asks one over TLS, both of one Envoy.
const ENVOY: &str = include_str!("programs/envoy.yaml");

#[test]
fn envoy_is_clear_where_it_speaks_clear_and_opaque_behind() {
    let what = "TLS of Envoy";
    let Some(envoy) = unpacked("envoy/_bin/envoy", what).filter(|_| can_test()) else { return };
    let certificate = Site::nginx("TLSv1.3");
    let at = certificate.folder.path().display().to_string();
    let port =
        || TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
    let (clear, tls) = (port(), port());
    let config = ENVOY
        .replace("$AT", &at)
        .replace("$CLEAR", &clear.to_string())
        .replace("$TLS", &tls.to_string());
    let path = certificate.folder.path().join("envoy.yaml");
    std::fs::write(&path, config).expect("written");
    let log = std::fs::File::create(certificate.folder.path().join("envoy.log")).expect("a file");
    let server = Command::new(envoy)
        .arg("-c")
        .arg(&path)
        .args(["--disable-hot-restart", "--concurrency", "1", "-l", "warn"])
        .stderr(log)
        .spawn()
        .expect("Envoy starts");
    // Ended like the other site.
    let site = Site { folder: tempfile::tempdir().expect("a folder"), server, port: clear };
    site.wait_until_open();
    let bundle = site.record(&[], || {
        for n in 0..4 {
            let url = format!("http://127.0.0.1:{clear}/envoy-{n}");
            let curl = Command::new("curl").args(["-sf", &url, "-o", "/dev/null"]).status();
            assert!(curl.expect("curl starts").success());
        }
    });
    let analysis = analyzed(&bundle);
    assert_eq!(said(&analysis, &site).len(), 4, "{:?}", analysis.losses);
    for call in calls(&analysis, &site, "http1") {
        assert_eq!(place_names(&analysis, call), ["curl", "lo", "envoy"]);
    }
    let behind: Vec<&Call> = analysis.calls.iter().filter(|call| call.server.port == tls).collect();
    let protocols: Vec<&str> = behind.iter().map(|call| call.protocol.as_str()).collect();
    assert!(protocols.contains(&"tls") && protocols.contains(&"opaque"), "{protocols:?}");
    assert!(!protocols.contains(&"http1"), "{protocols:?}");
    // Session tickets are a message of their own, which the client's library reads with the handshake.
    for call in behind.into_iter().filter(|call| call.status == "ok" || call.response_bytes > 0) {
        assert_eq!(place_names(&analysis, call), ["envoy", "lo", "envoy"]);
    }
}

#[test]
fn go_programs_are_clear() {
    let Some(program) = go_program("secure.go", "TLS of Go").filter(|_| can_test()) else { return };
    let site = Site::nginx("TLSv1.3");
    let bundle = site.record(&[], || {
        let at = site.folder.path();
        let done = Command::new(program).arg(at).arg(SECRET).status();
        assert!(done.expect("it starts").success());
    });
    let analysis = analyzed(&bundle);
    let of_go = |call: &&Call| place_names(&analysis, call).contains(&"secure".to_string());
    let calls: Vec<&Call> = analysis.calls.iter().filter(of_go).collect();
    let asked: Vec<&Call> = calls.into_iter().filter(|call| call.protocol == "http1").collect();
    let said: Vec<_> =
        asked.iter().map(|call| (call.resource.as_str(), call.status.as_str())).collect();
    let expected = ["/go-0", "/go-1", "/go-2", "/go-3"].map(|resource| (resource, "200"));
    assert_eq!(said, expected, "{:?}", analysis.losses);
    for call in asked {
        assert_eq!(place_names(&analysis, call), ["secure", "lo", "secure"], "{}", call.resource);
        let hops: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
        assert_eq!(Some(hops), call.spans[0].times.duration_ns(), "{}", call.resource);
    }
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    for batch in bundles.batches(0, &plaintext::TABLE) {
        for row in plaintext::rows(&batch.expect("readable")) {
            let text = String::from_utf8_lossy(row.bytes.unwrap_or_default()).into_owned();
            assert!(!text.contains(SECRET), "{row:?}");
        }
    }
}
