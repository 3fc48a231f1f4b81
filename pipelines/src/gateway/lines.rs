//! Requests from a file: one JSON object a line, answered in the order of the lines.
//!
//! Some hundred requests are on their way at a time, so that workers have something to do; what is read of the file is no more than
//! these and a buffer.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, BufRead, Write},
};

use pipewright::{CallError, Caller, Calling};

use super::{
    flow::gateway::Pipeline,
    request::{Incoming, MOST_ALL},
    types::Answer,
};

/// Requests on their way at a time; fewer than the input of the pipeline has room for.
const WINDOW: usize = 256;
/// The longest line: a request, and room for spaces and escapes.
const MOST_LINE: usize = 2 * MOST_ALL;

/// Why a file was not done to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinesError {
    /// It cannot be read.
    #[error("cannot read the requests at line {line}: {why}")]
    Read {
        /// The line.
        line: u64,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// The answers cannot be written.
    #[error("cannot write the answers: {0}")]
    Write(#[source] io::Error),
}

/// What was done of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Requests that were taken in.
    pub requests: u64,
    /// Of those, the ones that got no answer, and why the first did not.
    pub unanswered: u64,
    /// Why the first of them did not.
    pub first: Option<String>,
    /// The run takes no more; the rest of the file was not read.
    pub ended_early: bool,
}

/// Asks about each line, and writes the answers, one a line. Empty lines are passed over.
///
/// # Errors
///
/// If the file cannot be read on, or an answer cannot be written. What was asked before has been answered.
pub async fn ask_all(
    mut from: impl BufRead,
    mut to: impl Write,
    caller: &Caller<Pipeline>,
) -> Result<Done, LinesError> {
    let mut asked: VecDeque<Calling<'_, Pipeline>> = VecDeque::with_capacity(WINDOW);
    let (mut done, mut text, mut line) = (Done::default(), Vec::new(), 0);
    let read = loop {
        line += 1;
        let incoming = match next_line(&mut from, &mut text) {
            Ok(None) => break Ok(()),
            Err(why) => break Err(LinesError::Read { line, why }),
            Ok(Some(true)) if text.trim_ascii().is_empty() => continue,
            Ok(Some(true)) => Incoming::read(&text).at(line),
            Ok(Some(false)) => Incoming::too_long(line, MOST_LINE),
        };
        if asked.len() == WINDOW
            && let Some(first) = asked.pop_front()
        {
            done.write(&mut to, first.await)?;
        }
        if done.ended_early {
            break Ok(());
        }
        asked.push_back(caller.call_async(incoming));
    };
    for next in asked {
        done.write(&mut to, next.await)?;
    }
    to.flush().map_err(LinesError::Write)?;
    read.map(|()| done)
}

impl Done {
    fn write(
        &mut self,
        to: &mut impl Write,
        answer: Result<Answer, CallError<Incoming, Infallible>>,
    ) -> Result<(), LinesError> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(CallError::ShutDown(Some(_))) => {
                self.ended_early = true;
                return Ok(());
            }
            Err(error) => {
                self.requests += 1;
                self.unanswered += 1;
                self.first.get_or_insert_with(|| error.to_string());
                return Ok(());
            }
        };
        self.requests += 1;
        let mut text =
            serde_json::to_vec(&answer).map_err(|error| LinesError::Write(error.into()))?;
        text.push(b'\n');
        to.write_all(&text).map_err(LinesError::Write)
    }
}

/// Reads a line without its end; `Some(false)` if it is longer than lines may be, and then it is passed over.
fn next_line(from: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<Option<bool>> {
    text.clear();
    let (mut any, mut fits) = (false, true);
    loop {
        let some = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            some => some?,
        };
        if some.is_empty() {
            return Ok(any.then_some(fits));
        }
        any = true;
        let end = memchr::memchr(b'\n', some);
        let part = &some[..end.unwrap_or(some.len())];
        fits &= text.len() + part.len() <= MOST_LINE;
        if fits {
            text.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            return Ok(Some(fits));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    #[test]
    fn lines_are_read_whole_whatever_the_buffer_and_long_ones_are_passed_over() {
        let long = "x".repeat(MOST_LINE + 1);
        let most = "y".repeat(MOST_LINE);
        let text = format!("one\n\n{long}\n{most}\ntwo");
        for buffer in [1, 2, 7, 4096, 1 << 20] {
            let mut from = BufReader::with_capacity(buffer, Cursor::new(&text));
            let (mut line, mut found) = (Vec::new(), Vec::new());
            while let Some(fits) = next_line(&mut from, &mut line).expect("it can be read") {
                let start = String::from_utf8_lossy(&line[..line.len().min(3)]).into_owned();
                found.push((fits, fits.then_some(start)));
            }
            let expect = [Some("one"), Some(""), None, Some("yyy"), Some("two")];
            let expect = expect.map(|text| (text.is_some(), text.map(str::to_owned)));
            assert_eq!(found, expect, "with a buffer of {buffer}");
        }
    }
}
