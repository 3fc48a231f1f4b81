//! The files that a run reads and writes, of which none may be two of them: who reads what it writes never ends, and who writes
//! where somebody else does cuts lines of that one off when the disk is full.

use std::{
    fmt,
    fs::{self, Metadata},
    path::{self, Path, PathBuf},
};

use super::{
    feed::Input,
    mark::Identity,
    positions,
    service::{Service, Sink},
};

/// Links that are followed to a file that is not there yet, as many as systems do.
const LINKS: usize = 40;

/// Two uses of one file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} and {1}, which is the same file: name another one for one of them")]
pub struct Shared(String, String);

/// Sees to it that nothing is written that something else reads or writes, by whatever path.
///
/// # Errors
///
/// With the first two uses that do not go together.
pub fn check(
    inputs: &[Input],
    services: &[Service],
    positions: Option<&Path>,
) -> Result<(), Shared> {
    let mut uses: Vec<(Place, Use)> = Vec::new();
    let read = inputs.iter().filter_map(Use::of_input);
    let written = services.iter().filter_map(Use::of_service);
    let kept = positions.into_iter().flat_map(Use::of_positions);
    for one in read.chain(written).chain(kept) {
        let Some(place) = Place::of(&one.path) else {
            continue;
        };
        let other = uses
            .iter()
            .find(|(there, other)| *there == place && (one.writes || other.writes));
        if let Some((_, other)) = other {
            return Err(Shared(other.to_string(), one.to_string()));
        }
        uses.push((place, one));
    }
    Ok(())
}

struct Use {
    who: String,
    path: PathBuf,
    writes: bool,
}

impl Use {
    fn of_input(input: &Input) -> Option<Self> {
        let path = match input {
            Input::File(path) => path.clone(),
            Input::Stdin => "/dev/stdin".into(),
            Input::Lines(..) | Input::Generated(_) => return None,
        };
        Some(Self {
            who: "`--input` reads".to_owned(),
            path,
            writes: false,
        })
    }

    fn of_service(service: &Service) -> Option<Self> {
        let Sink::File(path) = &service.sink else {
            return None;
        };
        Some(Self {
            who: format!("service `{}` writes", service.name),
            path: path.clone(),
            writes: true,
        })
    }

    fn of_positions(place: &Path) -> [Self; 2] {
        positions::files(place).map(|path| Self {
            who: "`--positions` writes".to_owned(),
            path,
            writes: true,
        })
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who, self.path.display())
    }
}

/// What a path leads to, the same for all paths that lead there.
#[derive(PartialEq, Eq)]
enum Place {
    /// A file, which may have several names.
    File(Identity),
    /// Nothing yet, or a file of a system without numbers of files.
    Path(PathBuf),
}

impl Place {
    /// None for a device, such as `/dev/null`, which keeps nothing.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(metadata) if is_device(&metadata) => None,
            Ok(metadata) if cfg!(unix) => Some(Self::File(Identity::of(&metadata))),
            _ => Some(Self::Path(whole(path))),
        }
    }
}

#[cfg(unix)]
fn is_device(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_char_device()
}

#[cfg(not(unix))]
fn is_device(_: &Metadata) -> bool {
    false
}

/// Where a file is, or will be made.
fn whole(path: &Path) -> PathBuf {
    let mut path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        // The target is as seen from the folder of the link.
        path.pop();
        path.push(target);
    }
    if let Ok(found) = fs::canonicalize(&path) {
        return found;
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return path;
    };
    match fs::canonicalize(folder) {
        Ok(folder) => folder.join(name),
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
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
        let checked = check(&inputs, &services, positions.as_deref());
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
        let beside = "service `audit` writes p.tmp and `--positions` writes p.tmp";
        check(&[], &["p.tmp"], Some("p"), beside);
    }
}
