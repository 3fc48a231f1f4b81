//! What who sends events by a socket can see and rely on while a run goes on.

use std::net::SocketAddr;

use pipewright_tests::wait_for;
use serde_json::{Value, json};

use super::bad::{GOOD, after, exchanged, listening_for};
use crate::events::{
    entrance::Entrance,
    flow::events_live,
    run::Started,
    service::{self, Overflow, Service},
};

type Daemon = Started<events_live::Pipeline>;

fn by_http(service: Service) -> (Daemon, SocketAddr) {
    let http = Entrance::Http {
        address: "127.0.0.1:0".parse().expect("an address"),
        public: false,
        hosts: Vec::new(),
    };
    let started = listening_for(vec![http], service);
    let address = started.entrances.as_ref().expect("it listens").addresses()[0];
    (started, address)
}

/// The status and the JSON of an answer.
fn asked(address: SocketAddr, what: &str, body: &str) -> (u16, Value) {
    let (head, body) = exchanged(
        address,
        &format!("{what} HTTP/1.1\r\nHost: localhost"),
        body,
    );
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = serde_json::from_str(&body).expect("JSON");
    (status.expect("a status"), body)
}

#[test]
fn what_came_of_all_lines_is_told_while_the_run_goes_on_as_at_its_end() {
    let (started, address) = by_http(service::examples(1).remove(0));
    let lines = format!("{GOOD}\n\nhello\n{GOOD}\n");
    assert_eq!(asked(address, "POST /v1/events", &lines).0, 202);
    let mut told = Value::Null;
    wait_for("a status that counts all lines", || {
        let (status, object) = asked(address, "GET /v1/status", "");
        told = object;
        status == 200
            && told["delivered"] == 2
            && told["events"] == 2
            && told["lines"] == 4
            && told["blank"] == 1
            && told["rejected"] == json!({"unknown_format": 1})
    });
    assert_eq!(told["health"], "healthy");
    let outcome = after(started, 3);
    let end = outcome.summary.to_json(&outcome.ending);
    for (key, value) in told.as_object().expect("an object") {
        assert_eq!(end[key], *value, "{key}");
    }
}

#[test]
fn health_says_what_is_not_as_it_should_be_and_whether_more_is_taken() {
    let mut full = service::examples(1).remove(0);
    (full.queue, full.overflow) = (Some(1), Some(Overflow::DropNewest));
    let (started, address) = by_http(full);
    let healthy = (200, json!("healthy"));
    assert_eq!(asked(address, "GET /healthz", ""), healthy);
    let lines = format!("{GOOD}\n").repeat(1_000);
    wait_for("a service that has dropped events", || {
        // On a busy machine there may be no room for all of them in time.
        let (status, _) = asked(address, "POST /v1/events", &lines);
        assert!([202, 503].contains(&status), "{status}");
        let (status, health) = asked(address, "GET /healthz", "");
        let text = health.as_str().expect("a text");
        let is_degraded = "degraded: service `audit` is degraded: before `store` items are dropped";
        status == 200 && text.starts_with(is_degraded)
    });
    started.run().close();
    let (status, health) = asked(address, "GET /healthz", "");
    assert_eq!(status, 503);
    assert!(
        health
            .as_str()
            .is_some_and(|text| text.starts_with("stopped"))
    );
    assert_eq!(asked(address, "POST /v1/events", GOOD).0, 503);
    after(started, 1);
}
