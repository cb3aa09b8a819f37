//! What is to be imported, from the words of a command line. Never opens a file.

use crate::error::{At, Error, Kind, Result};
use std::path::{Path, PathBuf};

/// What to import, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportPlan {
    /// Captures by host and namespace. Entries of the same name are one host.
    pub hosts: Vec<HostPlan>,
    /// All hosts stamp with one clock.
    pub same_clock: bool,
    /// Every interface stamps with a clock of its own (hardware stamps, mirrors, merged files).
    pub clock_per_interface: bool,
    /// Replace an existing bundle.
    pub force: bool,
    /// Where the bundle will stand.
    pub output: PathBuf,
}

/// Captures of one namespace of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostPlan {
    /// The host's name; `None`: the file's stem, a host of its own.
    pub name: Option<String>,
    /// The network namespace; `None`: the only or initial one.
    pub netns: Option<String>,
    /// Its captures, in source order: rotated files, or several interfaces.
    pub files: Vec<FilePlan>,
}

/// One capture file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilePlan {
    /// Names the interface where the capture doesn't.
    pub interface: Option<String>,
    /// The file; `-` is standard input.
    pub path: PathBuf,
}

/// One word of the command line, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A bare file.
    File(PathBuf),
    /// The value of `--host`: `NAME=FILE,FILE…`, or `NAME` before `--netns`.
    Host(String),
    /// The value of `--netns`: `NAME=FILE,FILE…` of the host named last.
    Netns(String),
}

impl ImportPlan {
    /// A plan from the command line's words; `BadArguments` says which word is wrong.
    pub fn parse(words: &[Word], output: impl Into<PathBuf>) -> Result<ImportPlan> {
        let mut plan = ImportPlan { output: output.into(), ..ImportPlan::default() };
        let mut host: Option<&str> = None;
        for word in words {
            match word {
                Word::File(path) => plan.hosts.push(HostPlan::bare(path)),
                Word::Host(value) => {
                    let name = value.split_once('=').map_or(value.as_str(), |(name, _)| name);
                    host = Some(name);
                    plan.hosts.extend(HostPlan::parse(value)?);
                }
                Word::Netns(value) => {
                    let host =
                        host.ok_or_else(|| bad(value, "--netns needs a --host before it"))?;
                    plan.hosts.push(HostPlan::parse_netns(host, value)?);
                }
            }
        }
        plan.check()?;
        Ok(plan)
    }

    /// What contradicts itself in the plan.
    pub fn check(&self) -> Result<()> {
        let wrong = |why: &str| Err(bad(&self.output.to_string_lossy(), why));
        if self.same_clock && self.clock_per_interface {
            return wrong("--same-clock and --clock-per-interface contradict each other");
        }
        let files = || self.hosts.iter().flat_map(|host| &host.files);
        if files().next().is_none() {
            return wrong("there is no capture to import");
        }
        if files().filter(|file| file.path == Path::new("-")).count() > 1 {
            return wrong("standard input can be read only once");
        }
        Ok(())
    }
}

impl HostPlan {
    /// A bare file: a host of its own.
    pub fn bare(path: &Path) -> HostPlan {
        let file = FilePlan { interface: None, path: path.into() };
        HostPlan { name: None, netns: None, files: vec![file] }
    }

    /// The value of `--host`; `None` for a mere `NAME`.
    pub fn parse(value: &str) -> Result<Option<HostPlan>> {
        let (name, files) = value.split_once('=').unwrap_or((value, ""));
        if name.is_empty() {
            return Err(bad(value, "--host needs a name: NAME=FILE,FILE…"));
        }
        if !value.contains('=') {
            return Ok(None);
        }
        Ok(Some(HostPlan {
            name: Some(name.into()),
            netns: None,
            files: parse_files(value, files)?,
        }))
    }

    /// The value of `--netns` behind `--host host`.
    pub fn parse_netns(host: &str, value: &str) -> Result<HostPlan> {
        let wrong = || bad(value, "--netns needs a name and files: NAME=FILE,FILE…");
        let (name, files) =
            value.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        let files = parse_files(value, files)?;
        Ok(HostPlan { name: Some(host.into()), netns: Some(name.into()), files })
    }
}

/// `FILE,INTERFACE@FILE…`; `./a@b.pcap` is a file with an @ in its name.
fn parse_files(value: &str, files: &str) -> Result<Vec<FilePlan>> {
    let parse = |word: &str| match word.split_once('@') {
        _ if word.is_empty() => Err(bad(value, "a file name is empty")),
        Some((interface, path)) if !interface.contains(['/', '\\']) => {
            if interface.is_empty() || path.is_empty() {
                return Err(bad(value, "INTERFACE@FILE needs both"));
            }
            Ok(FilePlan { interface: Some(interface.into()), path: path.into() })
        }
        _ => Ok(FilePlan { interface: None, path: word.into() }),
    };
    files.split(',').map(parse).collect()
}

fn bad(value: &str, why: &str) -> Error {
    Error::new(value, At::File, Kind::BadArguments(why.to_string()))
}

/// What names of files end with that say how they are written.
const SUFFIXES: [&str; 13] = [
    ".gz", ".zst", ".zstd", ".pcapng", ".pcap", ".ntar", ".cap", ".dump", ".jsonl", ".ndjson",
    ".json", ".jaeger", ".otlp",
];

/// A file's name without folder, compression and format suffixes.
pub(super) fn stem(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_string();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut stem = name.as_str();
    for suffix in SUFFIXES {
        stem = stem.strip_suffix(suffix).filter(|rest| !rest.is_empty()).unwrap_or(stem);
    }
    stem.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: std::result::Result<&str, &str>) {
        let word = |word: &&str| match (word.strip_prefix("-h "), word.strip_prefix("-n ")) {
            (Some(host), _) => Word::Host(host.into()),
            (_, Some(netns)) => Word::Netns(netns.into()),
            _ => Word::File(word.into()),
        };
        let words: Vec<Word> = words.iter().map(word).collect();
        let shown = ImportPlan::parse(&words, "out").map(|plan| {
            let file = |file: &FilePlan| {
                let path = file.path.display();
                file.interface.as_ref().map_or(path.to_string(), |name| format!("{name}@{path}"))
            };
            let host = |host: &HostPlan| {
                let files: Vec<String> = host.files.iter().map(file).collect();
                let name = host.name.as_deref().unwrap_or("?");
                format!("{name}/{}={}", host.netns.as_deref().unwrap_or(""), files.join(","))
            };
            plan.hosts.iter().map(host).collect::<Vec<_>>().join(" ")
        });
        let shown = shown.map_err(|error| error.kind.to_string());
        assert_eq!(shown.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn words_become_hosts() {
        check(&["a.pcap", "-"], Ok("?/=a.pcap ?/=-"));
        check(&["-h gw7=a.pcap,b.pcap"], Ok("gw7/=a.pcap,b.pcap"));
        check(
            &["-h box", "-n gw7=gw7.pcap", "-n podA=eth0@e.pcap,lo@l.pcap"],
            Ok("box/gw7=gw7.pcap box/podA=eth0@e.pcap,lo@l.pcap"),
        );
        check(&["-h x=./a@b.pcap"], Ok("x/=./a@b.pcap"));
    }

    #[test]
    fn contradictions_are_named() {
        check(&[], Err("there is no capture to import"));
        check(&["-n a=b"], Err("--netns needs a --host before it"));
        check(&["-h =b"], Err("--host needs a name: NAME=FILE,FILE…"));
        check(&["-h a=b,,c"], Err("a file name is empty"));
        check(&["-h a", "-n b"], Err("--netns needs a name and files: NAME=FILE,FILE…"));
        check(&["-h a=eth0@"], Err("INTERFACE@FILE needs both"));
        check(&["-", "-"], Err("standard input can be read only once"));
    }

    #[test]
    fn stems_lose_their_suffixes() {
        let names = ["x/a.pcapng.gz", "b.pcap", "c.jaeger.jsonl.zst", ".pcap", "-"];
        assert_eq!(names.map(|p| stem(Path::new(p))), ["a", "b", "c", ".pcap", "stdin"]);
    }
}
