//! `pipewright gateway` as a user runs it: its output, its exit codes, its messages.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::ChildStderr,
};

use pipewright_tests::{eventually, within_a_minute};
use serde_json::{Value, json};

use crate::{
    allows, asks,
    client::{get, post},
    policy,
    process::{Process, run, text},
    replace,
};

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = text(bytes);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object"));
    lines.collect()
}

#[test]
fn each_line_of_a_file_gets_a_line_in_its_order() {
    let good = asks("ann", "write", "doc:1");
    let input = format!(
        "{good}\n\nnonsense\n{}\n{}\n{good}",
        "x".repeat(100_000),
        asks("bob", "write", "doc:1")
    );
    let mut input = input.into_bytes();
    input.extend_from_slice(b"\n\xff\n");
    let output = run(&["gateway", "--requests", "-"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let found: Vec<_> = lines(&output.stdout)
        .iter()
        .map(|line| {
            (
                line["line"].as_u64(),
                line["allow"].as_bool(),
                line["code"].as_str().map(str::to_owned),
            )
        })
        .collect();
    let expect = [
        (1, true, "decided"),
        (3, false, "malformed"),
        (4, false, "malformed"),
        (5, false, "decided"),
        (6, true, "decided"),
        (7, false, "malformed"),
    ];
    let expect = expect.map(|(line, allow, code)| (Some(line), Some(allow), Some(code.to_owned())));
    assert_eq!(found, expect);
    let summary = text(&output.stderr);
    assert!(summary.starts_with("6 requests in "), "{summary}");
    assert!(
        summary.contains("ledger, balanced: 6 received"),
        "{summary}"
    );
}

#[test]
fn the_json_object_has_these_keys_and_answers_go_to_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let input: String = (0..1_000)
        .map(|n| asks(&format!("s{}", n % 10), "read", "doc:1") + "\n")
        .collect();
    fs::write(path("requests"), input).expect("it can be written");
    let args = [
        "gateway",
        "--requests",
        &path("requests"),
        "--json",
        "--output",
        &path("answers"),
        "--audit",
        &path("audit"),
    ];
    let output = run(&args, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let keys: Vec<_> = object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expect = [
        "allocator",
        "allowed",
        "answers_per_s",
        "audit",
        "by",
        "codes",
        "denied",
        "elapsed_s",
        "health",
        "http",
        "ledger",
        "policies",
        "remote",
        "requests",
    ];
    assert_eq!(keys, expect);
    assert_eq!(
        (&object["requests"], &object["ledger"]["balanced"]),
        (&json!(1_000), &json!(true))
    );
    assert_eq!(object["audit"]["lines"], 1_000);
    let answers = lines(&fs::read(path("answers")).expect("it is written"));
    let numbers = answers.iter().map(|answer| answer["line"].as_u64());
    assert!(numbers.eq((1..=1_000).map(Some)));
    let audited = lines(&fs::read(path("audit")).expect("it is written"));
    assert_eq!(audited.len(), 1_000);
    assert!(
        audited
            .iter()
            .all(|line| line["tenant"] == "acme" && line["time"].is_string())
    );
}

#[test]
fn a_time_can_be_chosen() {
    let pay = asks("bob", "pay", "invoice:1");
    let check = |at: &str, expect: bool| {
        let output = run(&["gateway", "--requests", "-", "--at", at], pay.as_bytes());
        assert_eq!(lines(&output.stdout)[0]["allow"], expect, "{at}");
    };
    check("2026-01-05T10:00:00Z", true);
    check("2026-01-05T20:00:00Z", false);
    check("2026-01-05T20:00:00+10:00", true);
}

#[test]
fn what_is_typed_wrongly_is_told_with_what_to_type() {
    let bad = policy("package gateway\n\ndecision := {\"allow\": tru\n", None);
    let bad = bad.path().to_str().expect("UTF-8");
    let check = |args: &[&str], code: i32, expect: &str| {
        let output = run(&[&["gateway"], args].concat(), b"");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
        assert!(errors.contains(expect), "{errors}");
    };
    check(&[], 2, "--requests");
    check(
        &["--requests", "-", "--listen", "127.0.0.1:0"],
        2,
        "cannot be used with",
    );
    check(
        &["--requests", "no/such/file"],
        1,
        "error: cannot open no/such/file: No such file",
    );
    check(
        &["--requests", "-", "--policy", "no/such/folder"],
        2,
        "cannot read no/such/folder",
    );
    check(&["--requests", "-", "--policy", bad], 2, "policy.rego:");
    check(
        &["--requests", "-", "--remote", "localhost"],
        2,
        "help: write something like `http://",
    );
    check(
        &["--requests", "-", "--at", "noon"],
        2,
        "invalid value 'noon'",
    );
    check(
        &["--requests", "-", "--output", "no/such/folder/file"],
        1,
        "cannot open no/such/folder/file",
    );
    check(
        &["--listen", "0.0.0.0:0"],
        2,
        "help: listen on 127.0.0.1, or add `--public`",
    );
    check(&["--listen", "localhost"], 2, "such as `127.0.0.1:5170`");
    check(
        &["--requests", "Cargo.toml", "--output", "./Cargo.toml"],
        2,
        "`--requests` reads Cargo.toml and `--output` writes ./Cargo.toml, which is the same file",
    );
    check(
        &["--requests", "-", "--output", "both", "--audit", "both"],
        2,
        "`--output` writes both and `--audit` writes both",
    );
    check(
        &["--requests", "-", "--audit", "no/such/folder/file"],
        2,
        "cannot open the audit no/such/folder/file: No such file",
    );
    check(
        &["--requests", "-", "--client-ms", "5"],
        2,
        "`--client-ms` is for `--listen`",
    );
    check(
        &["--listen", "127.0.0.1:0", "--client-ms", "0"],
        2,
        "0 is not in 1..=600000",
    );
    check(
        &["--requests", "-", "--workers", "0"],
        2,
        "0 is not in 1..=64",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn answers_that_cannot_be_written_fail_the_run() {
    let input: String = (0..10)
        .map(|n| asks(&format!("s{n}"), "read", "doc:1") + "\n")
        .collect();
    let output = run(
        &["gateway", "--requests", "-", "--output", "/dev/full"],
        input.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("error: cannot write the answers: No space left"),
        "{errors}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn answers_that_cannot_be_written_down_are_denied_and_fail_the_run() {
    let input = asks("ann", "write", "doc:1");
    let output = run(
        &["gateway", "--requests", "-", "--audit", "/dev/full"],
        input.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output.stdout)[0]["code"], "audit_unavailable");
    let errors = text(&output.stderr);
    for told in [
        "the audit /dev/full cannot be written, and everything is denied: No space left",
        "the run failed: denied because the audit could not be written: 1",
    ] {
        assert!(errors.contains(told), "{errors}");
    }
}

#[test]
fn tenants_are_held_to_their_rates_unless_that_is_left_out() {
    let data = r#"{"classes": {"default": {"rate_per_s": 1, "burst": 1}}}"#;
    let folder = policy(&allows("here"), Some(data));
    let dir = folder.path().to_str().expect("UTF-8");
    let input = format!("{}\n", asks("ann", "read", "doc:1")).repeat(20);
    let limited = |more: &[&str]| {
        let args = [&["gateway", "--requests", "-", "--policy", dir], more].concat();
        let output = run(&args, input.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let answers = lines(&output.stdout).into_iter();
        answers
            .filter(|answer| answer["code"] == "rate_limited")
            .count()
    };
    assert!(limited(&[]) > 0);
    assert_eq!(limited(&["--no-rate-limit"]), 0);
}

/// The next line of a command, and what is read of it then.
fn next_line<R: BufRead + Send + 'static>(what: &str, mut from: R) -> (String, R) {
    within_a_minute(what, || {
        let mut line = String::new();
        from.read_line(&mut line).expect("a line");
        (line, from)
    })
}

/// A server, where it listens, and what it says.
fn serving(args: &[&str]) -> (Process, SocketAddr, BufReader<ChildStderr>) {
    let mut server = Process::start(args);
    let errors = BufReader::new(server.stderr());
    let (line, errors) = next_line("where it listens", errors);
    let address = line
        .strip_prefix("listening on http://")
        .and_then(|rest| rest.split_once('/'));
    let address = address.unwrap_or_else(|| panic!("{line}")).0;
    (server, address.parse().expect("an address"), errors)
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_answers_until_it_is_asked_to_end_and_then_tells_what_it_did() {
    let folder = policy(&allows("here"), None);
    let dir = folder.path().to_str().expect("UTF-8");
    let (server, address, _errors) = serving(&[
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--policy",
        dir,
        "--json",
    ]);
    for n in 0..3 {
        let answer = post(
            address,
            "/v1/authorize",
            asks(&format!("s{n}"), "read", "doc:1").as_bytes(),
        );
        assert_eq!(
            (answer.status, &answer.json()["reason"]),
            (200, &json!("here"))
        );
    }
    assert_eq!(get(address, "/healthz").status, 200);
    let output = server.end();
    assert_eq!(output.status.code(), Some(0));
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(
        (&object["requests"], &object["ledger"]["received"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(object["ledger"]["dropped"], 0);
}

/// It would wait for ever if an answer were kept until more comes, or if it did not look for signals while it waits.
#[cfg(target_os = "linux")]
#[test]
fn who_asks_line_by_line_is_answered_line_by_line_until_the_gateway_is_asked_to_end() {
    let mut gateway = Process::start(&["gateway", "--requests", "-"]);
    let mut asking = gateway.stdin();
    let mut answers = BufReader::new(gateway.stdout());
    for line in 1..=3 {
        writeln!(asking, "{}", asks("ann", "write", "doc:1")).expect("it reads");
        let answer;
        (answer, answers) = next_line("an answer", answers);
        let answer: Value = serde_json::from_str(&answer).expect("a JSON object");
        assert_eq!(
            (&answer["line"], &answer["allow"]),
            (&json!(line), &json!(true))
        );
    }
    let output = gateway.end();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("the rest of the requests was not read"),
        "{told}"
    );
    assert!(told.contains("ledger, balanced: 3 received"), "{told}");
    drop(asking);
}

#[cfg(target_os = "linux")]
#[test]
fn a_gateway_asks_a_policy_server() {
    let folder = policy(&allows("there"), None);
    let dir = folder.path().to_str().expect("UTF-8");
    let (server, at, _errors) =
        serving(&["policy-server", "--listen", "127.0.0.1:0", "--policy", dir]);
    let url = format!("http://{at}/v1/data/gateway/decision");
    let input = asks("ann", "read", "doc:1");
    let ask = |url: &str| {
        let remote = ["--remote", url, "--remote-ms", "30000"];
        let args = [&["gateway", "--requests", "-"][..], &remote].concat();
        let output = run(&args, input.as_bytes());
        (lines(&output.stdout)[0].clone(), text(&output.stderr))
    };
    let reason = |answer: &Value| {
        assert_eq!(answer["by"], "remote", "{answer}");
        answer["reason"].as_str().map(str::to_owned)
    };
    assert_eq!(reason(&ask(&url).0).as_deref(), Some("there"));
    replace(folder.path(), &allows("elsewhere"));
    eventually(|| reason(&ask(&url).0).as_deref() == Some("elsewhere"));
    let (answer, told) = ask(&format!("http://{at}/v1/nothing"));
    assert_eq!(answer["by"], "engine");
    assert!(
        told.contains("the last failure: it answered 404 Not Found"),
        "{told}"
    );
    let output = server.end();
    assert_eq!(output.status.code(), Some(0));
}
