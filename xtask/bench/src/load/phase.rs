//! How many items come a second, over time.

use serde::{Deserialize, Serialize};

/// A part of a load. Rates are in items a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Phase {
    /// The same rate.
    Steady {
        /// The rate.
        rate: f64,
        /// How long, in milliseconds.
        during_ms: u64,
    },
    /// A low rate and a high one, by turns.
    Burst {
        /// The low one.
        base: f64,
        /// The high one.
        peak: f64,
        /// How long the high one lasts each time, in milliseconds.
        on_ms: u64,
        /// How long the low one lasts each time, in milliseconds.
        off_ms: u64,
        /// How long, in milliseconds.
        during_ms: u64,
    },
    /// From one rate to another, evenly.
    Ramp {
        /// The first.
        from: f64,
        /// The last.
        to: f64,
        /// How long, in milliseconds.
        during_ms: u64,
    },
    /// One peak in the middle third.
    Spike {
        /// The rate before and after.
        base: f64,
        /// How many times as much the peak has.
        times: f64,
        /// How long, in milliseconds, of which the peak is a third.
        during_ms: u64,
    },
    /// Up and down around a mean.
    Sine {
        /// The mean.
        mean: f64,
        /// How far up and down, as a share of the mean, at most 1.
        amplitude: f64,
        /// How long up and down takes, in milliseconds.
        period_ms: u64,
        /// How long, in milliseconds.
        during_ms: u64,
    },
    /// All of the others, a fifth of the time each, with this rate as their mean.
    Mixed {
        /// The mean rate.
        rate: f64,
        /// How long, in milliseconds.
        during_ms: u64,
    },
}

/// A time in which the rate changes evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    /// In seconds.
    pub(crate) during: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// Straight lines for one period of a sine: the rate is nowhere farther off than 0.05 % of the amplitude.
const LINES: u32 = 100;

impl Phase {
    /// How long it is, in milliseconds.
    pub fn during_ms(&self) -> u64 {
        match *self {
            Self::Steady { during_ms, .. }
            | Self::Burst { during_ms, .. }
            | Self::Ramp { during_ms, .. }
            | Self::Spike { during_ms, .. }
            | Self::Sine { during_ms, .. }
            | Self::Mixed { during_ms, .. } => during_ms,
        }
    }

    /// The lines that it consists of.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        match *self {
            Self::Steady { rate, during_ms } => vec![flat(rate, seconds(during_ms))],
            Self::Ramp {
                from,
                to,
                during_ms,
            } => vec![Piece {
                during: seconds(during_ms),
                from,
                to,
            }],
            Self::Spike {
                base,
                times,
                during_ms,
            } => {
                let third = seconds(during_ms) / 3.0;
                vec![
                    flat(base, third),
                    flat(base * times, third),
                    flat(base, third),
                ]
            }
            Self::Burst {
                base,
                peak,
                on_ms,
                off_ms,
                during_ms,
            } => bursts(
                flat(base, seconds(off_ms)),
                flat(peak, seconds(on_ms)),
                seconds(during_ms),
            ),
            Self::Sine {
                mean,
                amplitude,
                period_ms,
                during_ms,
            } => sine(mean, amplitude, seconds(period_ms), seconds(during_ms)),
            Self::Mixed { rate, during_ms } => mixed(rate, during_ms)
                .iter()
                .flat_map(Self::pieces)
                .collect(),
        }
    }

    /// What is wrong with its numbers.
    pub(crate) fn check(&self) -> Result<(), String> {
        let good = |piece: &Piece| {
            [piece.during, piece.from, piece.to]
                .iter()
                .all(|value| value.is_finite() && *value >= 0.0)
        };
        if let Self::Burst {
            on_ms: 0,
            off_ms: 0,
            ..
        } = self
        {
            return Err("a burst needs `on_ms` or `off_ms` above 0".to_owned());
        }
        if let Self::Sine { period_ms: 0, .. } = self {
            return Err("a sine needs a `period_ms` above 0".to_owned());
        }
        match self.pieces().iter().all(good) {
            true => Ok(()),
            false => {
                Err("rates are finite, and not below 0; an `amplitude` is at most 1".to_owned())
            }
        }
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

fn flat(rate: f64, during: f64) -> Piece {
    Piece {
        during,
        from: rate,
        to: rate,
    }
}

fn bursts(low: Piece, high: Piece, during: f64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut left = during;
    for piece in [low, high].into_iter().cycle() {
        if left <= 0.0 || low.during + high.during <= 0.0 {
            break;
        }
        let during = piece.during.min(left);
        pieces.push(Piece { during, ..piece });
        left -= during;
    }
    pieces
}

fn sine(mean: f64, amplitude: f64, period: f64, during: f64) -> Vec<Piece> {
    if period <= 0.0 {
        return Vec::new();
    }
    let lines = (during / period * f64::from(LINES)).ceil().max(1.0) as u32;
    let at = |line: u32| {
        let turn = during / period * f64::from(line) / f64::from(lines);
        mean * (1.0 + amplitude * (std::f64::consts::TAU * turn).sin())
    };
    let piece = |line: u32| Piece {
        during: during / f64::from(lines),
        from: at(line),
        to: at(line + 1),
    };
    (0..lines).map(piece).collect()
}

fn mixed(rate: f64, during_ms: u64) -> [Phase; 5] {
    let during_ms = during_ms / 5;
    [
        Phase::Steady { rate, during_ms },
        Phase::Burst {
            base: 0.5 * rate,
            peak: 3.0 * rate,
            on_ms: during_ms / 25,
            off_ms: during_ms * 4 / 25,
            during_ms,
        },
        Phase::Ramp {
            from: 0.0,
            to: 2.0 * rate,
            during_ms,
        },
        Phase::Spike {
            base: 0.5 * rate,
            times: 4.0,
            during_ms,
        },
        Phase::Sine {
            mean: rate,
            amplitude: 0.5,
            period_ms: during_ms / 2,
            during_ms,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items that a phase brings.
    fn items(phase: &Phase) -> f64 {
        let pieces = phase.pieces();
        pieces
            .iter()
            .map(|piece| piece.during * f64::midpoint(piece.from, piece.to))
            .sum()
    }

    #[test]
    fn phases_bring_what_their_rates_say() {
        let check = |phase: Phase, expect: f64| {
            assert!(
                (items(&phase) - expect).abs() <= 0.001 * expect,
                "{phase:?}: {}",
                items(&phase)
            );
            let during: f64 = phase.pieces().iter().map(|piece| piece.during).sum();
            assert!((during - 10.0).abs() < 1e-6, "{phase:?}: {during}");
        };
        let during_ms = 10_000;
        check(
            Phase::Steady {
                rate: 100.0,
                during_ms,
            },
            1000.0,
        );
        check(
            Phase::Ramp {
                from: 0.0,
                to: 200.0,
                during_ms,
            },
            1000.0,
        );
        check(
            Phase::Spike {
                base: 100.0,
                times: 10.0,
                during_ms,
            },
            4000.0,
        );
        let (on_ms, off_ms) = (200, 800);
        check(
            Phase::Burst {
                base: 50.0,
                peak: 500.0,
                on_ms,
                off_ms,
                during_ms,
            },
            1400.0,
        );
        check(
            Phase::Sine {
                mean: 100.0,
                amplitude: 0.5,
                period_ms: 2000,
                during_ms,
            },
            1000.0,
        );
        check(
            Phase::Mixed {
                rate: 100.0,
                during_ms,
            },
            1000.0,
        );
    }

    #[test]
    fn what_has_no_end_or_no_meaning_is_refused() {
        let check = |phase: Phase| assert!(phase.check().is_err(), "{phase:?}");
        check(Phase::Steady {
            rate: f64::NAN,
            during_ms: 1,
        });
        check(Phase::Steady {
            rate: -1.0,
            during_ms: 1,
        });
        check(Phase::Burst {
            base: 1.0,
            peak: 2.0,
            on_ms: 0,
            off_ms: 0,
            during_ms: 1,
        });
        check(Phase::Sine {
            mean: 1.0,
            amplitude: 0.5,
            period_ms: 0,
            during_ms: 1,
        });
        check(Phase::Sine {
            mean: 1.0,
            amplitude: 2.0,
            period_ms: 100,
            during_ms: 200,
        });
    }
}
