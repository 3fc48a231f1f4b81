//! The files that a run reads and writes, of which none may be two of them.

use std::path::Path;

use super::{
    feed::Input,
    positions,
    service::{Service, Sink},
};
use crate::files::{self, Shared, Use};

/// Sees to it that nothing is written that something else reads or writes, by whatever path; `options` name files that are read, too.
///
/// # Errors
///
/// With the first two uses that do not go together.
pub fn check(
    options: &[(&str, Option<&Path>)],
    inputs: &[Input],
    services: &[Service],
    positions: Option<&Path>,
) -> Result<(), Shared> {
    let said = options.iter().filter_map(of_option);
    let read = inputs.iter().filter_map(of_input);
    let written = services.iter().filter_map(of_service);
    let kept = positions.into_iter().flat_map(of_positions);
    files::check(said.chain(read).chain(written).chain(kept))
}

fn of_option((option, path): &(&str, Option<&Path>)) -> Option<Use> {
    let path = path.as_ref()?.to_path_buf();
    Some(Use::reading(format!("`{option}`"), path))
}

fn of_input(input: &Input) -> Option<Use> {
    let path = match input {
        Input::File(path) => path.clone(),
        Input::Stdin => "/dev/stdin".into(),
        Input::Lines(..) | Input::Generated(_) => return None,
    };
    Some(Use::reading("`--input`", path))
}

fn of_service(service: &Service) -> Option<Use> {
    let Sink::File(path) = &service.sink else {
        return None;
    };
    let who = format!("service `{}`", service.name);
    Some(Use::writing(who, path.clone()))
}

fn of_positions(place: &Path) -> [Use; 2] {
    positions::files(place).map(|path| Use::writing("`--positions`", path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::events::service;

    /// What is told of these files, all in one folder in which there are `there`, `also` and links to both, and to `later`.
    fn told(inputs: &[&str], sinks: &[&str], positions: Option<&str>) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("there"), "").expect("writes");
        fs::write(at("also"), "").expect("writes");
        fs::create_dir(at("sub")).expect("makes");
        fs::hard_link(at("there"), at("hard")).expect("links");
        #[cfg(unix)]
        for (target, link) in [("there", "soft"), ("later", "early"), (".", "folder")] {
            std::os::unix::fs::symlink(target, at(link)).expect("links");
        }
        let inputs: Vec<_> = inputs.iter().map(|name| Input::File(at(name))).collect();
        let mut services = service::examples(sinks.len());
        for (service, sink) in services.iter_mut().zip(sinks) {
            service.sink = Sink::File(at(sink));
        }
        let positions = positions.map(at);
        let (config, tuning) = (at("config"), at("tuning"));
        let options = [("--config", Some(&*config)), ("--tuning", Some(&*tuning))];
        let checked = check(&options, &inputs, &services, positions.as_deref());
        let shared = checked.err()?.to_string();
        Some(shared.replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn files_of_their_own_are_fine() {
        let check = |inputs: &[&str], sinks: &[&str], positions| {
            assert_eq!(told(inputs, sinks, positions), None);
        };
        check(&["there", "there", "soft"], &["also"], None);
        check(&["later"], &["latest", "sub/later"], Some("p"));
        check(&["config", "tuning"], &["sub/config"], None);
        check(&["no/such/folder"], &["no/such/file"], None);
        // Devices keep nothing.
        check(&["/dev/null"], &["/dev/null", "/dev/null"], None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_two_things_is_told_with_both_by_whatever_path() {
        let check = |inputs: &[&str], sinks: &[&str], positions, expect: &str| {
            let told = told(inputs, sinks, positions).expect(expect);
            let expect =
                format!("{expect}, which is the same file: name another one for one of them");
            assert_eq!(told, expect);
        };
        let same = "`--input` reads there and service `audit` writes there";
        check(&["also", "there"], &["there"], None, same);
        let twice = "service `audit` writes there and service `filesystem-1` writes hard";
        check(&[], &["there", "hard"], None, twice);
        let linked = "`--input` reads folder/soft and service `audit` writes sub/../there";
        check(&["folder/soft"], &["sub/../there"], None, linked);
        let later = "`--input` reads later and service `audit` writes folder/later";
        check(&["later"], &["folder/later"], None, later);
        let early = "service `audit` writes folder/early and service `filesystem-1` writes later";
        check(&[], &["folder/early", "later"], None, early);
        let kept = "`--input` reads there and `--positions` writes hard";
        check(&["there"], &[], Some("hard"), kept);
        let config = "`--config` reads config and service `audit` writes folder/config";
        check(&[], &["folder/config"], None, config);
        let tuning = "`--tuning` reads tuning and `--positions` writes tuning";
        check(&[], &[], Some("tuning"), tuning);
        let beside = "service `audit` writes p.tmp and `--positions` writes p.tmp";
        check(&[], &["p.tmp"], Some("p"), beside);
    }
}
