//! nginx answering 200 small requests at once from memory, as fast as it can, under wrk: the load in which recording costs most. Loopback,
//! a configuration of its own, ended with the bench.

use crate::median;
use crate::recorder::Recorder;
use afterpath_tests::tool;
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PORT: u16 = 18_473;
const TLS_PORT: u16 = 18_474;

/// What is at work beside nginx.
enum Beside {
    Nothing,
    Recorder(Vec<String>),
    Tcpdump,
}

/// One run.
struct Run {
    requests_per_second: f64,
    n_requests: f64,
    /// What the recorder said at its end, and its bytes on disk.
    said: Option<(String, u64)>,
}

struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Result<Nginx> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().display();
        tool::output(
            Command::new("openssl")
                .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(' '))
                .args(["-keyout", &format!("{root}/key"), "-out", &format!("{root}/cert")]),
        )?;
        let configuration = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error; \
             events {{ worker_connections 1024; }} \
             http {{ access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; \
             uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; keepalive_requests 1000000000; \
             ssl_certificate {root}/cert; ssl_certificate_key {root}/key; \
             server {{ listen 127.0.0.1:{PORT}; listen 127.0.0.1:{TLS_PORT} ssl; location / {{ return 200 'twelve bytes'; }} }} }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration)?;
        let child = Command::new("nginx").arg("-c").arg(&file).stderr(Stdio::null()).spawn()?;
        let nginx = Nginx { child, folder };
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", PORT)).is_ok() {
                return Ok(nginx);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not listen: {}", fs::read_to_string(nginx.folder.path().join("error"))?)
    }

    /// Its worker's id.
    fn worker(&self) -> Result<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        children.split_whitespace().next().and_then(|id| id.parse().ok()).context("a worker")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn run(beside: &Beside, url: &str, seconds: u32) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let recorder = match beside {
        Beside::Recorder(arguments) => Some(Recorder::start(arguments)?),
        _ => None,
    };
    let tcpdump = matches!(beside, Beside::Tcpdump).then(|| tcpdump(folder.path())).transpose()?;
    let wrk =
        tool::output(Command::new("wrk").args(["-t1", "-c200", &format!("-d{seconds}s"), url]))?;
    let number = |line: &str, place: usize| {
        let line = wrk.lines().map(str::trim).find(|text| text.contains(line));
        line.and_then(|text| text.split_whitespace().nth(place)?.parse::<f64>().ok())
    };
    let requests_per_second = number("Requests/sec:", 1).context("wrk's answer")?;
    let n_requests = number("requests in", 0).context("wrk's answer")?;
    let mut said = recorder.map(Recorder::stop).transpose()?;
    if let Some(mut tcpdump) = tcpdump {
        Command::new("kill").args(["-INT", &tcpdump.id().to_string()]).status()?;
        tcpdump.wait()?;
        said = Some((String::new(), fs::metadata(folder.path().join("x.pcap"))?.len()));
    }
    Ok(Run { requests_per_second, n_requests, said })
}

fn tcpdump(folder: &Path) -> Result<Child> {
    let child = Command::new("tcpdump")
        .args(["-i", "lo", "-n", "-s", "1024", "-Z", "root", "-w"])
        .arg(folder.join("x.pcap"))
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(child)
}

/// The figures as Markdown.
pub(crate) fn page(rounds: usize, seconds: u32) -> Result<String> {
    let what = "nginx under wrk";
    if !["nginx", "wrk", "tcpdump", "openssl"].iter().all(|name| tool::usable(name, what)) {
        return Ok(format!("## {what}\nnot installed\n"));
    }
    let nginx = Nginx::start()?;
    let worker = nginx.worker()?.to_string();
    let words =
        |words: &[&str]| Beside::Recorder(words.iter().map(|word| word.to_string()).collect());
    let in_clear = [
        ("nothing", Beside::Nothing),
        ("`sockets`, nginx only", words(&["--probes", "sockets", "--pid", &worker])),
        ("`sockets` and `processes`, everything", words(&["--probes", "sockets,processes"])),
        (
            "`sockets` and `wakeups`, nginx only",
            words(&["--probes", "sockets,wakeups", "--pid", &worker]),
        ),
        ("`packets`", words(&["--probes", "packets"])),
        ("`kernel_path`", words(&["--probes", "kernel_path"])),
        (
            "`processes`, `counters`, `coroutines`, `drops`",
            words(&["--probes", "processes,counters,coroutines,drops"]),
        ),
        ("all that is on by default", words(&[])),
        ("tcpdump -i lo -s 1024", Beside::Tcpdump),
    ];
    let over_tls = [
        ("nothing", Beside::Nothing),
        ("`sockets`, nginx only", words(&["--probes", "sockets", "--pid", &worker])),
        ("`sockets` and `tls`, nginx only", words(&["--probes", "sockets,tls", "--pid", &worker])),
    ];
    let url = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}/");
    let mut page = table(what, &in_clear, &url("http", PORT), rounds, seconds)?;
    page.push_str(&table(
        "the same over TLS",
        &over_tls,
        &url("https", TLS_PORT),
        rounds,
        seconds,
    )?);
    Ok(page)
}

/// One load, with each subject beside it in turn.
fn table(
    what: &str,
    subjects: &[(&str, Beside)],
    url: &str,
    rounds: usize,
    seconds: u32,
) -> Result<String> {
    let mut runs: Vec<Vec<Run>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (subject, runs) in subjects.iter().zip(&mut runs) {
            runs.push(run(&subject.1, url, seconds)?);
        }
    }
    let mut page = format!(
        "\n## {what}: 200 connections, 12 bytes a response, {seconds} s\n| beside it | requests/s | kept (median of ratios) | each round | bytes on disk per request | lost |\n|---|---|---|---|---|---|\n"
    );
    for ((name, _), of_subject) in subjects.iter().zip(&runs) {
        let kept: Vec<f64> = of_subject
            .iter()
            .zip(&runs[0])
            .map(|(run, alone)| 100.0 * run.requests_per_second / alone.requests_per_second)
            .collect();
        let shown: Vec<String> = kept.iter().map(|kept| format!("{kept:.0}")).collect();
        let rate = median(of_subject.iter().map(|run| run.requests_per_second).collect());
        let disk = of_subject
            .iter()
            .filter_map(|run| Some(run.said.as_ref()?.1 as f64 / run.n_requests))
            .collect::<Vec<f64>>();
        let disk = if disk.is_empty() { "–".to_string() } else { format!("{:.0}", median(disk)) };
        let lost = of_subject.iter().filter_map(|run| {
            let said = &run.said.as_ref()?.0;
            Some(said.split("lost: ").nth(1)?.split(';').next()?.to_string())
        });
        let lost: Vec<String> = lost.collect();
        writeln!(
            page,
            "| {name} | {rate:.0} | {:.0} % | {} | {disk} | {} |",
            median(kept),
            shown.join(", "),
            lost.join(" · ")
        )?;
    }
    Ok(page)
}
