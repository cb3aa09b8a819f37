//! Which namespaces and interfaces are recorded, of those that are there. Never looks at a frame: the kernel does, by number.

use super::program::{RETURN, op};
use crate::broker::Broker;
use crate::filter::Filter;
use crate::kernel::{Instruction, Link, Namespace};
use std::collections::{BTreeMap, BTreeSet};

/// `SKF_AD_OFF + SKF_AD_IFINDEX` (include/uapi/linux/filter.h).
const INTERFACE: u32 = (-0x1000_i32 + 8) as u32;
/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JA`.
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP: u16 = 0x05;
/// What the kernel takes at most (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// What was asked for.
pub(super) struct Chosen {
    /// Empty: all.
    namespaces: Vec<u32>,
    processes: Vec<u32>,
    cgroups: Vec<u64>,
    /// Namespaces in which one of these processes was seen.
    of_processes: BTreeSet<u32>,
    /// Names, or their beginnings and `*`; empty: all.
    interfaces: Vec<String>,
}

impl Chosen {
    pub(super) fn of(filter: &Filter) -> Chosen {
        Chosen {
            namespaces: filter.namespaces.clone(),
            processes: filter.processes.clone(),
            cgroups: filter.cgroups.clone(),
            of_processes: BTreeSet::new(),
            interfaces: filter.interfaces.clone(),
        }
    }

    /// Leaves the namespaces that are recorded. One in which a process of interest was seen is, as long as it is there.
    pub(super) fn keep(&mut self, all: &mut BTreeMap<u32, Namespace>, broker: &Broker) {
        if !self.namespaces.is_empty() {
            all.retain(|inode, _| self.namespaces.contains(inode));
        }
        if self.processes.is_empty() && self.cgroups.is_empty() {
            return;
        }
        // Without an answer no process is known to have come.
        let seen = broker.namespaces_of(&self.processes, &self.cgroups);
        self.of_processes.extend(seen.unwrap_or_default());
        all.retain(|inode, _| self.of_processes.contains(inode));
    }

    /// The numbers of those of `links`, which stand in order, that are recorded; `None`: all are, whatever their names.
    pub(super) fn numbers(&self, links: &[Link]) -> Option<Vec<u32>> {
        let is_wanted = |link: &&Link| self.interfaces.iter().any(|name| is(name, &link.name));
        let numbers = links.iter().filter(is_wanted).map(|link| link.ifindex);
        (!self.interfaces.is_empty()).then(|| numbers.collect())
    }

    /// A whole name that none of `links` has: a mistake, while a beginning may wait for what comes.
    pub(super) fn unknown(&self, links: &[Link]) -> Option<&str> {
        let is_there = |name: &str| links.iter().any(|link| is(name, &link.name));
        let mut names = self.interfaces.iter().map(String::as_str);
        names.find(|name| !name.ends_with('*') && !is_there(name))
    }
}

/// Whether an interface is called so.
fn is(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    }
}

/// `filter` for frames of these interfaces alone, as far as a program has room for so many: else whoever takes the frames must choose.
pub(super) fn of_interfaces(numbers: Option<&[u32]>, filter: &[Instruction]) -> Vec<Instruction> {
    let room = (MAX_INSTRUCTIONS.saturating_sub(filter.len() + 2)) / 2;
    let Some(numbers) = numbers.filter(|numbers| numbers.len() <= room) else {
        return filter.to_vec();
    };
    let mut code = vec![op(LOAD_WORD, INTERFACE)];
    for (n, number) in numbers.iter().enumerate() {
        // Equal: on to the jump behind it, which leads over all that is left and the return.
        code.push(Instruction { code: JUMP_EQUAL, if_true: 0, if_false: 1, value: *number });
        code.push(op(JUMP, 2 * (numbers.len() - n - 1) as u32 + 1));
    }
    code.push(op(RETURN, 0));
    code.extend(filter);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, name: &str) -> Link {
        Link { ifindex, name: name.to_string(), ..Link::default() }
    }

    #[test]
    fn names_and_beginnings_of_names() {
        let interfaces = ["eth0", "veth*"].map(str::to_string).to_vec();
        let chosen = Chosen::of(&Filter { interfaces, ..Filter::default() });
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "veth7"), link(4, "eth01")];
        assert_eq!(chosen.numbers(&links), Some(vec![2, 3]));
        assert_eq!(Chosen::of(&Filter::default()).numbers(&links), None);
        assert_eq!(chosen.unknown(&links), None);
        assert_eq!(chosen.unknown(&links[2..]), Some("eth0"));
        assert_eq!(chosen.unknown(&links[1..2]), None, "a beginning may wait");
    }

    /// Runs what stands before the filter; where it ends.
    fn check(numbers: &[u32], number: u32, expected: usize) {
        let code = of_interfaces(Some(numbers), &[op(RETURN, 9)]);
        let mut at = 1;
        loop {
            let instruction = code[at];
            at += match instruction.code {
                JUMP_EQUAL if instruction.value == number => usize::from(instruction.if_true) + 1,
                JUMP_EQUAL => usize::from(instruction.if_false) + 1,
                JUMP => instruction.value as usize + 1,
                _ => break,
            };
        }
        assert_eq!(code[at].value as usize, expected, "{numbers:?}, {number}");
    }

    #[test]
    fn frames_of_other_interfaces_are_dropped() {
        check(&[], 1, 0);
        check(&[4, 5, 6], 4, 9);
        check(&[4, 5, 6], 6, 9);
        check(&[4, 5, 6], 7, 0);
        let many: Vec<u32> = (1..=1000).collect();
        check(&many, 1, 9);
        check(&many, 1000, 9);
        check(&many, 1001, 0);
        let too_many: Vec<u32> = (1..=3000).collect();
        assert_eq!(of_interfaces(Some(&too_many), &[op(RETURN, 9)]), [op(RETURN, 9)]);
    }
}
