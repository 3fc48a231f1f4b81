//! Push: the program's own threads send items in.
//!
//! A stage that reads `from = input` gives the pipeline an input. `queue` is how many items wait in it; `send` waits
//! while it is full, `try_send` gives the item back, so a slow pipeline slows its producers down and memory stays
//! bounded. `drain` closes the input, finishes what was sent, and ends with the report.

#![forbid(unsafe_code)]

use std::{collections::BTreeMap, error::Error, thread};

use pipewright::{SendError, TrySendError, pipeline};

/// One message of a chat.
#[derive(Debug)]
pub struct Message {
    from: &'static str,
    text: String,
}

/// Publishes what is said.
#[pipeline]
pub mod chat {
    use super::*;

    /// Reads what threads send; 64 messages may wait.
    #[stage(from = input, queue = 64)]
    pub fn censor(message: &mut Message) {
        message.text = message.text.replace("darn", "****");
    }

    /// Shows the first message of everybody, and counts.
    #[sink(from = censor)]
    pub fn publish(message: Message, count: &mut BTreeMap<&'static str, usize>) {
        let count = count.entry(message.from).or_default();
        *count += 1;
        if *count == 1 {
            println!("{}: {}", message.from, message.text);
        }
    }
}

fn message(from: &'static str, n: u32) -> Message {
    Message {
        from,
        text: format!("darn, this is message {n}"),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let run = chat::pipeline().workers(2).start(())?;

    thread::scope(|scope| {
        for from in ["ann", "bob", "cid"] {
            // A handle of its own; the messages of one thread stay in order.
            let input = run.input();
            scope.spawn(move || (0..2000).try_for_each(|n| input.send(message(from, n))));
        }
    });

    // Many at once are cheaper than one by one.
    let sent = run.send_all((0..500).map(|n| message("dee", n)))?;
    println!("dee sent {sent} at once");

    // A producer that would rather do something else than wait.
    let (mut sent, mut full) = (0, 0);
    for n in 0..500 {
        match run.try_send(message("eve", n)) {
            Ok(()) => sent += 1,
            Err(TrySendError::Full(_)) => full += 1,
            Err(error) => return Err(error.into()),
        }
    }
    println!("eve sent {sent}, and found the input full {full} times");

    let late = run.input();
    let mut report = run.drain()?;
    if let Err(SendError::Closed(message)) = late.send(message("fay", 0)) {
        println!("{} came too late, and has the message back", message.from);
    }
    println!(
        "\n{:?}",
        report.take_state::<chat::publish>().unwrap_or_default()
    );
    println!("\n{report}");
    Ok(())
}
