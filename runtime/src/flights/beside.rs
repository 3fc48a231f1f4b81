//! What lies beside a future until it ends: copies of its item, and the call that it belongs to.

use std::mem;

use crate::calls::{Answers, Call};

/// What goes with a future: the item as a dead letter has it, the item for another try, and who waits for the answer; `()` where
/// there is nothing.
#[derive(Debug)]
pub struct Beside<K, S, C> {
    /// The item, for a letter.
    pub kept: K,
    /// The item, for another try.
    pub saved: S,
    /// Who waits for the answer.
    pub call: C,
}

/// Who waits for the answer of a future, if anybody does.
pub trait Answered {
    /// The future panicked in this stage. Nobody waits any more.
    fn panicked(&mut self, stage: u16);
}

impl Answered for () {
    fn panicked(&mut self, _: u16) {}
}

impl<P: Answers> Answered for Call<P> {
    fn panicked(&mut self, stage: u16) {
        mem::replace(self, Self::none()).panic(stage);
    }
}

impl<K, S, C: Answered> Answered for Beside<K, S, C> {
    fn panicked(&mut self, stage: u16) {
        self.call.panicked(stage);
    }
}
