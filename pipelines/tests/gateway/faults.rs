//! What the gateway does while others fail: the policy server, the disk, a policy itself.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use pipewright::Caller;
use pipewright_pipelines::{
    gateway::{
        audit::AuditFile,
        env::Config,
        flow::gateway::Pipeline,
        pdp,
        policy::{Files, Policies, PolicySet},
        request::{Incoming, Request},
        run::Settings,
        types::{Answer, By, Code},
    },
    http::{Hosts, Limits, Server, bind},
};
use pipewright_tests::eventually;
use tokio::runtime::{Builder, Runtime};

use crate::{allows, asks, client::HANG, policy, start, with};

/// A policy server in this process, with a runtime of its own.
struct Remote {
    _server: Server,
    runtime: Runtime,
}

impl Remote {
    fn start(at: SocketAddr, policy: &str) -> (Self, SocketAddr) {
        let files = Files {
            policies: vec![("remote.rego".to_owned(), policy.to_owned())],
            data: None,
        };
        let set = PolicySet::compile(&files, None).expect("it is right");
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut listener = None;
        // The port of one that was just killed may be in use for a moment.
        eventually(|| {
            listener = bind(at, false).ok();
            listener.is_some()
        });
        let routes = pdp::routes(Arc::new(Policies::new(set)), Duration::from_secs(1));
        let listener = listener.expect("it is bound");
        let server = Server::start(
            listener,
            routes,
            Hosts::default(),
            Limits::default(),
            runtime.handle(),
        );
        let server = server.expect("it starts");
        let at = server.address();
        let remote = Self {
            _server: server,
            runtime,
        };
        (remote, at)
    }

    /// Ends it with all of its connections, in the middle of requests.
    fn kill(self) {
        let Self { _server, runtime } = self;
        drop(_server);
        runtime.shutdown_timeout(Duration::from_secs(30));
    }
}

fn request(n: u64) -> Incoming {
    let request: Request =
        serde_json::from_str(&asks(&format!("subject-{n}"), "read", "doc:1")).expect("a request");
    request.into()
}

/// The answer to a request.
fn ask(caller: &Caller<Pipeline>, n: u64) -> Answer {
    let answer = caller.call_within(request(n), HANG);
    answer.expect("everybody is answered")
}

#[test]
fn a_policy_server_that_is_killed_is_stood_in_for_and_asked_again_when_it_is_back() {
    let folder = policy(&allows("here"), None);
    let (remote, at) = Remote::start(([127, 0, 0, 1], 0).into(), &allows("there"));
    let settings = Settings {
        config: Config {
            remote: Some(format!("http://{at}/v1/data/gateway/decision")),
            remote_limit: Duration::from_secs(10),
            ..with(folder.path()).config
        },
        ..with(folder.path())
    };
    let (gateway, _) = start(&settings);
    let caller = gateway.caller();
    let mut asked = 0;
    let mut ask = || {
        asked += 1;
        ask(&caller, asked)
    };
    let check = |answer: &Answer| {
        let reason = match answer.by {
            By::Remote => "there",
            By::Engine => "here",
            other => panic!("{other:?} decided"),
        };
        assert!(answer.allow && &*answer.reason == reason, "{answer:?}");
        answer.by
    };
    for _ in 0..20 {
        assert_eq!(check(&ask()), By::Remote);
    }
    remote.kill();
    // Every request is answered meanwhile: at first by those that fail, then past the open breaker.
    for _ in 0..50 {
        assert_eq!(check(&ask()), By::Engine);
    }
    let metrics = gateway.monitor().metrics();
    let stage = metrics.get("ask").expect("it is there");
    let diverted = stage.guard.as_ref().map_or(0, |guard| guard.diverted);
    assert!(stage.failed > 0 && diverted > 0, "{stage:?}");
    let (_remote, again) = Remote::start(at, &allows("there"));
    assert_eq!(again, at);
    eventually(|| check(&ask()) == By::Remote);
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    assert_eq!(outcome.ending.ledger.received, asked);
    assert_eq!(outcome.ending.ledger.dropped, 0);
}

#[test]
fn answers_of_a_policy_server_that_are_none_go_to_the_engine_here() {
    let folder = policy(&allows("here"), None);
    let undecided =
        "package gateway\n\ndecision := {\"allow\": true} if input.subject == \"nobody\"\n";
    let wordless = "package gateway\n\ndecision := {\"allow\": \"perhaps\"}\n";
    for answer in [undecided, wordless] {
        let (_remote, at) = Remote::start(([127, 0, 0, 1], 0).into(), answer);
        for path in ["/v1/data/gateway/decision", "/v1/data/other"] {
            let mut settings = with(folder.path());
            settings.config.remote = Some(format!("http://{at}{path}"));
            settings.config.remote_limit = Duration::from_secs(10);
            let (gateway, _) = start(&settings);
            let answer = ask(&gateway.caller(), 1);
            assert_eq!((answer.by, &*answer.reason), (By::Engine, "here"));
            assert!(gateway.drain(None).is_good());
        }
    }
}

#[test]
fn a_policy_server_that_says_nothing_is_not_waited_for() {
    let folder = policy(&allows("here"), None);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = silent.local_addr().expect("it listens");
    let mut settings = with(folder.path());
    settings.config.remote = Some(format!("http://{at}/"));
    settings.config.remote_limit = Duration::from_millis(20);
    let (gateway, _) = start(&settings);
    for n in 0..10 {
        let answer = ask(&gateway.caller(), n);
        assert_eq!(answer.by, By::Engine);
    }
    assert!(gateway.drain(None).is_good());
}

#[test]
fn a_policy_that_loops_is_ended_and_the_others_go_on() {
    let text = "package gateway

default decision := {\"allow\": false, \"reason\": \"no\"}

many := numbers.range(1, 2000)

decision := {\"allow\": true, \"reason\": \"at last\"} if {
\tinput.subject == \"subject-0\"
\tsome a in many
\tsome b in many
\tsome c in many
\ta + b + c < 0
}
";
    let folder = policy(text, None);
    let mut settings = with(folder.path());
    settings.config.policy_limit = Duration::from_millis(50);
    let (gateway, _) = start(&settings);
    let caller = gateway.caller();
    for _ in 0..3 {
        let answer = ask(&caller, 0);
        assert_eq!(
            (answer.allow, answer.code),
            (false, Code::PolicyTimeout),
            "{answer:?}"
        );
        // On a machine that is busy one of these may be late, too.
        eventually(|| {
            let answer = ask(&caller, 1);
            (answer.code, &*answer.reason) == (Code::Decided, "no")
        });
    }
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    assert!(outcome.ending.ledger.failed >= 3);
}

fn audited(path: PathBuf) -> Option<AuditFile> {
    Some(AuditFile {
        path,
        most_bytes: 1 << 20,
        keep: 2,
    })
}

#[cfg(target_os = "linux")]
#[test]
fn with_a_full_disk_nothing_is_allowed_and_with_room_again_all_goes_on() {
    let folder = policy(&allows("here"), None);
    let path = folder.path().join("audit.ndjson");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    let mut settings = with(folder.path());
    settings.config.audit = audited(path.clone());
    let (gateway, _) = start(&settings);
    let caller = gateway.caller();
    for n in 0..5 {
        let answer = ask(&caller, n);
        assert_eq!(
            (answer.allow, answer.code),
            (false, Code::AuditUnavailable),
            "{answer:?}"
        );
        assert!(answer.reason.contains("No space left"), "{answer:?}");
    }
    fs::remove_file(&path).expect("it is there");
    for n in 0..5 {
        let answer = ask(&caller, n);
        assert_eq!(
            (answer.allow, answer.code),
            (true, Code::Decided),
            "{answer:?}"
        );
    }
    let outcome = gateway.drain(None);
    let tally = &outcome.summary.tally;
    assert_eq!(
        (tally.answers, tally.audited, tally.failed_writes),
        (10, 5, 5),
        "{tally:?}"
    );
    let text = fs::read_to_string(&path).expect("it is written");
    assert_eq!(text.lines().count(), 5);
}

#[test]
fn each_answer_stands_in_the_audit_once_however_many_ask() {
    let folder = policy(&allows("here"), None);
    let path = folder.path().join("audit.ndjson");
    let mut settings = with(folder.path());
    settings.config.audit = Some(AuditFile {
        path: path.clone(),
        most_bytes: 40_000,
        keep: 1_000,
    });
    let (gateway, _) = start(&settings);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let caller = gateway.caller();
            scope.spawn(move || {
                for n in 0..250 {
                    assert!(ask(&caller, thread * 250 + n).allow);
                }
            });
        }
    });
    let outcome = gateway.drain(None);
    assert!(outcome.summary.tally.rotated > 0, "{outcome:?}");
    let mut subjects: Vec<String> = fs::read_dir(folder.path())
        .expect("it is there")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.to_string_lossy().contains("audit.ndjson"))
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("it is text");
            let lines = text.lines().map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
                line["subject"].as_str().expect("a subject").to_owned()
            });
            lines.collect::<Vec<_>>()
        })
        .collect();
    subjects.sort();
    let mut expect: Vec<_> = (0..1_000).map(|n| format!("subject-{n}")).collect();
    expect.sort();
    assert_eq!(subjects, expect);
}
