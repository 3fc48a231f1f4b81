//! What a run that goes on tells meanwhile: what it rejects, services that cannot take their events, and those that drop some.
//!
//! Who has something to tell leaves it here and never waits; a thread writes it. Of each topic some lines are told in a second, and of
//! the others how many there were.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Lines of a topic that are told in a second.
const MOST: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
/// What is left at the end may take so long to be written: nobody may be reading.
const LAST: Duration = Duration::from_secs(1);

/// What a notice is about; each is counted for itself, so that many rejects do not hide a service that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Something was rejected.
    Rejected,
    /// A service fails, or works again.
    Service,
    /// A service drops events.
    Dropped,
}

impl Topic {
    const ALL: [Self; 3] = [Self::Rejected, Self::Service, Self::Dropped];

    fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Service => "services",
            Self::Dropped => "dropped",
        }
    }
}

/// What is to be told.
#[derive(Debug, Default)]
pub struct Notices {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Heard {
    /// By topic, in the order of [`Topic::ALL`].
    topics: [About; 3],
    is_over: bool,
}

/// What there is about a topic, in this second.
#[derive(Debug, Default)]
struct About {
    waiting: Vec<String>,
    /// Lines, also those that wait.
    told: usize,
    /// How many came besides.
    more: u64,
}

impl Heard {
    fn is_quiet(&self) -> bool {
        self.topics.iter().all(|about| about.waiting.is_empty())
    }

    /// The lines that wait.
    fn take(&mut self) -> String {
        let waiting = self.topics.iter_mut();
        waiting
            .flat_map(|about| mem::take(&mut about.waiting))
            .collect()
    }

    /// Begins another second, with what is to be said of the last one.
    fn turn(&mut self) -> String {
        let mut text = String::new();
        for (topic, about) in Topic::ALL.into_iter().zip(&mut self.topics) {
            let About { waiting, more, .. } = mem::take(about);
            text.extend(waiting);
            if more > 0 {
                text += &format!("{}: and {more} more, not told one by one\n", topic.name());
            }
        }
        text
    }
}

impl Notices {
    /// Tells a line, if not too many came in this second, and makes it only then.
    pub fn tell(&self, topic: Topic, line: impl FnOnce() -> String) {
        let mut heard = self.heard();
        let about = &mut heard.topics[topic as usize];
        if about.told == MOST {
            about.more += 1;
            return;
        }
        about.told += 1;
        about.waiting.push(line() + "\n");
        drop(heard);
        self.changed.notify_one();
    }

    /// Begins to write, until what is returned is dropped. What cannot be written is dropped: nobody is there to read it. Each second
    /// `look` tells what there is that tells nothing itself.
    ///
    /// # Errors
    ///
    /// If there is no thread for it.
    pub fn write_to(
        self: &Arc<Self>,
        out: impl Write + Send + 'static,
        look: impl FnMut(&Self) + Send + 'static,
    ) -> io::Result<Writing> {
        let (sender, ended) = mpsc::channel();
        let notices = Arc::clone(self);
        let write = move || {
            notices.write_until_over(out, look);
            drop(notices);
            drop(sender);
        };
        thread::Builder::new()
            .name("notices".to_owned())
            .spawn(write)?;
        Ok(Writing {
            notices: Arc::clone(self),
            ended,
        })
    }

    fn write_until_over(&self, mut out: impl Write, mut look: impl FnMut(&Self)) {
        loop {
            self.write_a_second(&mut out);
            if !self.heard().is_over {
                look(self);
            }
            let (text, is_over) = {
                let mut heard = self.heard();
                (heard.turn(), heard.is_over)
            };
            drop(out.write_all(text.as_bytes()));
            if is_over {
                return;
            }
        }
    }

    /// Writes what comes within a second, as it comes.
    fn write_a_second(&self, out: &mut impl Write) {
        let end = Instant::now() + SECOND;
        let mut heard = self.heard();
        while !heard.is_over {
            let text = heard.take();
            drop(heard);
            drop(out.write_all(text.as_bytes()));
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self
                .changed
                .wait_timeout_while(self.heard(), left, |heard| {
                    heard.is_quiet() && !heard.is_over
                });
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A panic elsewhere leaves lines that are still true.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notices that are written; dropping it writes what is left, within a second.
#[derive(Debug)]
pub struct Writing {
    notices: Arc<Notices>,
    /// Closed when all is written.
    ended: mpsc::Receiver<()>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.notices.heard().is_over = true;
        self.notices.changed.notify_one();
        // Whether it is closed or that takes too long, there is nothing more to do.
        let _ = self.ended.recv_timeout(LAST);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use pipewright_tests::eventually;

    use super::*;

    /// What was told and nobody has written yet.
    pub(in crate::events) fn waiting(notices: &Notices) -> String {
        notices.heard().take()
    }

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn lines(&self) -> Vec<String> {
            let written = self.0.lock().expect("nobody panics").clone();
            let text = String::from_utf8(written).expect("text");
            text.lines().map(str::to_owned).collect()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Ends what writes, and waits until it has: on a busy machine that may take longer than dropping it waits.
    fn end(notices: &Arc<Notices>, writing: Writing) {
        drop(writing);
        eventually(|| Arc::strong_count(notices) == 1);
    }

    fn tell(notices: &Notices, lines: usize) {
        (0..lines).for_each(|n| notices.tell(Topic::Rejected, || format!("rejected: {n}")));
    }

    #[test]
    fn what_is_told_is_written_as_it_comes() {
        let (notices, paper) = (Arc::<Notices>::default(), Paper::default());
        let writing = notices.write_to(paper.clone(), |_| ()).expect("starts");
        for n in 1..=3 {
            tell(&notices, 1);
            eventually(|| paper.lines().len() == n);
        }
        end(&notices, writing);
        assert_eq!(paper.lines(), ["rejected: 0"; 3]);
    }

    #[test]
    fn of_many_lines_some_are_told_and_then_how_many_there_were_by_topic() {
        let (notices, paper) = (Arc::<Notices>::default(), Paper::default());
        tell(&notices, 1_000);
        notices.tell(Topic::Service, || "service `a` fails".to_owned());
        end(
            &notices,
            notices.write_to(paper.clone(), |_| ()).expect("starts"),
        );
        let mut expect: Vec<_> = (0..MOST).map(|n| format!("rejected: {n}")).collect();
        expect.push("rejected: and 980 more, not told one by one".to_owned());
        expect.push("service `a` fails".to_owned());
        let mut lines = paper.lines();
        lines.sort();
        expect.sort();
        assert_eq!(lines, expect);
    }

    #[test]
    fn in_the_next_second_as_many_are_told_again() {
        let (notices, paper) = (Arc::<Notices>::default(), Paper::default());
        tell(&notices, MOST + 1);
        let writing = notices.write_to(paper.clone(), |_| ()).expect("starts");
        let more = || paper.lines().iter().any(|line| line.contains("and 1 more"));
        eventually(more);
        tell(&notices, MOST);
        end(&notices, writing);
        assert_eq!(paper.lines().len(), MOST + 1 + MOST);
    }

    #[test]
    fn what_tells_nothing_itself_is_looked_at_while_nothing_else_is_told() {
        let (notices, paper) = (Arc::<Notices>::default(), Paper::default());
        let mut looks = 0;
        let look = move |notices: &Notices| {
            looks += 1;
            notices.tell(Topic::Dropped, || format!("look {looks}"));
        };
        let writing = notices.write_to(paper.clone(), look).expect("starts");
        eventually(|| paper.lines().len() >= 2);
        end(&notices, writing);
        assert_eq!(paper.lines()[..2], ["look 1", "look 2"]);
    }

    /// Standard error that nobody reads.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_who_does_not_read_and_nothing_grows_meanwhile() {
        let notices = Arc::<Notices>::default();
        let (held, stuck) = mpsc::channel();
        let writing = notices.write_to(Stuck(stuck), |_| ()).expect("starts");
        tell(&notices, 100_000);
        assert!(waiting(&notices).lines().count() <= MOST);
        drop(writing);
        drop(held);
    }

    #[test]
    fn who_is_gone_does_not_end_what_is_told() {
        let notices = Arc::<Notices>::default();
        let (_, gone) = mpsc::channel();
        let writing = notices.write_to(Stuck(gone), |_| ()).expect("starts");
        for _ in 0..10 {
            tell(&notices, 1);
            eventually(|| notices.heard().is_quiet());
        }
        end(&notices, writing);
    }
}
