//! A client that sends what it is told to, byte by byte, and reads whole answers.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// A test that waits for so long hangs.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// A connection.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(HANG)).expect("a time");
        stream.set_write_timeout(Some(HANG)).expect("a time");
        Self(stream)
    }

    /// Sends bytes; says whether they were taken.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// An answer; `None` if the other side closes instead.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
        let head = String::from_utf8(head).expect("a head is text");
        let status = head.split(' ').nth(1).expect("a status line");
        let mut answer = Answer {
            status: status.parse().expect("a number"),
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().expect("a number"));
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body).expect("the whole body");
        Some(answer)
    }

    /// Whether the other side closes, without another answer.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.answer().is_none()
    }

    /// Posts JSON and waits for the answer.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Option<Answer> {
        self.send(&request("POST", path, "localhost", body));
        self.answer()
    }
}

/// The bytes of a request with a body in JSON.
pub(crate) fn request(method: &str, path: &str, host: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Asks once.
pub(crate) fn post(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    Client::connect(address)
        .post(path, body)
        .expect("it answers")
}

/// Gets once.
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(address);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    client.answer().expect("it answers")
}
