//! A breaker against a model of it that is as plain as can be: the same states, admissions and counts, whatever happens.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{collections::VecDeque, time::Duration};

use pipewright::breaker::{Breaker, Class, Clock, State, Ticket, Window};
use proptest::prelude::*;

const MS: u64 = 1;
const OPEN: u64 = 1000 * MS;
const HALF_OPEN_MAX: u64 = 5000 * MS;
/// Ten of them are the window.
const BUCKET: u64 = 200 * MS;

#[derive(Clone, Copy, Debug)]
struct Numbers {
    min_items: u64,
    failure_pct: u64,
    probes: u64,
    at_once: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Closed,
    Open {
        until: u64,
    },
    Half {
        until: u64,
        admitted: u64,
        in_flight: u64,
        passed: u64,
        failed: u64,
    },
}

struct Model {
    numbers: Numbers,
    now: u64,
    mode: Mode,
    generation: u64,
    /// When, and whether it passed.
    results: VecDeque<(u64, bool)>,
    late: u64,
    refused: u64,
}

impl Model {
    fn to(&mut self, mode: Mode) {
        self.mode = mode;
        self.generation += 1;
        self.results.clear();
    }

    fn open(&mut self) {
        let until = self.now + OPEN;
        self.to(Mode::Open { until });
    }

    /// The generation of the ticket, if it is admitted.
    fn admit(&mut self) -> Option<u64> {
        match self.mode {
            Mode::Closed => {}
            Mode::Open { until } if self.now < until => return self.refuse(),
            Mode::Open { .. } => self.to(Mode::Half {
                until: self.now + HALF_OPEN_MAX,
                admitted: 1,
                in_flight: 1,
                passed: 0,
                failed: 0,
            }),
            Mode::Half { until, .. } if self.now >= until => {
                self.open();
                return self.refuse();
            }
            Mode::Half {
                ref mut admitted,
                ref mut in_flight,
                ..
            } => {
                if *admitted == self.numbers.probes || *in_flight == self.numbers.at_once {
                    return self.refuse();
                }
                *admitted += 1;
                *in_flight += 1;
            }
        }
        Some(self.generation)
    }

    fn refuse(&mut self) -> Option<u64> {
        self.refused += 1;
        None
    }

    fn settle(&mut self, generation: u64, ok: bool) {
        if generation != self.generation {
            self.late += 1;
            return;
        }
        let Numbers {
            min_items,
            failure_pct,
            probes,
            ..
        } = self.numbers;
        match self.mode {
            Mode::Closed => {
                self.results.push_back((self.now, ok));
                let first = (self.now / BUCKET).saturating_sub(9);
                self.results.retain(|(at, _)| at / BUCKET >= first);
                let failed = self.results.iter().filter(|(_, ok)| !ok).count() as u64;
                let total = self.results.len() as u64;
                if total >= min_items && failed * 100 >= failure_pct * total {
                    self.open();
                }
            }
            Mode::Half {
                ref mut in_flight,
                ref mut passed,
                ref mut failed,
                ..
            } => {
                *in_flight -= 1;
                *passed += u64::from(ok);
                *failed += u64::from(!ok);
                let (passed, failed) = (*passed, *failed);
                if failed > 0 && failed * 100 >= failure_pct * probes {
                    self.open();
                } else if passed + failed == probes {
                    self.to(Mode::Closed);
                }
            }
            // Nothing is admitted that could come back.
            Mode::Open { .. } => unreachable!(),
        }
    }

    fn state(&self) -> State {
        match self.mode {
            Mode::Closed => State::Closed,
            Mode::Open { .. } => State::Open,
            Mode::Half { .. } => State::HalfOpen,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    Settle { which: usize, how: How },
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Passed,
    Failed,
    BadItem,
    Dropped,
}

impl How {
    fn is_ok(self) -> bool {
        matches!(self, Self::Passed | Self::BadItem)
    }

    fn say(self, ticket: Ticket<'_>) {
        match self {
            Self::Passed => ticket.passed(),
            Self::Failed => ticket.failed(Class::Timeout),
            Self::BadItem => ticket.failed(Class::Item),
            Self::Dropped => drop(ticket),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![
        3 => Just(How::Passed),
        4 => Just(How::Failed),
        1 => Just(How::BadItem),
        1 => Just(How::Dropped),
    ];
    let step = prop_oneof![
        6 => Just(Step::Admit),
        5 => (0..8usize, how).prop_map(|(which, how)| Step::Settle { which, how }),
        2 => (0..700u64).prop_map(Step::Advance),
        1 => (0..7000u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..200)
}

fn numbers() -> impl Strategy<Value = Numbers> {
    (1..8u64, 1..=100u64, 1..6u64, 1..4u64).prop_map(|(min_items, failure_pct, probes, at_once)| {
        Numbers {
            min_items,
            failure_pct,
            probes,
            at_once,
        }
    })
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_breaker_does_what_its_model_does(numbers in numbers(), steps in steps()) {
        let (clock, hand) = Clock::manual();
        let breaker = Breaker::builder()
            .window(Window::Time(ms(10 * BUCKET)))
            .min_items(numbers.min_items as u32)
            .failure_pct(numbers.failure_pct as u32)
            .probes(numbers.probes as u32)
            .probe_concurrency(numbers.at_once as u32)
            .open(ms(OPEN))
            .open_backoff(1.0)
            .open_jitter_pct(0)
            .half_open_max(ms(HALF_OPEN_MAX))
            .ramp(Duration::ZERO)
            .clock(clock)
            .build()
            .unwrap();
        let mut model = Model {
            numbers,
            now: 0,
            mode: Mode::Closed,
            generation: 0,
            results: VecDeque::new(),
            late: 0,
            refused: 0,
        };
        let mut tickets: Vec<(Ticket<'_>, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Admit => {
                    let (ticket, expected) = (breaker.admit().ok(), model.admit());
                    prop_assert_eq!(ticket.is_some(), expected.is_some());
                    tickets.extend(ticket.zip(expected));
                }
                Step::Settle { which, how } if !tickets.is_empty() => {
                    let (ticket, generation) = tickets.swap_remove(which % tickets.len());
                    how.say(ticket);
                    model.settle(generation, how.is_ok());
                }
                Step::Settle { .. } => {}
                Step::Advance(time) => {
                    hand.advance(ms(time));
                    model.now += time;
                }
            }
            prop_assert_eq!(breaker.state(), model.state());
            let metrics = breaker.metrics();
            prop_assert_eq!(
                (metrics.changes, metrics.late, metrics.refused),
                (model.generation, model.late, model.refused)
            );
        }
        // What is left counts for the model too.
        for (ticket, generation) in tickets {
            ticket.passed();
            model.settle(generation, true);
            prop_assert_eq!(breaker.state(), model.state());
        }
    }
}
