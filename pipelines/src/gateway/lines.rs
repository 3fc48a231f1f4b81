//! Requests from a file: one JSON object a line, answered in the order of the lines.
//!
//! A thread reads, so that answers are written also while the next request is waited for: whoever asks line by line gets line by
//! line. Some hundred requests are on their way at a time, so that workers have something to do; what is read of the file is no more
//! than these, as many again, and a buffer.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, BufRead, Write},
    thread,
    time::Duration,
};

use pipewright::{CallError, Calling, Signals};
use tokio::{sync::mpsc, time};

use super::{
    flow::gateway::Pipeline,
    lanes::Lanes,
    request::{Incoming, MOST_ALL},
    types::Answer,
};

/// Requests on their way at a time; fewer than the input of the pipeline has room for.
const WINDOW: usize = 256;
/// The longest line: a request, and room for spaces and escapes.
const MOST_LINE: usize = 2 * MOST_ALL;
/// How often it is asked whether the process is to end.
const LOOK: Duration = Duration::from_millis(20);

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
    /// There is no thread that reads.
    #[error("cannot start a thread that reads the requests: {0}")]
    Thread(#[source] io::Error),
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
    /// The process was asked to end; the rest of the file was not read.
    pub asked_to_end: bool,
}

/// Asks about each line, and writes the answers, one a line. Empty lines are passed over. Ends with the file, or when the process is
/// asked to end; what was asked until then is answered.
///
/// # Errors
///
/// If the file cannot be read on, or an answer cannot be written. What was asked before has been answered.
pub async fn ask_all(
    from: impl BufRead + Send + 'static,
    to: impl Write,
    lanes: &Lanes,
    signals: &Signals,
) -> Result<Done, LinesError> {
    let mut requests = reading(from).map_err(LinesError::Thread)?;
    let mut asking = Asking {
        asked: VecDeque::with_capacity(WINDOW),
        to,
        done: Done::default(),
    };
    let (mut read, mut looks) = (Ok(()), time::interval(LOOK));
    let mut reads = true;
    while reads || !asking.asked.is_empty() {
        tokio::select! {
            biased;
            _ = looks.tick(), if reads => {
                asking.done.asked_to_end = signals.received() > 0;
                reads = !asking.done.asked_to_end;
            }
            answer = asking.answer(), if !asking.asked.is_empty() => {
                asking.write(answer)?;
                reads &= !asking.done.ended_early;
            }
            next = requests.recv(), if reads && asking.asked.len() < WINDOW => match next {
                Some(Ok(incoming)) => {
                    let caller = lanes.of(&incoming);
                    asking.asked.push_back(caller.call_async(incoming));
                }
                Some(Err(why)) => (reads, read) = (false, Err(why)),
                None => reads = false,
            },
        }
    }
    asking.to.flush().map_err(LinesError::Write)?;
    read.map(|()| asking.done)
}

/// Reads on a thread of its own, which ends with the file, or at the next line when nobody wants any more.
fn reading(
    mut from: impl BufRead + Send + 'static,
) -> io::Result<mpsc::Receiver<Result<Incoming, LinesError>>> {
    let (requests, received) = mpsc::channel(WINDOW);
    let read = move || {
        let (mut text, mut line) = (Vec::new(), 0);
        loop {
            line += 1;
            let incoming = match next_line(&mut from, &mut text) {
                Ok(None) => return,
                Err(why) => Err(LinesError::Read { line, why }),
                Ok(Some(true)) if text.trim_ascii().is_empty() => continue,
                Ok(Some(true)) => Ok(Incoming::read(&text).at(line)),
                Ok(Some(false)) => Ok(Incoming::too_long(line, MOST_LINE)),
            };
            let is_last = incoming.is_err();
            if requests.blocking_send(incoming).is_err() || is_last {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("requests".to_owned())
        .spawn(read)?;
    Ok(received)
}

type Answered = Result<Answer, CallError<Incoming, Infallible>>;

/// Requests that are on their way, in the order of their lines.
struct Asking<'c, W> {
    asked: VecDeque<Calling<'c, Pipeline>>,
    to: W,
    done: Done,
}

impl<W: Write> Asking<'_, W> {
    /// What the first one is told. It stays the first until that was written.
    async fn answer(&mut self) -> Option<Answered> {
        Some(self.asked.front_mut()?.await)
    }

    /// Writes what the first one was told. Who waits for it gets it when nothing else is on its way.
    fn write(&mut self, answer: Option<Answered>) -> Result<(), LinesError> {
        self.asked.pop_front();
        match answer {
            Some(Ok(answer)) => {
                self.done.requests += 1;
                let mut text =
                    serde_json::to_vec(&answer).map_err(|error| LinesError::Write(error.into()))?;
                text.push(b'\n');
                self.to.write_all(&text).map_err(LinesError::Write)?;
            }
            Some(Err(CallError::ShutDown(Some(_)))) | None => self.done.ended_early = true,
            Some(Err(error)) => {
                self.done.requests += 1;
                self.done.unanswered += 1;
                self.done.first.get_or_insert_with(|| error.to_string());
            }
        }
        match self.asked.is_empty() {
            true => self.to.flush().map_err(LinesError::Write),
            false => Ok(()),
        }
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
