//! Does a bundle agree with itself? Manifest and tables say some things twice; both must say the same. Never reads a file.

use super::manifest::{HostEntry, Manifest, Seal};
use super::names::{self, MANIFEST};
use super::source::Source;
use super::told::Told;
use crate::error::{At, Error, Kind};
use crate::table::{capture_blocks, clock, hosts, interfaces, losses, packets, spans};
use std::collections::BTreeMap;

/// Tables that every host has, with or without rows.
pub(crate) const EVERY_HOST: [&str; 6] = [
    hosts::TABLE.name,
    clock::TABLE.name,
    interfaces::TABLE.name,
    packets::TABLE.name,
    losses::TABLE.name,
    capture_blocks::TABLE.name,
];

/// What contradicts itself. `told` is what the readable files say; sums are compared only if that `is_all`.
pub(super) fn cross_check(
    source: &Source,
    manifest: &Manifest,
    told: &[Told],
    is_all: bool,
) -> Vec<Error> {
    let mut found = Found { source, problems: Vec::new() };
    found.check_names(manifest);
    if manifest.seal == Seal::Unsealed {
        // What a recorder says twice it says when it seals.
        return found.problems;
    }
    for host in &manifest.hosts {
        let of_host: Vec<&Told> = told.iter().filter(|told| told.host == host.folder).collect();
        found.check_tables(manifest, host);
        found.check_host(host, &of_host);
        found.check_interfaces(manifest, &of_host);
        if is_all {
            found.check_counts(host, &of_host);
        }
    }
    if is_all {
        found.check_losses(manifest, told);
        found.check_times(manifest, told);
    }
    found.problems
}

struct Found<'a> {
    source: &'a Source,
    problems: Vec<Error>,
}

impl Found<'_> {
    fn add(&mut self, name: &str, at: At, kind: Kind) {
        self.problems.push(Error::new(self.source.shown(name), at, kind));
    }

    /// Files of hosts that the manifest doesn't name, hosts named twice, folders of other names.
    fn check_names(&mut self, manifest: &Manifest) {
        for (at, host) in manifest.hosts.iter().enumerate() {
            if names::host_folder(&host.name, &host.id) != host.folder {
                let why = format!("{:?} is not the folder of host {:?}", host.folder, host.name);
                self.add(MANIFEST, At::File, Kind::HostsDiffer(why));
            }
            if manifest.hosts[..at].iter().any(|other| other.folder == host.folder) {
                let why = format!("{:?} is named twice", host.folder);
                self.add(MANIFEST, At::File, Kind::HostsDiffer(why));
            }
        }
        for file in &manifest.files {
            if !manifest.hosts.iter().any(|host| host.folder == file.host) {
                let why = format!("the manifest names no host `{}`", file.host);
                self.add(&file.path, At::File, Kind::HostsDiffer(why));
            }
        }
    }

    fn check_tables(&mut self, manifest: &Manifest, host: &HostEntry) {
        for table in EVERY_HOST {
            let mut files = manifest.files.iter();
            if !files.any(|file| file.table == table && file.host == host.folder) {
                let why = format!("host {:?} has no file of the table `{table}`", host.name);
                self.add(MANIFEST, At::File, Kind::MissingTable(why));
            }
        }
    }

    fn check_host(&mut self, host: &HostEntry, told: &[&Told]) {
        let named = |told: &&&Told| told.table == hosts::TABLE.name;
        for told in told.iter().filter(named) {
            if told.names.is_empty() || told.names.iter().any(|name| *name != host.name) {
                let why = format!("{:?} in the manifest, {:?} in `hosts`", host.name, told.names);
                self.add(MANIFEST, At::File, Kind::HostsDiffer(why));
            }
        }
    }

    /// Several parts of the table count on.
    fn check_interfaces(&mut self, manifest: &Manifest, told: &[&Told]) {
        let of_part = |told: &'_ &Told| {
            let path = told.path.clone();
            (0..told.interfaces.len()).map(move |row| (path.clone(), row)).collect::<Vec<_>>()
        };
        let places = told.iter().flat_map(of_part);
        let rows = told.iter().flat_map(|told| &told.interfaces);
        for (id, ((name, at), row)) in places.zip(rows).enumerate() {
            let (name, at) = (&name, At::Row(at as u64));
            if row.interface_id as usize != id {
                self.add(name, at, Kind::UnorderedRows);
            }
            if row.domain_id as usize >= manifest.domains.len() {
                let why = format!("domain_id {} is not in the manifest", row.domain_id);
                self.add(name, at, Kind::UnknownDomain(why));
            }
            if row.point as usize > id || row.parent.is_some_and(|own| own as usize > id) {
                let why = format!("point {} or its parent comes later", row.point);
                self.add(name, at, Kind::UnknownInterface(why));
            }
        }
    }

    /// Packets by interface, and records and blocks by capture.
    fn check_counts(&mut self, host: &HostEntry, told: &[&Told]) {
        let rows = || told.iter().flat_map(|told| &told.interfaces);
        let n_interfaces = rows().count() as u32;
        let mut packets: BTreeMap<u32, i64> = BTreeMap::new();
        for (id, n) in told.iter().flat_map(|told| &told.packets) {
            *packets.entry(*id).or_default() += n;
        }
        let name = names::table_file(packets::TABLE.name, &host.folder, 0);
        if let Some((id, n)) = packets.range(n_interfaces..).next() {
            let why = format!("{n} packets of interface_id {id}, which is none");
            self.add(&name, At::File, Kind::UnknownInterface(why));
        }
        for row in rows() {
            let n = packets.get(&row.interface_id).copied().unwrap_or(0);
            if n != row.n_packets {
                let why = format!(
                    "{n} packets of interface_id {}, {} by the table `interfaces`",
                    row.interface_id, row.n_packets
                );
                self.add(&name, At::File, Kind::CountsDiffer(why));
            }
        }
        let listed: i64 = host.captures.iter().map(|capture| capture.n_rows).sum();
        let rows_of = [packets::TABLE.name, capture_blocks::TABLE.name, spans::TABLE.name];
        let is_row = |told: &&&Told| rows_of.contains(&told.table);
        let n_rows = told.iter().filter(is_row).map(|told| told.n_rows as i64).sum::<i64>();
        if !host.captures.is_empty() && n_rows != listed {
            let why =
                format!("{n_rows} packets, blocks and spans, {listed} by the manifest's captures");
            self.add(MANIFEST, At::File, Kind::CountsDiffer(why));
        }
    }

    fn check_losses(&mut self, manifest: &Manifest, told: &[Told]) {
        let mut sums: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
        for told in told {
            for (cause, count) in &told.losses {
                let sum = &mut sums.entry((&told.host, cause)).or_default().0;
                *sum = sum.saturating_add(*count);
            }
        }
        for loss in &manifest.losses {
            let sum = &mut sums.entry((&loss.host, &loss.cause)).or_default().1;
            *sum = sum.saturating_add(loss.count);
        }
        for ((host, cause), (counted, listed)) in sums {
            if counted != listed {
                let why = format!("{listed} × {cause} of {host}, {counted} by its table `losses`");
                self.add(MANIFEST, At::File, Kind::LossesDiffer(why));
            }
        }
    }

    fn check_times(&mut self, manifest: &Manifest, told: &[Told]) {
        for found in told.iter().filter(|told| told.table == packets::TABLE.name) {
            let listed = manifest.files.iter().find(|file| file.path == found.path);
            if let Some(listed) = listed
                && found.range_ns != listed.first_ns.zip(listed.last_ns)
            {
                let why = "first_ns or last_ns is not that of its packets".to_string();
                self.add(&listed.path, At::File, Kind::CountsDiffer(why));
            }
        }
    }
}
