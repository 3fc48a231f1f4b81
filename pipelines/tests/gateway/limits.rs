//! What the HTTP server takes, and for how long.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Bytes, routing::post};
use pipewright_pipelines::http::{Hosts, Limits, Server, bind};
use pipewright_tests::eventually;
use tokio::runtime::{Builder, Runtime};

use crate::client::{Answer, Client, HANG, get, request};

fn serve(limits: Limits) -> (Runtime, Server) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let routes = Router::new()
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route(
            "/never",
            post(async || {
                std::future::pending::<()>().await;
                ""
            }),
        );
    let listener = bind(([127, 0, 0, 1], 0).into(), false).expect("a free port");
    let hosts = Hosts::allow(["gate.internal".to_owned()]);
    let server = Server::start(listener, routes, hosts, limits, runtime.handle());
    (runtime, server.expect("it starts"))
}

/// Times that a test can wait for.
fn short() -> Limits {
    Limits {
        body_bytes: 1_000,
        client: Duration::from_millis(100),
        answer: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// Sends bytes and checks the answer's status and code; `None` is a connection that is closed.
fn check(address: SocketAddr, bytes: &[u8], expect: Option<(u16, &str)>) {
    let mut client = Client::connect(address);
    client.send(bytes);
    let answer = client.answer();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
    let found = answer.as_ref().map(|answer| {
        let code = match answer.status {
            200 => String::from_utf8_lossy(&answer.body).into_owned(),
            // hyper itself answers these, without a body.
            400 | 431 if answer.body.is_empty() => String::new(),
            _ => answer.json()["error"]["code"]
                .as_str()
                .expect("a code")
                .to_owned(),
        };
        (answer.status, code)
    });
    let expect = expect.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(found, expect, "{shown}: {answer:?}");
}

#[test]
fn what_is_no_good_request_is_refused_and_the_server_goes_on() {
    // A client is not slow because the machine is busy.
    let (_runtime, server) = serve(Limits {
        client: HANG,
        ..short()
    });
    let at = server.address();
    let host = |host: &str| request("POST", "/length", host, b"12345");
    check(at, &host("localhost"), Some((200, "5")));
    check(at, &host("127.0.0.1:9"), Some((200, "5")));
    check(at, &host("gate.internal"), Some((200, "5")));
    check(at, &host("evil.example"), Some((421, "wrong_host")));
    check(at, &host(""), Some((421, "wrong_host")));
    check(
        at,
        b"POST /length HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        Some((421, "wrong_host")),
    );
    check(at, b"nonsense\r\n\r\n", Some((400, "")));
    check(
        at,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        Some((400, "")),
    );
    check(
        at,
        b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        Some((400, "")),
    );
    let body = |bytes| request("POST", "/length", "localhost", &vec![b'x'; bytes]);
    check(at, &body(1_000), Some((200, "1000")));
    check(at, &body(1_001), Some((413, "body_too_large")));
    let chunked = |bytes: usize| {
        let head = "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes)).into_bytes()
    };
    check(at, &chunked(1_000), Some((200, "1000")));
    check(at, &chunked(1_001), Some((413, "body_too_large")));
    let head = format!(
        "POST /length HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    check(at, head.as_bytes(), Some((431, "")));
    check(
        at,
        &request("POST", "/never", "localhost", b""),
        Some((504, "no_answer_in_time")),
    );
    check(
        at,
        &request("GET", "/length", "localhost", b""),
        Some((405, "method_not_allowed")),
    );
    check(at, &host("localhost"), Some((200, "5")));
    let counts = [
        ("body_too_large", 2),
        ("head_too_large", 1),
        ("method_not_allowed", 1),
        ("no_answer_in_time", 1),
        ("no_http", 3),
        ("wrong_host", 3),
    ];
    // A head is counted when its connection has ended.
    eventually(|| server.refusals().seen() == counts.into());
}

#[test]
fn bodies_together_have_so_many_bytes_until_they_are_answered() {
    let (_runtime, server) = serve(Limits {
        body_bytes: 1_000,
        held_bytes: 1_500,
        client: HANG,
        ..Limits::default()
    });
    let whole = request("POST", "/length", "localhost", &[b'x'; 1_000]);
    let (begin, end) = whole.split_at(whole.len() - 1);
    let mut slow = Client::connect(server.address());
    slow.send(begin);
    let ask = || {
        let mut client = Client::connect(server.address());
        client.send(&whole);
        client.answer().expect("it is answered")
    };
    let mut refused = ask();
    // As soon as what is sent has come.
    eventually(|| {
        let is_refused = refused.status == 503;
        if !is_refused {
            refused = ask();
        }
        is_refused
    });
    assert_eq!(refused.json()["error"]["code"], "too_many_bodies");
    assert_eq!(refused.header("retry-after"), Some("1"));
    slow.send(end);
    assert_eq!(slow.answer().map(|answer| answer.status), Some(200));
    assert_eq!(ask().status, 200);
    let seen = server.refusals().seen();
    assert_eq!(seen, [("too_many_bodies", 1)].into());
}

/// The first answer that there is: on a busy machine a client may be let go before it has sent anything.
fn answered(mut ask: impl FnMut() -> Option<Answer>) -> Answer {
    let mut answer = None;
    eventually(|| {
        answer = ask();
        answer.is_some()
    });
    answer.expect("it has come")
}

#[test]
fn slow_clients_are_let_go() {
    let (_runtime, server) = serve(short());
    let slow = |bytes: &[u8]| {
        let mut client = Client::connect(server.address());
        client.send(bytes);
        client
    };
    assert!(slow(b"").is_closed(), "nothing comes");
    assert!(slow(b"POST /length HT").is_closed(), "half a head comes");
    let body = b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1234";
    let answer = answered(|| slow(body).answer());
    assert_eq!(answer.status, 408);
    assert_eq!(answer.json()["error"]["code"], "body_too_slow");
    assert_eq!(answer.header("connection"), Some("close"));
    // Kept alive, and then silent.
    let mut client = slow(b"");
    let answer = answered(|| {
        client = slow(&request("POST", "/length", "localhost", b"1"));
        client.answer()
    });
    assert_eq!(answer.status, 200);
    assert!(client.is_closed());
}

#[test]
fn more_connections_than_there_may_be_wait_until_one_ends() {
    let limits = Limits {
        connections: 2,
        client: HANG,
        ..Limits::default()
    };
    let (_runtime, server) = serve(limits);
    let open = || Client::connect(server.address());
    let (mut first, mut second, mut third) = (open(), open(), open());
    let ask = request("POST", "/length", "localhost", b"123");
    for client in [&mut first, &mut second] {
        client.send(&ask);
        assert_eq!(client.answer().map(|answer| answer.status), Some(200));
    }
    third.send(&ask);
    drop(first);
    assert_eq!(third.answer().map(|answer| answer.status), Some(200));
}

#[test]
fn a_server_that_is_stopped_answers_what_has_come_and_takes_no_more() {
    let (runtime, server) = serve(Limits::default());
    let at = server.address();
    let mut client = Client::connect(at);
    client.send(&request("POST", "/length", "localhost", b"1"));
    assert_eq!(client.answer().map(|answer| answer.status), Some(200));
    runtime.block_on(server.stop(Duration::from_secs(30)));
    assert!(client.is_closed());
    assert!(std::net::TcpStream::connect(at).is_err());
}

#[test]
fn what_is_not_there_is_told() {
    let (_runtime, server) = serve(Limits::default());
    assert_eq!(get(server.address(), "/nowhere").status, 404);
    assert_eq!(get(server.address(), "/length").status, 405);
}
