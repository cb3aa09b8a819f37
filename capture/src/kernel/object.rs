//! One eBPF object: loaded with its settings, its programs attached, its ring and counters taken out. Dropping what is left
//! of it detaches everything. Never reads a record.

use super::counts::{Count, Counts};
use super::window::Window;
use crate::error::{Error, Result};
use crate::settings::Sample;
use aya::maps::{Array, HashMap, Map, MapData, RingBuf};
use aya::programs::Program;
use aya::{Btf, Ebpf, EbpfLoader};
use std::os::fd::{AsFd, AsRawFd};

/// Settings of a program: constants in its read-only data.
pub(crate) type Globals<'a> = &'a [(&'static str, &'a u32)];

/// A loaded object.
pub(crate) struct Object {
    pub(crate) probe: &'static str,
    /// The programs, and the maps nobody took.
    pub(crate) ebpf: Ebpf,
}

impl Object {
    /// Loads `bytes` for `probe`. `ring_bytes` is rounded up to a power of two.
    pub(crate) fn load(
        probe: &'static str,
        bytes: &[u8],
        globals: Globals<'_>,
        ring_bytes: u32,
    ) -> Result<Object> {
        let mut loader = EbpfLoader::new();
        loader.map_max_entries("ring", ring_bytes.next_power_of_two().max(4096));
        for (name, value) in globals {
            loader.override_global(name, *value, true);
        }
        let ebpf = loader.load(bytes).map_err(|error| Error::probe(probe, "load", &error))?;
        Ok(Object { probe, ebpf })
    }

    /// Attaches every program: `enter_x` and `exit_x` to the tracepoints of system call `x`, typed tracepoints to that of
    /// their own name. A call that this kernel doesn't have is left out and named. Iterators wait.
    pub(crate) fn attach(&mut self) -> Result<Vec<String>> {
        let btf = Btf::from_sys_fs().map_err(|error| Error::probe(self.probe, "btf", &error))?;
        let mut absent = Vec::new();
        for (name, program) in self.ebpf.programs_mut() {
            let failed = |error: aya::programs::ProgramError| {
                Error::probe(self.probe, &format!("attach {name}"), &error)
            };
            match program {
                Program::TracePoint(program) => {
                    let event = event_of(name);
                    if !has_event(&event) {
                        absent.push(event);
                        continue;
                    }
                    program.load().map_err(failed)?;
                    program.attach("syscalls", &event).map_err(failed)?;
                }
                Program::BtfTracePoint(program) => {
                    program.load(name, &btf).map_err(failed)?;
                    program.attach().map_err(failed)?;
                }
                // Where their functions lie is the broker's knowledge.
                Program::UProbe(program) => program.load().map_err(failed)?,
                _ => {}
            }
        }
        Ok(absent)
    }

    /// Runs an iterator over all tasks' files to its end; what it finds comes through the ring.
    pub(crate) fn iterate_files(&mut self, name: &str) -> Result<()> {
        let failed = |error: &dyn std::error::Error| Error::probe(self.probe, "iterate", error);
        let btf = Btf::from_sys_fs().map_err(|error| failed(&error))?;
        let Some(Program::Iter(program)) = self.ebpf.program_mut(name) else {
            return Err(Error::probe(self.probe, "iterate", &std::fmt::Error));
        };
        program.load("task_file", &btf).map_err(|error| failed(&error))?;
        let link = program.attach().map_err(|error| failed(&error))?;
        let link = program.take_link(link).map_err(|error| failed(&error))?;
        let mut file = link.into_file().map_err(|error| failed(&error))?;
        std::io::copy(&mut file, &mut std::io::sink()).map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Takes the ring out.
    pub(crate) fn ring(&mut self) -> Result<RingBuf<MapData>> {
        let map = self.ebpf.take_map("ring").expect("every object has a ring");
        RingBuf::try_from(map).map_err(|error| Error::probe(self.probe, "ring", &error))
    }

    /// Takes the window out, opened as `sample` says.
    pub(crate) fn window(&mut self, sample: Option<Sample>) -> Result<Window> {
        let map = self.ebpf.take_map(".data").expect("every object has a window");
        let map =
            Array::try_from(map).map_err(|error| Error::probe(self.probe, "window", &error))?;
        Window::open(self.probe, map, sample)
    }

    /// Maps the counters.
    pub(crate) fn counts(&mut self, counts: &'static [Count]) -> Result<Counts> {
        let failed = |error: &dyn std::error::Error| Error::probe(self.probe, "counts", error);
        let programs = self.ebpf.programs().filter_map(|(_, program)| {
            let descriptor = match program {
                Program::TracePoint(program) => program.fd(),
                Program::BtfTracePoint(program) => program.fd(),
                Program::UProbe(program) => program.fd(),
                _ => return None,
            };
            Some(descriptor.ok()?.as_fd().as_raw_fd())
        });
        let programs = programs.collect();
        let map = self.ebpf.map("counts").expect("every object counts");
        let Map::Array(data) = map else { unreachable!("kernel.bpf.h makes it an array") };
        Counts::new(self.probe, data.fd().as_fd(), counts, programs).map_err(|error| failed(&error))
    }
}

/// Puts `keys` into the hash map `name`: a filter's wanted ones.
pub(crate) fn fill<K: aya::Pod>(
    probe: &'static str,
    ebpf: &mut Ebpf,
    name: &'static str,
    keys: &[K],
) -> Result<()> {
    let refused = |error: aya::maps::MapError| Error::probe(probe, name, &error);
    let map = ebpf.map_mut(name).expect("the object has this map");
    let mut map: HashMap<_, K, u8> = HashMap::try_from(map).map_err(refused)?;
    keys.iter().try_for_each(|key| map.insert(*key, 1, 0).map_err(refused))
}

/// `enter_read` → `sys_enter_read`.
fn event_of(program: &str) -> String {
    format!("sys_{program}")
}

fn has_event(event: &str) -> bool {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .any(|root| std::path::Path::new(root).join("events/syscalls").join(event).exists())
}
