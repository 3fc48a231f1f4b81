//! A disk that fails as it is told to, and forgets what was not made durable.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use pipewright::dead_letters::{Segment, Storage};

/// A disk in memory; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    files: BTreeMap<u64, File>,
    /// Of 256 operations, so many fail in one of the ways; and the state of the random numbers.
    pub(crate) faults: u64,
    pub(crate) seed: u64,
    /// Faults so far.
    pub(crate) injected: u64,
    /// Is there no space for more bytes?
    pub(crate) is_full: bool,
    /// Does everything fail?
    pub(crate) is_broken: bool,
}

#[derive(Default)]
struct File {
    /// What a reader sees.
    now: Vec<u8>,
    /// What a crash leaves.
    durable: Vec<u8>,
}

/// A segment of a [`Disk`].
pub(crate) struct Part {
    disk: Disk,
    number: u64,
}

impl State {
    fn random(&mut self) -> u64 {
        // xorshift64*, Vigna 2016.
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Does this operation fail?
    fn fault(&mut self) -> io::Result<()> {
        if self.is_broken {
            self.injected += 1;
            return Err(io::Error::from_raw_os_error(5));
        }
        let random = self.random() >> 32;
        if random % 256 >= self.faults {
            return Ok(());
        }
        self.injected += 1;
        // EIO, EINTR, EDQUOT and EFBIG.
        let code = [5, 4, 122, 27][(random / 256 % 4) as usize];
        Err(io::Error::from_raw_os_error(code))
    }
}

impl Disk {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Writes what is there now to a real folder, or only what is durable.
    pub(crate) fn write_to(&self, folder: &Path, durable: bool) {
        for (number, file) in &self.state().files {
            let bytes = if durable { &file.durable } else { &file.now };
            std::fs::write(folder.join(format!("{number:010}.letters")), bytes).unwrap();
        }
    }
}

impl Storage for Disk {
    type Segment = Part;

    fn list(&mut self) -> io::Result<Vec<(u64, u64)>> {
        let mut state = self.state();
        state.fault()?;
        let len = |file: &File| file.now.len() as u64;
        Ok(state
            .files
            .iter()
            .map(|(number, file)| (*number, len(file)))
            .collect())
    }

    fn create(&mut self, number: u64) -> io::Result<Part> {
        let mut state = self.state();
        state.fault()?;
        if state.is_full {
            return Err(ErrorKind::StorageFull.into());
        }
        let before = state.files.insert(number, File::default());
        assert!(before.is_none(), "segment {number} is made twice");
        drop(state);
        self.open(number)
    }

    fn open(&mut self, number: u64) -> io::Result<Part> {
        let disk = self.clone();
        Ok(Part { disk, number })
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        let mut state = self.state();
        state.fault()?;
        state.files.remove(&number);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.state().fault()
    }
}

impl Segment for Part {
    fn read_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.fault()?;
        let rest = &state.files[&self.number].now[offset as usize..];
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.fault()?;
        if state.is_full {
            return Err(ErrorKind::StorageFull.into());
        }
        // A part of it, now and then.
        let random = state.random() >> 32;
        let is_short = random % 256 < state.faults;
        state.injected += u64::from(is_short);
        let len = if is_short {
            1 + random as usize % bytes.len()
        } else {
            bytes.len()
        };
        let at = offset as usize;
        let file = state
            .files
            .get_mut(&self.number)
            .expect("a segment that is there");
        assert!(at <= file.now.len(), "there is a hole");
        file.now.resize(file.now.len().max(at + len), 0);
        file.now[at..at + len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn reserve(&mut self, _: u64) -> io::Result<bool> {
        let mut state = self.disk.state();
        state.fault()?;
        if state.is_full {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(true)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let file = state
            .files
            .get_mut(&self.number)
            .expect("a segment that is there");
        file.now.truncate(len as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let failed = state.fault();
        let file = state
            .files
            .get_mut(&self.number)
            .expect("a segment that is there");
        match &failed {
            // An interrupted one has done nothing.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The system forgets which pages it has not written: what is read and what is on the disk differ from now on.
            Err(_) => {
                let len = file.durable.len();
                file.now[len..].fill(0);
            }
            Ok(()) => file.durable = file.now.clone(),
        }
        failed
    }
}
