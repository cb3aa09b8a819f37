//! A call's path: one line per observation point with the hop that leads to it, the server behind the last one, and the
//! sum of all parts. Runs of trivial hops share a line that names their points.

use super::{Used, View};
use crate::call::{Call, CallIndex, CallState, Hop, OrderBasis, Part, SpanAt};
use crate::flow::Flow;
use crate::measure;
use crate::quantity;
use crate::report::harmless::{fit_left, harmless, width};
use crate::report::ink::Ink;
use std::io;

/// A hop under this share of its trace (1/100) may share a line with its neighbours.
const TRIVIAL: i64 = 100;
/// So many trivial hops in a row make a shared line.
const RUN: usize = 3;

impl View<'_> {
    pub(super) fn write_path(
        &self,
        ink: &mut Ink<'_>,
        index: CallIndex,
        call: &Call,
        indent: &str,
        used: &mut Used,
    ) -> io::Result<()> {
        ink.fitted(&format!("{indent}  "), &format!("{indent}    "), &self.first_point(call))?;
        let mut i = 0;
        while i < call.hops.len() {
            let run = self.trivial_run(index, call, i);
            if run >= RUN {
                self.write_run(ink, call, &call.hops[i..i + run], indent)?;
                used.folded = true;
                i += run;
                continue;
            }
            self.write_hop(ink, index, call, i, indent, used)?;
            i += 1;
        }
        if call.hops.is_empty() {
            self.write_bare_points(ink, call, indent)?;
        }
        self.write_sum(ink, call, indent)
    }

    /// `client/eth0  10.0.0.2:40312 → 10.0.0.10:80`.
    fn first_point(&self, call: &Call) -> String {
        let label = measure::point_label(self.analysis, call, 0);
        let ends = self
            .flow(call, 0)
            // A tracer's are made up.
            .filter(|_| call.tracer.is_none())
            .map_or_else(String::new, |f| format!("  {} → {}", f.client, f.server));
        let packets = call.spans.first().map_or_else(String::new, packets);
        format!("{}{ends}{packets}", harmless(&label))
    }

    fn flow(&self, call: &Call, index: usize) -> Option<&Flow> {
        call.spans.get(index).and_then(|s| self.analysis.flows.get(s.flow as usize))
    }

    /// How many hops from `from` on are trivial wire hops.
    fn trivial_run(&self, index: CallIndex, call: &Call, from: usize) -> usize {
        let trivial = |(i, hop): (usize, &Hop)| {
            let span = call.spans.get(hop.to as usize);
            hop.part == Part::Wire
                && hop.total_ns.saturating_mul(TRIVIAL) < self.axis.length
                && hop.bound_ns.is_some()
                && !self.is_slowest(index, i)
                && !self.readdressed(call, hop)
                && span.is_some_and(|s| {
                    s.retransmissions == 0 && s.order_basis != OrderBasis::Undecided
                })
        };
        if self.options.verbose {
            return 0;
        }
        call.hops.iter().enumerate().skip(from).take_while(|x| trivial((x.0, x.1))).count()
    }

    fn write_run(
        &self,
        ink: &mut Ink<'_>,
        call: &Call,
        run: &[Hop],
        indent: &str,
    ) -> io::Result<()> {
        let add = i64::saturating_add;
        let sum = |of: fn(&Hop) -> Option<i64>| {
            run.iter().map(of).try_fold(0, |sum, ns| ns.map(|ns| add(sum, ns)))
        };
        let bound = run.iter().filter_map(|h| h.bound_ns).fold(0, add);
        let times = times(sum(|h| h.forward_ns), sum(|h| h.return_ns), Some(bound));
        let labels: Vec<String> =
            run.iter().map(|h| measure::point_label(self.analysis, call, h.to as usize)).collect();
        let names = harmless(&labels.join(" → ")).into_owned();
        let start = format!("{indent}  ↳ ");
        if width(&start) + width(&names) < self.name_columns(ink, indent) {
            return ink.line(&format!(
                "{}{times}",
                fit_left(&format!("{start}{names}"), self.name_columns(ink, indent))
            ));
        }
        ink.wrapped(&start, &format!("{start}  "), &names)?;
        let hops = format!("{indent}    {} together", quantity::plural(run.len() as u64, "hop"));
        ink.line(&format!("{}{times}", column(&hops, self.name_columns(ink, indent))))
    }

    fn write_hop(
        &self,
        ink: &mut Ink<'_>,
        index: CallIndex,
        call: &Call,
        i: usize,
        indent: &str,
        used: &mut Used,
    ) -> io::Result<()> {
        let hop = &call.hops[i];
        let slowest = self.is_slowest(index, i);
        let notable = slowest
            || self.options.verbose
            || hop.total_ns.saturating_mul(TRIVIAL) >= self.axis.length;
        let is_empty = hop.total_ns == 0 && !hop.part.is_leg() && !hop.part.is_work();
        if is_transfer(hop.part) && !notable || is_empty {
            return Ok(()); // the sum line shows it
        }
        let span = call.spans.get(hop.to as usize);
        let is_leg = hop.part.is_leg();
        let unsure = is_leg && span.is_some_and(|s| s.order_basis == OrderBasis::Undecided);
        used.undecided |= unsure;
        let name = format!(
            "{indent}  {}{}",
            if unsure { "? " } else { "↳ " },
            harmless(&self.hop_name(call, hop))
        );
        let mut text = if is_leg {
            used.across_clocks |= hop.bound_ns.is_none();
            leg_times(hop)
        } else {
            self.part_times(call, hop)
        };
        text.push_str(&span.filter(|_| is_leg).map_or_else(String::new, packets));
        let columns = self.name_columns(ink, indent);
        let line = format!("{}{text}", column(&name, columns));
        if !slowest {
            ink.line(&line)?;
        } else if width(&line) + 15 <= ink.width {
            ink.line(&format!(
                "{}{}",
                column(&name, columns),
                ink.slow(&format!("{text}  ◀ slowest part"))
            ))?;
        } else {
            ink.line(&format!("{}{}", column(&name, columns), ink.slow(&text)))?;
            ink.line(&format!("{}{}", column(indent, columns), ink.slow("◀ slowest part")))?;
        }
        match self.flow(call, hop.to as usize).filter(|_| self.readdressed(call, hop)) {
            Some(f) => ink.wrapped(
                &format!("{indent}    "),
                &format!("{indent}      "),
                &format!("addresses from here on: {} → {}", f.client, f.server),
            ),
            None => Ok(()),
        }
    }

    fn hop_name(&self, call: &Call, hop: &Hop) -> String {
        let to = measure::point_label(self.analysis, call, hop.to as usize);
        match hop.part {
            Part::Wire => to,
            Part::Gateway | Part::GatewayProcess => format!("{to} (forwarded)"),
            Part::GatewayIn | Part::GatewayOut => to,
            Part::Server => self.names.server(&call.server),
            Part::ServerApp => to,
            // They end where the next line's point is.
            Part::ClientSendQueue => format!("{to} (send queue)"),
            Part::ServerSendQueue => "send queue".to_owned(),
            part => measure::words(part).to_owned(),
        }
    }

    fn part_times(&self, call: &Call, hop: &Hop) -> String {
        let total = quantity::duration(hop.total_ns);
        match (hop.part, call.self_ns) {
            (part, Some(own)) if part.is_work() && own < hop.total_ns => {
                format!("server {total}, of it {} its own", quantity::duration(own))
            }
            (part, _) if part.is_work() => format!("server {total}"),
            _ => total,
        }
    }

    /// Points of a call without hops (open, one-way): no time to give, but all shown.
    fn write_bare_points(&self, ink: &mut Ink<'_>, call: &Call, indent: &str) -> io::Result<()> {
        for i in 1..call.spans.len() {
            let label = measure::point_label(self.analysis, call, i);
            ink.line(&format!("{indent}  ↳ {}{}", harmless(&label), packets(&call.spans[i])))?;
        }
        Ok(())
    }

    /// `sum    request 2 µs + wire 36 µs + server 47.9 ms + response 5 µs = 48.2 ms`.
    fn write_sum(&self, ink: &mut Ink<'_>, call: &Call, indent: &str) -> io::Result<()> {
        if call.hops.is_empty() {
            return Ok(());
        }
        let mut parts: Vec<(Part, i64)> = Vec::new();
        for hop in &call.hops {
            match parts.iter_mut().find(|(part, _)| *part == hop.part) {
                Some((_, ns)) => *ns += hop.total_ns,
                None => parts.push((hop.part, hop.total_ns)),
            }
        }
        let short = |part: Part| measure::words(part).trim_end_matches(" transfer");
        let always = |part: Part| part.is_leg() || part.is_work() || is_transfer(part);
        let terms: Vec<_> = parts
            .iter()
            .filter(|(part, ns)| *ns != 0 || always(*part))
            .map(|(part, ns)| unbroken(&format!("{} {}", short(*part), quantity::duration(*ns))))
            .collect();
        let sum = parts.iter().map(|(_, ns)| *ns).fold(0, i64::saturating_add);
        let whole = measure::duration(self.analysis, call);
        let text = match (sum == whole.ns, call.state) {
            (true, _) => format!("{} = {}", terms.join(" + "), unbroken(&quantity::seen(whole))),
            (false, CallState::Complete) => {
                format!(
                    "{} = {}, NOT the whole {}",
                    terms.join(" + "),
                    quantity::duration(sum),
                    unbroken(&quantity::seen(whole))
                )
            }
            (false, _) => format!("{} of {}", terms.join(" + "), unbroken(&quantity::seen(whole))),
        };
        ink.wrapped(&format!("{indent}  sum    "), &format!("{indent}         "), &text)
    }

    fn is_slowest(&self, index: CallIndex, hop: usize) -> bool {
        self.slowest.is_some_and(|s| s.call == index && s.hop == hop)
    }

    /// Whether addresses differ on the two sides of a hop.
    fn readdressed(&self, call: &Call, hop: &Hop) -> bool {
        let ends = |i: u16| self.flow(call, i as usize).map(|f| (f.client, f.server));
        hop.from != hop.to && ends(hop.from) != ends(hop.to)
    }

    /// Where the times begin: the same for all calls unless the tree is deep.
    fn name_columns(&self, ink: &Ink<'_>, indent: &str) -> usize {
        (ink.width * 2 / 5).max(width(indent) + 24)
    }
}

fn is_transfer(part: Part) -> bool {
    matches!(part, Part::RequestTransfer | Part::ResponseTransfer)
}

/// A name in its column, which ends with a space.
fn column(name: &str, columns: usize) -> String {
    format!("{} ", fit_left(name, columns.saturating_sub(1)))
}

fn leg_times(hop: &Hop) -> String {
    match (hop.forward_ns, hop.return_ns, hop.bound_ns) {
        (None, None, None) => {
            format!("one-way unknown (clocks)  ⇄ {}", quantity::duration(hop.total_ns))
        }
        (forward, back, bound) => times(forward, back, bound),
    }
}

fn times(forward: Option<i64>, back: Option<i64>, bound: Option<i64>) -> String {
    let bound = match bound {
        Some(0) => String::new(),
        Some(ns) => format!("  ± {}", quantity::duration(ns)),
        None => "  one-way unknown (clocks)".to_owned(),
    };
    format!(
        "→ {}← {}{bound}",
        fit_left(&quantity::known(forward), 10),
        fit_left(&quantity::known(back), 8)
    )
}

/// Kept on one line by [`Ink::wrapped`].
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// What of the request and the response was sent again, or not captured, at a point.
fn packets(span: &SpanAt) -> String {
    let mut text = String::new();
    if span.retransmissions > 0 {
        text += &format!("  {}", quantity::plural(span.retransmissions.into(), "retransmission"));
    }
    if span.missing_bytes > 0 {
        text += &format!("  {} not captured here", quantity::bytes(span.missing_bytes));
    }
    text
}
