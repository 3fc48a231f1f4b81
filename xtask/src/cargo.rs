//! Runs cargo in the repository.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// The root of the repository: the folder above this package.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The folder that cargo builds in.
pub(crate) fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(given.unwrap_or_else(|| PathBuf::from("target")))
}

/// `cargo ARGS` in the root of the repository.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        // They name this package; the commands are about others.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    command
}

/// Adds flags to those that the environment gives.
pub(crate) fn with_flags(command: &mut Command, variable: &str, flags: &str) {
    let value = match env::var(variable) {
        Ok(given) if !given.is_empty() => format!("{given} {flags}"),
        _ => flags.to_owned(),
    };
    command.env(variable, value);
}

/// Runs a command and tells whether it succeeded.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    command
        .status()
        .map_err(|error| cannot_run(command, &error))
}

/// Runs a command and takes what it prints; what it says on standard error is shown at once.
pub(crate) fn output(command: &mut Command) -> Result<(bool, String), String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_run(command, &error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.success(), text))
}

fn cannot_run(command: &Command, error: &std::io::Error) -> String {
    let program = Path::new(command.get_program()).display();
    format!("cannot run `{program}`: {error}")
}
