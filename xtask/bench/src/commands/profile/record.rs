//! Who takes the samples: `perf`, or `samply` where there is no `perf`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::flame;
use crate::{error::Error, process::answered, protocol::Request};

/// What is printed of each sample. Without its period every sample counts as one, whatever the event counts.
const FIELDS: &str = "comm,tid,time,event,ip,sym,dso";

/// What takes the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Tool {
    /// `perf`, or `samply` where that is not to be had
    Auto,
    /// `perf`, which a flame graph is made of
    Perf,
    /// `samply`, whose profiles its own viewer shows
    Samply,
}

/// A tool that works here.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    tool: Tool,
    program: PathBuf,
    hertz: u32,
}

impl Recorder {
    /// The first tool that works here, or why none does, a line for each.
    pub(super) fn find(tool: Tool, hertz: u32) -> Result<Result<Self, Vec<String>>, Error> {
        let tools: &[Tool] = match tool {
            Tool::Auto => &[Tool::Perf, Tool::Samply],
            Tool::Perf => &[Tool::Perf],
            Tool::Samply => &[Tool::Samply],
        };
        let mut why = Vec::new();
        for tool in tools {
            let name = match tool {
                Tool::Samply => "samply",
                _ => "perf",
            };
            let Some(program) = in_path(name) else {
                why.push(format!("`{name}` is not installed"));
                continue;
            };
            let recorder = Self {
                tool: *tool,
                program,
                hertz,
            };
            match recorder.works()? {
                Ok(()) => return Ok(Ok(recorder)),
                Err(reason) => why.push(format!("`{name}` cannot take samples: {reason}")),
            }
        }
        why.extend(paranoid(Path::new("/")));
        Ok(Err(why))
    }

    /// Are folded stacks made of what it records?
    pub(super) fn folds(&self) -> bool {
        self.tool == Tool::Perf
    }

    /// Can it take samples of a program that does nothing?
    fn works(&self) -> Result<Result<(), String>, Error> {
        let folder = scratch()?;
        let output = self
            .recording(&folder.path().join("profile"))
            .arg("true")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::file("run", &self.program, &error))?;
        Ok(match output.status.success() {
            true => Ok(()),
            false => Err(reason(&output)),
        })
    }

    /// Records a trial as the tool does it.
    pub(super) fn keep(&self, binary: &Path, request: &Request, place: &Path) -> Result<(), Error> {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| Error::file("make the folder", folder, &error))?;
        }
        let request =
            serde_json::to_string(request).map_err(|error| Error::Tool(error.to_string()))?;
        let output = self
            .recording(place)
            .arg(binary)
            .args(["run", &request])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::file("run", &self.program, &error))?;
        // The trial says itself that it came to its end: the tools have codes of their own.
        let said = String::from_utf8_lossy(&output.stdout);
        match answered(binary, &said) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Tool(format!(
                "`{}` did not come to its end under `{}`: {}",
                binary.display(),
                self.program.display(),
                reason(&output)
            ))),
        }
    }

    /// Records a trial and folds its stacks.
    pub(super) fn fold(&self, binary: &Path, request: &Request) -> Result<String, Error> {
        let folder = scratch()?;
        let data = folder.path().join("perf.data");
        self.keep(binary, request, &data)?;
        let output = Command::new(&self.program)
            .args(["script", "--force", "--fields", FIELDS, "--input"])
            .arg(&data)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::file("run", &self.program, &error))?;
        if !output.status.success() {
            return Err(Error::Tool(format!("`perf script`: {}", reason(&output))));
        }
        flame::fold(&String::from_utf8_lossy(&output.stdout))
    }

    /// The command that records what is added to it.
    fn recording(&self, place: &Path) -> Command {
        let mut command = Command::new(&self.program);
        let hertz = self.hertz.to_string();
        match self.tool {
            Tool::Samply => command
                .args(["record", "--save-only", "--rate", &hertz, "--output"])
                .arg(place)
                .arg("--"),
            _ => command
                .args(["record", "--freq", &hertz, "--call-graph", "fp", "--output"])
                .arg(place)
                .arg("--"),
        };
        command
    }
}

fn scratch() -> Result<tempfile::TempDir, Error> {
    tempfile::tempdir().map_err(|error| Error::Tool(format!("cannot make a folder: {error}")))
}

/// The program of this name, where the shell would find it.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let places = env::split_paths(&path).map(|folder| folder.join(name));
    places.into_iter().find(|place| place.is_file())
}

/// What a tool says of its failure: its last line that says anything.
fn reason(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map_or_else(|| output.status.to_string(), str::to_owned)
}

/// Who may take samples, if the kernel says that few may.
fn paranoid(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("proc/sys/kernel/perf_event_paranoid")).ok()?;
    let level: i32 = text.trim().parse().ok()?;
    (level > 2).then(|| {
        format!(
            "`kernel.perf_event_paranoid` is {level}: `sysctl kernel.perf_event_paranoid=2` lets users take samples of their own programs"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_forbids_samples_is_told() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("proc/sys/kernel");
        fs::create_dir_all(&folder).expect("a folder");
        let check = |level: &str, expect: Option<&str>| {
            fs::write(folder.join("perf_event_paranoid"), level).expect("a file");
            let found = paranoid(root.path());
            assert_eq!(found.is_some(), expect.is_some(), "{found:?}");
            assert!(
                found
                    .unwrap_or_default()
                    .contains(expect.unwrap_or_default())
            );
        };
        check("2\n", None);
        check("-1\n", None);
        check("4\n", Some("is 4"));
    }
}
