//! What a machine is, in a few words: what two results have to have in common to be compared.

use std::collections::BTreeMap;

use crate::Files;

/// Names and values, such as `cpu` and `AMD EPYC`; what is not known is left out.
pub fn identity(files: &Files) -> BTreeMap<String, String> {
    let cpuinfo = files.text("proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo
            .lines()
            .find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let known = [
        ("cpu", field("model name").or_else(|| field("CPU part"))),
        ("microcode", field("microcode")),
        ("cpus online", files.text("sys/devices/system/cpu/online")),
        ("nodes", files.text("sys/devices/system/node/online")),
        ("kernel", files.text("proc/sys/kernel/osrelease")),
    ];
    let known = known.into_iter();
    known
        .filter_map(|(name, value)| Some((name.to_owned(), value.filter(|v| !v.is_empty())?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_by_what_it_tells() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::at(folder.path());
        assert!(identity(&files).is_empty(), "nothing is known of nothing");
        std::fs::create_dir_all(folder.path().join("proc")).expect("a folder");
        let text =
            "processor\t: 0\nmodel name\t: An Old One @ 2:1\nprocessor\t: 1\nmodel name\t: x\n";
        std::fs::write(folder.path().join("proc/cpuinfo"), text).expect("a file");
        let expect = [("cpu".to_owned(), "An Old One @ 2:1".to_owned())];
        assert_eq!(identity(&files), BTreeMap::from(expect));
    }
}
