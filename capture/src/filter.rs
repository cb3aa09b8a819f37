//! What to record, decided in the kernel before anything is copied. Never looks at a payload.

/// Lists of what is wanted; an empty list wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// Process ids.
    pub processes: Vec<u32>,
    /// Cgroup ids (v2).
    pub cgroups: Vec<u64>,
    /// Network namespaces' inode numbers.
    pub namespaces: Vec<u32>,
    /// Of packets, those of interfaces called so; a `*` at the end stands for any more.
    pub interfaces: Vec<String>,
    /// Of packets, those of this expression in the syntax of pcap-filter(7), as far as `packets` understands it.
    pub packets: Option<String>,
}

impl Filter {
    /// In words, for the manifest; `None`: everything is wanted.
    pub(crate) fn text(&self) -> Option<String> {
        fn list<T: ToString>(name: &str, values: &[T]) -> Option<String> {
            let values: Vec<String> = values.iter().map(T::to_string).collect();
            (!values.is_empty()).then(|| format!("{name} {}", values.join(" ")))
        }
        let parts: Vec<String> = [
            list("ports", &self.ports),
            list("processes", &self.processes),
            list("cgroups", &self.cgroups),
            list("network namespaces", &self.namespaces),
            list("packets of interfaces", &self.interfaces),
            self.packets.as_ref().map(|text| format!("packets that are `{text}`")),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("recorded: only {}", parts.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_told_in_words() {
        assert_eq!(Filter::default().text(), None);
        let filter =
            Filter { ports: vec![80, 443], packets: Some("tcp".to_string()), ..Filter::default() };
        let expected = "recorded: only ports 80 443; packets that are `tcp`";
        assert_eq!(filter.text().as_deref(), Some(expected));
    }
}
