//! Policies by themselves: simple and complex ones, rule sets, batches, threads, and compiling them.

use std::{path::Path, sync::Arc, time::Duration};

use pipewright_pipelines::gateway::{
    clock::Time,
    policy::{Files, PolicySet, WorkerEngine},
    request::Request,
    types::Decision,
};
use serde_json::json;

use crate::{
    measure::{Case, rounds},
    table::Table,
};

/// A policy may take so long; none does.
const LIMIT: Duration = Duration::from_secs(10);

/// Policies to ask, and what to ask them.
#[derive(Debug)]
pub struct Asked {
    /// What it is called in tables.
    pub name: &'static str,
    /// Its files.
    pub files: Files,
    /// The same, compiled.
    pub set: Arc<PolicySet>,
    /// Requests, some allowed and some not.
    pub requests: Vec<Request>,
    /// Their folder.
    pub folder: std::path::PathBuf,
}

/// The policies of a folder that comes with the gateway.
fn asked(name: &'static str, folder: &str, requests: Vec<Request>) -> Asked {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/src/gateway/policies");
    let folder = all.join(folder);
    let files = Files::read(&folder).expect("it comes with the gateway");
    let set = PolicySet::compile(&files, None).expect("it is right");
    Asked {
        name,
        files,
        set: Arc::new(set),
        requests,
        folder,
    }
}

fn request(tenant: &str, subject: &str, action: &str, resource: String, level: u64) -> Request {
    let request = json!({
        "tenant": tenant, "subject": subject, "action": action, "resource": resource, "context": {"level": level},
    });
    serde_json::from_value(request).expect("a request")
}

/// Roles.
pub fn simple() -> Asked {
    let ask = |n: u64| {
        let subject = ["ann", "bob", "eve", "mallory"][n as usize % 4];
        let action = ["read", "write"][n as usize / 4 % 2];
        request("acme", subject, action, format!("doc:{n}"), n)
    };
    asked("simple (roles)", "rbac", (0..100).map(ask).collect())
}

/// Tenants with inheritance and time windows.
pub fn complex() -> Asked {
    let ask = |n: u64| {
        let tenant = ["acme", "acme-labs", "group", "closed"][n as usize % 4];
        let subject = ["ann", "bob", "eve", "root"][n as usize / 4 % 4];
        let (action, kind) =
            [("read", "doc"), ("write", "doc"), ("pay", "invoice")][n as usize / 16 % 3];
        request(tenant, subject, action, format!("{kind}:{n}"), n)
    };
    asked("complex (tenants)", "tenants", (0..100).map(ask).collect())
}

fn rules(count: u64) -> Asked {
    let (name, folder) = match count {
        1 => ("1 rule", "rules/1"),
        5 => ("5 rules", "rules/5"),
        10 => ("10 rules", "rules/10"),
        _ => ("20 rules", "rules/20"),
    };
    let ask = |n: u64| {
        let rule = n % (count + 1) + 1;
        request(
            "acme",
            "ann",
            &format!("action-{rule}"),
            format!("kind-{rule}:{n}"),
            9,
        )
    };
    asked(name, folder, (0..100).map(ask).collect())
}

/// A Monday at noon.
pub fn noon() -> Time {
    "2026-01-05T12:00:00Z".parse().expect("a time")
}

/// Decides one of the requests.
pub fn decide(engine: &mut WorkerEngine, asked: &Asked, n: usize) -> Decision {
    let request = &asked.requests[n % asked.requests.len()];
    let decision = engine.decide(&asked.set, request, noon(), LIMIT);
    decision.expect("the policies decide all of them")
}

/// Measures all of it.
pub fn tables(times: usize, calls: usize) -> Vec<Table> {
    let sets = [
        simple(),
        complex(),
        rules(1),
        rules(5),
        rules(10),
        rules(20),
    ];
    vec![
        single(&sets, times, calls),
        threads(&sets[..2], times, calls),
        compile(&sets, times, calls),
    ]
}

fn single(sets: &[Asked], times: usize, calls: usize) -> Table {
    let mut cases = Vec::new();
    for set in sets {
        let mut engine = WorkerEngine::default();
        cases.push(Case::new(
            set.name,
            calls,
            || (),
            move |n| {
                decide(&mut engine, set, n);
            },
        ));
    }
    for set in &sets[..2] {
        let mut engine = WorkerEngine::default();
        let name = format!("{}, a batch of 100", set.name);
        cases.push(Case::new(
            name,
            calls.div_ceil(100),
            || (),
            move |_| {
                for n in 0..100 {
                    decide(&mut engine, set, n);
                }
            },
        ));
    }
    Table::of_calls("Policies, one thread", &rounds(times, &mut cases))
}

fn threads(sets: &[Asked], times: usize, calls: usize) -> Table {
    let mut cases = Vec::new();
    for set in sets {
        for threads in [1, 2, 4, 8] {
            let name = format!("{}, {threads} threads", set.name);
            let own = |_| WorkerEngine::default();
            cases.push(Case::threads(
                name,
                threads,
                calls / threads,
                own,
                move |engine, n| {
                    decide(engine, set, n);
                },
            ));
        }
    }
    Table::of_calls("Policies, several threads", &rounds(times, &mut cases))
}

fn compile(sets: &[Asked], times: usize, calls: usize) -> Table {
    let mut cases: Vec<_> = sets
        .iter()
        .map(|set| {
            let name = format!("compile {}", set.name);
            Case::new(
                name,
                calls.div_ceil(20),
                || (),
                move |_| {
                    drop(PolicySet::compile(&set.files, None).expect("it is right"));
                },
            )
        })
        .collect();
    let set = &sets[1];
    cases.push(Case::new(
        "an engine of a worker's own",
        calls.div_ceil(20),
        || (),
        move |_| {
            decide(&mut WorkerEngine::default(), set, 0);
        },
    ));
    Table::of_calls("Policies, compiling", &rounds(times, &mut cases))
}
