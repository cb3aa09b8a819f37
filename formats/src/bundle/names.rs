//! File and folder names inside a bundle. Never touches the file system.

/// The manifest's name.
pub const MANIFEST: &str = "manifest.json";

/// The folder name of a host: `<name>-<id>`, with every character escaped (`%2F`) that is not a letter, a digit or one of `._-`
/// and a long name cut, so that it is one path element and one Hive partition value everywhere.
pub fn host_folder(name: &str, id: &str) -> String {
    let mut folder = String::new();
    for byte in name.bytes() {
        // A file system's names end at 255 bytes.
        if folder.len() >= 180 {
            break;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => folder.push(byte as char),
            b'.' if !folder.is_empty() => folder.push('.'),
            _ => folder.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("{folder}-{id}")
}

/// The host id of `bytes` (a name, or a stem and the beginning of a file): 8 hexadecimal digits.
pub fn host_id(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..8].to_string()
}

/// Where part `part` of a host's table stands in the bundle.
pub fn table_file(table: &str, host_folder: &str, part: usize) -> String {
    format!("{table}/host={host_folder}/part-{part:05}.parquet")
}

/// Where segment `number` of a host's table stands while it is being recorded.
pub fn segment_file(table: &str, host_folder: &str, number: u32) -> String {
    format!("{table}/host={host_folder}/open-{number:05}.segment")
}

/// The part that `path` holds: its number stands behind `part-`.
pub fn part_number(path: &str) -> Option<u32> {
    let rest = path.rsplit('/').next()?.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Table, folder and number of the segment at `path`.
pub fn segment_of(path: &str) -> Option<(&str, &str, u32)> {
    let (table, rest) = path.split_once("/host=")?;
    let (folder, file) = rest.split_once('/')?;
    let number = file.strip_prefix("open-")?.strip_suffix(".segment")?.parse().ok()?;
    (segment_file(table, folder, number) == path).then_some((table, folder, number))
}

/// Whether `path` may name a file of a bundle: relative, `/`-separated, no empty, `.` or `..` element, no back-slash, colon or NUL.
pub fn is_safe(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 4096
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|element| !matches!(element, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, folder: &str) {
        assert_eq!(host_folder(name, "00000000"), format!("{folder}-00000000"));
        assert!(is_safe(&table_file("packets", &host_folder(name, "00000000"), 0)));
    }

    #[test]
    fn host_folders_are_one_path_element() {
        check("gw7", "gw7");
        check("a/b", "a%2Fb");
        check("../x", "%2E.%2Fx");
        check("node.example", "node.example");
        check("k=v %", "k%3Dv%20%25");
        check("é", "%C3%A9");
        check(&"é".repeat(90), &"%C3%A9".repeat(30));
    }

    #[test]
    fn parts_and_segments_are_numbered() {
        let numbers = ["part-00007.parquet", "part-00007-x.parquet", "part-x.parquet", "open-1"];
        assert_eq!(numbers.map(part_number), [Some(7), Some(7), None, None]);
        let path = segment_file("losses", "a-1", 7);
        assert_eq!(segment_of(&path), Some(("losses", "a-1", 7)));
        assert_eq!(segment_of(&path.replace("0007", "7")), None);
        assert_eq!(segment_of("losses/host=a-1/part-00007.parquet"), None);
    }

    #[test]
    fn unsafe_paths_are_known() {
        for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "C:x", "a\\b", "a\0"]
        {
            assert!(!is_safe(path), "{path:?}");
        }
        assert!(is_safe("packets/host=a-1/part-00000.parquet"));
    }
}
