//! How many futures are under way at once, changed while a run goes on.

use pipewright::pipeline;
use pipewright_tests::eventually;

use crate::world::Env;

const ITEMS: u64 = 40;

#[pipeline(env = Env)]
mod waiting {
    use super::Env;

    #[stage(from = input, in_flight = 8, order = any)]
    pub async fn wait(n: u64, env: &Env) -> u64 {
        env.wait(n).await;
        n
    }

    #[sink(from = wait)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }
}

fn in_flight(most: u64) -> String {
    format!(r#"(stages: {{ "wait": (in_flight: {most}) }})"#)
}

#[test]
fn fewer_and_more_futures_are_under_way_while_the_run_goes_on() {
    let env = Env::default();
    let run = waiting::pipeline().workers(1).start(env.clone()).unwrap();
    run.send_batch(&mut (0..ITEMS).collect()).unwrap();
    eventually(|| env.begun() == 8);
    let changes = run.retune("operator", &in_flight(2)).unwrap();
    assert_eq!(changes[0].to_string(), "wait.in_flight 8 -> 2");
    // Those that are under way go on.
    (0..6).for_each(|n| env.let_through(n));
    eventually(|| env.gone() == 6);
    for gone in 7..=20 {
        // Which item comes next is up to which batch gets the place that has become free.
        eventually(|| !env.waiting().is_empty());
        env.let_through(env.waiting()[0]);
        eventually(|| env.gone() == gone);
        // Asked first, so that what ends meanwhile makes no difference.
        let begun = env.begun();
        assert!(begun <= env.gone() + 2, "{begun} begun after {gone}");
    }
    let wait = || run.metrics().stage::<waiting::wait>().flights.clone();
    assert_eq!(wait().unwrap().most, 2);
    run.retune("operator", &in_flight(8)).unwrap();
    eventually(|| env.begun() == 28);
    (0..ITEMS).for_each(|n| env.let_through(n));
    let report = run.drain().unwrap();
    let mut seen = env.seen();
    seen.sort_unstable();
    assert_eq!(seen, (0..ITEMS).collect::<Vec<_>>(), "{report}");
    assert_eq!(report.metrics().stage::<waiting::wait>().sent, ITEMS);
}

#[test]
fn more_futures_than_there_are_places_for_are_refused() {
    let place = "operator:1:32";
    let says = "`in_flight` of `wait` cannot be more than 4 in this run";
    let tuned = || {
        waiting::pipeline()
            .tuning("t.tuning.ron", &in_flight(4))
            .unwrap()
    };
    let run = tuned().start(Env::default()).unwrap();
    let refused = run.retune("operator", &in_flight(5)).unwrap_err();
    let mut dry = tuned().dry_run(Env::default());
    let dry_refused = dry.retune("operator", &in_flight(5)).unwrap_err();
    for refused in [refused, dry_refused] {
        let refused = refused.to_string();
        for part in ["E_FIXED", place, says, "write 4 or less"] {
            assert!(refused.contains(part), "{part} in {refused}");
        }
    }
    assert_eq!(run.retune("operator", &in_flight(3)).unwrap().len(), 1);
    assert_eq!(run.retune("operator", &in_flight(4)).unwrap().len(), 1);
    let _ = run.drain().unwrap();
}

#[pipeline(env = Env)]
mod turning {
    use super::Env;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..20_000
    }

    #[stage(from = numbers, in_flight = 32)]
    pub async fn turn(n: u64, env: &Env) -> u64 {
        env.turn(n % 4).await;
        n
    }

    #[sink(from = turn)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn nothing_is_lost_while_the_number_of_futures_changes_all_the_time() {
    for workers in [1, 2, 4] {
        let env = Env::default();
        let pipeline = turning::pipeline().workers(workers);
        let run = pipeline.start(env.clone()).unwrap();
        let mut sizes = [1, 32, 3, 7].into_iter().cycle();
        while env.seen().len() < 18_000 {
            let most = sizes.next().unwrap_or(1);
            run.retune(
                "operator",
                &format!(r#"(stages: {{ "turn": (in_flight: {most}) }})"#),
            )
            .unwrap();
        }
        let report = run.wait().unwrap();
        assert_eq!(env.seen(), (0..20_000).collect::<Vec<_>>(), "{report}");
    }
}
