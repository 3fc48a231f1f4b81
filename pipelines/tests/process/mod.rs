//! Commands as tests run them: none of them waits for one without a bound, or leaves it running.

#![allow(dead_code, reason = "tests of each command use what they need")]

use std::{
    io::Write,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use pipewright_tests::MINUTE;
use serde_json::Value;

/// Runs `pipewright` with this on its standard input, until it ends by itself.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Output {
    let mut process = Process::start(args);
    let mut stdin = process.stdin();
    thread::scope(|scope| {
        // A command that does not read its input may be gone already, or never go on to read it.
        scope.spawn(move || drop(stdin.write_all(input)));
        process.wait()
    })
}

/// Runs `pipewright events`, as [`run`] does.
pub(crate) fn events(args: &[&str], input: &[u8]) -> Output {
    run(&[&["events"], args].concat(), input)
}

/// Runs a command without anything to read, until it ends by itself.
pub(crate) fn output(command: &mut Command) -> Output {
    Process::spawn(command.stdin(Stdio::null())).wait()
}

/// The one object that it has written.
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command that runs, and is killed if nobody waits for its end, as in a test that fails.
pub(crate) struct Process(Option<Child>);

impl Process {
    /// Starts `pipewright`, with pipes for all that it reads and writes.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        Self::spawn(command.args(args).stdin(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(child.spawn().expect("it starts")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().expect("it runs").id()
    }

    /// What it reads, which ends when this is dropped.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child().stdin.take().expect("taken once")
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.child().stdout.take().expect("taken once")
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child().stderr.take().expect("taken once")
    }

    /// Asks it to end, and waits until it has.
    #[cfg(target_os = "linux")]
    pub(crate) fn end(self) -> Output {
        signal("-TERM", self.id());
        self.wait()
    }

    /// Gives it no time to end in order.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    /// Waits until it ends, with what it has written.
    ///
    /// # Panics
    ///
    /// If it does not end within a minute; it is killed then.
    pub(crate) fn wait(mut self) -> Output {
        let child = self.0.take().expect("it runs");
        let (id, (ended, end)) = (child.id(), mpsc::channel());
        thread::scope(|scope| {
            scope.spawn(move || ended.send(child.wait_with_output()));
            let Ok(output) = end.recv_timeout(MINUTE) else {
                signal("-KILL", id);
                panic!("it does not end");
            };
            output.expect("it can be waited for")
        })
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it runs")
    }

    fn kill_now(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_now();
    }
}

fn signal(which: &str, process: u32) {
    let sent = Command::new("kill")
        .args([which, &process.to_string()])
        .status();
    assert!(sent.expect("`kill` is there").success());
}
