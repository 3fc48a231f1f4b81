//! Dry run: the same pipeline on one thread, step by step, with a clock that only the test turns.
//!
//! A test feeds stages instead of sources, takes what a stage sent, puts a closure in a stage's place, and advances the
//! clock past a batch's `linger`. Nothing sleeps, nothing depends on the machine: the same calls do the same each time.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::pipeline;

/// A door that was opened, or refused to open.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    badge: u32,
    opened: bool,
}

/// Tells the guard who tries doors.
#[pipeline]
pub mod alarm {
    use super::*;

    /// In a dry run nobody asks the doors.
    #[source]
    pub fn doors() -> impl Iterator<Item = Event> {
        std::iter::empty()
    }

    /// The third refusal in a row is an alarm: each badge has its own count.
    #[stage(from = doors, key = |event: &Event| event.badge)]
    pub fn refusals(event: Event, row: &mut u32) -> Option<u32> {
        *row = if event.opened { 0 } else { *row + 1 };
        (*row == 3).then_some(event.badge)
    }

    /// One mail for up to ten alarms, five seconds after the first.
    #[sink(from = refusals, batch = 10, linger = "5s")]
    pub fn mail(badges: &[u32]) {
        println!("mail to the guard: {badges:?}");
    }
}

fn refused(badge: u32) -> Event {
    Event {
        badge,
        opened: false,
    }
}

fn opened(badge: u32) -> Event {
    Event {
        badge,
        opened: true,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // What one stage sends.
    let mut run = alarm::pipeline().dry_run(());
    run.feed_from::<alarm::doors>([refused(1), refused(1), refused(2), refused(1)]);
    println!(
        "badge 1 alone has three: {:?}",
        run.take::<alarm::refusals>()
    );
    run.feed_from::<alarm::doors>([refused(2), opened(2), refused(2)]);
    println!(
        "a door that opens begins a new row: {:?}",
        run.take::<alarm::refusals>()
    );
    println!("{}\n", run.drain()?);

    // The clock: a mail waits for company, five seconds at most.
    let mut run = alarm::pipeline().dry_run(());
    run.feed::<alarm::mail>([7, 8]);
    run.advance("4s");
    run.run();
    println!(
        "after {:?}: {} on their way",
        run.elapsed(),
        run.metrics().stage::<alarm::mail>().in_flight
    );
    run.advance("1s");
    run.run();
    println!(
        "after {:?}: {} mailed\n",
        run.elapsed(),
        run.metrics().stage::<alarm::mail>().sent
    );
    println!("{}\n", run.drain()?);

    // A closure in the place of the sink: no mail leaves the test.
    let mut mails = Vec::new();
    let mut run = alarm::pipeline().dry_run(());
    run.stub::<alarm::mail>(|badge| mails.push(badge));
    run.feed_from::<alarm::doors>([refused(3), refused(3), refused(3)]);
    let report = run.drain()?;
    println!("would have been mailed: {mails:?}\n\n{report}");
    Ok(())
}
