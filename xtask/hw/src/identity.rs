//! What a machine is, in a few words: what two results have to have in common to be compared.

use std::collections::BTreeMap;

use pipewright_bench::fingerprint::{HARDWARE, UNKNOWN, fields};

use crate::Files;

/// Names and values, such as `cpu_model` and `AMD EPYC`; what is not known is left out, and so is what can be set, which checks look at.
pub fn identity(files: &Files) -> BTreeMap<String, String> {
    let mut known = fields(|path| files.text(path));
    known.retain(|name, value| HARDWARE.contains(&name.as_str()) && value != UNKNOWN);
    known
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
        let expect = [("cpu_model".to_owned(), "An Old One @ 2:1".to_owned())];
        assert_eq!(identity(&files), BTreeMap::from(expect));
    }
}
