//! What follows from where workers sit, on machines that are made up: whom they steal from, and where buffers return to.

use std::sync::Arc;

use crossbeam_deque::Worker as Queue;
use pipewright_spec::info::{Enforce, TopologyInfo};

use crate::{
    carrier::Home, diagnose::crosses_threads, lane::Lane, machine::Machine, reactor::Reactor,
    settings::Settings, shared::Shared, warnings::Warnings, worker::Worker,
};

/// A pipeline without stages: batches and queues know nothing of them.
static TOPOLOGY: TopologyInfo = TopologyInfo {
    name: "placed",
    ..TopologyInfo::EMPTY
};

pub(crate) fn shared(machine: &str) -> Arc<Shared> {
    let mut settings = Settings::of(&TOPOLOGY);
    let machine = Machine::simulate(machine).expect("a machine");
    let placement = settings.place(&machine).expect("a worker for each core");
    let (pins, warnings) = (
        crate::pin::Placement::default(),
        Warnings::new(Enforce::Warn),
    );
    let reactor = Reactor::new(&settings).expect("no stage is async");
    Shared::new(
        &TOPOLOGY,
        settings,
        (placement, pins),
        Box::default(),
        None,
        warnings,
        reactor,
    )
}

/// The shared state, and a run queue for each worker.
fn queues<T>(shared: &Shared, queue: impl Fn() -> Queue<T>) -> Vec<Queue<T>> {
    (0..shared.settings.workers).map(|_| queue()).collect()
}

#[test]
fn a_worker_steals_on_its_node_before_it_steals_from_another() {
    let shared = shared("2x4");
    let home = Home::new(&shared, 0, 8, crosses_threads::<u8>());
    let all = queues(&shared, Queue::new_fifo);
    let stealers = all.iter().map(Queue::stealer).collect();
    assert!(shared.stealers.set(stealers).is_ok());
    // Worker 1 is on the node of workers 0 to 3.
    let mut thief = Worker::nested(&shared, 1, Queue::new_fifo());
    for victim in [6, 2, 4, 0, 7, 3] {
        let ticket = shared.credits.take(0, Lane::NORMAL).expect("a free ticket");
        let mut carrier = home.carrier(0, ticket, victim);
        carrier.push(0);
        all[usize::from(victim)].push(carrier.into_task());
    }
    let mut stolen = Vec::new();
    while let Some(task) = thief.steal() {
        let mut carrier = task.open::<u8>();
        carrier.items().clear();
        stolen.push(carrier.part());
    }
    let (near, far) = stolen.split_at_mut(3);
    near.sort_unstable();
    far.sort_unstable();
    assert_eq!(
        (&*near, &*far),
        ([0, 2, 3].as_slice(), [4, 6, 7].as_slice())
    );
    assert_eq!(shared.credits.free(), shared.credits.total());
}

#[test]
fn a_buffer_returns_to_the_node_of_the_worker_that_took_it_first() {
    let shared = shared("2x1");
    let home = Home::new(&shared, 0, 4, crosses_threads::<u64>());
    let take = |node: u16| {
        let ticket = shared.credits.take(0, Lane::NORMAL).expect("a free ticket");
        let mut carrier = home.carrier(node, ticket, 0);
        let buffer = carrier.items().as_ptr() as usize;
        (carrier, buffer)
    };
    // Two lie ready on each node, and two more are made.
    let (near, mut first): (Vec<_>, Vec<_>) = (0..4).map(|_| take(0)).unzip();
    // They are dropped by workers of the other node, which does not get them.
    std::thread::scope(|scope| {
        scope.spawn(move || drop(near));
    });
    let (far, second): (Vec<_>, Vec<_>) = (0..4).map(|_| take(1)).unzip();
    assert!(second.iter().all(|buffer| !first.contains(buffer)));
    drop(far);
    let (again, mut buffers): (Vec<_>, Vec<_>) = (0..4).map(|_| take(0)).unzip();
    first.sort_unstable();
    buffers.sort_unstable();
    assert_eq!(buffers, first);
    drop(again);
    assert_eq!(home.spare(), [4, 4]);
}

#[test]
fn a_machine_of_one_node_has_one_list_of_spare_buffers() {
    let shared = shared("1x4");
    let home = Home::new(&shared, 0, 8, crosses_threads::<u64>());
    assert_eq!(home.spare(), [8]);
    for worker in 0..4 {
        let w = Worker::nested(&shared, worker, Queue::new_fifo());
        assert_eq!(w.node(), 0);
        let ticket = shared.credits.take(0, Lane::NORMAL).expect("a free ticket");
        drop(home.carrier(w.node(), ticket, 0));
        assert_eq!(home.spare(), [8]);
    }
}

#[test]
fn spare_buffers_can_be_freed_while_others_are_in_use() {
    let shared = shared("2x1");
    let home = Home::new(&shared, 0, 4, crosses_threads::<u64>());
    let ticket = shared.credits.take(0, Lane::NORMAL).expect("a free ticket");
    let mut carrier = home.carrier(1, ticket, 0);
    carrier.push(7);
    assert_eq!(home.spare(), [2, 1]);
    shared.free_spares();
    assert_eq!(home.spare(), [0, 0]);
    assert_eq!(carrier.items().pop(), Some(7));
    drop(carrier);
    assert_eq!(home.spare(), [0, 1]);
}
