//! Cuts a stream of JSON texts into single ones: concatenated, one per line, or just one.
//!
//! Only brackets and strings are looked at. What is between two texts, or never closes, is given out as it is, so that
//! the parser can say what is wrong with it; the stream goes on at the next line that starts with a bracket.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memmem};

/// No block is larger: a text that does not end before this is broken.
const MOST: usize = 256 << 20;
const CHUNK: usize = 64 << 10;
/// After so many texts without an end the rest of the stream is given out as one: looking for each end again and again
/// would take time that grows with the square of the input.
const MOST_BROKEN: u32 = 1000;

/// The texts of a stream.
#[derive(Debug)]
pub(super) struct Texts<R> {
    reader: R,
    buffer: BytesMut,
    scan: Scan,
    ended: bool,
    most: usize,
    broken: u32,
}

/// How far the first text of the buffer has been looked at.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// What is there starts no text; `at` is then where to look for the next one.
    broken: bool,
}

impl<R: Read> Texts<R> {
    /// Starts at the reader's position.
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            scan: Scan::default(),
            ended: false,
            most: MOST,
            broken: 0,
        }
    }

    fn cut(&mut self, end: usize) -> Bytes {
        self.scan = Scan::default();
        self.buffer.split_to(end).freeze()
    }

    /// Ends a text that never closes: at the next line that starts like another one, or with the buffer.
    fn cut_broken(&mut self) -> Option<Bytes> {
        let from = if self.scan.broken {
            self.scan.at.saturating_sub(1)
        } else {
            0
        };
        let next = if self.broken < MOST_BROKEN {
            next_text(&self.buffer[from..])
        } else {
            None
        };
        let whole = self.ended || self.buffer.len() >= self.most;
        let end = match next {
            Some(next) => from + next,
            None if whole && !self.buffer.is_empty() => self.buffer.len(),
            None => {
                self.scan.at = self.buffer.len();
                return None;
            }
        };
        self.broken += 1;
        Some(self.cut(end))
    }

    fn fill(&mut self) -> io::Result<()> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer
            .truncate(filled + read.as_ref().map_or(0, |read| *read));
        self.ended = !matches!(read, Ok(1..));
        read.map(drop)
    }
}

impl<R: Read> Iterator for Texts<R> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.scan.at == 0 {
                let blank = self
                    .buffer
                    .iter()
                    .take_while(|byte| byte.is_ascii_whitespace())
                    .count();
                drop(self.buffer.split_to(blank));
            }
            if let Some(end) = self.scan.end_of_text(&self.buffer) {
                return Some(Ok(self.cut(end)));
            }
            let stuck = self.scan.broken || self.ended || self.buffer.len() >= self.most;
            if stuck && let Some(text) = self.cut_broken() {
                return Some(Ok(text));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
        }
    }
}

impl Scan {
    /// Looks on from where it stopped; the end of the text, if it is in the buffer.
    fn end_of_text(&mut self, buffer: &[u8]) -> Option<usize> {
        while !self.broken && self.at < buffer.len() {
            if self.escaped {
                self.escaped = false;
                self.at += 1;
                continue;
            }
            if self.in_string {
                self.leave_string(buffer);
                continue;
            }
            match buffer[self.at] {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => self.depth -= 1,
                b'"' if self.depth > 0 => self.in_string = true,
                _ if self.depth > 0 => {}
                _ => self.broken = true,
            }
            self.at += 1;
            if self.depth == 0 && !self.broken {
                return Some(self.at);
            }
        }
        None
    }

    fn leave_string(&mut self, buffer: &[u8]) {
        let Some(offset) = memchr2(b'"', b'\\', &buffer[self.at..]) else {
            self.at = buffer.len();
            return;
        };
        self.at += offset;
        self.escaped = buffer[self.at] == b'\\';
        self.in_string = self.escaped;
        self.at += 1;
    }
}

/// Where the next line starts that looks like another text.
fn next_text(buffer: &[u8]) -> Option<usize> {
    [b"\n{", b"\n["]
        .iter()
        .filter_map(|start| memmem::find(buffer, *start))
        .min()
        .map(|newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a few bytes at a time, so that every text is cut at every place.
    struct Slow<'t>(&'t [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn check(stream: &str, expect: &[&str]) {
        for step in [1, 2, 3, 7, 1000] {
            let texts: Vec<_> = Texts::new(Slow(stream.as_bytes(), step))
                .collect::<io::Result<_>>()
                .expect("reads");
            let texts: Vec<_> = texts
                .iter()
                .map(|text| std::str::from_utf8(text).expect("text"))
                .collect();
            assert_eq!(texts, expect, "{stream:?} by {step}");
        }
    }

    #[test]
    fn texts_are_found_whatever_is_between_them() {
        check("", &[]);
        check(" \n\t", &[]);
        check("{}", &["{}"]);
        check("{}{}\n[1]\n", &["{}", "{}", "[1]"]);
        check(
            " { \"a\": [1, {\"b\": 2}] }\n\n{}",
            &["{ \"a\": [1, {\"b\": 2}] }", "{}"],
        );
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        check(r#"{"}":"{"}{}"#, &[r#"{"}":"{"}"#, "{}"]);
        check(r#"{"\"}":"\\"}{}"#, &[r#"{"\"}":"\\"}"#, "{}"]);
    }

    #[test]
    fn a_broken_text_costs_no_other() {
        check("{\"a\":\n{}\n", &["{\"a\":\n", "{}"]);
        check("hello\nworld\n{}", &["hello\nworld\n", "{}"]);
        check("{}}\n{}", &["{}", "}\n", "{}"]);
        check("{\"a\": \"\\", &["{\"a\": \"\\"]);
    }

    #[test]
    fn many_broken_texts_are_given_out_as_one_in_the_end() {
        let stream = "{\n".repeat(20_000);
        assert_eq!(
            Texts::new(stream.as_bytes()).count(),
            MOST_BROKEN as usize + 1
        );
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let mut texts = Texts::new(io::repeat(b'{'));
        texts.most = 3 * CHUNK;
        assert_eq!(
            texts.next().map(|text| text.expect("reads").len()),
            Some(3 * CHUNK)
        );
    }
}
