//! Many callers of one breaker, and a dependency that flaps.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use pipewright::breaker::{
    Breaker, BreakerBuilder, CallError, Class, Clock, Hand, State, Ticket, Window,
};
use pipewright_tests::{
    faults,
    oracle::{Case, Random},
};

const CALLERS: u64 = 16;
const PROBES: u32 = 7;
const OPEN: Duration = Duration::from_millis(10);

fn builder(clock: &Clock) -> BreakerBuilder {
    Breaker::builder()
        .window(Window::Count(10))
        .min_items(5)
        .probes(PROBES)
        .probe_concurrency(511)
        .open(OPEN)
        .open_max(OPEN)
        .open_jitter_pct(0)
        .half_open_max(Duration::from_secs(1))
        .ramp(Duration::ZERO)
        .clock(clock.clone())
}

fn settle(ticket: Ticket<'_>, passes: bool) {
    match passes {
        true => ticket.passed(),
        false => ticket.failed(Class::Dependency),
    }
}

/// What the callers of a cycle do, step by step; all of them wait for each other between two steps.
struct Cycles<'b> {
    breaker: &'b Breaker,
    step: Barrier,
    /// Whether probes pass in this cycle.
    passes: AtomicBool,
    admitted: AtomicU64,
    /// Probes whose results come in the next cycle; fewer than would leave this one undecided.
    withheld: AtomicU64,
    over: AtomicBool,
}

impl Cycles<'_> {
    fn caller(&self, mut random: Random) {
        // Of the cycle before, probes among them.
        let mut late = Vec::new();
        loop {
            self.step.wait();
            if self.over.load(Relaxed) {
                return;
            }
            // Closed: some calls whose results come too late.
            let calls = (0..random.below(3)).filter_map(|_| self.breaker.admit().ok());
            let early: Vec<_> = calls.collect();
            self.step.wait();
            self.step.wait();
            // The time of being open is over. All want the permits at once, while results of before come in.
            let probes = (0..4).filter_map(|_| self.breaker.admit().ok());
            let probes: Vec<_> = probes.collect();
            self.admitted.fetch_add(probes.len() as u64, Relaxed);
            for ticket in late.drain(..).chain(early) {
                settle(ticket, random.below(2) == 0);
            }
            self.step.wait();
            // The state is looked at.
            self.step.wait();
            let passes = self.passes.load(Relaxed);
            for probe in probes {
                match !passes && self.withheld.fetch_add(1, Relaxed) < 3 {
                    true => late.push(probe),
                    false => settle(probe, passes),
                }
            }
            self.step.wait();
        }
    }

    /// What happens to the breaker in one cycle.
    fn cycle(&self, hand: &Hand, passes: bool) {
        let breaker = self.breaker;
        assert_eq!(breaker.state(), State::Closed);
        self.passes.store(passes, Relaxed);
        self.admitted.store(0, Relaxed);
        self.withheld.store(0, Relaxed);
        self.step.wait();
        self.step.wait();
        while breaker.state() == State::Closed {
            let _ = breaker.call(|| Err::<(), _>(()));
        }
        hand.advance(OPEN);
        self.step.wait();
        self.step.wait();
        let seen = (breaker.state(), self.admitted.load(Relaxed));
        assert_eq!(
            seen,
            (State::HalfOpen, PROBES.into()),
            "late results count, or permits do not"
        );
        self.step.wait();
        self.step.wait();
        if !passes {
            assert_eq!(breaker.state(), State::Open);
            hand.advance(OPEN);
            while breaker.state() != State::Closed {
                breaker.admit().unwrap().passed();
            }
        }
    }
}

#[test]
fn c18_no_generation_has_more_probes_than_permits_and_late_results_move_nothing() {
    let case = Case::begin("C18");
    let (clock, hand) = Clock::manual();
    let breaker = builder(&clock).build().unwrap();
    let cycles = faults(10_000);
    let all = Cycles {
        breaker: &breaker,
        step: Barrier::new(CALLERS as usize + 1),
        passes: AtomicBool::new(true),
        admitted: AtomicU64::new(0),
        withheld: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let mut random = case.random();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            let own = Random::new(random.any());
            scope.spawn(|| all.caller(own));
        }
        for _ in 0..cycles {
            all.cycle(&hand, random.below(2) == 0);
        }
        all.over.store(true, Relaxed);
        all.step.wait();
    });
    let metrics = breaker.metrics();
    println!(
        "C18: {cycles} cycles of {CALLERS} callers, {} probes, {} late results, 0 beyond the permits",
        metrics.probes, metrics.late
    );
    assert!(metrics.late > cycles, "{metrics:?}");
    case.end();
}

#[test]
fn c18_a_storm_of_callers_gets_no_more_probes_than_there_are_permits() {
    let case = Case::begin("C18, without steps");
    let (clock, hand) = Clock::manual();
    let breaker = builder(&clock).build().unwrap();
    let (cycles, is_up) = (faults(10_000), AtomicBool::new(true));
    let mut random = case.random();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            let (breaker, hand, is_up) = (&breaker, &hand, &is_up);
            let mut own = Random::new(random.any());
            scope.spawn(move || {
                // A cycle is to open, to be half open, and what follows.
                while breaker.metrics().changes < 3 * cycles {
                    let call = || match is_up.load(Relaxed) {
                        true => Ok(()),
                        false => Err(()),
                    };
                    if let Err(CallError::Refused(_)) = breaker.call(call) {
                        hand.advance(OPEN / 8);
                    }
                    if own.below(32) == 0 {
                        is_up.fetch_not(Relaxed);
                    }
                }
            });
        }
    });
    let metrics = breaker.metrics();
    println!(
        "C18: {} changes by {CALLERS} callers at once, {} probes, {} late results",
        metrics.changes, metrics.probes, metrics.late
    );
    // Before each half-open state comes an open one.
    let generations = metrics.changes / 2 + 1;
    assert!(
        metrics.probes <= generations * u64::from(PROBES),
        "{metrics:?}"
    );
    case.end();
}
