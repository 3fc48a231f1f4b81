//! Cuts bytes into lines, however they come; knows neither files nor sockets.
//!
//! A line that is too long is not kept: what comes of it is counted and thrown away until it ends, and the next line is read
//! as if nothing had been. So memory is bounded by the longest line, and one bad line costs no other.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use super::reject::Fault;

/// Bytes that a line may have, if nothing else is said.
pub const MOST: usize = 64 << 10;

/// The lines of a stream.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// So much of the buffer has no end of a line.
    seen: usize,
    /// Bytes of a line that is too long, as far as they were thrown away.
    skipped: u64,
    most: usize,
    /// Lines that were given out.
    line: u64,
}

impl Lines {
    /// For lines of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self::after(0, most)
    }

    /// The same, where so many lines came before.
    pub fn after(line: u64, most: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            seen: 0,
            skipped: 0,
            most,
            line,
        }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The number of the last line that was given out, from 1.
    pub fn number(&self) -> u64 {
        self.line
    }

    /// Whether a line has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.pending() > 0
    }

    /// How many bytes came of a line that has not ended.
    pub fn pending(&self) -> u64 {
        self.skipped + self.buffer.len() as u64
    }

    /// The next whole line, without its end.
    pub fn next_line(&mut self) -> Option<Result<Bytes, Fault>> {
        match memchr(b'\n', &self.buffer[self.seen..]) {
            Some(at) => {
                let line = self.buffer.split_to(self.seen + at).freeze();
                self.buffer.advance(1);
                self.seen = 0;
                Some(self.line(line))
            }
            None => {
                self.seen = self.buffer.len();
                if self.seen > self.most + 1 {
                    self.skipped += self.seen as u64;
                    self.buffer.clear();
                    self.seen = 0;
                }
                None
            }
        }
    }

    /// What is left when the stream has ended: its last line, if that has no end.
    pub fn finish(&mut self) -> Option<Result<Bytes, Fault>> {
        if !self.is_inside() {
            return None;
        }
        let line = self.buffer.split().freeze();
        self.seen = 0;
        Some(self.line(line))
    }

    /// What is left when the stream broke off: not a line.
    pub fn cut_off(&mut self, why: &'static str) -> Option<Fault> {
        let bytes = self.pending();
        self.buffer.clear();
        (self.seen, self.skipped) = (0, 0);
        (bytes > 0).then(|| {
            self.line += 1;
            Fault::CutOff { bytes, why }
        })
    }

    fn line(&mut self, mut line: Bytes) -> Result<Bytes, Fault> {
        self.line += 1;
        let skipped = std::mem::take(&mut self.skipped);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        let bytes = skipped + line.len() as u64;
        if bytes > self.most as u64 {
            return Err(Fault::TooLong {
                bytes,
                most: self.most,
            });
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a stream that comes in pieces of every size; `#n` is a line of n bytes that is too long.
    fn check(stream: &str, expect: &[&str]) {
        for piece in [1, 2, 3, 5, 1000] {
            let mut lines = Lines::new(8);
            let mut found = Vec::new();
            for bytes in stream.as_bytes().chunks(piece) {
                lines.push(bytes);
                while let Some(line) = lines.next_line() {
                    found.push(line);
                }
                assert!(lines.buffer.len() <= 8 + 1 + piece);
            }
            found.extend(lines.finish());
            assert_eq!(lines.number(), found.len() as u64);
            let told = found.into_iter().map(|line| match line {
                Ok(line) => String::from_utf8(line.to_vec()).expect("text"),
                Err(Fault::TooLong { bytes, .. }) => format!("#{bytes}"),
                Err(other) => panic!("{other}"),
            });
            assert_eq!(told.collect::<Vec<_>>(), expect, "{stream:?} by {piece}");
        }
    }

    #[test]
    fn lines_are_found_however_they_come() {
        check("", &[]);
        check("one", &["one"]);
        check("one\n", &["one"]);
        check("one\ntwo\r\n\nfour", &["one", "two", "", "four"]);
        check("12345678\r\n12345678", &["12345678", "12345678"]);
    }

    #[test]
    fn a_line_that_is_too_long_costs_no_other() {
        check("a\n123456789\nb\n", &["a", "#9", "b"]);
        check("1234567890123\nb", &["#13", "b"]);
        check("b\n12345678901234567890", &["b", "#20"]);
    }

    #[test]
    fn what_broke_off_is_told_and_is_no_line() {
        let mut lines = Lines::new(8);
        assert_eq!(lines.cut_off("gone"), None);
        lines.push(b"one\ntw");
        assert_eq!(lines.next_line(), Some(Ok(Bytes::from_static(b"one"))));
        assert_eq!(lines.next_line(), None);
        let why = "gone";
        assert_eq!(lines.cut_off(why), Some(Fault::CutOff { bytes: 2, why }));
        assert!(!lines.is_inside());
    }
}
