//! Files as sources and sinks of pipelines that lose nothing: a source that begins where everything was done, and a sink that
//! says when its records are durable.
//!
//! ```
//! use std::{path::PathBuf, sync::Arc};
//! use pipewright::{Emit, Flow, files::{FileError, FileSink, FileSource}, pipeline};
//!
//! pub struct Files {
//!     folder: PathBuf,
//!     out: Arc<FileSink>,
//! }
//!
//! #[pipeline(env = Files)]
//! mod copied {
//!     use super::*;
//!
//!     /// Before a position is kept, what the sink has taken is made durable.
//!     fn open(files: &Files) -> Result<FileSource, FileError> {
//!         let out = Arc::clone(&files.out);
//!         FileSource::lines(files.folder.join("in.txt"), files.folder.join("in.offset"))
//!             .before_commit(move || out.sync())
//!             .open()
//!     }
//!
//!     #[source(state = open, acks)]
//!     pub fn lines(file: &mut FileSource, out: &mut Emit<Result<Vec<u8>, FileError>>) -> Flow {
//!         file.poll(out)
//!     }
//!
//!     #[stage(from = lines, on_error = stop)]
//!     pub fn shout(line: Result<Vec<u8>, FileError>) -> Result<Vec<u8>, FileError> {
//!         line.map(|line| line.to_ascii_uppercase())
//!     }
//!
//!     #[sink(from = shout, on_error = stop)]
//!     pub fn store(line: Vec<u8>, files: &Files) -> Result<(), FileError> {
//!         files.out.append(&line)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("in.txt"), "one\ntwo\n")?;
//! for _ in 0..2 {
//!     let out = Arc::new(FileSink::lines(folder.path().join("out.txt"))?);
//!     copied::pipeline().start(Files { folder: folder.path().to_owned(), out })?.wait()?;
//! }
//! // The second run began behind the last line.
//! assert_eq!(std::fs::read(folder.path().join("out.txt"))?, b"ONE\nTWO\n");
//! # Ok(())
//! # }
//! ```
//!
//! **At least once.** The source's position is kept when everything before it is done ([`Acknowledge`](crate::Acknowledge)) and what
//! [`SourceOptions::before_commit`] does has succeeded: so what is kept never runs ahead of what sinks have on the disk. After a
//! crash the run begins at that position; records behind it come again.
//!
//! **Records** are lines, or frames with a length and a checksum (CRC-32C), in which any bytes may be.

mod error;
mod offset;
mod record;
mod sink;
mod source;
mod suspects;

pub use self::{
    error::FileError,
    offset::OffsetFile,
    sink::FileSink,
    source::{FileSource, SourceOptions},
};
