//! Where blocks come from: files, standard input, or texts made beforehand.
//!
//! A run may go over its input several times. Sender state lives for one *view*: a stretch of blocks with consecutive
//! numbers within one pass over the input. Between two views blocks are missing, so that what a sender did there is not
//! known, and its first nonce in the new view counts as the next one.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use memchr::memmem;
use pipewright::source;

use super::{
    env::Env,
    split::Texts,
    types::{Origin, RawBlock},
};

/// Something to read blocks from.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file of blocks.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Texts made beforehand, with a name for messages.
    Texts(Arc<str>, Arc<[Bytes]>),
}

impl Input {
    fn name(&self) -> Arc<str> {
        match self {
            Self::File(path) => path.to_string_lossy().into(),
            Self::Stdin => "standard input".into(),
            Self::Texts(name, _) => name.clone(),
        }
    }

    /// Its size in bytes, where that is known before it is read.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(path) => path
                .metadata()
                .ok()
                .filter(|meta| meta.is_file())
                .map(|meta| meta.len()),
            Self::Stdin => None,
            Self::Texts(_, texts) => Some(texts.iter().map(|text| text.len() as u64).sum()),
        }
    }

    fn open(&self) -> io::Result<Opened> {
        Ok(match self {
            Self::File(path) => Opened::Stream(Texts::new(Box::new(File::open(path)?))),
            Self::Stdin => Opened::Stream(Texts::new(Box::new(io::stdin()))),
            Self::Texts(_, texts) => Opened::Made(texts.clone(), 0),
        })
    }
}

/// The source of the pipeline: every text of every input, as often as asked for.
#[source]
pub fn blocks(env: &Env) -> impl Iterator<Item = RawBlock> {
    let keep = env.repeat > 1;
    Feed {
        env,
        keep,
        inputs: 0,
        current: None,
        kept: Vec::new(),
        pass: 0,
        at: 0,
        number: Numbering::default(),
    }
}

struct Feed<'e> {
    env: &'e Env,
    keep: bool,
    inputs: usize,
    current: Option<Current>,
    /// The texts of the first pass, if there will be another one.
    kept: Vec<(Arc<str>, Result<Bytes, String>)>,
    pass: u32,
    at: usize,
    number: Numbering,
}

struct Current {
    name: Arc<str>,
    opened: io::Result<Opened>,
    empty: bool,
    failed: bool,
}

enum Opened {
    Stream(Texts<Box<dyn Read + Send>>),
    Made(Arc<[Bytes]>, usize),
}

impl Iterator for Feed<'_> {
    type Item = RawBlock;

    fn next(&mut self) -> Option<RawBlock> {
        let (file, text) = if self.pass == 0 {
            self.first_pass().or_else(|| self.later_pass())
        } else {
            self.later_pass()
        }?;
        let size = text.as_ref().map_or(0, Bytes::len);
        self.env.tally.progress.fed(size as u64);
        let origin = self
            .number
            .next(file, self.pass, text.as_deref().unwrap_or_default());
        Some(RawBlock { origin, text })
    }
}

impl Feed<'_> {
    fn first_pass(&mut self) -> Option<(Arc<str>, Result<Bytes, String>)> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(text) = current.next()
            {
                let found = (current.name.clone(), text);
                if self.keep {
                    self.kept.push(found.clone());
                }
                return Some(found);
            }
            let input = self.env.inputs.get(self.inputs)?;
            self.inputs += 1;
            self.current = Some(Current {
                name: input.name(),
                opened: input.open(),
                empty: true,
                failed: false,
            });
        }
    }

    fn later_pass(&mut self) -> Option<(Arc<str>, Result<Bytes, String>)> {
        if self.pass == 0 || self.at == self.kept.len() {
            self.pass += 1;
            self.at = 0;
        }
        if self.pass >= self.env.repeat {
            return None;
        }
        let found = self.kept.get(self.at)?.clone();
        self.at += 1;
        Some(found)
    }
}

impl Current {
    /// The next text; an empty one for an input that holds none, so that it is not passed over in silence.
    fn next(&mut self) -> Option<Result<Bytes, String>> {
        if self.failed {
            return None;
        }
        let text = match &mut self.opened {
            Ok(Opened::Stream(texts)) => texts
                .next()
                .map(|text| text.map_err(|error| error.to_string())),
            Ok(Opened::Made(texts, at)) => {
                *at += 1;
                texts.get(*at - 1).cloned().map(Ok)
            }
            Err(error) => Some(Err(error.to_string())),
        };
        self.failed = matches!(text, Some(Err(_)));
        let first = std::mem::replace(&mut self.empty, false);
        match text {
            None if first => Some(Ok(Bytes::new())),
            other => other,
        }
    }
}

/// Counts texts and tells views apart.
#[derive(Debug, Default)]
struct Numbering {
    seq: u64,
    view: u32,
    last: Option<(u32, u64)>,
}

impl Numbering {
    fn next(&mut self, file: Arc<str>, pass: u32, text: &[u8]) -> Origin {
        let number = number_of(text).map(|number| (pass, number));
        let goes_on = self
            .last
            .zip(number)
            .is_some_and(|(last, now)| last.0 == now.0 && last.1.checked_add(1) == Some(now.1));
        if !goes_on && self.seq > 0 {
            self.view += 1;
        }
        self.last = number;
        self.seq += 1;
        Origin {
            file,
            seq: self.seq - 1,
            view: self.view,
        }
    }
}

/// The block's number, without parsing the block: nothing else in a block is called `number`.
///
/// The source is the one stage that cannot run in parallel, so it must not do what `parse` does. A wrong answer can
/// only start a new view.
fn number_of(text: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"number\"";
    let value = &text[memmem::find(text, KEY)? + KEY.len()..];
    let value = value
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start()
        .strip_prefix(b"\"0x")?;
    let digits = &value[..value.iter().take(17).position(|byte| *byte == b'"')?];
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(repeat: u32, texts: &[&str]) -> Vec<(u64, u32)> {
        let texts = texts
            .iter()
            .map(|text| Bytes::copy_from_slice(text.as_bytes()))
            .collect();
        let env = Env::new(vec![Input::Texts("made".into(), texts)], repeat);
        blocks(&env)
            .map(|raw| (raw.origin.seq, raw.origin.view))
            .collect()
    }

    #[test]
    fn consecutive_blocks_are_one_view() {
        let blocks = [
            r#"{"number":"0x9"}"#,
            r#"{"number" : "0xa"}"#,
            r#"{"number":"0xc"}"#,
            "{}",
            "{}",
        ];
        assert_eq!(views(1, &blocks), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)]);
    }

    #[test]
    fn every_pass_starts_a_new_view() {
        assert_eq!(views(3, &[r#"{"number":"0x1"}"#]), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(
            views(2, &[r#"{"number":"0x1"}"#, r#"{"number":"0x2"}"#]),
            [(0, 0), (1, 0), (2, 1), (3, 1)]
        );
    }

    #[test]
    fn an_input_without_blocks_still_gives_one_text() {
        assert_eq!(views(1, &[]), [(0, 0)]);
        assert_eq!(views(2, &[]), [(0, 0), (1, 1)]);
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_its_name() {
        let env = Env::new(vec![Input::File("/no/such/file".into())], 1);
        let raw: Vec<_> = blocks(&env).collect();
        assert_eq!(raw.len(), 1);
        assert_eq!(&*raw[0].origin.file, "/no/such/file");
        assert!(raw[0].text.is_err());
    }
}
