//! Vector levels, detection, and the calls into functions that are compiled for one.

use std::{fmt, sync::LazyLock};

#[cfg(target_arch = "aarch64")]
use super::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512, Sse42};
use super::lanes::{Baseline, Lanes};

/// A set of processor features that segments with `simd = ..` are compiled for.
///
/// ```
/// use pipewright::Level;
///
/// assert!(Level::Avx2 < Level::Avx512);
/// assert_eq!(Level::Avx512.to_string(), "avx512");
/// assert!(Level::Baseline.is_available());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// What the whole program is compiled for.
    Baseline,
    /// x86-64 with SSE4.2 and POPCNT (`x86-64-v2`).
    Sse42,
    /// x86-64 with AVX2, BMI, LZCNT, MOVBE, F16C and FMA (`x86-64-v3`).
    Avx2,
    /// As `Avx2`, with AVX-512 F, BW, CD, DQ and VL (`x86-64-v4`).
    Avx512,
    /// Arm with Advanced SIMD.
    Neon,
}

impl Level {
    /// Does this machine have it?
    pub fn is_available(self) -> bool {
        self == Self::Baseline || Available::detected().has(self)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Baseline => 0,
            Self::Sse42 => 1,
            Self::Avx2 => 2,
            Self::Avx512 => 4,
            Self::Neon => 8,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Sse42 => "sse4_2",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        })
    }
}

/// The levels that a loop is compiled for, besides the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// These.
    pub const fn of(levels: &[Level]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < levels.len() {
            bits |= levels[at].bit();
            at += 1;
        }
        Self(bits)
    }

    const fn has(self, level: Level) -> bool {
        self.0 & level.bit() != 0
    }
}

/// The levels that a run may use. Every level in it is one that this machine has: [`Available::detected`] puts them in, and
/// [`Available::up_to`] only takes some out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Available(u8);

impl Available {
    /// What this machine has. Asked once.
    pub(crate) fn detected() -> Self {
        static DETECTED: LazyLock<Available> = LazyLock::new(Available::detect);
        *DETECTED
    }

    /// Without the levels above `most`.
    pub(crate) fn up_to(self, most: Level) -> Self {
        let higher = [Level::Sse42, Level::Avx2, Level::Avx512, Level::Neon];
        let higher = higher.into_iter().filter(|level| *level > most);
        Self(higher.fold(self.0, |bits, level| bits & !level.bit()))
    }

    fn has(self, level: Level) -> bool {
        self.0 & level.bit() != 0
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        macro_rules! all {
            ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* };
        }
        let sse42 = all!("sse4.2" "ssse3" "popcnt");
        let avx2 = sse42 && all!("avx2" "bmi1" "bmi2" "lzcnt" "movbe" "f16c" "fma");
        let avx512 = avx2 && all!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl");
        let found = [
            (sse42, Level::Sse42),
            (avx2, Level::Avx2),
            (avx512, Level::Avx512),
        ];
        Self::of(&found)
    }

    #[cfg(target_arch = "aarch64")]
    fn detect() -> Self {
        let neon = std::arch::is_aarch64_feature_detected!("neon");
        Self::of(&[(neon, Level::Neon)])
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn detect() -> Self {
        Self::of(&[])
    }

    fn of(found: &[(bool, Level)]) -> Self {
        let found = found.iter().filter(|(found, _)| *found);
        Self(found.fold(0, |bits, (_, level)| bits | level.bit()))
    }
}

/// Something that is compiled for every level.
pub(crate) trait Body {
    /// What it works on. A parameter of its own, so that LLVM knows that nothing else refers to it.
    type Context;
    /// Does it, on a machine that has the level of `L`. Implementations are `#[inline(always)]`.
    fn run<L: Lanes>(self, cx: &mut Self::Context);
}

/// Runs `body` at the best of `levels` that `machine` has.
#[inline(always)]
pub(crate) fn dispatch<B: Body>(machine: Available, levels: Levels, body: B, cx: &mut B::Context) {
    #[cfg(target_arch = "x86_64")]
    {
        if levels.has(Level::Avx512) && machine.has(Level::Avx512) {
            // SAFETY: `Available` holds only levels that were detected, and this one asks for the same features.
            return unsafe { avx512(body, cx) };
        }
        if levels.has(Level::Avx2) && machine.has(Level::Avx2) {
            // SAFETY: as above.
            return unsafe { avx2(body, cx) };
        }
        if levels.has(Level::Sse42) && machine.has(Level::Sse42) {
            // SAFETY: as above.
            return unsafe { sse42(body, cx) };
        }
    }
    #[cfg(target_arch = "aarch64")]
    if levels.has(Level::Neon) && machine.has(Level::Neon) {
        // SAFETY: as above.
        return unsafe { neon(body, cx) };
    }
    baseline(body, cx);
}

#[inline(never)]
fn baseline<B: Body>(body: B, cx: &mut B::Context) {
    body.run::<Baseline>(cx);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2,ssse3,popcnt")]
#[inline(never)]
fn sse42<B: Body>(body: B, cx: &mut B::Context) {
    body.run::<Sse42>(cx);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe,f16c,fma,sse4.2,ssse3,popcnt")]
#[inline(never)]
fn avx2<B: Body>(body: B, cx: &mut B::Context) {
    body.run::<Avx2>(cx);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe,f16c,fma,sse4.2,ssse3,popcnt")]
#[inline(never)]
fn avx512<B: Body>(body: B, cx: &mut B::Context) {
    body.run::<Avx512>(cx);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
#[inline(never)]
fn neon<B: Body>(body: B, cx: &mut B::Context) {
    body.run::<Neon>(cx);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_takes_the_higher_levels_out_and_adds_none() {
        let all = Available(15);
        for (most, left) in [
            (Level::Baseline, 0),
            (Level::Sse42, 1),
            (Level::Avx2, 3),
            (Level::Avx512, 7),
        ] {
            assert_eq!(all.up_to(most), Available(left), "{most}");
            assert_eq!(Available(0).up_to(most), Available(0), "{most}");
        }
    }

    #[test]
    fn a_level_is_entered_only_if_it_was_asked_for_and_the_machine_has_it() {
        struct Note;
        impl Body for Note {
            type Context = &'static str;
            #[inline(always)]
            fn run<L: Lanes>(self, name: &mut &'static str) {
                *name = L::NAME;
            }
        }
        let entered = |machine, levels: &[Level]| {
            let mut name = "";
            dispatch(machine, Levels::of(levels), Note, &mut name);
            name
        };
        let machine = Available::detected();
        assert_eq!(entered(machine, &[]), "baseline");
        for level in [Level::Sse42, Level::Avx2, Level::Avx512, Level::Neon] {
            assert_eq!(entered(Available(0), &[level]), "baseline");
            let best = if machine.has(level) {
                level
            } else {
                Level::Baseline
            };
            assert_eq!(entered(machine, &[level]), best.to_string());
        }
    }
}
