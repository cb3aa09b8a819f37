//! Merging sorted runs, however many: rows come out in table order. Never holds more than one row of each run.

use super::spill::{Order, SpilledRun, order};
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Runs merged at once: bounds open files and buffers.
const FAN_IN: usize = 128;

/// Hands every row of `runs` to `take` in order; the runs are deleted as they end. More than [`FAN_IN`] are merged into
/// longer ones in `scratch` first.
pub(crate) fn merge(
    mut runs: Vec<PathBuf>,
    scratch: &Path,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut n_merged = 0;
    while runs.len() > FAN_IN {
        let path = scratch.join(format!("merged-{n_merged}"));
        n_merged += 1;
        let failed = |error| Error::io(&path, &error);
        let mut longer = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(failed)?);
        let first: Vec<PathBuf> = runs.drain(..FAN_IN).collect();
        merge_some(&first, &mut |row| longer.write_all(row).map_err(failed))?;
        longer.flush().map_err(failed)?;
        runs.push(path);
    }
    merge_some(&runs, &mut take)
}

fn merge_some(paths: &[PathBuf], take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut runs = Vec::with_capacity(paths.len());
    let mut heads: BinaryHeap<Reverse<(Order, usize)>> = BinaryHeap::new();
    for path in paths {
        let mut run = SpilledRun::open(path)?;
        if run.advance()? {
            heads.push(Reverse((order(run.row()), runs.len())));
        }
        runs.push(run);
    }
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((_, number)) = *head;
        let run = &mut runs[number];
        take(run.row())?;
        if run.advance()? {
            *head = Reverse((order(run.row()), number));
        } else {
            PeekMut::pop(head);
            // Its rows are elsewhere now; what can't be removed here goes with the scratch folder.
            let _ = std::fs::remove_file(&paths[number]);
        }
    }
    Ok(())
}
