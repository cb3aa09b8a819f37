//! The probes: one value each, one line in [`PROBES`]. A probe says why it can't run on a machine.
//! One that can be recorded has a `start`.

mod coroutines;
mod counters;
mod drops;
mod kernel_path;
mod needs;
mod packets;
mod passage;
mod processes;
mod ringed;
pub mod sockets;
mod tls;
mod wakeups;
mod wanted;

use crate::broker::Broker;
use crate::error::Result;
use crate::machine::{Kernel, Machine};
use crate::missing::Missing;
use crate::settings::Settings;
use crate::source::Source;

/// One source of rows.
pub struct Probe {
    /// As on the command line and in the bundle.
    pub name: &'static str,
    /// What it would record, in one line.
    pub about: &'static str,
    /// On unless told otherwise.
    pub on_by_default: bool,
    /// The oldest kernel that will do.
    pub kernel_floor: Kernel,
    /// Whether it could run, or everything it lacks.
    pub check: fn(&Machine) -> std::result::Result<(), Missing>,
    /// Runs it; `None`: it is not built yet.
    pub start: Option<Start>,
}

/// Makes a probe run as asked; what takes privileges after the start is the broker's work.
pub type Start = fn(&Settings, &Broker) -> Result<Box<dyn Source>>;

/// Every probe, in the order they are listed.
pub const PROBES: &[&Probe] = &[
    &sockets::PROBE,
    &processes::PROBE,
    &packets::PROBE,
    &counters::PROBE,
    &tls::PROBE,
    &coroutines::PROBE,
    &drops::PROBE,
    &kernel_path::PROBE,
    &wakeups::PROBE,
];

/// The probe of this name.
pub fn find(name: &str) -> Option<&'static Probe> {
    PROBES.iter().copied().find(|probe| probe.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{BpfCall, Capabilities, Capability, Events};

    /// A machine that lacks nothing.
    fn able() -> Machine {
        let events = [
            "syscalls/sys_enter_read",
            "syscalls/sys_exit_read",
            "syscalls/sys_enter_sendmmsg",
            "syscalls/sys_enter_epoll_wait",
            "sched/sched_process_fork",
            "sched/sched_process_exec",
            "sched/sched_process_exit",
            "sched/sched_waking",
            "sched/sched_switch",
            "sock/sock_send_length",
            "task/task_rename",
            "skb/kfree_skb",
            "net/netif_receive_skb",
            "net/net_dev_queue",
            "net/net_dev_start_xmit",
        ];
        Machine {
            system: "linux".into(),
            release: "6.12.0-1-amd64".into(),
            kernel: Some(Kernel::new(6, 12)),
            capabilities: Capabilities(u64::MAX),
            initial_user_namespace: true,
            btf: true,
            events: Events::Listed(events.map(String::from).into()),
            drop_reasons: true,
            bpf: BpfCall::Present,
            lockdown_confidentiality: false,
            perf_event_paranoid: false,
            uprobes: true,
            packet_sockets: true,
            netstat: true,
        }
    }

    fn without(machine: &Machine, capability: Capability) -> Machine {
        let capabilities = Capabilities(machine.capabilities.0 & !(1 << capability as u8));
        Machine { capabilities, ..machine.clone() }
    }

    /// The names of what `probe` lacks on `machine`.
    fn check(machine: &Machine, probe: &str, expected: &[&str]) {
        let found = (find(probe).expect("a probe").check)(machine);
        let lacks = found.as_ref().err().map(Missing::lacks).unwrap_or_default();
        let names: Vec<_> = lacks.iter().map(|lack| lack.name()).collect();
        assert_eq!(names, expected, "{probe}: {lacks:?}");
    }

    fn able_probes(machine: &Machine) -> Vec<&'static str> {
        PROBES.iter().filter(|p| (p.check)(machine).is_ok()).map(|p| p.name).collect()
    }

    #[test]
    fn names_are_unique_and_every_probe_says_what_it_is() {
        for (i, probe) in PROBES.iter().enumerate() {
            assert_eq!(PROBES.iter().position(|p| p.name == probe.name), Some(i));
            assert!(!probe.about.is_empty() && !probe.about.contains('\n'), "{}", probe.name);
        }
    }

    #[test]
    fn a_machine_that_lacks_nothing_runs_all() {
        assert_eq!(able_probes(&able()).len(), PROBES.len());
    }

    #[test]
    fn below_its_floor_no_probe_runs_and_at_its_floor_each_does() {
        for probe in PROBES {
            let floor = probe.kernel_floor;
            let at = |kernel: Kernel| Machine { kernel: Some(kernel), ..able() };
            assert!((probe.check)(&at(floor)).is_ok(), "{} at {floor}", probe.name);
            let below = match floor.minor {
                0 => Kernel::new(floor.major - 1, 19),
                minor => Kernel::new(floor.major, minor - 1),
            };
            check(&at(below), probe.name, &["kernel"]);
        }
    }

    #[test]
    fn an_unknown_kernel_is_not_taken_for_a_new_one() {
        let machine = Machine { kernel: None, release: String::new(), ..able() };
        assert!(able_probes(&machine).is_empty());
    }

    #[test]
    fn root_of_a_user_namespace_may_read_counters_and_its_own_packets() {
        let machine = Machine { initial_user_namespace: false, ..able() };
        assert_eq!(able_probes(&machine), ["packets", "counters"]);
        check(&machine, "sockets", &["initial-user-namespace"]);
    }

    #[test]
    fn an_ordinary_user_may_read_counters() {
        let machine =
            Machine { capabilities: Capabilities(0), events: Events::Unreadable, ..able() };
        assert_eq!(able_probes(&machine), ["counters"]);
        check(&machine, "packets", &["CAP_NET_RAW"]);
        check(&machine, "sockets", &["CAP_BPF", "CAP_PERFMON", "tracefs-readable"]);
        check(&machine, "tls", &["CAP_BPF", "CAP_PERFMON"]);
    }

    #[test]
    fn sys_admin_stands_for_bpf_and_perfmon() {
        let narrow = without(&without(&able(), Capability::Bpf), Capability::Perfmon);
        check(&narrow, "sockets", &[]);
        check(&without(&narrow, Capability::SysAdmin), "sockets", &["CAP_BPF", "CAP_PERFMON"]);
        check(&without(&able(), Capability::SysAdmin), "sockets", &[]);
    }

    #[test]
    fn a_paranoid_kernel_takes_sys_admin_for_perf_events() {
        let paranoid = Machine { perf_event_paranoid: true, ..able() };
        check(&paranoid, "sockets", &[]);
        let narrow = without(&paranoid, Capability::SysAdmin);
        check(&narrow, "sockets", &["perf-event-paranoid"]);
        check(&narrow, "tls", &["perf-event-paranoid"]);
        check(&narrow, "processes", &[]);
    }

    #[test]
    fn what_a_kernel_was_built_without() {
        check(&Machine { btf: false, ..able() }, "sockets", &["btf"]);
        check(&Machine { bpf: BpfCall::Absent, ..able() }, "wakeups", &["bpf-call"]);
        check(&Machine { bpf: BpfCall::PerhapsFiltered, ..able() }, "wakeups", &[]);
        check(&Machine { events: Events::NotMounted, ..able() }, "sockets", &["tracefs"]);
        check(&Machine { events: Events::NotMounted, ..able() }, "processes", &[]);
        check(&Machine { uprobes: false, ..able() }, "tls", &["feature"]);
        check(&Machine { packet_sockets: false, ..able() }, "packets", &["feature"]);
        check(&Machine { netstat: false, ..able() }, "counters", &["feature"]);
        check(&Machine { drop_reasons: false, ..able() }, "drops", &["feature"]);
        check(&Machine { lockdown_confidentiality: true, ..able() }, "drops", &["kernel-memory"]);
        check(&Machine { events: Events::Listed([].into()), ..able() }, "drops", &["event"]);
    }

    #[test]
    fn elsewhere_than_on_linux_only_that_is_said() {
        let machine = Machine { system: "macos".into(), ..Machine::default() };
        PROBES.iter().for_each(|probe| check(&machine, probe.name, &["linux"]));
    }

    #[test]
    fn every_lack_says_what_to_do() {
        let machine = Machine { system: "linux".into(), ..Machine::default() };
        let missing =
            (find("sockets").expect("a probe").check)(&machine).expect_err("it lacks all");
        let text = missing.to_string();
        assert!(
            text.starts_with("needs Linux 5.11 (bpf_get_current_task_btf), the release"),
            "{text}"
        );
        assert!(text.contains("; needs CAP_BPF: run as root, or grant it; "), "{text}");
    }
}
