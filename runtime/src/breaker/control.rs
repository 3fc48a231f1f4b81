//! The control word of a breaker: its state, its generation, and what probes it may still admit, in 64 bits.
//!
//! ```text
//! | generation: 40 | probes in flight: 9 | probes left: 12 | state: 3 |
//! ```
//!
//! Each change of state is a new generation, so a word never comes twice and whoever compares words sees every change between.
//! Half open, a probe is admitted by one exchange of the whole word: no two callers get the same permit, and none is ever given
//! back.

/// The most probes of a generation.
pub(super) const MOST_PROBES: u32 = (1 << PROBE_BITS) - 1;

const STATE_BITS: u32 = 3;
const PROBE_BITS: u32 = 12;
const FLIGHT_BITS: u32 = 9;
const PROBES_AT: u32 = STATE_BITS;
const FLIGHT_AT: u32 = PROBES_AT + PROBE_BITS;
const GENERATION_AT: u32 = FLIGHT_AT + FLIGHT_BITS;

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It admits all.
    Closed,
    /// It has just closed and admits more and more.
    Ramp,
    /// It admits none.
    Open,
    /// It admits probes.
    HalfOpen,
    /// It is told to admit none.
    ForcedOpen,
    /// It is told to admit all.
    ForcedClosed,
    /// Whoever changes the state is writing what belongs to the next one; for some nanoseconds nobody is admitted.
    Changing,
}

/// A control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) fn new(mode: Mode, generation: u64) -> Self {
        Self(generation << GENERATION_AT | mode as u64)
    }

    pub(super) fn mode(self) -> Mode {
        match self.0 & ((1 << STATE_BITS) - 1) {
            0 => Mode::Closed,
            1 => Mode::Ramp,
            2 => Mode::Open,
            3 => Mode::HalfOpen,
            4 => Mode::ForcedOpen,
            5 => Mode::ForcedClosed,
            _ => Mode::Changing,
        }
    }

    /// Wraps around after 2^40 changes.
    pub(super) fn generation(self) -> u64 {
        self.0 >> GENERATION_AT
    }

    /// Half open, with so many probes to admit.
    pub(super) fn half_open(generation: u64, probes: u32) -> Self {
        let probes = u64::from(probes.min(MOST_PROBES));
        Self(Self::new(Mode::HalfOpen, generation).0 | probes << PROBES_AT)
    }

    pub(super) fn probes_left(self) -> u32 {
        (self.0 >> PROBES_AT & u64::from(MOST_PROBES)) as u32
    }

    pub(super) fn in_flight(self) -> u32 {
        (self.0 >> FLIGHT_AT & ((1 << FLIGHT_BITS) - 1)) as u32
    }

    /// With one more admission, of `probes`. There are so many left, and fewer in flight than fit.
    pub(super) fn admit(self, probes: u32) -> Self {
        Self(self.0 - (u64::from(probes) << PROBES_AT) + (1 << FLIGHT_AT))
    }

    /// With one admission done.
    pub(super) fn resolve(self) -> Self {
        Self(self.0 - (1 << FLIGHT_AT))
    }

    /// The next generation, in the middle of the change.
    pub(super) fn changing(self) -> Self {
        Self::new(Mode::Changing, self.next())
    }

    pub(super) fn next(self) -> u64 {
        (self.generation() + 1) & ((1 << (64 - GENERATION_AT)) - 1)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_what_was_put_into_it() {
        let word = Word::half_open(7, 10).admit(3).admit(1);
        assert_eq!(
            (
                word.mode(),
                word.generation(),
                word.probes_left(),
                word.in_flight()
            ),
            (Mode::HalfOpen, 7, 6, 2)
        );
        let word = word.resolve();
        assert_eq!((word.probes_left(), word.in_flight()), (6, 1));
        assert_eq!(
            (word.changing().mode(), word.changing().generation()),
            (Mode::Changing, 8)
        );
        let most = Word::half_open((1 << 40) - 1, MOST_PROBES);
        assert_eq!((most.next(), most.probes_left()), (0, MOST_PROBES));
    }

    #[test]
    fn every_mode_comes_back() {
        use Mode::*;
        for mode in [
            Closed,
            Ramp,
            Open,
            HalfOpen,
            ForcedOpen,
            ForcedClosed,
            Changing,
        ] {
            assert_eq!(Word::new(mode, 3).mode(), mode);
        }
    }
}
