//! Observation points of a host: capture interfaces, and the interface numbers that cooked v2 headers name. Never sees a
//! frame; counts come from `run`.

use super::chunk::CaptureInterface;
use crate::table::interfaces::InterfaceRow;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// A capture interface, or one number named by cooked headers on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PointKey {
    /// The host's capture file.
    pub(super) file: u32,
    /// The file's interface.
    pub(super) interface: u32,
    /// The number of a cooked v2 header.
    pub(super) cooked: Option<u32>,
}

/// What packets of a point add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PointFacts {
    pub(super) n_packets: i64,
    /// Earliest and latest time, nanoseconds.
    pub(super) range_ns: Option<(i64, i64)>,
}

/// A capture file, read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FileFacts {
    pub(super) stem: String,
    pub(super) netns: Option<String>,
    /// The name given on the command line.
    pub(super) interface: Option<String>,
    pub(super) interfaces: Vec<CaptureInterface>,
}

/// Finds the `interface_id` of a record.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// By file, then by interface.
    files: Vec<Vec<Ids>>,
}

/// The rows of one capture interface.
#[derive(Debug)]
struct Ids {
    own: u32,
    /// (number named by cooked headers, row), sorted.
    cooked: Vec<(u32, u32)>,
}

impl PointFacts {
    /// One more packet.
    pub(super) fn add(&mut self, time_ns: i64) {
        self.join(PointFacts { n_packets: 1, range_ns: Some((time_ns, time_ns)) });
    }

    /// The facts of two stretches together.
    pub(super) fn join(&mut self, other: PointFacts) {
        self.n_packets += other.n_packets;
        self.range_ns = match (self.range_ns, other.range_ns) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (here, there) => here.or(there),
        };
    }
}

impl Lookup {
    /// The row of `interfaces` for a record; cooked numbers not seen while reading fall to the capture's own interface.
    pub(super) fn id(&self, key: PointKey) -> u32 {
        let Ids { own, cooked } = &self.files[key.file as usize][key.interface as usize];
        let found = key.cooked.and_then(|number| {
            let at = cooked.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            Some(cooked[at].1)
        });
        found.unwrap_or(*own)
    }
}

/// The interfaces table's rows (domains left 0), in the order of files, interfaces and cooked numbers.
pub(super) fn rows(
    files: &[FileFacts],
    facts: &BTreeMap<PointKey, PointFacts>,
) -> (Vec<InterfaceRow>, Lookup) {
    let mut rows: Vec<InterfaceRow> = Vec::new();
    let mut lookup = Lookup::default();
    let mut same = SamePoints::default();
    for (number, file) in files.iter().enumerate() {
        let number = number as u32;
        let mut found = Vec::new();
        let n_nameless = file.interfaces.iter().filter(|other| other.name.is_empty()).count();
        for (index, declared) in file.interfaces.iter().enumerate() {
            let key = PointKey { file: number, interface: index as u32, cooked: None };
            let own = rows.len() as u32;
            let of_key = facts.get(&key).copied().unwrap_or_default();
            let row = capture_row(file, declared, key, of_key, n_nameless);
            let all = range_of(facts, key);
            let point = same.find(&row, !declared.name.is_empty() || file.interface.is_some(), all);
            rows.push(InterfaceRow { interface_id: own, point, ..row });
            let mut cooked = Vec::new();
            let first = PointKey { cooked: Some(0), ..key };
            let last = PointKey { cooked: Some(u32::MAX), ..key };
            for (PointKey { cooked: name, .. }, facts) in facts.range(first..=last) {
                let id = rows.len() as u32;
                let row = cooked_row(&rows[own as usize], *name, *facts);
                let point = same.find_cooked(&row, point);
                rows.push(InterfaceRow { interface_id: id, point, ..row });
                cooked.push((name.unwrap_or(0), id));
            }
            found.push(Ids { own, cooked });
        }
        lookup.files.push(found);
    }
    (rows, lookup)
}

fn capture_row(
    file: &FileFacts,
    declared: &CaptureInterface,
    key: PointKey,
    facts: PointFacts,
    n_nameless: usize,
) -> InterfaceRow {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let fallback = || {
        let name = file.interface.as_ref().unwrap_or(&file.stem);
        if n_nameless > 1 { format!("{name}.{}", key.interface) } else { name.clone() }
    };
    InterfaceRow {
        capture_file: Some(key.file),
        section: Some(declared.section),
        capture_index: Some(key.interface),
        netns: file.netns.clone(),
        name: text(&declared.name).unwrap_or_else(fallback),
        kind: "capture".to_string(),
        link_type: declared.link_type_number,
        snap_length: declared.snap_length,
        ticks_per_second: Some(number(declared.ticks_per_second)),
        offset_seconds: Some(declared.offset_seconds),
        received: declared.received.map(number),
        dropped: declared.dropped.map(number),
        n_packets: facts.n_packets,
        valid_from_ns: facts.range_ns.map(|(first, _)| first),
        valid_to_ns: facts.range_ns.map(|(_, last)| last),
        description: text(&declared.description),
        ..InterfaceRow::default()
    }
}

fn cooked_row(own: &InterfaceRow, number: Option<u32>, facts: PointFacts) -> InterfaceRow {
    InterfaceRow {
        parent: Some(own.interface_id),
        name: format!("if{}", number.unwrap_or(0)),
        ifindex: number,
        kind: "cooked".to_string(),
        received: None,
        dropped: None,
        n_packets: facts.n_packets,
        valid_from_ns: facts.range_ns.map(|(first, _)| first),
        valid_to_ns: facts.range_ns.map(|(_, last)| last),
        ..own.clone()
    }
}

/// When anything was captured on an interface, whatever its headers name.
fn range_of(facts: &BTreeMap<PointKey, PointFacts>, key: PointKey) -> Option<(i64, i64)> {
    let mut all = PointFacts::default();
    let last = PointKey { cooked: Some(u32::MAX), ..key };
    facts.range(key..=last).for_each(|(_, facts)| all.join(*facts));
    all.range_ns
}

/// What declarations of one point share: namespace, link type, name or none, which of that name in its section.
type Sameness = (Option<String>, u16, Option<String>, u32);
/// File, section and name.
type InSection = (Option<u32>, Option<u32>, Option<String>);

/// Recognises a point declared again: the next file of a rotated set, the next section of a file.
#[derive(Default)]
struct SamePoints {
    /// The point, and its time range so far.
    known: HashMap<Sameness, (u32, Option<(i64, i64)>)>,
    /// How many of a name there were in a section of a file.
    in_section: HashMap<InSection, u32>,
    cooked: HashMap<(u32, Option<u32>), u32>,
    next_id: u32,
}

impl SamePoints {
    fn find(&mut self, row: &InterfaceRow, named: bool, range: Option<(i64, i64)>) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        let name = named.then(|| row.name.clone());
        let nth = self.in_section.entry((row.capture_file, row.section, name.clone())).or_default();
        *nth += 1;
        let key = (row.netns.clone(), row.link_type, name, *nth);
        let Some((point, known)) = self.known.get_mut(&key) else {
            self.known.insert(key, (id, range));
            return id;
        };
        // Without a name, files of one time are two interfaces, files one after the other a rotated set.
        if !named && overlap(*known, range) {
            self.known.insert(key, (id, range));
            return id;
        }
        *known = match (*known, range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (here, there) => here.or(there),
        };
        *point
    }

    fn find_cooked(&mut self, row: &InterfaceRow, parent_point: u32) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        *self.cooked.entry((parent_point, row.ifindex)).or_insert(id)
    }
}

/// Whether two time ranges share more than a tenth of the shorter one (a rotation may reorder a few packets).
fn overlap(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> bool {
    let (Some((a, b)), Some((c, d))) = (one, other) else { return false };
    let length = |from: i64, to: i64| i128::from(to) - i128::from(from);
    let shared = length(a.max(c), b.min(d));
    shared >= 0 && shared * 10 > length(a, b).min(length(c, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::LinkType;

    fn interface(name: &str, section: u32) -> CaptureInterface {
        CaptureInterface {
            section,
            name: name.into(),
            description: String::new(),
            link_type: LinkType::Ethernet,
            link_type_number: 1,
            snap_length: 0,
            ticks_per_second: 1_000_000,
            offset_seconds: 0,
            received: None,
            dropped: None,
        }
    }

    /// Section, name, time range.
    type Declared<'a> = (u32, &'a str, (i64, i64));

    /// Files with these interfaces give these points.
    fn check(files: &[&[Declared<'_>]], expected: &[u32]) {
        let mut facts = BTreeMap::new();
        let mut all = Vec::new();
        for (number, declared) in files.iter().enumerate() {
            let mut file = FileFacts { stem: format!("f{number}"), ..FileFacts::default() };
            for (index, (section, name, range)) in declared.iter().enumerate() {
                file.interfaces.push(interface(name, *section));
                let key = PointKey { file: number as u32, interface: index as u32, cooked: None };
                facts.insert(key, PointFacts { n_packets: 1, range_ns: Some(*range) });
            }
            all.push(file);
        }
        let points: Vec<u32> = rows(&all, &facts).0.iter().map(|row| row.point).collect();
        assert_eq!(points, expected);
    }

    #[test]
    fn points_declared_again_are_recognised() {
        check(&[&[(0, "eth0", (0, 9))], &[(0, "eth0", (5, 20))]], &[0, 0]);
        check(&[&[(0, "eth0", (0, 9)), (0, "eth0", (0, 9))], &[(0, "eth0", (0, 9))]], &[0, 1, 0]);
        check(&[&[(0, "eth0", (0, 9)), (1, "eth0", (0, 9)), (1, "lo", (0, 9))]], &[0, 0, 2]);
    }

    #[test]
    fn nameless_files_are_one_point_only_one_after_the_other() {
        check(&[&[(0, "", (0, 100))], &[(0, "", (99, 200))], &[(0, "", (200, 300))]], &[0, 0, 0]);
        check(&[&[(0, "", (0, 100))], &[(0, "", (10, 90))]], &[0, 1]);
    }

    #[test]
    fn cooked_numbers_are_points_below_their_interface() {
        let file = FileFacts {
            stem: "any".into(),
            interfaces: vec![interface("any", 0)],
            ..FileFacts::default()
        };
        let key = |file, cooked| PointKey { file, interface: 0, cooked };
        let keys = [key(0, Some(3)), key(0, Some(1)), key(1, Some(3))];
        let facts: BTreeMap<_, _> = keys.map(|key| (key, PointFacts::default())).into();
        let (rows, lookup) = rows(&[file.clone(), file], &facts);
        let shown: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.point, r.parent)).collect();
        assert_eq!(
            shown,
            [
                ("any", 0, None),
                ("if1", 1, Some(0)),
                ("if3", 2, Some(0)),
                ("any", 0, None),
                ("if3", 2, Some(3))
            ]
        );
        assert_eq!(lookup.id(key(1, Some(3))), 4);
        assert_eq!(lookup.id(key(1, Some(9))), 3);
    }
}
