//! The loop: drains every source some 100 times a second, asks each once a second, and stops in the order that loses nothing:
//! sources, drain, bundle. Never waits for the disk: the writer does.

use super::choice::{self, Chosen};
use super::queue::{Message, Queue};
use super::stop::{Reason, Running, Signals};
use super::writer::{Ended, Writer};
use super::{cost, host};
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::kernel::{clock, keep_privileges};
use crate::machine::{Capability, Kernel, Machine};
use crate::payload;
use crate::settings::{Ring, Settings};
use crate::source::{Rows, Source};
use afterpath_formats::error::{At, Kind};
use afterpath_formats::recording::{Recording, RecordingOptions, Retention, Sealed, SegmentLimits};
use afterpath_formats::table::clock::{self as clock_table, ClockRow};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::{counters, hosts};
use nix::sys::statvfs::statvfs;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

/// Time between two drains.
const TICK: Duration = Duration::from_millis(10);
/// A drain later than this is told: the machine was too busy for the recorder.
const LATE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// Time between two syncs: a kill costs less than a second.
const SYNC: Duration = Duration::from_millis(500);

/// The first kernel on which whoever holds a map may use it without CAP_BPF (commit c8644cd0efe7).
const MAPS_NEED_NOTHING: Kernel = Kernel::new(5, 19);

/// A recording that ended.
#[derive(Debug)]
pub struct Finished {
    /// Why it ended.
    pub reason: Reason,
    /// How long it recorded.
    pub duration: Duration,
    /// The bundle, or why it is not sealed.
    pub sealed: std::result::Result<Sealed, afterpath_formats::Error>,
    /// What went wrong while writing.
    pub error: Option<afterpath_formats::Error>,
    /// Rows that could not be written, by table.
    pub unwritten: BTreeMap<&'static str, u64>,
    /// The command's exit code.
    pub command_code: Option<i32>,
}

/// A probe that runs.
struct Active {
    name: &'static str,
    source: Box<dyn Source>,
}

/// Records until it is told to stop. What the user should know meanwhile goes to `out`.
pub fn record(settings: &Settings, machine: &Machine, out: &mut dyn Write) -> Result<Finished> {
    let signals = Signals::catch()?;
    if std::fs::symlink_metadata(&settings.output).is_ok() {
        let kind = Kind::OutputExists;
        return Err(afterpath_formats::Error::new(&settings.output, At::File, kind).into());
    }
    let (chosen, mut unable) = choice::choose(&settings.probes, machine)?;
    let broker = if settings.follow { Broker::start()? } else { Broker::own() };
    let mut sources = start(chosen, settings, &broker, &mut unable)?;
    let started = Instant::now();
    let (host, domains) = host::entry();
    let mut recording = Recording::create(&settings.output, &options(settings), host, domains)?;
    if let Some(sample) = settings.sample {
        recording.reduction("window", &sample.text());
    }
    if let Some(text) = settings.filter.text() {
        recording.reduction("filter", &text);
    }
    let is_older = machine.kernel.is_some_and(|kernel| kernel < MAPS_NEED_NOTHING);
    keep_privileges(if is_older { &[Capability::Bpf] } else { &[] })
        .map_err(|error| Error::system("giving up privileges", &error))?;
    let queue = Queue::new((settings.memory_bytes / 4) as usize);
    let writer = Writer::start(recording, queue.clone())
        .map_err(|error| Error::system("starting the writer", &error))?;
    let ran = json!("ran");
    let probes: serde_json::Map<_, _> = unable
        .iter()
        .map(|(probe, why)| (probe.name.to_string(), json!(why)))
        .chain(sources.iter().map(|active| (active.name.to_string(), ran.clone())))
        .collect();
    let row = host::row(machine, &json!(probes));
    queue.clone().append(&hosts::TABLE, hosts::batch(&[row]));
    say_start(settings, &sources, &unable, out);
    let mut recorder = Recorder {
        settings,
        signals,
        queue,
        started,
        losses_from_ns: clock::boottime_ns(),
        clock: None,
        broker: broker.clone(),
    };
    let (reason, command_code) = match recorder.follow(&mut sources, &writer) {
        Ok(ended) => ended,
        Err(error) => {
            // The command could not be started: what was begun ends as usual.
            recorder.stop(&mut sources);
            let _ = writer.finish();
            return Err(error);
        }
    };
    recorder.stop(&mut sources);
    let ended = writer.finish();
    let duration = recorder.started.elapsed();
    let Some(Ended { sealed, error, unwritten }) = ended else {
        return Err(Error::system("writing", "the writer's thread broke down"));
    };
    Ok(Finished { reason, duration, sealed, error, unwritten, command_code })
}

fn start(
    chosen: Vec<Chosen>,
    settings: &Settings,
    broker: &Broker,
    unable: &mut Vec<(&'static crate::probes::Probe, String)>,
) -> Result<Vec<Active>> {
    let mut sources = Vec::new();
    for Chosen { probe, start, by_name } in chosen {
        match start(settings, broker) {
            Ok(source) => sources.push(Active { name: probe.name, source }),
            // What the user got wrong is not left to a warning.
            Err(error @ Error::BadArguments(_)) => return Err(error),
            Err(error) if by_name => return Err(error),
            Err(error) => unable.push((probe, error.to_string())),
        }
    }
    if sources.is_empty() {
        let why: Vec<_> =
            unable.iter().map(|(probe, why)| format!("{}: {why}", probe.name)).collect();
        return Err(Error::NothingCanRun { why: why.join("; ") });
    }
    Ok(sources)
}

fn options(settings: &Settings) -> RecordingOptions {
    let limits = SegmentLimits { bytes: settings.memory_bytes / 8, ..SegmentLimits::default() };
    let retention = settings.ring.map(|Ring { bytes, age }| Retention {
        bytes,
        age_ns: age.map(|age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)),
    });
    RecordingOptions {
        writer: concat!("afterpath-record ", env!("CARGO_PKG_VERSION")).to_string(),
        limits,
        retention,
        ..RecordingOptions::default()
    }
}

fn say_start(
    settings: &Settings,
    sources: &[Active],
    unable: &[(&'static crate::probes::Probe, String)],
    out: &mut dyn Write,
) {
    let names: Vec<_> = sources.iter().map(|active| active.name).collect();
    let mut text = format!(
        "recording {} into {}; payload: {}\n",
        names.join(", "),
        settings.output.display(),
        payload::text(settings.payload)
    );
    for (probe, why) in unable {
        text.push_str(&format!("warning[probe-left-out]: {}: {why}\n", probe.name));
    }
    if let Some(pid) = host::other_recorder() {
        text.push_str(&format!(
            "warning[second-recorder]: process {pid} records here too; each costs the machine what it costs alone\n"
        ));
    }
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

struct Recorder<'a> {
    broker: Broker,
    clock: Option<ClockRow>,
    settings: &'a Settings,
    signals: Signals,
    queue: Queue,
    started: Instant,
    losses_from_ns: i64,
}

impl Recorder<'_> {
    /// Drains until there is a reason to stop.
    fn follow(&mut self, sources: &mut [Active], writer: &Writer) -> Result<(Reason, Option<i32>)> {
        let mut command = Running::start(&self.settings.command)?;
        self.each_second(sources);
        let mut next_second = Instant::now() + SECOND;
        let mut next_sync = Instant::now() + SYNC;
        let mut drained = Instant::now();
        let reason = loop {
            let signalled = self.signals.sleep(TICK);
            if drained.elapsed() > LATE {
                // The recorder itself got no processor time.
                let now_ns = clock::boottime_ns();
                self.mark("late-drain", now_ns - drained.elapsed().as_nanos() as i64, now_ns);
            }
            drained = Instant::now();
            sources.iter_mut().for_each(|active| active.source.drain(&mut self.queue));
            if Instant::now() >= next_sync {
                next_sync = Instant::now() + SYNC;
                self.queue.push(Message::Sync);
            }
            if Instant::now() >= next_second {
                next_second += SECOND;
                self.each_second(sources);
                if self.is_nearly_full() {
                    break Reason::DiskNearlyFull;
                }
            }
            if signalled {
                break Reason::Signal;
            } else if self.settings.duration.is_some_and(|time| self.started.elapsed() >= time) {
                break Reason::Duration;
            } else if command.has_ended() {
                break Reason::CommandEnded;
            } else if writer.has_failed() {
                break Reason::WriteFailed;
            }
        };
        Ok((reason, command.end()))
    }

    fn each_second(&mut self, sources: &mut [Active]) {
        let now_ns = clock::boottime_ns();
        let reading = clock::reading(self.clock.as_ref());
        self.queue.append(&clock_table::TABLE, clock_table::batch(&[reading]));
        if let Some(before) = self.clock.filter(|_| reading.stepped) {
            self.mark("clock-stepped", before.boottime_ns, now_ns);
        }
        self.clock = Some(reading);
        for active in sources.iter_mut() {
            active.source.each_second(now_ns, &mut self.queue);
        }
        let made =
            sources.iter_mut().filter_map(|active| Some((active.name, active.source.n_made()?)));
        self.queue
            .append(&counters::TABLE, counters::batch(&cost::rows(now_ns, made, &self.broker)));
        self.losses(sources, now_ns);
    }

    fn losses(&mut self, sources: &mut [Active], now_ns: i64) {
        let went = self.broker.went().then(|| LossRow {
            source: "recorder".to_string(),
            cause: "broker-ended".to_string(),
            count: 1,
            ..LossRow::default()
        });
        let rows: Vec<LossRow> = sources
            .iter_mut()
            .flat_map(|active| active.source.losses())
            .chain(went)
            .map(|row| LossRow {
                from_ns: row.from_ns.or(Some(self.losses_from_ns)),
                to_ns: row.to_ns.or(Some(now_ns)),
                ..row
            })
            .collect();
        self.losses_from_ns = now_ns;
        if !rows.is_empty() {
            self.queue.push(Message::Lost(rows));
        }
    }

    /// Marks a time in which something was doubtful.
    fn mark(&mut self, cause: &str, from_ns: i64, to_ns: i64) {
        self.queue.push(Message::Lost(vec![LossRow {
            source: "recorder".to_string(),
            cause: cause.to_string(),
            count: 1,
            from_ns: Some(from_ns),
            to_ns: Some(to_ns),
            ..LossRow::default()
        }]));
    }

    fn is_nearly_full(&self) -> bool {
        statvfs(&self.settings.output).is_ok_and(|disk| {
            disk.blocks_available() * disk.fragment_size() <= self.settings.keep_free_bytes
        })
    }

    /// Sources first, then what they still hold, then the bundle.
    fn stop(&mut self, sources: &mut [Active]) {
        sources.iter_mut().for_each(|active| active.source.stop());
        // What was on its way when the sources stopped.
        std::thread::sleep(TICK);
        sources.iter_mut().for_each(|active| active.source.drain(&mut self.queue));
        self.each_second(sources);
        self.broker.end();
        self.queue.close();
    }
}
