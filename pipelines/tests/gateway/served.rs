//! The gateway over HTTP.

use std::thread;

use pipewright_pipelines::{gateway::run::Settings, http::Limits};
use pipewright_tests::eventually;
use serde_json::json;

use crate::{
    allows, asks,
    client::{Answer, Client, get, post, request},
    policy, replace, serve, start, with,
};

#[test]
fn a_request_is_answered_with_its_reason_and_the_second_time_from_the_cache() {
    let (gateway, _) = start(&Settings::default());
    let server = serve(&gateway, Limits::default());
    let mut client = Client::connect(server.address());
    let mut ask = |body: &str| {
        let answer = client
            .post("/v1/authorize", body.as_bytes())
            .expect("it answers");
        (answer.status, answer.json())
    };
    let expect = |allow: bool, by: &str, reason: &str| {
        let answer =
            json!({"allow": allow, "code": "decided", "reason": reason, "by": by, "policy": 1});
        (200, answer)
    };
    let may = "role `editor` of tenant `acme` may";
    assert_eq!(
        ask(&asks("ann", "write", "doc:1")),
        expect(true, "engine", may)
    );
    assert_eq!(
        ask(&asks("ann", "write", "doc:1")),
        expect(true, "cache", may)
    );
    let may_not = "no role of the subject may do this";
    assert_eq!(
        ask(&asks("bob", "write", "doc:1")),
        expect(false, "engine", may_not)
    );
    assert_eq!(
        ask(&asks("bob", "write", "doc:1")),
        expect(false, "cache", may_not)
    );
    let named =
        r#"{"id":"r-7","tenant":"acme","subject":"ann","action":"write","resource":"doc:1"}"#;
    let (_, answer) = ask(named);
    assert_eq!(
        (&answer["id"], &answer["by"]),
        (&json!("r-7"), &json!("cache"))
    );
    drop(server);
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    assert_eq!(
        (outcome.summary.tally.answers, outcome.summary.tally.allowed),
        (5, 3)
    );
    assert_eq!(outcome.ending.ledger.received, 5);
}

#[test]
fn what_cannot_be_decided_is_denied_with_its_reason_and_counted() {
    let data =
        r#"{"classes": {"default": {"rate_per_s": 1, "burst": 1}}, "tenants": {"acme": {}}}"#;
    let text = "package gateway\n\ndecision := {\"allow\": input.context.may, \"reason\": \"told\"} if input.context.may\n\ndecision := {\"allow\": 7} if input.action == \"number\"\n";
    let folder = policy(text, Some(data));
    let (gateway, _) = start(&with(folder.path()));
    let server = serve(&gateway, Limits::default());
    let post = |body: &[u8]| post(server.address(), "/v1/authorize", body);
    let is = |answer: &Answer, status: u16, code: &str, reason: &str| {
        let found = answer.json();
        assert_eq!(
            (answer.status, &found["code"]),
            (status, &json!(code)),
            "{found}"
        );
        assert_eq!(found["allow"], status == 200, "{found}");
        let said = found["reason"].as_str().expect("a reason");
        assert!(said.contains(reason), "{said}");
    };
    let check = |body: &[u8], status, code, reason| is(&post(body), status, code, reason);
    check(b"", 400, "malformed", "is empty");
    check(
        b"{",
        400,
        "malformed",
        "is not JSON: EOF while parsing an object at line 1 column 1",
    );
    check(b"\xff", 400, "malformed", "is not UTF-8 behind byte 0");
    check(
        b"{\"tenant\":\"acme\"}",
        400,
        "malformed",
        "missing field `subject`",
    );
    check(
        asks("ann", "read", "").as_bytes(),
        400,
        "invalid",
        "`resource` is empty",
    );
    let may = asks("ann", "read", "doc").replace('}', r#","context":{"may":true}}"#);
    check(may.as_bytes(), 200, "decided", "told");
    // A busy machine may give it time for another one.
    let (mut allowed, mut answer) = (1, post(may.as_bytes()));
    eventually(|| {
        let is_late = answer.status == 429;
        if !is_late {
            allowed += 1;
            answer = post(may.as_bytes());
        }
        is_late
    });
    is(&answer, 429, "rate_limited", "the tenant's rate is reached");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let of = |tenant: &str, action: &str| {
        let text = asks("ann", action, "doc").replace("acme", tenant);
        text.into_bytes()
    };
    check(
        &of("another", "read"),
        500,
        "policy_failed",
        "no rule of the policy decides",
    );
    for _ in 0..2 {
        assert_eq!(get(server.address(), "/v1/nothing").status, 404);
    }
    let status = get(server.address(), "/v1/status").json();
    assert_eq!(status["http"], json!({"not_found": 2}));
    drop(server);
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    let ledger = outcome.ending.ledger;
    assert_eq!(
        (ledger.received, ledger.failed, ledger.dropped),
        (7 + allowed, 7, 0),
        "{ledger:?}"
    );
    assert_eq!(outcome.summary.tally.answers, 7 + allowed);
}

#[test]
fn only_json_is_taken_and_only_what_is_there() {
    let (gateway, _) = start(&Settings::default());
    let server = serve(&gateway, Limits::default());
    let at = server.address();
    let send = |bytes: Vec<u8>| {
        let mut client = Client::connect(at);
        client.send(&bytes);
        let answer = client.answer().expect("it answers");
        (
            answer.status,
            answer.json()["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let ask =
        String::from_utf8(request("POST", "/v1/authorize", "localhost", b"{}")).expect("text");
    let form = ask.replace("application/json", "application/x-www-form-urlencoded");
    assert_eq!(send(form.into_bytes()), (415, "not_json".into()));
    let charset = ask.replace("application/json", "Application/JSON; charset=utf-8");
    assert_eq!(send(charset.into_bytes()).0, 400);
    assert_eq!(
        send(request("POST", "/v1/authorise", "localhost", b"{}")),
        (404, "not_found".into())
    );
    let large = vec![b' '; 64 * 1024 + 1];
    assert_eq!(
        send(request("POST", "/v1/authorize", "localhost", &large)),
        (413, "body_too_large".into())
    );
    assert_eq!(
        send(request("POST", "/v1/authorize", "gate.example", b"{}")),
        (421, "wrong_host".into())
    );
}

#[test]
fn the_status_tells_what_the_run_is_doing() {
    let (gateway, _) = start(&Settings::default());
    let server = serve(&gateway, Limits::default());
    let at = server.address();
    for _ in 0..3 {
        assert_eq!(
            post(at, "/v1/authorize", asks("ann", "read", "doc:1").as_bytes()).status,
            200
        );
    }
    let status = get(at, "/v1/status").json();
    assert_eq!(
        (&status["requests"], &status["allowed"]),
        (&json!(3), &json!(3)),
        "{status}"
    );
    assert_eq!(status["by"], json!({"cache": 2, "engine": 1}));
    assert_eq!(status["cache"]["entries"], 1);
    assert_eq!(status["policy"], 1);
    assert_eq!(status["health"], "healthy");
    let health = get(at, "/healthz");
    assert_eq!((health.status, health.json()), (200, json!("healthy")));
}

#[test]
fn clients_that_go_in_the_middle_take_nobody_with_them() {
    let (gateway, _) = start(&Settings::default());
    let server = serve(&gateway, Limits::default());
    let at = server.address();
    let body = asks("ann", "read", "doc:1");
    let whole = request("POST", "/v1/authorize", "localhost", body.as_bytes());
    thread::scope(|scope| {
        for thread in 0..4 {
            let whole = &whole;
            scope.spawn(move || {
                for cut in 0..whole.len() {
                    if cut % 4 == thread {
                        // Some have sent all of it, and do not wait for the answer.
                        Client::connect(at).send(&whole[..=cut]);
                    }
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(post(at, "/v1/authorize", body.as_bytes()).status, 200);
        }
    });
    drop(server);
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    assert!(outcome.ending.ledger.received >= 50);
}

#[test]
fn policies_that_change_decide_from_the_next_request_on_and_wrong_ones_do_not() {
    let folder = policy(&allows("first"), None);
    let mut settings = with(folder.path());
    settings.reload = std::time::Duration::from_millis(5);
    let (gateway, told) = start(&settings);
    let server = serve(&gateway, Limits::default());
    let replace = |text: &str| replace(folder.path(), text);
    let ask = || {
        let answer = post(
            server.address(),
            "/v1/authorize",
            asks("ann", "read", "doc:1").as_bytes(),
        );
        assert_eq!(answer.status, 200);
        answer.json()["reason"]
            .as_str()
            .expect("a reason")
            .to_owned()
    };
    assert_eq!(ask(), "first");
    replace(&allows("second"));
    eventually(|| ask() == "second");
    replace("package gateway\n\ndecision := {\"allow\": tru\n");
    eventually(|| gateway.reloads().refused > 0);
    assert_eq!(ask(), "second");
    let wrong = gateway.reloads().wrong.expect("it is wrong");
    assert!(wrong.contains("policy.rego:"), "{wrong}");
    let status = get(server.address(), "/v1/status").json();
    assert_eq!(status["policies"]["wrong"], json!(wrong));
    replace(&allows("fourth"));
    eventually(|| ask() == "fourth" && gateway.reloads().wrong.is_none());
    let told = told.lock().expect("nobody panics").join("\n");
    assert!(told.contains("stays: "), "{told}");
    drop(server);
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
}
