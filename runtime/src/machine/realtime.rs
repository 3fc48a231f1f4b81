//! Real-time priority (`SCHED_FIFO`) for a thread that asks for it.
//!
//! A thread with it runs before every ordinary thread of its cpu until it sleeps. So it is for threads that sleep when they
//! have nothing to do, never for those that spin: they would starve the kernel's own threads, and the kernel stops them
//! for 50 ms of each second (`sched(7)`, "Limiting the CPU usage of real-time and deadline processes").

pub use pipewright_spec::options::REALTIME;

/// A thread did not get real-time priority; it runs on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealtimeError {
    /// The priority is out of range.
    #[error("{priority} is not a real-time priority; write one from {} to {}", REALTIME.start(), REALTIME.end())]
    Priority {
        /// What was asked for.
        priority: u8,
    },
    /// The process may not use it.
    #[error(
        "this process may not use real-time priority {priority}, its limit is {limit}; raise the limit (`ulimit -r {priority}`, or `LimitRTPRIO=` of its unit), or give it `CAP_SYS_NICE`"
    )]
    Forbidden {
        /// What was asked for.
        priority: u8,
        /// The highest that its limit allows (`RLIMIT_RTPRIO`); 0 allows none.
        limit: u64,
    },
    /// This system has no such priorities, or pipewright does not know how to ask for them.
    #[error("this system has no real-time priority `SCHED_FIFO`")]
    Unsupported,
    /// The system refused for another reason.
    #[error("the system did not give real-time priority: {0}")]
    Os(#[source] std::io::Error),
}

/// Gives the calling thread real-time priority: it runs before all ordinary threads of its cpu until it sleeps. Threads
/// that it starts are ordinary ones. The threads of a pinned stage have it with `realtime = 10`.
///
/// ```
/// use pipewright::machine::{RealtimeError, realtime};
///
/// std::thread::spawn(|| match realtime(10) {
///     Ok(()) => println!("before everyone else"),
///     Err(error @ RealtimeError::Forbidden { .. }) => println!("as before: {error}"),
///     Err(error) => println!("{error}"),
/// })
/// .join()
/// .expect("the thread ends");
/// assert!(matches!(realtime(50), Err(RealtimeError::Priority { priority: 50 })));
/// ```
///
/// # Errors
///
/// If the priority is not in [`REALTIME`], or the process may not use it.
pub fn realtime(priority: u8) -> Result<(), RealtimeError> {
    if !REALTIME.contains(&priority) {
        return Err(RealtimeError::Priority { priority });
    }
    set(priority)
}

#[cfg(target_os = "linux")]
fn set(priority: u8) -> Result<(), RealtimeError> {
    let param = libc::sched_param {
        sched_priority: priority.into(),
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread, and `param` is alive for the call, which only reads it.
    let refused = unsafe { libc::sched_setscheduler(0, policy, &param) } != 0;
    if !refused {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EPERM) => Err(RealtimeError::Forbidden {
            priority,
            limit: limit(),
        }),
        Some(libc::ENOSYS) => Err(RealtimeError::Unsupported),
        _ => Err(RealtimeError::Os(error)),
    }
}

/// The highest real-time priority that the process may use without a capability.
#[cfg(target_os = "linux")]
fn limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is alive and writable for the call, which fills it or leaves it.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_RTPRIO, &mut limit) } == 0;
    // `rlim_t` is wider or narrower on other platforms.
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the type differs between platforms"
    )]
    if read { limit.rlim_cur as u64 } else { 0 }
}

#[cfg(not(target_os = "linux"))]
fn set(_: u8) -> Result<(), RealtimeError> {
    Err(RealtimeError::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_out_of_range_are_refused() {
        for priority in [0, 50, 99, 255] {
            let error = realtime(priority).expect_err("out of range").to_string();
            let expect = format!("{priority} is not a real-time priority; write one from 1 to 49");
            assert_eq!(error, expect);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_gets_the_priority_or_the_reason_why_not() {
        for priority in [1, 49] {
            let asked = std::thread::scope(|scope| {
                let thread = scope.spawn(|| (realtime(priority), scheduling()));
                thread.join().expect("it does not panic")
            });
            match asked {
                (Ok(()), seen) => {
                    assert_eq!(seen, (i64::from(priority), i64::from(libc::SCHED_FIFO)))
                }
                (Err(error @ RealtimeError::Forbidden { .. }), seen) => {
                    assert_eq!(seen, (0, i64::from(libc::SCHED_OTHER)));
                    let text = error.to_string();
                    assert!(text.contains(&format!("`ulimit -r {priority}`")), "{text}");
                }
                (Err(error), _) => panic!("{error}"),
            }
        }
    }

    #[cfg(target_os = "linux")]
    /// The real-time priority and the policy of the calling thread, as the system tells them.
    fn scheduling() -> (i64, i64) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux");
        // The name of the thread, in parentheses, may hold anything; the state behind it is field 3.
        let (_, fields) = stat.rsplit_once(')').expect("the name");
        let field = |n: usize| {
            fields
                .split_whitespace()
                .nth(n - 3)
                .and_then(|word| word.parse().ok())
        };
        (
            field(40).expect("the priority"),
            field(41).expect("the policy"),
        )
    }
}
