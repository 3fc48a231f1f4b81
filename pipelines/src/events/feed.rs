//! Where events come from that the pipeline fetches itself: files, standard input, texts made beforehand, the generator.
//!
//! What is sent to the pipeline instead, from sockets and watched directories, comes by its `input`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use pipewright::{Emit, Flow, source};

use super::{
    env::Env,
    generate::Generator,
    lines::Lines,
    mark,
    positions::Positions,
    reject::Fault,
    tail::Tail,
    types::{Origin, Raw},
};

/// Lines that a call of the source gives at most, and bytes after which it gives no more.
const LINES: usize = 64;
const BYTES: usize = 64 << 10;

/// Something to read events from.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Lines made beforehand, with a name for messages.
    Lines(Arc<str>, Arc<[Bytes]>),
    /// The generator.
    Generated(Generator),
}

/// All that the source reads.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What, one after the other; or, if files are followed, all at once, and each of them once.
    pub inputs: Vec<Input>,
    /// Whether files are read on when they grow, and when they are rotated.
    pub follow: bool,
    /// Where it is kept how far files that are followed were read; without, they are read from their beginnings.
    pub positions: Option<Arc<Positions>>,
    /// Bytes that a line may have.
    pub most: usize,
}

/// What the source is about to read.
#[derive(Debug)]
pub struct Reader {
    /// What is read to its end, the last one first.
    inputs: Vec<Input>,
    current: Option<Current>,
    tails: Vec<Tail>,
    positions: Option<Arc<Positions>>,
    most: usize,
    chunk: Vec<u8>,
}

/// The source of the pipeline: ends when all inputs have ended, and never if files are followed.
// A source that stands outside of its pipeline has to name the environment for its state to be made from it.
#[source(state = open)]
pub fn read(reader: &mut Reader, out: &mut Emit<Raw>, _: &Env) -> Flow {
    reader.poll(out)
}

fn open(env: &Env) -> Reader {
    Reader::new(&env.feed)
}

impl Reader {
    /// Of these inputs.
    pub fn new(feed: &Feed) -> Self {
        let (mut inputs, mut tails) = (Vec::new(), Vec::new());
        for input in &feed.inputs {
            match input {
                Input::File(path) if feed.follow => {
                    let key = mark::key(path);
                    if !tails.iter().any(|tail: &Tail| tail.key() == key) {
                        tails.push(tail(path, &key, feed));
                    }
                }
                other => inputs.push(other.clone()),
            }
        }
        inputs.reverse();
        Self {
            inputs,
            current: None,
            tails,
            positions: feed.positions.clone(),
            most: feed.most,
            chunk: vec![0; BYTES],
        }
    }

    /// Gives some lines, if there are any.
    pub fn poll(&mut self, out: &mut Emit<Raw>) -> Flow {
        if self.next_lines(out) {
            return Flow::More;
        }
        let mut some = false;
        for tail in &mut self.tails {
            some |= tail.poll(&mut self.chunk, out);
        }
        // What cannot be saved now is tried again, and told if it still cannot be at the end.
        if let Some(positions) = self.positions.as_deref().filter(|kept| kept.is_due()) {
            let marks = self.tails.iter_mut().flat_map(Tail::marks).collect();
            let keys: Vec<&str> = self.tails.iter().map(Tail::key).collect();
            drop(positions.save(&keys, marks));
        }
        match (some, self.tails.is_empty()) {
            (true, _) => Flow::More,
            (false, true) => Flow::Done,
            (false, false) => Flow::Idle,
        }
    }

    /// Some lines of what is read to its end; whether there may be more.
    fn next_lines(&mut self, out: &mut Emit<Raw>) -> bool {
        let Some(current) = &mut self.current else {
            let next = self.inputs.pop();
            self.current = next.map(|input| Current::open(&input, self.most));
            return self.current.is_some();
        };
        if !current.read(&mut self.chunk, out) {
            self.current = None;
        }
        true
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(positions) = &self.positions {
            let tails = self.tails.drain(..);
            positions.leave(tails.flat_map(Tail::leave).collect());
        }
    }
}

fn tail(path: &Path, key: &str, feed: &Feed) -> Tail {
    let marks = feed.positions.as_ref().map(|kept| kept.of(key));
    Tail::new(path, feed.most, marks.unwrap_or_default())
}

#[derive(Debug)]
struct Current {
    source: Arc<str>,
    from: From,
}

enum From {
    Stream(Box<dyn Read + Send>, Lines),
    Made(Arc<[Bytes]>, usize),
    Generated(Box<Generator>, u64),
    Failed(String),
}

impl std::fmt::Debug for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stream(..) => "Stream",
            Self::Made(..) => "Made",
            Self::Generated(..) => "Generated",
            Self::Failed(_) => "Failed",
        })
    }
}

impl Current {
    fn open(input: &Input, most: usize) -> Self {
        let (source, from): (Arc<str>, _) = match input {
            Input::File(path) => {
                let from = match File::open(path) {
                    Ok(file) => From::Stream(Box::new(file), Lines::new(most)),
                    Err(error) => From::Failed(error.to_string()),
                };
                (path.to_string_lossy().into(), from)
            }
            Input::Stdin => {
                let from = From::Stream(Box::new(io::stdin()), Lines::new(most));
                ("standard input".into(), from)
            }
            Input::Lines(name, lines) => (name.clone(), From::Made(lines.clone(), 0)),
            Input::Generated(generator) => {
                let from = From::Generated(Box::new(generator.clone()), 0);
                ("generator".into(), from)
            }
        };
        Self { source, from }
    }

    /// Gives some lines; whether there may be more.
    fn read(&mut self, chunk: &mut [u8], out: &mut Emit<Raw>) -> bool {
        let received = Instant::now();
        let source = &self.source;
        let mut give = |line, text| out.send(raw(source, line, received, text));
        match &mut self.from {
            From::Stream(stream, lines) => match stream.read(chunk) {
                Ok(0) => {
                    if let Some(last) = lines.finish() {
                        give(lines.number(), last);
                    }
                    false
                }
                Ok(length) => {
                    lines.push(&chunk[..length]);
                    while let Some(line) = lines.next_line() {
                        give(lines.number(), line);
                    }
                    true
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
                Err(error) => {
                    let fault = Fault::Unreadable(error.to_string());
                    give(lines.number(), Err(fault));
                    false
                }
            },
            From::Made(lines, at) => {
                let from = *at;
                *at = (from + LINES).min(lines.len());
                for (line, text) in lines[from..*at].iter().enumerate() {
                    give((from + line) as u64 + 1, Ok(text.clone()));
                }
                *at < lines.len()
            }
            From::Generated(generator, line) => {
                let mut bytes = 0;
                for text in generator.by_ref().take(LINES) {
                    *line += 1;
                    bytes += text.len();
                    give(*line, Ok(text));
                    if bytes > BYTES {
                        break;
                    }
                }
                bytes > 0
            }
            From::Failed(why) => {
                give(0, Err(Fault::Unreadable(std::mem::take(why))));
                false
            }
        }
    }
}

/// A line of a source.
pub(super) fn raw(
    source: &Arc<str>,
    line: u64,
    received: Instant,
    text: Result<Bytes, Fault>,
) -> Raw {
    Raw {
        origin: Origin {
            source: Arc::clone(source),
            line,
            received,
        },
        text,
    }
}
