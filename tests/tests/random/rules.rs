//! What the stages of random pipelines decide, from the item and the stage alone. The stages and the interpreter share
//! these rules, as a user's test shares the user's functions with the pipeline.

use pipewright_tests::shapes::generate::mix;

/// A number that is the item's own at this stage and for this question.
fn roll(stage: usize, tag: u64, question: u64) -> u64 {
    mix(tag ^ mix((stage as u64) << 8 | question))
}

/// Does the stage panic, which does so once in `every` items? Never if that is 0.
pub fn panics(stage: usize, tag: u64, every: u64) -> bool {
    every != 0 && roll(stage, tag, 1).is_multiple_of(every)
}

/// Does a filter let it through?
pub fn passes(stage: usize, tag: u64) -> bool {
    !roll(stage, tag, 2).is_multiple_of(4)
}

/// What a fallible stage makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Sent,
    /// It is left out.
    Left,
    /// It fails.
    Failed,
}

/// The fate of an item; never `Left` unless the stage can leave items out.
pub fn fate(stage: usize, tag: u64, leaves: bool) -> Fate {
    match roll(stage, tag, 3) % 6 {
        0 => Fate::Failed,
        1 if leaves => Fate::Left,
        _ => Fate::Sent,
    }
}

/// How many a one-to-many stage makes of it.
pub fn copies(stage: usize, tag: u64) -> u32 {
    [0, 1, 1, 2, 3][(roll(stage, tag, 4) % 5) as usize]
}

/// The variant that a route gives it, of so many.
pub fn variant(stage: usize, tag: u64, of: usize) -> usize {
    (roll(stage, tag, 5) % of as u64) as usize
}

/// Its key at a keyed stage: some stages have few keys, others many.
pub fn key(stage: usize, tag: u64) -> u64 {
    roll(stage, tag, 6) % [7, 1000][stage % 2]
}

/// Does a key function that panics now and then panic?
pub fn key_panics(stage: usize, tag: u64) -> bool {
    roll(stage, tag, 7).is_multiple_of(60)
}

/// The key function that panics now and then.
pub fn key_or_panic(stage: usize, tag: u64) -> u64 {
    assert!(!key_panics(stage, tag), "chosen: no key");
    key(stage, tag)
}

/// How many a batch stage that adds items makes of one.
pub fn grown(stage: usize, tag: u64) -> u32 {
    match roll(stage, tag, 8) % 5 {
        0 => 0,
        1 | 2 => 2,
        _ => 1,
    }
}
