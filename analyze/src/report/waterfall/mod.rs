//! One trace as a waterfall: the tree of calls with bars on the common timeline, under each call its path with every
//! hop's time, its link's evidence and its doubts. Never hides a point silently, never draws a bar where none is known.

use super::harmless::{fit, fit_left, fit_right, harmless, width};
use super::ink::Ink;
use super::timeline::{Place, Timeline};
use super::traces::{self, TraceLine};
use super::{Ask, Options, Report, calls, instant, json};
use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, Trace};
use crate::measure::{self, SlowestPart};
use crate::names::Names;
use crate::quantity;
use bar::Axis;
use std::collections::BTreeMap;
use std::io::{self, Write};

mod bar;
mod find;
mod link;
mod path;
mod why;

pub use find::find;
pub(super) use link::text as link_text;
pub(super) use why::missing_text;

/// Its entry in the table of reports.
pub(super) const TRACE: Report = Report {
    name: "trace",
    about: "One trace as a waterfall, with the time spent on every hop",
    asks: Some(&[Ask::Trace]),
    write,
};

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::of(analysis);
    let found = find(analysis, &options.trace);
    for (i, trace) in found.iter().filter_map(|&t| analysis.traces.get(t as usize)).enumerate() {
        if options.json {
            write_json(analysis, &names, trace, out)?;
            continue;
        }
        let mut ink = Ink::new(out, options);
        if i > 0 {
            ink.line("")?;
        }
        if let Some(view) = View::of(analysis, &names, trace, options) {
            view.write(&mut ink)?;
        }
    }
    Ok(())
}

fn write_json(
    analysis: &Analysis,
    names: &Names,
    trace: &Trace,
    out: &mut dyn Write,
) -> io::Result<()> {
    if let Some(head) = traces::line(analysis, names, trace) {
        json::line(out, &head)?;
    }
    for call in trace.calls.iter().filter_map(|&c| analysis.calls.get(c as usize)) {
        calls::write_call(analysis, names, call, out)?;
    }
    Ok(())
}

/// What the rendering of one trace needs everywhere.
struct View<'a> {
    analysis: &'a Analysis,
    names: &'a Names,
    options: &'a Options,
    trace: &'a Trace,
    head: TraceLine,
    slowest: Option<SlowestPart>,
    children: BTreeMap<CallIndex, Vec<CallIndex>>,
    timeline: Timeline,
    axis: Axis,
}

/// What the legend has to explain.
#[derive(Default)]
struct Used {
    waiting: bool,
    unplaced: bool,
    across_clocks: bool,
    folded: bool,
    undecided: bool,
}

impl<'a> View<'a> {
    fn of(
        analysis: &'a Analysis,
        names: &'a Names,
        trace: &'a Trace,
        options: &'a Options,
    ) -> Option<Self> {
        let head = traces::line(analysis, names, trace)?;
        let timeline = Timeline::of(analysis, trace);
        let mut children: BTreeMap<CallIndex, Vec<CallIndex>> = BTreeMap::new();
        for &index in trace.calls.iter().filter(|&&c| c != trace.root) {
            let link = analysis.calls.get(index as usize).and_then(|c| c.link.as_ref());
            children.entry(link.map_or(trace.root, |l| l.parent)).or_default().push(index);
        }
        let mut end = head.start + head.duration.ns;
        for call in trace.calls.iter().filter_map(|&c| analysis.calls.get(c as usize)) {
            if let Place::At(start, _) = timeline.place(analysis, call) {
                end = end.max(start + measure::duration(analysis, call).ns);
            }
        }
        let axis = Axis { start: head.start, length: (end - head.start).max(1) };
        let slowest = measure::slowest_part(analysis, trace);
        Some(View { analysis, names, options, trace, head, slowest, children, timeline, axis })
    }

    fn write(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let mut used = Used::default();
        self.write_head(ink)?;
        ink.line("")?;
        self.write_scale(ink)?;
        self.write_call(ink, self.trace.root, "", None, &mut used)?;
        ink.line("")?;
        self.write_losses(ink)?;
        self.write_legend(ink, &used)
    }

    fn write_head(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let head = &self.head;
        let status = fit(&head.status, ink.width / 4);
        let (before, after) =
            (format!("trace {}  ", head.id), format!(" in {}", quantity::seen(head.duration)));
        // The request gives way: its call below shows all of it.
        let taken = width(&before) + width(" → ") + width(&status) + width(&after);
        let request = fit(&head.request, ink.width.saturating_sub(taken).max(8));
        let status = if head.failed { ink.failed(&status) } else { status };
        ink.line(&format!("{before}{request} → {status}{after}"))?;
        let failed = if head.n_failed_calls > 0 {
            format!(" · {} failed", head.n_failed_calls)
        } else {
            String::new()
        };
        let parts = [
            instant::iso(head.start, self.options.zone),
            quantity::plural(head.n_calls as u64, "call") + &failed,
            format!(
                "{} at {}",
                quantity::plural(head.n_spans as u64, "span"),
                quantity::plural(head.n_points as u64, "point")
            ),
            quantity::plural(head.n_services as u64, "service"),
        ];
        ink.wrapped("", "", &parts.join(" · "))?;
        self.write_verdict(ink)?;
        let Some(slowest) = &head.slowest_part else { return Ok(()) };
        let share = slowest
            .share
            .map_or_else(String::new, |s| format!(" = {} of the trace", quantity::share(s, 1.0)));
        let text = format!(
            "slowest part: {} {}{share}",
            harmless(&slowest.place),
            quantity::duration(slowest.own_ns)
        );
        ink.line(&ink.slow(&text))
    }

    fn write_scale(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let (left, bar) = columns(ink.width);
        let middle = quantity::duration(self.axis.length / 2);
        let end = quantity::duration(self.axis.length);
        let gap = bar.saturating_sub(1 + width(&middle) + width(&end));
        let before = (bar / 2).saturating_sub(1 + width(&middle) / 2).min(gap);
        let scale = format!("0{}{middle}{}{end}", " ".repeat(before), " ".repeat(gap - before));
        ink.line(&format!(
            "{} {scale} {} {}",
            fit_left("call", left),
            fit_right("duration", 9),
            fit_right("self", 9)
        ))
    }

    /// One call, what is known of it, then its children. `prefix` is what its own lines stand behind.
    fn write_call(
        &self,
        ink: &mut Ink<'_>,
        index: CallIndex,
        prefix: &str,
        place: Option<(bool, Place)>,
        used: &mut Used,
    ) -> io::Result<()> {
        let Some(call) = self.analysis.calls.get(index as usize) else { return Ok(()) };
        let none = Vec::new();
        let children = self.children.get(&index).unwrap_or(&none);
        let at = self.timeline.place(self.analysis, call);
        let (glyph, below) = match place {
            None => ("", String::new()),
            Some((true, _)) => ("└ ", format!("{prefix}  ")),
            Some((false, _)) => ("├ ", format!("{prefix}│ ")),
        };
        self.write_row(
            ink,
            call,
            &format!("{prefix}{glyph}"),
            (at, place.map(|p| p.1)),
            children,
            used,
        )?;
        let detail = format!("{below}{} ", if children.is_empty() { ' ' } else { '│' });
        let detail = elided(&detail, columns(ink.width).0 / 2);
        self.write_details(ink, index, call, &detail, used)?;
        for (i, &child) in children.iter().enumerate() {
            ink.line(&elided(&format!("{below}│"), columns(ink.width).0 / 2))?;
            self.write_call(ink, child, &below, Some((i + 1 == children.len(), at)), used)?;
        }
        Ok(())
    }

    fn write_row(
        &self,
        ink: &mut Ink<'_>,
        call: &Call,
        tree: &str,
        (at, parent): (Place, Option<Place>),
        children: &[CallIndex],
        used: &mut Used,
    ) -> io::Result<()> {
        let (left, bar_columns) = columns(ink.width);
        let duration = measure::duration(self.analysis, call);
        let tree = &elided(tree, left / 2);
        let mark = if call.failed() { "✗ " } else { "" };
        let status = fit(&format!("{mark}{}", measure::status(call)), left / 3);
        let room = left.saturating_sub(width(tree) + width(&status) + 1);
        let name = fit_left(&self.title(call), room);
        let status = if call.failed() { ink.failed(&status) } else { status };
        let bar = match (at, parent) {
            (Place::At(start, _), _) => {
                let waits = self.waits(children);
                used.waiting |= !waits.is_empty();
                self.axis.bar(bar_columns, start, duration.ns, &waits)
            }
            (Place::Unknown, _) => {
                used.unplaced = true;
                self.axis.unplaced(bar_columns, duration.ns)
            }
        };
        let own = fit_right(&quantity::known(call.self_ns), 9);
        let own = if self.slowest_is_own(call) { ink.slow(&own) } else { own };
        let total = fit_right(&quantity::seen(duration), 9);
        ink.line(&format!("{tree}{name} {status} {bar} {total} {own}"))
    }

    /// `cart  http1 GET /cart/17`.
    fn title(&self, call: &Call) -> String {
        let request = measure::request(call);
        let service = self.names.server(&call.server);
        match call.protocol.as_str() {
            protocol if protocol == request || protocol == service => {
                format!("{service}  {request}")
            }
            protocol => format!("{service}  {protocol} {request}"),
        }
    }

    /// When the children of a call were being waited for.
    fn waits(&self, children: &[CallIndex]) -> Vec<(i64, i64)> {
        let of = |&index: &CallIndex| {
            let call = self.analysis.calls.get(index as usize)?;
            match self.timeline.place(self.analysis, call) {
                Place::At(start, _) => {
                    Some((start, start + measure::duration(self.analysis, call).ns))
                }
                Place::Unknown => None,
            }
        };
        children.iter().filter_map(of).collect()
    }

    fn slowest_is_own(&self, call: &Call) -> bool {
        self.slowest.is_some_and(|s| {
            let slow = self.analysis.calls.get(s.call as usize);
            let hop = slow.and_then(|c| c.hops.get(s.hop));
            slow.is_some_and(|c| c.id == call.id) && hop.is_some_and(|h| h.part.is_work())
        })
    }

    fn write_details(
        &self,
        ink: &mut Ink<'_>,
        index: CallIndex,
        call: &Call,
        indent: &str,
        used: &mut Used,
    ) -> io::Result<()> {
        let (left, _) = columns(ink.width);
        let shown = width(&measure::status(call)) + 1 + width(indent);
        if width(&harmless(&self.title(call))) + shown > left {
            let whole = harmless(&measure::request(call)).into_owned();
            ink.wrapped(&format!("{indent}  "), &format!("{indent}  "), &whole)?;
        }
        self.write_path(ink, index, call, indent, used)?;
        self.write_link(ink, call, indent)?;
        self.write_why(ink, index, call, indent)?;
        if let Place::At(_, bound @ 1..) = self.timeline.place(self.analysis, call) {
            let text = format!(
                "drawn within ± {} (clocks; placed by both directions)",
                quantity::duration(bound)
            );
            ink.wrapped(&format!("{indent}  clock  "), &format!("{indent}         "), &text)?;
            used.across_clocks = true;
        }
        if !call.issues.is_empty() {
            let issues: Vec<_> = call.issues.iter().map(|i| i.name()).collect();
            ink.wrapped(
                &format!("{indent}  doubt  "),
                &format!("{indent}         "),
                &issues.join(", "),
            )?;
        }
        if call.is_open() {
            let text = "no response was seen until its connection or the recording ended";
            ink.wrapped(&format!("{indent}  open   "), &format!("{indent}         "), text)?;
        }
        Ok(())
    }

    fn write_link(&self, ink: &mut Ink<'_>, call: &Call, indent: &str) -> io::Result<()> {
        let text = link::text(call);
        ink.wrapped(
            &format!("{indent}  link   "),
            &format!("{indent}         "),
            &harmless(&text),
        )?;
        let Some(tracer) = &call.tracer else { return Ok(()) };
        let spans = [tracer.client_span_id, tracer.server_span_id].into_iter().flatten();
        let spans: Vec<String> = spans.map(|id| format!("{id:016x}")).collect();
        let text = format!("trace {} · span {}", tracer.trace(), spans.join(" → "));
        ink.wrapped(&format!("{indent}  tracer "), &format!("{indent}         "), &text)
    }

    fn write_losses(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let of = |l: &crate::loss::Loss| {
            format!("{} × {} ({})", quantity::count(l.count), l.cause, l.place)
        };
        let lost = self.analysis.losses.iter().filter(|loss| !loss.is_other_traffic());
        let losses: Vec<_> = lost.map(of).collect();
        if losses.is_empty() {
            return ink.line("lost: nothing in the whole recording");
        }
        ink.wrapped("lost in the whole recording: ", "  ", &harmless(&losses.join(", ")))
    }

    fn write_legend(&self, ink: &mut Ink<'_>, used: &Used) -> io::Result<()> {
        let mut notes = vec![
            "→ request's way, ← response's way; without ± both times come from one clock (± 0)",
        ];
        if used.waiting {
            notes.push("█ in the call itself, ░ while it waited for further calls");
        }
        if used.unplaced {
            notes.push("┄ how long, not when: its clock is not tied to this timeline");
        }
        if used.across_clocks {
            notes.push("⇄ both ways together, known across clocks; one-way unknown (clocks)");
        }
        if used.undecided {
            notes.push("? this point and the one before it may stand in either order");
        }
        if used.folded {
            notes.push("points whose hops took under 1 % share a line, -v gives each its own");
        }
        notes.iter().try_for_each(|note| ink.wrapped("  ", "    ", note))
    }
}

/// A tree deeper than `room` columns without the branches furthest from its leaves.
fn elided(tree: &str, room: usize) -> String {
    let n = tree.chars().count();
    match n.checked_sub(room) {
        None | Some(0) => tree.to_owned(),
        Some(over) => "…".chars().chain(tree.chars().skip(over + 1)).collect(),
    }
}

/// Columns of the tree and of the bar: what the two numbers leave, the bar a little less than half.
fn columns(line: usize) -> (usize, usize) {
    let both = line.saturating_sub(2 * 10 + 1);
    let bar = both * 2 / 5;
    (both - bar, bar)
}
