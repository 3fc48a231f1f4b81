//! Clients that send a byte at a time, stop in the middle or never come to an end: they are let go after the time that clients have, others
//! are served meanwhile, and everything that was taken in is accounted for.

#![forbid(unsafe_code)]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use pipewright_pipelines::{
    events::{
        entrance::Entrance,
        feed::Feed,
        run::Settings as EventSettings,
        service::{self, Overflow},
    },
    gateway::run::Settings as GatewaySettings,
    http::{Hosts, Limits, bind},
};
use pipewright_tests::eventually;

/// How long clients may take here: long enough for those that are only slow.
const CLIENT: Duration = Duration::from_secs(2);
/// A test that waits for so long hangs.
const HANG: Duration = Duration::from_secs(60);

/// A client that sends what it has, and then a byte whenever it is asked to go on.
struct Slow {
    stream: TcpStream,
    at_once: usize,
    sent: usize,
    bytes: Vec<u8>,
    /// What is sent when `bytes` are through, without an end.
    then: Option<u8>,
    got: Vec<u8>,
    is_over: bool,
}

impl Slow {
    /// Sends so many of these at once, and the others one by one.
    fn new(address: SocketAddr, bytes: &[u8], at_once: usize, then: Option<u8>) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_nodelay(true).expect("an option");
        let mut slow = Self {
            stream,
            at_once,
            sent: 0,
            bytes: bytes.to_vec(),
            then,
            got: Vec::new(),
            is_over: false,
        };
        let first = &slow.bytes[..slow.at_once];
        slow.stream.write_all(first).expect("it is taken");
        slow.sent = slow.at_once;
        slow.stream.set_nonblocking(true).expect("an option");
        slow
    }

    /// Sends a byte, and looks whether there is an answer.
    fn go_on(&mut self) {
        self.look();
        let next = self.bytes.get(self.sent).copied().or(self.then);
        // Whoever gets an answer in the middle stops sending.
        let Some(byte) = next.filter(|_| self.got.is_empty() && !self.is_over) else {
            return;
        };
        // What cannot be sent any more was perhaps answered before, which the next look shows.
        self.sent += self.stream.write(&[byte]).unwrap_or_default();
    }

    fn look(&mut self) {
        let mut some = [0; 1024];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => self.is_over = true,
                Ok(length) => {
                    self.got.extend_from_slice(&some[..length]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_over = true,
            }
            return;
        }
    }

    /// The status of the answer; nothing if the other side has closed without one.
    fn status(&self) -> Option<u16> {
        let text = String::from_utf8_lossy(&self.got);
        text.split(' ').nth(1).and_then(|code| code.parse().ok())
    }
}

/// Asks until it is answered, by one client after the other: on a busy machine also one that is quick may be let go before its request
/// has come.
fn ask_quickly(address: SocketAddr, whole: &[u8], good: u16) {
    eventually(|| {
        let mut quick = Slow::new(address, whole, whole.len(), None);
        quick.stream.set_nonblocking(false).expect("an option");
        quick.stream.set_read_timeout(Some(HANG)).expect("a time");
        // Who is let go may be told so by an error.
        drop(quick.stream.read_to_end(&mut quick.got));
        let status = quick.status();
        assert!([None, Some(good)].contains(&status), "{status:?}");
        status.is_some()
    });
}

/// All of them go on until the other side has ended each; `serve` is what others ask meanwhile. How often they did.
fn until_let_go(slow: &mut [Slow], mut serve: impl FnMut()) -> u64 {
    let mut served = 0;
    eventually(|| {
        slow.iter_mut().for_each(Slow::go_on);
        serve();
        served += 1;
        slow.iter().all(|slow| slow.is_over)
    });
    served
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json");
    format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Slow clients of every kind beside quick ones; how many requests with this body were taken in.
fn slow_requests(address: SocketAddr, path: &str, body: &str, good: u16) -> u64 {
    let whole = request(path, body);
    let endless_head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX: ").into_bytes();
    let large = request(path, &"x".repeat(50_000));
    let large_head = large.len() - 50_000;
    let slow = |bytes: &[u8], at_once, then| Slow::new(address, bytes, at_once, then);
    // What comes to its end in time is served, however slowly; what is too late, as it may be on a busy machine, is not.
    eventually(|| {
        let mut one = [slow(&whole, whole.len() - 8, None)];
        until_let_go(&mut one, || ());
        let status = one[0].status();
        assert!([Some(408), Some(good)].contains(&status), "{status:?}");
        status == Some(good)
    });
    let mut all = [
        slow(&endless_head, 1, Some(b'x')),
        slow(&endless_head, endless_head.len(), None),
        slow(b"", 0, None),
        slow(&large, large_head, None),
        slow(&large, large_head + 1_000, Some(b'x')),
        slow(&whole[..whole.len() - 1], whole.len() - 1, None),
    ];
    let served = until_let_go(&mut all, || ask_quickly(address, &whole, good));
    let found = all.each_ref().map(Slow::status);
    let too_slow = Some(408);
    let expect = [None, None, None, too_slow, too_slow, too_slow];
    assert_eq!(found, expect);
    assert!(served > 1, "others are served meanwhile");
    served + 1
}

#[test]
fn slow_clients_of_the_gateway_cost_nobody_else_anything() {
    let gateway = GatewaySettings::default().start(|_| ()).expect("it starts");
    let listener = bind(([127, 0, 0, 1], 0).into(), false).expect("a free port");
    let limits = Limits {
        client: CLIENT,
        ..Limits::default()
    };
    let server = gateway.serve(listener, Hosts::default(), limits);
    let server = server.expect("it listens");
    let body = r#"{"tenant":"acme","subject":"ann","action":"write","resource":"doc:1"}"#;
    let asked = slow_requests(server.address(), "/v1/authorize", body, 200);
    drop(server);
    let outcome = gateway.drain(None);
    assert!(outcome.is_good(), "{outcome:?}");
    let ledger = &outcome.ending.ledger;
    assert!(ledger.is_balanced(), "{ledger}");
    assert_eq!((ledger.received, ledger.dropped), (asked, 0), "{ledger}");
    assert_eq!(outcome.summary.tally.allowed, asked);
}

/// A run that listens, with one service that gets everything.
fn events(entrance: Entrance) -> EventSettings {
    EventSettings {
        feed: Feed {
            inputs: Vec::new(),
            follow: false,
            positions: None,
            most: 1 << 16,
        },
        entrances: vec![entrance],
        client: CLIENT,
        services: service::examples(1),
        overflow: Overflow::Block,
        queue: 256,
        window: Duration::ZERO,
        year: 2024,
        workers: Some(2),
        tuning: None,
    }
}

const GOOD: &str = r#"{"kind":"mcp","message":"good"}"#;

#[test]
fn slow_http_clients_of_events_cost_nobody_else_anything() {
    let entrance = Entrance::Http {
        address: ([127, 0, 0, 1], 0).into(),
        public: false,
        hosts: Vec::new(),
    };
    let started = events(entrance).start_live().expect("it starts");
    let address = started.entrances.as_ref().expect("it listens").addresses()[0];
    let sent = slow_requests(address, "/v1/events", GOOD, 202);
    let outcome = started.end(|run| run.drain_within(HANG));
    assert!(outcome.is_good(), "{outcome:?}");
    assert!(
        outcome.ending.ledger.is_balanced(),
        "{}",
        outcome.ending.ledger
    );
    let summary = &outcome.summary;
    assert_eq!((summary.lines, summary.delivered()), (sent, sent));
    assert!(summary.rejects.by_reason.is_empty(), "{summary:?}");
}

#[test]
fn slow_clients_of_a_socket_lose_the_line_that_they_never_end() {
    let entrance = Entrance::Tcp(([127, 0, 0, 1], 0).into());
    let started = events(entrance).start_live().expect("it starts");
    let address = started.entrances.as_ref().expect("it listens").addresses()[0];
    let line = format!("{GOOD}\n");
    let mut all = [
        Slow::new(address, line.as_bytes(), line.len(), Some(b'x')),
        Slow::new(address, &line.as_bytes()[..5], 5, None),
    ];
    let sent = until_let_go(&mut all, || {
        let mut quick = TcpStream::connect(address).expect("it listens");
        quick.write_all(line.as_bytes()).expect("it is taken");
        // The other side closes when it has read all.
        quick.shutdown(std::net::Shutdown::Write).expect("it ends");
        quick.set_read_timeout(Some(HANG)).expect("a time");
        let end = quick.read(&mut [0]).expect("it is read");
        assert_eq!(end, 0, "nothing is ever answered");
    });
    let outcome = started.end(|run| run.drain_within(HANG));
    assert!(
        outcome.ending.ledger.is_balanced(),
        "{}",
        outcome.ending.ledger
    );
    let summary = &outcome.summary;
    assert_eq!(summary.delivered(), sent + 1, "{summary:?}");
    let rejected: Vec<_> = summary.rejects.by_reason.iter().collect();
    assert_eq!(rejected, [(&"cut_off", &2)]);
}
