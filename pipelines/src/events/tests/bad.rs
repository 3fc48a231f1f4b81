//! Bad input, and services that cannot take what they get: counted with the reason, and the rest goes on.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use pipewright_tests::{MINUTE, wait_for};

use super::{end, generated, made, run, settings};
use crate::events::{
    entrance::Entrance,
    feed::Input,
    flow::events_live,
    run::{Outcome, Started},
    service::{self, Service, Sink},
};

pub(super) const GOOD: &str = r#"{"kind":"mcp","message":"good"}"#;

fn rejected(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let by_reason = &outcome.summary.rejects.by_reason;
    by_reason
        .iter()
        .map(|(code, count)| (*code, *count))
        .collect()
}

/// What a line is rejected for, among good ones, with so much in the message.
fn check(line: &str, code: &'static str, message: &str) {
    let mut settings = settings(vec![made(&[GOOD, line, GOOD])], service::examples(1));
    settings.window = Duration::ZERO;
    let outcome = run(settings);
    assert_eq!(rejected(&outcome), [(code, 1)], "{line}");
    assert_eq!(outcome.summary.delivered(), 2, "{line}");
    assert!(outcome.is_good(), "bad lines do not fail a run");
    let told = &outcome.summary.rejects.told[0];
    assert!(
        told.starts_with("made:2: ") && told.contains(message),
        "{told}"
    );
}

#[test]
fn a_bad_line_is_counted_with_its_reason_and_costs_no_other() {
    check(
        "hello",
        "unknown_format",
        "none of the known formats: `hello`",
    );
    check("{", "not_an_event", "EOF");
    check("{}", "not_an_event", "missing field `kind`");
    check(
        r#"{"kind":"toast","message":"a"}"#,
        "unknown_kind",
        "`toast`",
    );
    check(
        r#"{"kind":"mcp","message":"a","at":"never"}"#,
        "bad_time",
        "never",
    );
    check(
        r#"{"kind":"mcp","message":"a","severity":"loud"}"#,
        "malformed",
        "severity",
    );
    check("Jun 31 00:00:00 host a: b", "bad_time", "Jun 31 00:00:00");
    check("[Sun Dec 04", "malformed", "no line of apache");
}

#[test]
fn lines_that_are_no_text_or_too_long_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let mut text = format!("{GOOD}\n").into_bytes();
    text.extend(b"\xff\xfe\n");
    text.extend(vec![b'x'; 200_000]);
    text.extend(format!("\n\n  \r\n{GOOD}").into_bytes());
    fs::write(&path, text).expect("writes");
    let mut settings = settings(vec![Input::File(path)], service::examples(1));
    settings.window = Duration::ZERO;
    let outcome = run(settings);
    assert_eq!(rejected(&outcome), [("not_utf8", 1), ("too_long", 1)]);
    assert_eq!(outcome.summary.blank, 2);
    assert_eq!(outcome.summary.delivered(), 2);
    let told = outcome.summary.rejects.told.join("\n");
    assert!(
        told.contains("has 200000 bytes; a line may have 65536"),
        "{told}"
    );
    assert!(
        told.contains("log:2: is not UTF-8 from byte 0 on"),
        "{told}"
    );
}

#[test]
fn an_input_that_cannot_be_read_fails_the_run_and_the_others_are_read() {
    let inputs = vec![
        Input::File("no/such/file".into()),
        Input::File("/".into()),
        made(&[GOOD]),
    ];
    let outcome = run(settings(inputs, service::examples(1)));
    let summary = &outcome.summary;
    assert_eq!(
        (summary.rejects.unreadable, summary.rejects.told.len()),
        (2, 2)
    );
    // Neither is a line, and so nothing was rejected.
    assert_eq!((summary.lines, rejected(&outcome)), (1, Vec::new()));
    assert_eq!(summary.delivered(), 1);
    assert!(!outcome.is_good());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_one_service_is_counted_and_the_others_go_on() {
    let mut services = service::examples(3);
    services[0].sink = Sink::File("/dev/full".into());
    let expect = super::sequential::run(&settings(generated(4, 1_000), services.clone()));
    let outcome = run(settings(generated(4, 1_000), services));
    let services = &outcome.summary.services;
    let wanted: Vec<_> = expect.delivered().collect();
    assert_eq!(
        services[0].counts.missed,
        BTreeMap::from([("disk_full", wanted[0])])
    );
    assert_eq!(
        services[0].ledger.failed, wanted[0],
        "{}",
        services[0].ledger
    );
    assert_eq!(services[1].counts.delivered, wanted[1]);
    assert_eq!(services[2].counts.delivered, wanted[2]);
    assert!(!outcome.is_good());
}

#[test]
fn a_service_that_cannot_open_its_file_starts_nothing() {
    let mut services = service::examples(2);
    services[1].sink = Sink::File("no/such/folder/file".into());
    let failure = settings(vec![made(&[GOOD])], services).run();
    let failure = failure.expect_err("there is no such folder").to_string();
    let expect = "service `filesystem-1`: cannot open no/such/folder/file: No such file";
    assert!(failure.starts_with(expect), "{failure}");
}

/// Starts what listens, with one service.
pub(super) fn listening_for(
    entrances: Vec<Entrance>,
    service: Service,
) -> Started<events_live::Pipeline> {
    let mut settings = settings(Vec::new(), vec![service]);
    settings.entrances = entrances;
    settings.window = Duration::ZERO;
    settings.feed.most = 100;
    settings
        .start_live()
        .unwrap_or_else(|failure| panic!("{failure}"))
}

/// The same, with a service that gets everything.
fn listening(entrances: Vec<Entrance>) -> Started<events_live::Pipeline> {
    listening_for(entrances, service::examples(1).remove(0))
}

/// Waits until so many lines were delivered or rejected, and ends.
pub(super) fn after(started: Started<events_live::Pipeline>, lines: u64) -> Outcome {
    wait_for(&format!("what becomes of {lines} lines"), || {
        let rejected: u64 = started.tally().seen().by_reason.values().sum();
        started.outlets[0].seen.so_far().delivered + rejected >= lines
    });
    end(started)
}

#[test]
fn lines_come_by_sockets_and_bad_ones_cost_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    // Nobody listens there any more.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    let any = "127.0.0.1:0".parse().expect("an address");
    let started = listening(vec![Entrance::Tcp(any), Entrance::Unix(path.clone())]);
    let addresses = started.entrances.as_ref().expect("they listen").addresses();
    let mut tcp = TcpStream::connect(addresses[0]).expect("listens");
    // The last line has no end: the client has said all.
    write!(tcp, "{GOOD}\nhello\n{}\n{GOOD}", "x".repeat(500)).expect("sends");
    drop(tcp);
    let mut unix = UnixStream::connect(&path).expect("listens");
    write!(unix, "{GOOD}\r\n\n").expect("sends");
    unix.write_all(b"\xff\n").expect("sends");
    drop(unix);
    let outcome = after(started, 6);
    assert_eq!(outcome.summary.delivered(), 3);
    let expect = [("not_utf8", 1), ("too_long", 1), ("unknown_format", 1)];
    assert_eq!(rejected(&outcome), expect);
    let told = outcome.summary.rejects.told.join("\n");
    assert!(told.contains("tcp 127.0.0.1:"), "{told}");
    assert!(
        told.contains(&format!("{}:3: is not UTF-8", path.display())),
        "{told}"
    );
    assert!(!path.exists(), "the socket is removed");
}

#[test]
fn a_watched_directory_tells_changes_disappears_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let watched = folder.path().join("watched");
    fs::create_dir(&watched).expect("makes");
    let mut service = service::examples(1).remove(0);
    let out = folder.path().join("out.ndjson");
    service.sink = Sink::File(out.clone());
    let started = listening_for(vec![Entrance::Watch(watched.clone())], service);
    // By what is told and not by how much: what is told of one change may come in several pieces.
    let wait_until_told = |what: String| {
        let told = || fs::read_to_string(&out).expect("it is there");
        wait_for(&what, || told().contains(&what));
    };
    let written = |name: &str| {
        fs::write(watched.join(name), name).expect("writes");
        wait_until_told(format!("written {}", watched.join(name).display()));
    };
    written("one");
    fs::rename(&watched, folder.path().join("away")).expect("renames");
    wait_for("the reject of a directory that is gone", || {
        started.tally().seen().by_reason.contains_key("gone")
    });
    fs::create_dir(&watched).expect("makes");
    wait_until_told(format!("watched again {}", watched.display()));
    written("two");
    assert_eq!(rejected(&end(started)), [("gone", 1)]);
}

#[test]
fn what_services_write_in_a_watched_directory_is_no_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(Vec::new(), service::examples(1));
    settings.services[0].sink = Sink::File(folder.path().join("out.ndjson"));
    // Another way to say where that is.
    settings.entrances = vec![Entrance::Watch(folder.path().join("."))];
    settings.window = Duration::ZERO;
    let started = settings
        .start_live()
        .unwrap_or_else(|failure| panic!("{failure}"));
    let written = || fs::read_to_string(folder.path().join("out.ndjson")).expect("it is there");
    for name in ["one", "two", "last"] {
        fs::write(folder.path().join(name), name).expect("writes");
        // What is told of one file may come in several pieces.
        let last = format!("written {}", folder.path().join(".").join(name).display());
        wait_for(&last, || written().contains(&last));
    }
    end(started);
    let written = written();
    assert!(written.contains("last"), "{written}");
    assert!(!written.contains("out.ndjson"), "{written}");
}

#[test]
fn what_cannot_be_listened_to_starts_nothing() {
    let refused = |entrance: Entrance, expect: &str| {
        let mut settings = settings(Vec::new(), service::examples(1));
        settings.entrances = vec![entrance];
        let failure = settings.start_live().expect_err("cannot be").to_string();
        assert!(failure.contains(expect), "{failure}");
    };
    refused(
        Entrance::Watch("no/such/folder".into()),
        "cannot watch no/such/folder",
    );
    refused(
        Entrance::Unix("no/such/folder/socket".into()),
        "cannot listen at no/such",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("an address");
    refused(
        Entrance::Tcp(address),
        &format!("cannot listen at {address}"),
    );
}

/// A client that does not wait for ever.
pub(super) fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("listens");
    client.set_read_timeout(Some(MINUTE)).expect("a time");
    client.set_write_timeout(Some(MINUTE)).expect("a time");
    client
}

/// Sends events for a host, which may have further headers behind it, and tells the status line and the body of the answer.
fn asked(address: SocketAddr, host: &str, body: &str) -> (String, String) {
    let (head, body) = exchanged(
        address,
        &format!("POST /v1/events HTTP/1.1\r\nHost: {host}"),
        body,
    );
    (head.lines().next().expect("a status").to_owned(), body)
}

/// Sends a request that begins so, and tells the head and the body of the answer.
///
/// All of it at once: who is refused is answered before the end, and what is sent after that breaks the connection.
pub(super) fn exchanged(address: SocketAddr, begin: &str, body: &str) -> (String, String) {
    let mut client = client(address);
    let length = body.len();
    let rest = format!("Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let request = format!("{begin}\r\n{rest}");
    client.write_all(request.as_bytes()).expect("sends");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn lines_come_by_http_and_strangers_do_not() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let started = listening(vec![Entrance::Http {
        address,
        public: false,
        hosts: vec!["events.example".to_owned()],
    }]);
    let address = started.entrances.as_ref().expect("it listens").addresses()[0];
    let (status, body) = asked(address, "localhost", &format!("{GOOD}\nbad\n{GOOD}"));
    assert_eq!(status, "HTTP/1.1 202 Accepted");
    assert_eq!(body, r#"{"accepted":3,"of":3}"#);
    let (status, _) = asked(address, "events.example", GOOD);
    assert_eq!(status, "HTTP/1.1 202 Accepted");
    let (status, _) = asked(address, "attacker.example", GOOD);
    assert!(status.starts_with("HTTP/1.1 421 "), "{status}");
    let outcome = after(started, 4);
    assert_eq!(outcome.summary.delivered(), 3);
    assert_eq!(rejected(&outcome), [("unknown_format", 1)]);
}

#[test]
fn web_pages_of_others_send_nothing() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let http = Entrance::Http {
        address: any,
        public: false,
        hosts: vec!["events.example".to_owned()],
    };
    let started = listening(vec![Entrance::Tcp(any), http]);
    let addresses = started.entrances.as_ref().expect("they listen").addresses();
    for header in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"] {
        let (status, body) = asked(addresses[1], &format!("localhost\r\n{header}"), GOOD);
        assert_eq!(status, "HTTP/1.1 403 Forbidden", "{header}");
        assert!(body.starts_with(r#"{"error":{"#), "{body}");
    }
    let own = "localhost\r\nOrigin: http://events.example";
    let (status, _) = asked(addresses[1], own, GOOD);
    assert_eq!(status, "HTTP/1.1 202 Accepted");
    // At the port for lines it is let go, with or without an answer of the system that there is more.
    let mut client = client(addresses[0]);
    // At once: what is sent later finds nobody.
    let request = format!("POST / HTTP/1.1\r\n\r\n{GOOD}\n{GOOD}\n");
    client.write_all(request.as_bytes()).expect("sends");
    drop(client.read(&mut [0; 1]));
    let outcome = after(started, 2);
    assert_eq!(outcome.summary.delivered(), 1);
    assert_eq!(rejected(&outcome), [("http_request", 1)]);
}
