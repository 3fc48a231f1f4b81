//! Threads: shuttle's, with the parts of std's interface that it does not have.

use std::{
    cell::RefCell,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) use shuttle::thread::{Result, Scope, ThreadId, scope};

use super::{Instant, chance};

/// A thread that sleeps wakes for no reason once in so many times that the schedule could wake it.
const SPURIOUS: u64 = 16;
/// The time of a sleeper is up once in so many times that the schedule looks at it.
const TIMEOUT: u64 = 8;

shuttle::thread_local! {
    static TOKEN: RefCell<Token> = RefCell::new(Token::default());
}

/// Says that its thread was unparked. shuttle has one of its own, but does not say whether a thread was unparked or woke for
/// no reason. It is std's: shuttle interrupts at the calls around it.
type Token = Arc<AtomicBool>;

/// A handle to a thread.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    inner: shuttle::thread::Thread,
    token: Token,
}

impl Thread {
    pub(crate) fn id(&self) -> ThreadId {
        self.inner.id()
    }

    pub(crate) fn unpark(&self) {
        self.token.store(true, Ordering::Relaxed);
        self.inner.unpark();
    }
}

/// The thread that calls it.
pub(crate) fn current() -> Thread {
    Thread {
        inner: shuttle::thread::current(),
        token: token(),
    }
}

fn token() -> Token {
    TOKEN.with(|token| Arc::clone(&token.borrow()))
}

/// Sleeps until it is unparked, or for no reason.
pub(crate) fn park() {
    let token = token();
    while !token.swap(false, Ordering::Relaxed) {
        shuttle::thread::park();
        if !token.load(Ordering::Relaxed) && chance(SPURIOUS) {
            return;
        }
    }
}

/// Sleeps until it is unparked, or the time is up.
pub(crate) fn park_timeout(timeout: Duration) {
    let token = token();
    let end = Instant::now() + timeout;
    while !token.swap(false, Ordering::Relaxed) {
        // Not a park, in which its time would never be up. However short it is, others go on meanwhile.
        shuttle::thread::yield_now();
        if Instant::now() >= end {
            return;
        }
        if chance(TIMEOUT) {
            return end.sleep();
        }
    }
}

/// Makes threads with a name.
#[derive(Debug)]
pub(crate) struct Builder(String);

impl Builder {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    pub(crate) fn name(self, name: String) -> Self {
        Self(name)
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let finished = Arc::new(shuttle::sync::atomic::AtomicBool::new(false));
        let ends = Arc::clone(&finished);
        let inner = shuttle::thread::Builder::new()
            .name(self.0)
            .spawn(move || {
                let result = body();
                ends.store(true, Ordering::Release);
                result
            })?;
        Ok(JoinHandle { inner, finished })
    }

    pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let token = Token::default();
        let own = Arc::clone(&token);
        let inner = scope.spawn(move || {
            shuttle::current::set_name_for_task(shuttle::current::me(), self.0);
            TOKEN.with(|token| *token.borrow_mut() = own);
            body()
        });
        let thread = Thread {
            inner: inner.thread().clone(),
            token,
        };
        Ok(ScopedJoinHandle { inner, thread })
    }
}

/// Waits for a thread.
#[derive(Debug)]
pub(crate) struct JoinHandle<T> {
    inner: shuttle::thread::JoinHandle<T>,
    finished: Arc<shuttle::sync::atomic::AtomicBool>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn join(self) -> Result<T> {
        self.inner.join()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}

/// Waits for a thread of a scope.
#[derive(Debug)]
pub(crate) struct ScopedJoinHandle<'scope, T> {
    inner: shuttle::thread::ScopedJoinHandle<'scope, T>,
    thread: Thread,
}

impl<T> ScopedJoinHandle<'_, T> {
    pub(crate) fn join(self) -> Result<T> {
        self.inner.join()
    }

    pub(crate) fn thread(&self) -> &Thread {
        &self.thread
    }
}
