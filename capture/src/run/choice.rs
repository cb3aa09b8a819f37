//! Which probes run: asked for by name and unable, the recorder refuses; automatic and unable, it goes on and says so.

use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::probes::{PROBES, Probe, Start};
use crate::settings::Wanted;

/// A probe that shall run.
pub(super) struct Chosen {
    pub(super) probe: &'static Probe,
    pub(super) start: Start,
    /// Whether it was asked for by name.
    pub(super) by_name: bool,
}

/// The probes to start, and the automatic ones that can't run, with the reason.
pub(super) type Choice = (Vec<Chosen>, Vec<(&'static Probe, String)>);

/// Decides for `machine`.
pub(super) fn choose(wanted: &Wanted, machine: &Machine) -> Result<Choice> {
    let names = wanted.only.iter().chain(&wanted.with).chain(&wanted.without);
    if let Some(unknown) = names.into_iter().find(|name| crate::probes::find(name).is_none()) {
        return Err(Error::BadArguments(format!("no probe is called `{unknown}`")));
    }
    let (mut chosen, mut unable) = (Vec::new(), Vec::new());
    for probe in PROBES.iter().copied() {
        let is_in = |list: &[String]| list.iter().any(|name| name == probe.name);
        let by_name = is_in(&wanted.only) || is_in(&wanted.with);
        let automatic = wanted.only.is_empty() && probe.on_by_default;
        if is_in(&wanted.without) || !(by_name || automatic) {
            continue;
        }
        match ((probe.check)(machine), probe.start) {
            (Ok(()), Some(start)) => chosen.push(Chosen { probe, start, by_name }),
            (Err(missing), _) if by_name => {
                return Err(Error::CannotRun { probe: probe.name, why: missing.to_string() });
            }
            (Ok(()), None) if by_name => {
                let why = "this version can't record it yet".to_string();
                return Err(Error::CannotRun { probe: probe.name, why });
            }
            (Err(missing), _) => unable.push((probe, missing.to_string())),
            // What is not built is no lack of the machine.
            (Ok(()), None) => {}
        }
    }
    if chosen.is_empty() {
        let all: Vec<_> =
            unable.iter().map(|(probe, why)| format!("{}: {why}", probe.name)).collect();
        return Err(Error::NothingCanRun { why: all.join("; ") });
    }
    Ok((chosen, unable))
}
