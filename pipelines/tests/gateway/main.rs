//! The gateway as its users meet it: over HTTP, from files, with policies that change, and with everything around it failing.

#![forbid(unsafe_code)]

mod client;
mod command;
mod faults;
mod limits;
mod policies;
#[path = "../process/mod.rs"]
mod process;
mod served;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use pipewright_pipelines::{
    gateway::{
        env::Config,
        run::{Gateway, Settings},
    },
    http::{Hosts, Limits, Server, bind},
};

/// A policy that allows all and says so in these words.
fn allows(reason: &str) -> String {
    format!("package gateway\n\ndecision := {{\"allow\": true, \"reason\": \"{reason}\"}}\n")
}

/// A folder with a policy and perhaps data.
fn policy(text: &str, data: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("policy.rego"), text).expect("it can be written");
    if let Some(data) = data {
        fs::write(folder.path().join("data.json"), data).expect("it can be written");
    }
    folder
}

/// Another text in the place of a policy's, at once: what is there in between may be read, too.
fn replace(folder: &Path, text: &str) {
    let (next, file) = (folder.join("next"), folder.join("policy.rego"));
    fs::write(&next, text).expect("it can be written");
    fs::rename(next, file).expect("it is there");
}

/// Settings with policies from a folder.
fn with(folder: &Path) -> Settings {
    Settings {
        config: Config {
            policy: Some(folder.to_owned()),
            ..Config::default()
        },
        workers: Some(2),
        ..Settings::default()
    }
}

/// Lines that a gateway told.
type Told = Arc<Mutex<Vec<String>>>;

fn start(settings: &Settings) -> (Gateway, Told) {
    let told = Told::default();
    let lines = Arc::clone(&told);
    let tell = move |line: &str| lines.lock().expect("nobody panics").push(line.to_owned());
    (settings.start(tell).expect("it starts"), told)
}

/// Served on a free port.
fn serve(gateway: &Gateway, limits: Limits) -> Server {
    let listener = bind(([127, 0, 0, 1], 0).into(), false).expect("a free port");
    let served = gateway.serve(listener, Hosts::default(), limits);
    served.expect("it listens")
}

/// A request.
fn asks(subject: &str, action: &str, resource: &str) -> String {
    serde_json::json!({
        "tenant": "acme", "subject": subject, "action": action, "resource": resource,
    })
    .to_string()
}
