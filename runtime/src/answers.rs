//! What the threads of a run say when they are ready to begin, or cannot: one answer each, for the thread that starts them.
//!
//! A channel would do the same. It is generic code, though, which every package with a pipeline would compile again; so would be
//! starting a thread with a closure of its own type.

use std::{io, sync::PoisonError};

use crate::{
    error::StartError,
    sync::{Condvar, Mutex, MutexGuard, thread},
};

/// Of a thread: whether it is ready.
pub(crate) type Answer = Result<(), StartError>;

/// The answers that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    answers: Vec<Answer>,
    /// Nobody will answer any more.
    over: bool,
}

impl Answers {
    /// Adds an answer.
    pub(crate) fn tell(&self, answer: Answer) {
        self.said().answers.push(answer);
        self.more.notify_all();
    }

    /// Takes an answer, and waits for it; `None` if there will be none.
    pub(crate) fn hear(&self) -> Option<Answer> {
        let said = self.said();
        let mut said = self
            .more
            .wait_while(said, |said| said.answers.is_empty() && !said.over)
            .unwrap_or_else(PoisonError::into_inner);
        said.answers.pop()
    }

    /// Says, when it is dropped, that there will be no more.
    pub(crate) fn at_end(&self) -> End<'_> {
        End(self)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of those who answer.
pub(crate) struct End<'a>(&'a Answers);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.said().over = true;
        self.0.more.notify_all();
    }
}

/// Starts a thread of a scope.
///
/// # Errors
///
/// If the system does not let it start.
pub(crate) fn spawn_scoped<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: String,
    body: Box<dyn FnOnce() + Send + 'scope>,
) -> io::Result<thread::ScopedJoinHandle<'scope, ()>> {
    thread::Builder::new().name(name).spawn_scoped(scope, body)
}
