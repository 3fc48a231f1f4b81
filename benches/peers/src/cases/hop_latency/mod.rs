//! `hop_latency`: a number goes from core 0 to core 1 and back; the time of a round trip, with the clock's.

mod ours;

use std::{
    hint::spin_loop,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
        mpsc,
    },
    thread,
    time::Instant,
};

use crossbeam_utils::CachePadded;
use disruptor::{BusySpin, Polling, Producer};

use crate::harness::{Contender, Sample, Scale, same, stats, threads::on_two_cores};

/// Measures `round`, which sends a number over and gives what came back.
fn round_trips(count: u64, mut round: impl FnMut(u64) -> u64) -> Result<Sample, String> {
    let mut times = stats::times()?;
    // The first ones find cold caches and sleeping threads.
    let warm_up = count / 10;
    for number in 1..=count + warm_up {
        let begun = Instant::now();
        let back = round(number);
        let time = begun.elapsed();
        same(&back, &number)?;
        if number > warm_up {
            times.saturating_record(time.as_nanos() as u64);
        }
    }
    Ok([0.5, 0.99, 0.999]
        .map(|part| times.value_at_quantile(part) as f64)
        .to_vec())
}

/// Two ends on each side: `ping` for numbers that go, `pong` for those that come back. The other side ends when it is
/// given nothing.
fn channel<S: Send + 'static, R: Send + 'static>(
    name: &'static str,
    count: u64,
    ends: fn() -> (S, R),
    send: fn(&mut S, u64),
    receive: fn(&mut R) -> Option<u64>,
) -> Contender {
    Contender::peer(name, move || {
        let ((mut ping, mut pinged), (mut pong, mut ponged)) = (ends(), ends());
        let here = move || {
            let result = round_trips(count, |number| {
                send(&mut ping, number);
                receive(&mut ponged).unwrap_or_default()
            });
            drop(ping);
            result
        };
        let there = move || {
            while let Some(number) = receive(&mut pinged) {
                send(&mut pong, number);
            }
        };
        on_two_cores(here, there).0
    })
}

/// One line each way, and nothing else: what the machine needs.
fn atomics(count: u64) -> Result<Sample, String> {
    const END: u64 = u64::MAX;
    let lines = [(); 2].map(|()| CachePadded::new(AtomicU64::new(0)));
    let [ping, pong] = &lines;
    let here = || {
        let result = round_trips(count, |number| {
            ping.store(number, Release);
            while pong.load(Acquire) != number {
                spin_loop();
            }
            number
        });
        ping.store(END, Release);
        result
    };
    let there = || {
        let mut last = 0;
        while last != END {
            let number = ping.load(Acquire);
            if number == last {
                spin_loop();
            } else {
                pong.store(number, Release);
                last = number;
            }
        }
    };
    on_two_cores(here, there).0
}

type Poller = disruptor::EventPoller<u64, disruptor::SingleProducerBarrier>;

fn polled(poller: &mut Poller) -> Option<u64> {
    loop {
        match poller.poll() {
            Ok(mut events) => return (&mut events).last().copied(),
            Err(Polling::NoEvents) => spin_loop(),
            Err(Polling::Shutdown) => return None,
        }
    }
}

/// Spins until there is a number; `None` once the other side is gone and nothing is left.
fn popped(consumer: &mut rtrb::Consumer<u64>) -> Option<u64> {
    loop {
        let last = consumer.is_abandoned();
        match consumer.pop() {
            Ok(number) => return Some(number),
            Err(_) if last => return None,
            Err(_) => spin_loop(),
        }
    }
}

/// A number and whether the sender is there, under a lock.
struct Slot {
    state: Mutex<(Option<u64>, bool)>,
    changed: Condvar,
}

struct SlotSender(std::sync::Arc<Slot>);
struct SlotReceiver(std::sync::Arc<Slot>);

fn slot() -> (SlotSender, SlotReceiver) {
    let slot = std::sync::Arc::new(Slot {
        state: Mutex::new((None, true)),
        changed: Condvar::new(),
    });
    (SlotSender(slot.clone()), SlotReceiver(slot))
}

impl SlotSender {
    fn send(&self, number: u64) {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 = Some(number);
        self.0.changed.notify_one();
    }
}

impl Drop for SlotSender {
    fn drop(&mut self) {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1 = false;
        self.0.changed.notify_one();
    }
}

impl SlotReceiver {
    fn receive(&self) -> Option<u64> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |state: &mut (Option<u64>, bool)| state.0.is_none() && state.1;
        let state = self.0.changed.wait_while(state, waiting);
        state.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

/// Threads that park, and unpark the other one.
fn parked(count: u64) -> Result<Sample, String> {
    const END: u64 = u64::MAX;
    let numbers = [(); 2].map(|()| CachePadded::new(AtomicU64::new(0)));
    let [ping, pong] = &numbers;
    let (tell_here, here_is) = mpsc::channel();
    let (tell_there, there_is) = mpsc::channel();
    let wait = |word: &AtomicU64, last| {
        loop {
            match word.load(Acquire) {
                number if number == last => thread::park(),
                number => return number,
            }
        }
    };
    let here = move || {
        tell_here
            .send(thread::current())
            .expect("the other side is there");
        let other: thread::Thread = there_is.recv().expect("the other side is there");
        let mut last = 0;
        let result = round_trips(count, |number| {
            ping.store(number, Release);
            other.unpark();
            last = wait(pong, last);
            last
        });
        ping.store(END, Release);
        other.unpark();
        result
    };
    let there = move || {
        tell_there
            .send(thread::current())
            .expect("the other side is there");
        let other: thread::Thread = here_is.recv().expect("the other side is there");
        let mut last = 0;
        loop {
            last = wait(ping, last);
            if last == END {
                return;
            }
            pong.store(last, Release);
            other.unpark();
        }
    };
    on_two_cores(here, there).0
}

/// Two tasks of a runtime with two threads; they may run on one of them.
fn tokio_tasks(runtime: &tokio::runtime::Runtime, count: u64) -> Result<Sample, String> {
    let (ping, mut pinged) = tokio::sync::mpsc::channel(1);
    let (pong, mut ponged) = tokio::sync::mpsc::channel(1);
    runtime.spawn(async move {
        while let Some(number) = pinged.recv().await {
            if pong.send(number).await.is_err() {
                return;
            }
        }
    });
    let here = runtime.spawn(async move {
        let mut times = stats::times()?;
        for number in 1..=count {
            let begun = Instant::now();
            ping.send(number).await.map_err(|error| error.to_string())?;
            let back = ponged.recv().await.unwrap_or_default();
            times.saturating_record(begun.elapsed().as_nanos() as u64);
            same(&back, &number)?;
        }
        Ok([0.5, 0.99, 0.999]
            .map(|part| times.value_at_quantile(part) as f64)
            .to_vec())
    });
    runtime.block_on(here).map_err(|error| error.to_string())?
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let (spinning, sleeping) = (scale.of(200_000, 200), scale.of(20_000, 100));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    let runtime = runtime.expect("tokio starts");
    let mut all = ours::contenders(spinning);
    all.extend([
        Contender::limit("spinning atomics", move || atomics(spinning)),
        channel(
            "disruptor BusySpin + poll",
            spinning,
            || {
                let builder = disruptor::build_single_producer(64, || 0, BusySpin);
                let (poller, builder) = builder.new_event_poller();
                (builder.build(), poller)
            },
            |producer, number| producer.publish(|event| *event = number),
            polled,
        ),
        channel(
            "rtrb, busy spin",
            spinning,
            || rtrb::RingBuffer::new(64),
            |producer, number| {
                producer.push(number).expect("there is room for one");
            },
            popped,
        ),
        channel(
            "crossbeam-channel",
            spinning,
            || crossbeam_channel::bounded(1),
            |s, n| s.send(n).expect("it is there"),
            |r| r.recv().ok(),
        ),
        channel(
            "kanal",
            spinning,
            || kanal::bounded(1),
            |s, n| s.send(n).expect("it is there"),
            |r| r.recv().ok(),
        ),
        channel(
            "flume",
            sleeping,
            || flume::bounded(1),
            |s, n| s.send(n).expect("it is there"),
            |r| r.recv().ok(),
        ),
        channel(
            "std sync_channel",
            sleeping,
            || mpsc::sync_channel(1),
            |s, n| s.send(n).expect("it is there"),
            |r| r.recv().ok(),
        ),
        channel(
            "tokio mpsc, blocking_send/recv",
            sleeping,
            || tokio::sync::mpsc::channel(1),
            |s, n| s.blocking_send(n).expect("it is there"),
            |r| r.blocking_recv(),
        ),
        channel(
            "Mutex + Condvar (futex)",
            sleeping,
            slot,
            |s, n| s.send(n),
            |r| r.receive(),
        ),
        Contender::peer("park/unpark", move || parked(sleeping)),
        Contender::peer("tokio mpsc, tasks of one runtime (unpinned)", move || {
            tokio_tasks(&runtime, sleeping)
        }),
    ]);
    all
}
