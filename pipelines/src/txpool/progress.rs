//! The progress bar: on standard error, and only if that is a terminal.

use std::{sync::mpsc, thread, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{generate::Generator, tally::Tally};

const EVERY: Duration = Duration::from_millis(100);

/// A bar for the blocks that are signed before a run.
pub(super) fn signing(blocks: &Generator) -> ProgressBar {
    bar(
        Some(blocks.blocks() as u64),
        "signing {wide_bar} {pos}/{len} blocks",
    )
}

/// Shows a bar while `run` works; `size` is how many bytes it will read, where that is known.
pub(super) fn during<T>(size: Option<u64>, tally: &Tally, run: impl FnOnce() -> T) -> T {
    let (done, wait) = mpsc::channel::<()>();
    let bar = match size {
        Some(size) => bar(Some(size), "{wide_bar} {bytes}/{total_bytes} {msg}"),
        None => bar(None, "{spinner} {bytes} {msg}"),
    };
    if bar.is_hidden() {
        return run();
    }
    thread::scope(|scope| {
        scope.spawn(move || {
            while wait.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                bar.set_position(tally.progress.bytes());
                bar.set_message(format!("{} transactions", tally.progress.transactions()));
            }
            bar.finish_and_clear();
        });
        let result = run();
        drop(done);
        result
    })
}

fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style)
}
