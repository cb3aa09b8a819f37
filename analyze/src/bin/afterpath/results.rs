//! Results kept beside a bundle, in `<bundle>.analysis/`, or in the cache directory where that can't be written. One file
//! per options: its key, then sections, each hashed, calls and flows in many so that all processors load them. Whatever is
//! missing, altered or of another version is analyzed again; never half a result.

use crate::replaceable::Output;
use crate::staging::Staging;
use afterpath::analysis::Analysis;
use afterpath::call::Call;
use afterpath::flow::Flow;
use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// First line of a file; its number changes with the layout.
const MAGIC: &[u8] = b"afterpath results 1\n";
const SUFFIX: &str = ".results";
/// Calls or flows in a section.
const CHUNK: usize = 8_192;
/// Fast and good enough: what is stored is read back at once.
const LEVEL: i32 = 1;

/// What results depend on: input, options, program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    hash: [u8; 32],
    options: String,
}

/// What became of looking for results.
pub(crate) enum Stored {
    Found(Box<Analysis>),
    Missing,
    Unusable(String),
}

impl Key {
    /// Of the bundles' hash and the options as text.
    pub(crate) fn of(bundles: &str, options: &str) -> Self {
        let program = concat!(env!("CARGO_PKG_VERSION"), " ", env!("AFTERPATH_STAGES"));
        let text = format!("{bundles}\n{options}\n{program}");
        let short = |s: &str| blake3::hash(s.as_bytes()).to_hex()[..8].to_owned();
        Key { hash: *blake3::hash(text.as_bytes()).as_bytes(), options: short(options) }
    }

    /// Names input, options and program.
    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// A file's name for these options.
    pub(crate) fn file_with(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.options)
    }
}

/// Whether `path` is a folder of results.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir() && !path.join("manifest.json").exists() && !files(path).is_empty()
}

/// Results for `key` of bundles whose first is `first`.
pub(crate) fn load(first: &Path, key: &Key) -> Stored {
    let mut why = None;
    for folder in folders(first) {
        match read_file(&folder.join(key.file_with(SUFFIX)), Some(key)) {
            Stored::Unusable(reason) => why = Some(reason),
            Stored::Missing => {}
            found => return found,
        }
    }
    why.map_or(Stored::Missing, Stored::Unusable)
}

/// Results in a folder, whatever their input was.
pub(crate) fn load_folder(folder: &Path) -> Stored {
    match files(folder).as_slice() {
        [] => Stored::Missing,
        [file] => read_file(file, None),
        _ => Stored::Unusable("they are of several options".to_owned()),
    }
}

/// Stores results, beside the first bundle or in the cache.
pub(crate) fn store(first: &Path, key: &Key, analysis: &Analysis) -> Result<()> {
    let Err(error) = write_into(&beside(first), key, analysis) else { return Ok(()) };
    match cached(first) {
        Some(folder) => write_into(&folder, key, analysis).context(error),
        None => Err(error),
    }
}

/// Where results of a bundle may be: beside it, and in the cache.
pub(crate) fn folders(bundle: &Path) -> Vec<PathBuf> {
    [Some(beside(bundle)), cached(bundle)].into_iter().flatten().collect()
}

fn beside(bundle: &Path) -> PathBuf {
    // `x/` and `x` are the same bundle.
    let mut name = bundle.components().as_path().as_os_str().to_owned();
    name.push(".analysis");
    PathBuf::from(name)
}

fn cached(bundle: &Path) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    let whole = std::path::absolute(bundle).ok()?;
    let name = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
    Some(cache.join("afterpath").join(format!("{}.analysis", &name[..16])))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(SUFFIX));
    files.sort();
    files
}

fn write_into(folder: &Path, key: &Key, analysis: &Analysis) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let staging = Staging::of(Output::File, &folder.join(key.file_with(SUFFIX)), true, &[])?;
    let path = staging.path();
    let mut out = std::io::BufWriter::new(
        std::fs::File::create(&path).with_context(|| path.display().to_string())?,
    );
    write(key, analysis, &mut out).with_context(|| path.display().to_string())?;
    out.flush()?;
    drop(out);
    staging.commit()
}

/// What a section holds.
const REST: u8 = 0;
const FLOWS: u8 = 1;
const CALLS: u8 = 2;
const END: u8 = 3;

fn write(key: &Key, analysis: &Analysis, out: &mut dyn Write) -> Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&key.hash)?;
    let rest = Analysis {
        points: analysis.points.clone(),
        domains: analysis.domains.clone(),
        clocks: analysis.clocks.clone(),
        traces: analysis.traces.clone(),
        losses: analysis.losses.clone(),
        lost_packets: analysis.lost_packets.clone(),
        findings: analysis.findings.clone(),
        missing: analysis.missing.clone(),
        n_packets: analysis.n_packets,
        n_socket_events: analysis.n_socket_events,
        n_tracer_spans: analysis.n_tracer_spans,
        flows: Vec::new(),
        calls: Vec::new(),
    };
    write_section(REST, &packed(&rest)?, out)?;
    write_chunks(FLOWS, &analysis.flows, out)?;
    write_chunks(CALLS, &analysis.calls, out)?;
    write_section(END, &[], out)
}

/// A few chunks at a time are packed together: the memory is theirs, not the whole result's.
fn write_chunks<T: Serialize + Sync>(kind: u8, values: &[T], out: &mut dyn Write) -> Result<()> {
    for group in values.chunks(CHUNK * 16) {
        let sections: Vec<Vec<u8>> = group.par_chunks(CHUNK).map(packed).collect::<Result<_>>()?;
        for section in sections {
            write_section(kind, &section, out)?;
        }
    }
    Ok(())
}

fn write_section(kind: u8, bytes: &[u8], out: &mut dyn Write) -> Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    out.write_all(&[kind])?;
    out.write_all(&length)?;
    out.write_all(section_hash(kind, bytes).as_bytes())?;
    Ok(out.write_all(bytes)?)
}

fn packed<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Ok(zstd::bulk::compress(&postcard::to_stdvec(value)?, LEVEL)?)
}

fn section_hash(kind: u8, bytes: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(&[kind]).update(bytes).finalize()
}

fn read_file(path: &Path, key: Option<&Key>) -> Stored {
    match std::fs::read(path) {
        Ok(bytes) => match read(&bytes, key) {
            Ok(analysis) => Stored::Found(Box::new(analysis)),
            Err(error) => Stored::Unusable(format!("{error:#}")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Stored::Missing,
        Err(error) => Stored::Unusable(format!("{}: {error}", path.display())),
    }
}

fn read(bytes: &[u8], key: Option<&Key>) -> Result<Analysis> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else { bail!("written by another version") };
    let Some((hash, rest)) = rest.split_at_checked(32) else { bail!("cut off") };
    if key.is_some_and(|k| k.hash != hash) {
        bail!("of another input or version");
    }
    let sections = sections(rest)?;
    let of = |kind| sections.iter().filter(move |s| s.0 == kind).map(|s| s.1).collect::<Vec<_>>();
    let Some(rest) = of(REST).first().copied() else { bail!("cut off") };
    let mut analysis: Analysis = unpacked(rest)?;
    analysis.flows = joined::<Flow>(&of(FLOWS))?;
    analysis.calls = joined::<Call>(&of(CALLS))?;
    Ok(analysis)
}

/// Kind and bytes of each section, all hashes compared.
fn sections(mut rest: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let mut sections = Vec::new();
    let mut hashes = Vec::new();
    loop {
        let mut head = [0; 41];
        rest.read_exact(&mut head).map_err(|_| anyhow::anyhow!("cut off"))?;
        let (length, hash) = head[1..].split_at(8);
        let length = u64::from_le_bytes(length.try_into()?);
        let Some((bytes, after)) =
            usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n))
        else {
            bail!("cut off")
        };
        sections.push((head[0], bytes));
        hashes.push(<[u8; 32]>::try_from(hash)?);
        rest = after;
        if head[0] == END {
            break;
        }
    }
    let whole = sections
        .par_iter()
        .zip(&hashes)
        .all(|((kind, bytes), hash)| section_hash(*kind, bytes) == *hash);
    if !whole || !rest.is_empty() {
        bail!("altered");
    }
    Ok(sections)
}

fn joined<T: DeserializeOwned + Send>(sections: &[&[u8]]) -> Result<Vec<T>> {
    let chunks: Vec<Vec<T>> = sections.par_iter().map(|s| unpacked(s)).collect::<Result<_>>()?;
    let mut all = Vec::with_capacity(chunks.iter().map(Vec::len).sum());
    chunks.into_iter().for_each(|chunk| all.extend(chunk));
    Ok(all)
}

fn unpacked<T: DeserializeOwned>(section: &[u8]) -> Result<T> {
    Ok(postcard::from_bytes(&zstd::stream::decode_all(section)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use afterpath::call::Trace;
    use afterpath::loss::Loss;
    use afterpath::point::Point;

    fn sample() -> Analysis {
        let point = |i: u32| Point {
            host: format!("h{i}"),
            netns: String::new(),
            interface: "eth0".into(),
            process: None,
            domain: i,
        };
        Analysis {
            points: (0..3).map(point).collect(),
            domains: vec!["a".into(), "b".into()],
            traces: vec![Trace { id: u64::MAX, root: 0, calls: vec![0, 1] }],
            n_packets: 7,
            losses: vec![Loss { place: "p".into(), cause: "c".into(), count: 1 }],
            ..Analysis::default()
        }
    }

    fn check(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let key = Key::of("bundle", "options");
        let mut bytes = Vec::new();
        write(&key, &sample(), &mut bytes).unwrap();
        change(&mut bytes);
        match read(&bytes, Some(&key)) {
            Ok(analysis) => assert_eq!((analysis, expected), (sample(), "")),
            Err(error) => assert_eq!(error.to_string(), expected),
        }
    }

    #[test]
    fn whole_results_come_back_and_no_others() {
        check(|_| {}, "");
        check(|b| b[0] ^= 1, "written by another version");
        check(|b| b[30] ^= 1, "of another input or version");
        check(|b| b.truncate(b.len() - 1), "cut off");
        check(
            |b| {
                let n = b.len();
                b[n - 60] ^= 1
            },
            "altered",
        );
        check(|b| b.push(0), "altered");
        let whole = {
            let mut b = Vec::new();
            write(&Key::of("x", ""), &sample(), &mut b).unwrap();
            b
        };
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut], None).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn another_bundle_or_option_is_another_key() {
        assert_ne!(Key::of("a", "x").hash, Key::of("b", "x").hash);
        assert_ne!(Key::of("a", "x").file_with(SUFFIX), Key::of("a", "y").file_with(SUFFIX));
    }
}
