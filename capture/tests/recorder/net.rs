//! Network namespaces of a test's own. None outlives its value.

use std::process::Command;

/// Two namespaces with a cable between them; gone when dropped.
pub(crate) struct Net {
    pub(crate) names: [String; 2],
}

/// Runs `ip` with these arguments.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip starts");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Net {
    /// Both, called after `test`.
    pub(crate) fn new(test: &str) -> Net {
        let names = ["a", "b"].map(|end| format!("apk-{test}-{end}"));
        let net = Net { names };
        let [a, b] = &net.names;
        ip(&format!("netns add {a}"));
        ip(&format!("netns add {b}"));
        ip(&format!("-n {a} link add veth0 type veth peer name veth0 netns {b}"));
        for (name, address) in [(a, "10.77.0.1/24"), (b, "10.77.0.2/24")] {
            ip(&format!("-n {name} address add {address} dev veth0"));
            ip(&format!("-n {name} link set veth0 up"));
            ip(&format!("-n {name} link set lo up"));
        }
        net
    }

    /// Waits until no end of a connection to this port is left, but for those that only wait for late packets.
    pub(crate) fn until_all_are_closed(&self, port: u16) {
        let begun = std::time::Instant::now();
        let is_open = |name: &String| {
            let output = Command::new("ip")
                .args(["netns", "exec", name, "cat", "/proc/net/tcp"])
                .output()
                .expect("ip starts");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().skip(1).any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let is_it = |at: usize| words[at].ends_with(&format!(":{port:04X}"));
                // 06: TIME-WAIT.
                (is_it(1) || is_it(2)) && words[3] != "06"
            })
        };
        while self.names.iter().any(is_open) {
            assert!(begun.elapsed().as_secs() < 60, "connections stay open");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Runs a Python program in one of them.
    pub(crate) fn python(&self, end: usize, program: &str) {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.names[end], "python3", "-c", program])
            .output()
            .expect("ip starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}
