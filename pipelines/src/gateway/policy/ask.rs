//! Asks an engine, which has so much time of its processor.
//!
//! The engine looks at the clock on the wall, which goes on while the thread does not run: on a machine where others keep the
//! processors busy, a policy that needs some microseconds may seem to take 100 ms. So when the engine ends a policy, the clock of the
//! thread is asked, and what was not to blame is asked again.

use std::{num::NonZeroU32, time::Duration};

use regorus::{Engine, Value, utils::limits::ExecutionTimerConfig};

/// What is asked of the policies.
pub(super) const RULE: &str = "data.gateway.decision";
/// Steps of an evaluation between two looks at the clock.
const STEPS: NonZeroU32 = NonZeroU32::new(64).expect("it is not zero");
/// How often it is asked at most: who has to wait so often for a processor is better told that it takes too long.
const TRIES: usize = 10;

/// Why there is no value.
#[derive(Debug)]
pub(in crate::gateway) enum Unasked {
    /// It took longer than it may.
    Timeout,
    /// The engine's words.
    Failed(String),
}

/// What the policies say to an input. They may take so long.
pub(in crate::gateway) fn ask(
    engine: &mut Engine,
    input: Value,
    limit: Duration,
) -> Result<Value, Unasked> {
    ask_by(engine, input, limit, thread_time)
}

fn ask_by(
    engine: &mut Engine,
    input: Value,
    limit: Duration,
    clock: impl Fn() -> Option<Duration>,
) -> Result<Value, Unasked> {
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit,
        check_interval: STEPS,
    });
    engine.set_input(input);
    for _ in 0..TRIES {
        let begun = clock();
        let value = engine.eval_rule(RULE.to_owned());
        // What policies print is kept, so that nothing writes to standard error; taken, so that it does not become more and more.
        drop(engine.take_prints());
        match value {
            Ok(value) => return Ok(value),
            Err(error) => {
                let why = error.to_string();
                if !is_timeout(&why) {
                    return Err(Unasked::Failed(why));
                }
            }
        }
        // Where threads have no clock, the one on the wall is all that is known.
        let spent = begun.and_then(|begun| clock()?.checked_sub(begun));
        if spent.is_none_or(|spent| spent >= limit) {
            return Err(Unasked::Timeout);
        }
    }
    Err(Unasked::Timeout)
}

/// Whether an evaluation ended because of its time limit. The engine's errors have a text and no type.
fn is_timeout(why: &str) -> bool {
    why.contains("exceeded time limit")
}

/// How long this thread has had a processor.
#[cfg(unix)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "elsewhere threads have no such clock"
)]
fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).ok());
    Some(Duration::from_secs(seconds?) + Duration::from_nanos(nanos?))
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Instant};

    use pipewright_tests::eventually;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(1);

    /// How it ends, and how often it was asked, where the thread had a processor for so long each time.
    fn asked(body: &str, spent: Option<Duration>) -> (bool, u32) {
        let mut engine = Engine::new();
        let text = format!("package gateway\n\ndecision if {{\n{body}\n}}\n");
        let added = engine.add_policy("a.rego".to_owned(), text);
        added.expect("it is right");
        let looks = Cell::new(0);
        let clock = || {
            looks.set(looks.get() + 1);
            // Each time it is asked begins with a look, and ends with one if it takes too long.
            spent.map(|spent| spent * (looks.get() / 2))
        };
        let value = ask_by(&mut engine, Value::Null, LIMIT, clock);
        (value.is_ok(), looks.get().div_ceil(2))
    }

    #[test]
    fn who_had_no_processor_is_asked_again_and_who_had_it_is_not() {
        let loops = "    some a in numbers.range(1, 3000)\n    some b in numbers.range(1, 3000)\n    a + b < 0";
        assert_eq!(asked("    input == null", Some(LIMIT)), (true, 1));
        assert_eq!(asked(loops, Some(LIMIT)), (false, 1));
        assert_eq!(asked(loops, Some(LIMIT / 2)), (false, TRIES as u32));
        assert_eq!(asked(loops, None), (false, 1));
    }

    #[cfg(unix)]
    #[test]
    fn a_thread_that_sleeps_has_no_time() {
        let time = || thread_time().expect("unix has it");
        // Waking up takes time of its own, on a busy machine perhaps much; the clock on the wall would never show less than all of it.
        eventually(|| {
            let (begun, before) = (Instant::now(), time());
            std::thread::park_timeout(Duration::from_millis(20));
            time() - before < begun.elapsed() / 2
        });
    }
}
