//! A tuning file that is read again whenever it changes, while a run goes on.
//!
//! The folder is watched, not the file, because editors and deployments put a new file in the place of the old one. A thread
//! waits until the file has been left alone for [`QUIET`], so that one that is being written is not read half, and reads it.
//! What has not changed is not applied again; what does not fit is written into the log and changes nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};

use crate::{error::TuningError, shared::Shared, tuning};

/// A file that was left alone for so long is whole.
const QUIET: Duration = Duration::from_millis(20);

/// A file to watch, and what it says now.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A file that is watched. Dropping it ends the thread.
pub(crate) struct Watching {
    /// Its end tells the thread that nobody watches any more.
    watcher: Option<RecommendedWatcher>,
    stop: mpsc::Sender<News>,
    thread: Option<JoinHandle<()>>,
}

enum News {
    Changed,
    Stop,
}

impl Watched {
    /// Retunes a run whenever the file changes.
    pub(crate) fn start(self, shared: &Arc<Shared>) -> Result<Watching, TuningError> {
        let Self { path, text } = self;
        let (stop, news) = mpsc::channel();
        let failed = |why: &dyn fmt::Display| TuningError::Watch {
            path: path.display().to_string(),
            why: why.to_string(),
        };
        let tell = stop.clone();
        let mut watcher = recommended_watcher(move |_| {
            // Any news of the folder, or of trouble with it, is worth a look; the reader may be gone at the end.
            let _ = tell.send(News::Changed);
        })
        .map_err(|why| failed(&why))?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(|why| failed(&why))?;
        // It may have changed between being read and being watched.
        let _ = stop.send(News::Changed);
        let (file, shared) = (path.clone(), Arc::clone(shared));
        let thread = thread::Builder::new()
            .name(format!("{}/tuning", shared.info.name))
            .spawn(move || follow(&shared, &file, text, &news))
            .map_err(|why| failed(&why))?;
        Ok(Watching {
            watcher: Some(watcher),
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watcher = None;
        // If the thread has ended already, there is nobody to tell.
        let _ = self.stop.send(News::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

fn follow(shared: &Shared, path: &Path, text: String, news: &mpsc::Receiver<News>) {
    let mut last = Ok(text);
    while let Ok(News::Changed) = news.recv() {
        loop {
            match news.recv_timeout(QUIET) {
                Ok(News::Changed) => {}
                Ok(News::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => break,
            }
        }
        let (name, now) = match tuning::read(path) {
            Ok((name, text)) => (name, Ok(text)),
            Err(error) => (path.display().to_string(), Err(error.to_string())),
        };
        if now == last {
            continue;
        }
        match &now {
            // What came of it is in the log.
            Ok(text) => drop(shared.retune(&name, text)),
            Err(why) => shared.refused(&name, why.clone()),
        }
        last = now;
    }
}
