//! Makes a sample of a testbed's recording: its ids scrubbed, and what tells of the machine it ran on taken out. Never touches the
//! recording.

use crate::recording::import_recording;
use crate::rewrite;
use crate::scrub::{self, Secrets};
use crate::truth::Truth;
use afterpath_formats::bundle::{names::MANIFEST, pack};
use afterpath_formats::table::{self, Table};
use anyhow::{Context, Result, ensure};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::UInt32Type;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What the machine of a sample is called.
const HOST: &str = "box";

/// Writes bundle and truth into `sample`, a folder that may be there already.
///
/// # Errors
/// When the recording can't be read, or the sample written.
pub fn make(recording: &Path, sample: &Path) -> Result<()> {
    fs::create_dir_all(sample)?;
    let folder = tempfile::tempdir_in(sample)?;
    let bundle = folder.path().join("bundle.afterpath");
    if recording.join("import-args").is_file() {
        import_recording(recording, &bundle);
    } else {
        copy(&recording.join("box.afterpath"), &bundle)?;
        strip(&bundle)?;
        scrub::scrub(&bundle, &Secrets::of(&Truth::read(recording)))?;
    }
    pack(&bundle, &sample.join("bundle.afterpath.tar"), true)?;
    let truth = fs::read(recording.join("truth.json"))?;
    let mut truth: Value = serde_json::from_slice(&truth)?;
    shorten(&mut truth);
    fs::write(sample.join("truth.json"), serde_json::to_string(&truth)? + "\n")?;
    Ok(())
}

/// Unix sockets without their folders, wherever the truth names them.
fn shorten(truth: &mut Value) {
    match truth {
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::String(text) if text.ends_with(".sock") => *text = without_folders(text),
        _ => (),
    }
}

/// The files that the manifest lists.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let manifest = rewrite::manifest(from)?;
    let listed = manifest.files.iter().map(|entry| entry.path.as_str());
    for path in listed.chain([MANIFEST]) {
        let target = to.join(path);
        fs::create_dir_all(target.parent().context("a file is in a folder")?)?;
        fs::copy(from.join(path), target)?;
    }
    Ok(())
}

/// Takes out of a recorder's bundle what tells of the machine: folders, control groups, the kernel's build, names.
///
/// # Errors
/// When it can't be read or written.
pub fn strip(bundle: &Path) -> Result<()> {
    let own = rewrite::manifest(bundle)?.hosts.first().context("it has a host")?.name.clone();
    ensure!(own != HOST, "the machine's own name is that of samples");
    let namespaces: HashSet<u32> = numbers(bundle, "interfaces", ["netns_inode"; 2])?
        .into_iter()
        .map(|[inode, _]| inode)
        .collect();
    let processes = numbers(bundle, "processes", ["pid", "netns"])?.into_iter();
    let pids =
        processes.filter(|[_, netns]| namespaces.contains(netns)).map(|[pid, _]| pid).collect();
    rewrite::tables(bundle, |table, batch| stripped(table, own_rows(table, batch, &pids)?, &own))?;
    rewrite::rename_host(bundle, HOST)
}

/// Two columns of a table, where both have a value.
fn numbers(bundle: &Path, table: &str, columns: [&str; 2]) -> Result<Vec<[u32; 2]>> {
    let mut found = Vec::new();
    for batch in rewrite::batches(bundle, table)? {
        let [a, b] = columns.map(|name| batch[name].as_primitive::<UInt32Type>().iter());
        found.extend(a.zip(b).filter_map(|(a, b)| Some([a?, b?])));
    }
    Ok(found)
}

/// Without processes and threads of other namespaces: a recording may have been of more than the testbed.
fn own_rows(table: &Table, batch: RecordBatch, pids: &HashSet<u32>) -> Result<RecordBatch> {
    if !["processes", "threads"].contains(&table.name) {
        return Ok(batch);
    }
    let own = batch["pid"].as_primitive::<UInt32Type>().iter();
    let kept = own.map(|pid| Some(pid.is_some_and(|pid| pids.contains(&pid))));
    Ok(filter_record_batch(&batch, &kept.collect::<BooleanArray>())?)
}

fn stripped(table: &Table, batch: RecordBatch, own: &str) -> Result<RecordBatch> {
    let batch = if *table == table::counters::TABLE { without_groups(&batch)? } else { batch };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let changed = columns.map(|(field, column)| match (table.name, field.name().as_str()) {
        ("hosts", "name") => {
            texts(column, |name| if name == own { HOST } else { name }.to_string())
        }
        ("hosts", "kernel") => texts(column, release),
        ("hosts", "boot_id") | ("processes", "cgroup" | "container" | "container_name" | "pod") => {
            new_null_array(column.data_type(), column.len())
        }
        ("processes", "exe") | ("sockets", "path") => texts(column, without_folders),
        ("processes", "command_line") => {
            texts(column, |line| line.split(' ').map(without_folders).collect::<Vec<_>>().join(" "))
        }
        _ => column.clone(),
    });
    Ok(RecordBatch::try_new(schema.clone(), changed.collect())?)
}

/// Counters of control groups are the machine's, with its paths.
fn without_groups(batch: &RecordBatch) -> Result<RecordBatch> {
    let subjects = batch["subject"].as_string::<i32>().iter();
    let kept = subjects.map(|subject| Some(!subject.unwrap_or_default().starts_with('/')));
    Ok(filter_record_batch(batch, &kept.collect::<BooleanArray>())?)
}

/// `6.18` of a release and its build.
fn release(kernel: &str) -> String {
    kernel.split(['.', '-', ' ']).take(2).collect::<Vec<_>>().join(".")
}

/// The last part of each path in a word: `--truth=/somewhere/log` is `--truth=log`.
fn without_folders(word: &str) -> String {
    let Some(slash) = word.find('/') else { return word.to_string() };
    let begin = word[..slash].rfind(['=', ':', ',', '@', '"']).map_or(0, |at| at + 1);
    let path = &word[begin..];
    let end = path.find([',', ';', '"']).unwrap_or(path.len());
    let name = path[..end].trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let rest = without_folders(&path[end..]);
    format!("{}{name}{rest}", &word[..begin])
}

fn texts(column: &ArrayRef, of: impl Fn(&str) -> String) -> ArrayRef {
    let values = column.as_string::<i32>().iter();
    Arc::new(values.map(|value| value.map(&of)).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_taken_out_of_words() {
        let check = |word: &str, expected: &str| assert_eq!(without_folders(word), expected);
        check("plain", "plain");
        check("/a/b/nginx", "nginx");
        check("--truth=/a/b/log.jsonl", "--truth=log.jsonl");
        check("unix:/a/b.sock", "unix:b.sock");
        check("/a/b,/c/d", "b,d");
        check("@/a/b/", "@b");
        check("/", "");
        assert_eq!(release("6.18.44-build9 #1 SMP"), "6.18");
    }
}
