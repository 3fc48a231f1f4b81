//! Binaries of trials: of the working tree, or of a revision.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use crate::{error::Error, process::Binary, results::Code};

/// A binary of trials, of a package that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    package: String,
    bin: String,
}

/// The package of the repository's own trials.
const OWN: &str = "pipewright-trials";

impl Package {
    /// One of the repository's own.
    pub(crate) fn own(bin: &str) -> Self {
        Self {
            package: OWN.to_owned(),
            bin: bin.to_owned(),
        }
    }

    /// `PACKAGE/BIN`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once('/') {
            Some((package, bin)) if !package.is_empty() && !bin.is_empty() => Ok(Self {
                package: package.to_owned(),
                bin: bin.to_owned(),
            }),
            _ => Err(Error::Usage(format!(
                "`--trials {text}`: give a package and its binary of trials, such as `{OWN}/trial`"
            ))),
        }
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// Where results lie, and what they need.
pub(crate) fn home() -> PathBuf {
    target().join("pipewright/bench")
}

/// The folder that cargo builds in.
pub(crate) fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(given.unwrap_or_else(|| PathBuf::from("target")))
}

/// What a binary is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// To be measured.
    Release,
    /// To be looked at by a profiler: with frame pointers, and with the stages of the trials as functions of their own.
    Profiling,
}

/// The cargo profile of binaries for a profiler. It is given on the command line, so that revisions that do not know it have it too.
const PROFILING: [&str; 6] = [
    "--profile",
    "profiling",
    "--config",
    "profile.profiling.inherits=\"release\"",
    "--config",
    "profile.profiling.debug=\"line-tables-only\"",
];

/// Something to measure.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) binary: PathBuf,
    pub(crate) code: Code,
}

impl Subject {
    pub(crate) fn binary(&self) -> Result<Binary, Error> {
        Binary::at(&self.binary)
    }

    /// The binary that was named, or that of the working tree.
    pub(crate) fn named_or_built(path: Option<&Path>) -> Result<Self, Error> {
        match path {
            Some(path) => Self::named(path),
            None => Self::built(&Package::own("trial")),
        }
    }

    /// The binary that was named.
    pub(crate) fn named(path: &Path) -> Result<Self, Error> {
        Binary::at(path)?;
        Self::of(path.to_path_buf(), path.display().to_string(), false)
    }

    fn of(binary: PathBuf, revision: String, dirty: bool) -> Result<Self, Error> {
        let digest = digest(&binary)?;
        let build = Binary::at(&binary)?.list()?.build;
        Ok(Self {
            binary,
            code: Code {
                revision,
                dirty,
                binary: digest,
                build,
            },
        })
    }

    /// The working tree, built in the folder that everything else is built in.
    pub(crate) fn built(package: &Package) -> Result<Self, Error> {
        Self::built_as(package, How::Release)
    }

    /// The working tree. What is for a profiler has a target folder of its own, because all of it is compiled differently.
    pub(crate) fn built_as(package: &Package, how: How) -> Result<Self, Error> {
        let folder = match how {
            How::Release => target(),
            How::Profiling => home().join("target-profiling"),
        };
        let binary = build(&root(), &folder, package, how)?;
        let revision = git(&["rev-parse", "HEAD"]).unwrap_or_else(|_| "unknown".to_owned());
        let dirty = git(&["status", "--porcelain"]).is_ok_and(|text| !text.is_empty());
        Self::of(binary, revision, dirty)
    }

    /// A binary, or a revision, of which the package is built in a tree and a target folder of its own.
    pub(crate) fn at(what: &str, package: &Package) -> Result<Self, Error> {
        Self::at_as(what, package, How::Release)
    }

    /// The same, built for what it is for.
    pub(crate) fn at_as(what: &str, package: &Package, how: How) -> Result<Self, Error> {
        let path = Path::new(what);
        if path.is_file() {
            return Self::named(path);
        }
        let revision = git(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{what}^{{commit}}"),
        ])
        .map_err(|_| Error::Usage(format!("`{what}` is neither a revision nor a file")))?;
        let kind = match how {
            How::Release => "",
            How::Profiling => "-profiling",
        };
        let name = format!("{revision}-{}-{}{kind}", package.package, package.bin);
        let kept = home().join("binaries").join(name);
        if !kept.is_file() {
            build_revision(&revision, package, &kept, how)?;
        }
        Self::of(kept, revision, false)
    }
}

/// Builds a revision and keeps its binary.
fn build_revision(revision: &str, package: &Package, kept: &Path, how: How) -> Result<(), Error> {
    let tree = home().join("trees").join(revision);
    let path = tree.display().to_string();
    let remove = || git(&["worktree", "remove", "--force", &path]);
    if tree.exists() {
        let _ = remove();
    }
    git(&["worktree", "add", "--detach", &path, revision])?;
    let folder = match how {
        How::Release => "target",
        How::Profiling => "target-profiling",
    };
    let found = match package.package != OWN || tree.join("benches/trials/Cargo.toml").is_file() {
        true => build(&tree, &home().join(folder), package, how),
        false => Err(Error::Usage(format!(
            "`{revision}` has no `{OWN}` yet: compare with a later revision, or give a binary"
        ))),
    };
    let copied = found.and_then(|binary| {
        let folder = kept.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| fs::copy(&binary, kept))
            .map_err(|error| Error::file("keep a binary as", kept, &error))
    });
    remove()?;
    copied.map(|_| ())
}

/// Builds the trials below `tree`, with `target` as the target folder.
fn build(tree: &Path, target: &Path, package: &Package, how: How) -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        &package.package,
        "--bin",
        &package.bin,
    ]);
    let folder = match how {
        How::Release => {
            command.arg("--release");
            "release"
        }
        How::Profiling => {
            command
                .args(PROFILING)
                .env("RUSTFLAGS", "-C force-frame-pointers=yes");
            if package.package == OWN && names_stages(tree) {
                command.args(["--features", "profiling"]);
            }
            "profiling"
        }
    };
    let status = command
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Error::Tool(format!("cannot run cargo: {error}")))?;
    match status.success() {
        true => Ok(target.join(folder).join(&package.bin)),
        false => Err(Error::Tool(format!(
            "`{}` of `{}` in `{}` does not build",
            package.bin,
            package.package,
            tree.display()
        ))),
    }
}

/// Can the trials of this tree be built with their stages as functions of their own?
fn names_stages(tree: &Path) -> bool {
    let manifest = fs::read_to_string(tree.join("benches/trials/Cargo.toml"));
    manifest.is_ok_and(|text| text.lines().any(|line| line.starts_with("profiling =")))
}

/// What git prints.
pub(crate) fn git(args: &[&str]) -> Result<String, Error> {
    let output = Command::new("git")
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::Tool(format!("cannot run git: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(Error::Tool(format!(
            "`git {}`: {}",
            args.join(" "),
            text(&output.stderr)
        ))),
    }
}

fn digest(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|error| Error::file("read", path, &error))?;
    let digest = Sha256::digest(bytes);
    Ok(digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
