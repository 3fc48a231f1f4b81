//! What the stages of a run share.

use std::sync::Arc;

use super::{feed::Input, tally::Tally};

/// What the stages of a run share: the inputs that the source reads, and the tally that the sinks keep.
#[derive(Debug)]
pub struct Env {
    /// What to read, in this order.
    pub inputs: Vec<Input>,
    /// How often to go over all of it.
    pub repeat: u32,
    /// What came out.
    pub tally: Arc<Tally>,
}

impl Env {
    /// An environment with an empty tally.
    pub fn new(inputs: Vec<Input>, repeat: u32) -> Self {
        Self {
            inputs,
            repeat,
            tally: Arc::default(),
        }
    }

    /// How many bytes a run will read, where that is known.
    pub fn size(&self) -> Option<u64> {
        let once: u64 = self.inputs.iter().map(Input::size).sum::<Option<u64>>()?;
        once.checked_mul(u64::from(self.repeat))
    }
}
