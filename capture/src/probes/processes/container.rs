//! Which container and pod a cgroup belongs to: the container's id from the path, its name and pod from the files that runtimes
//! and the kubelet keep on the node. Never asks an API server, never reads more than a bounded piece of a file.

use serde_json::Value;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes read of a runtime's file.
const MAX_BYTES: u64 = 4 << 20;
/// Looked up at most so often again while nothing is found: a file may come later than the process.
const MAX_TRIES: u32 = 5;

/// A container, as far as the node says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Container {
    /// As in the cgroup path.
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// `namespace/pod`.
    pub(super) pod: Option<String>,
}

/// Containers by id, each looked up once.
pub(super) struct Containers {
    root: PathBuf,
    known: HashMap<String, (Container, u32)>,
}

impl Containers {
    /// Of the machine whose file system is at `root`.
    pub(super) fn new(root: &Path) -> Containers {
        Containers { root: root.into(), known: HashMap::new() }
    }

    /// The container of a cgroup.
    pub(super) fn of(&mut self, cgroup: &str) -> Option<Container> {
        let id = id_of(cgroup)?;
        let (found, n_tries) = self.known.remove(id).unwrap_or_default();
        let (found, n_tries) = match found.name.is_none() && n_tries < MAX_TRIES {
            true => (self.look_up(id), n_tries + 1),
            false => (found, n_tries),
        };
        self.known.insert(id.to_string(), (found.clone(), n_tries));
        Some(found)
    }

    fn look_up(&self, id: &str) -> Container {
        let found = self.kubelet(id).or_else(|| self.docker(id)).or_else(|| self.oci(id));
        let found = found.or_else(|| self.podman(id)).unwrap_or_default();
        Container { id: id.to_string(), ..found }
    }

    /// `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`, links that the kubelet makes for all runtimes.
    fn kubelet(&self, id: &str) -> Option<Container> {
        let ending = format!("-{id}.log");
        let entries = fs::read_dir(self.root.join("var/log/containers")).ok()?.flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let name = names.find(|name| name.ends_with(&ending))?;
        let mut parts = name.strip_suffix(&ending)?.splitn(3, '_');
        let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
        Some(named(container, Some((namespace, pod))))
    }

    /// Docker's own state.
    fn docker(&self, id: &str) -> Option<Container> {
        let state = self.json(&format!("var/lib/docker/containers/{id}/config.v2.json"))?;
        let labels = &state["Config"]["Labels"];
        let name = state["Name"].as_str()?.trim_start_matches('/');
        let name = labels["io.kubernetes.container.name"].as_str().unwrap_or(name);
        let pod = labels["io.kubernetes.pod.namespace"]
            .as_str()
            .zip(labels["io.kubernetes.pod.name"].as_str());
        Some(named(name, pod))
    }

    /// The OCI bundle that containerd or CRI-O runs, with its annotations.
    fn oci(&self, id: &str) -> Option<Container> {
        let tasks = "run/containerd/io.containerd.runtime.v2.task";
        let spaces = fs::read_dir(self.root.join(tasks)).into_iter().flatten().flatten();
        let of_containerd = spaces
            .filter_map(|space| space.file_name().into_string().ok())
            .map(|space| format!("{tasks}/{space}/{id}/config.json"));
        let of_crio = [
            format!("run/containers/storage/overlay-containers/{id}/userdata/config.json"),
            format!("var/lib/containers/storage/overlay-containers/{id}/userdata/config.json"),
        ];
        let config = of_containerd.chain(of_crio).find_map(|path| self.json(&path))?;
        let note = |names: [&str; 2]| {
            names.into_iter().find_map(|name| config["annotations"][name].as_str())
        };
        let name = note(["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]);
        let namespace =
            note(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]);
        let pod = note(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
        // A sandbox has no name of its own: it holds the pod's network.
        let name = name.or_else(|| namespace.map(|_| "POD"));
        name.map(|name| named(name, namespace.zip(pod)))
    }

    /// Podman's list.
    fn podman(&self, id: &str) -> Option<Container> {
        let list = self.json("var/lib/containers/storage/overlay-containers/containers.json")?;
        let one = list.as_array()?.iter().find(|one| one["id"].as_str() == Some(id))?;
        Some(named(one["names"][0].as_str()?, None))
    }

    fn json(&self, path: &str) -> Option<Value> {
        let mut bytes = Vec::new();
        File::open(self.root.join(path)).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

fn named(name: &str, pod: Option<(&str, &str)>) -> Container {
    Container {
        id: String::new(),
        name: Some(name.to_string()),
        pod: pod.map(|(namespace, pod)| format!("{namespace}/{pod}")),
    }
}

/// The container's id in a cgroup path: its innermost part that holds 64 hexadecimal digits (docker, containerd, CRI-O, podman), or
/// the name that LXC and systemd-nspawn give.
fn id_of(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        // cri-containerd-<id>, docker-<id>, crio-<id>, libpod-<id>, kubepods…:cri-containerd:<id>
        let last = part.rsplit(['-', ':']).next().unwrap_or(part);
        let is_id = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id(last) && !part.contains("conmon") {
            return Some(last);
        }
        part.strip_prefix("lxc.payload.").or_else(|| part.strip_prefix("machine-"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn ids_of_all_runtimes() {
        let check = |cgroup: &str, expected: Option<&str>| assert_eq!(id_of(cgroup), expected);
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-ID.scope",
            "/kubepods/burstable/pod1-2/ID",
            "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope/container",
            "/machine.slice/libpod-ID.scope",
            "/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:ID",
        ] {
            check(&path.replace("ID", ID), Some(ID));
        }
        check("/lxc.payload.web/init.scope", Some("web"));
        check("/machine.slice/machine-web.scope", Some("web"));
        check("/user.slice/user-0.slice/session-1.scope", None);
        check("/", None);
    }

    fn check(files: &[(&str, &str)], name: Option<&str>, pod: Option<&str>) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path.replace("ID", ID));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.replace("ID", ID)).unwrap();
        }
        let found = Containers::new(root.path()).of(&format!("/docker/{ID}")).unwrap();
        assert_eq!(
            (found.id.as_str(), found.name.as_deref(), found.pod.as_deref()),
            (ID, name, pod)
        );
    }

    #[test]
    fn names_as_the_node_says_them() {
        check(
            &[("var/log/containers/web-7_shop_nginx-ID.log", "")],
            Some("nginx"),
            Some("shop/web-7"),
        );
        check(
            &[(
                "var/lib/docker/containers/ID/config.v2.json",
                r#"{"Name":"/web","Config":{"Labels":{}}}"#,
            )],
            Some("web"),
            None,
        );
        check(
            &[(
                "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
                r#"{"annotations":{"io.kubernetes.cri.container-name":"app","io.kubernetes.cri.sandbox-name":"web-7",
                    "io.kubernetes.cri.sandbox-namespace":"shop"}}"#,
            )],
            Some("app"),
            Some("shop/web-7"),
        );
        check(
            &[(
                "var/lib/containers/storage/overlay-containers/containers.json",
                r#"[{"id":"ID","names":["db"]}]"#,
            )],
            Some("db"),
            None,
        );
        check(&[("var/lib/docker/containers/ID/config.v2.json", "{\"Name\":")], None, None);
        check(&[], None, None);
    }
}
