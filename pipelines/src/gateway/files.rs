//! The files that a gateway reads and writes, of which none may be two of them.

use std::path::PathBuf;

use super::{
    policy,
    run::{Paths, Settings},
};
use crate::files::{self, Shared, Use};

/// Sees to it that nothing is written that something else reads or writes, by whatever path.
///
/// # Errors
///
/// With the first two uses that do not go together.
pub(super) fn check(settings: &Settings, paths: Option<&Paths>) -> Result<(), Shared> {
    let config = &settings.config;
    let tuning = settings.tuning.iter().cloned();
    let policies = config.policy.iter().flat_map(|path| policy::paths(path));
    let audit = config.audit.iter().flat_map(|audit| audit.files());
    let uses = paths.into_iter().flat_map(of_paths);
    let uses = uses.chain(tuning.map(|path| Use::reading("`--tuning`", path)));
    let uses = uses.chain(policies.map(|path| Use::reading("`--policy`", path)));
    files::check(uses.chain(audit.map(|path| Use::writing("`--audit`", path))))
}

fn of_paths(paths: &Paths) -> impl Iterator<Item = Use> {
    let named = |path: &PathBuf, standard: &str| match path.as_os_str() == "-" {
        true => standard.into(),
        false => path.clone(),
    };
    let asked = Use::reading("`--requests`", named(&paths.from, "/dev/stdin"));
    let answers = paths.to.as_ref().map(|path| named(path, "/dev/stdout"));
    let answers = answers.map(|path| Use::writing("`--output`", path));
    [Some(asked), answers].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::gateway::{audit::AuditFile, env::Config};

    /// What is told of these files, all in one folder, in which `policies` has a policy and its test.
    fn told(from: &str, to: &str, audit: &str) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("policies")).expect("makes");
        for name in ["a.rego", "a_test.rego"] {
            fs::write(at("policies").join(name), "").expect("writes");
        }
        let named = |name: &str| match name {
            "-" => "-".into(),
            name => at(name),
        };
        let paths = Paths {
            from: named(from),
            to: Some(named(to)),
        };
        let settings = Settings {
            config: Config {
                policy: Some(at("policies")),
                audit: Some(AuditFile {
                    path: at(audit),
                    most_bytes: 1,
                    keep: 2,
                }),
                ..Config::default()
            },
            tuning: Some(at("tuning.ron")),
            ..Settings::default()
        };
        let shared = check(&settings, Some(&paths)).err()?.to_string();
        Some(shared.replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn files_of_their_own_are_fine() {
        assert_eq!(told("-", "-", "audit"), None);
        assert_eq!(told("requests", "answers", "audit"), None);
        assert_eq!(told("audit.3", "tuning", "policies/audit"), None);
        assert_eq!(told("-", "policies/a_test.rego", "policies/b/a.rego"), None);
    }

    #[test]
    fn a_file_that_is_two_things_is_told_with_both() {
        let check = |from, to, audit, expect: &str| {
            let told = told(from, to, audit).expect(expect);
            assert!(
                told.starts_with(&format!("{expect}, which is the")),
                "{told}"
            );
        };
        let same = "`--requests` reads a and `--output` writes a";
        check("a", "a", "audit", same);
        let twice = "`--output` writes a and `--audit` writes a";
        check("-", "a", "a", twice);
        let rotated = "`--requests` reads audit.2 and `--audit` writes audit.2";
        check("audit.2", "-", "audit", rotated);
        let tuning = "`--tuning` reads tuning.ron and `--audit` writes tuning.ron";
        check("-", "-", "tuning.ron", tuning);
        let policy = "`--output` writes policies/a.rego and `--policy` reads policies/a.rego";
        check("-", "policies/a.rego", "audit", policy);
        let data = "`--policy` reads policies/data.json and `--audit` writes policies/data.json";
        check("-", "-", "policies/data.json", data);
    }

    #[test]
    fn policies_that_cannot_be_read_are_told_by_who_reads_them() {
        let settings = Settings {
            config: Config {
                policy: Some(Path::new("no/such/folder").to_owned()),
                ..Config::default()
            },
            ..Settings::default()
        };
        assert_eq!(check(&settings, None), Ok(()));
    }
}
