//! Questions on a machine on which others work.

#![forbid(unsafe_code)]

mod trials;

use trials::{Trials, in_time, scenario, throughput};

/// Work on every processor for half a second that is not the trial's: nobody waits for it.
const OTHERS: &str = "\
for n in $(seq $(nproc)); do
  (timeout 0.6 sh -c 'while :; do :; done' >/dev/null 2>&1 &)
done
sleep 0.5";

#[test]
fn what_others_disturb_again_and_again_is_refused_with_the_reason() {
    let open = in_time(&[
        ("throughput", 1e3),
        ("latency_p50", 1e5),
        ("latency_p99", 1e6),
    ]);
    let answers = [
        (scenario("latency/x"), open),
        (scenario("throughput/x"), throughput(1e3)),
    ];
    let trials = Trials::new(&answers, OTHERS);
    let scale = ["scale", "--workers", "1", "--during", "1ms"];
    let capacity = ["capacity", "latency/x", "--during", "10ms"];
    for args in [&scale[..], &capacity] {
        let run = trials.bench(args);
        assert_eq!(run.code, 0, "{}", run.err);
        let expect = "refused: a trial was disturbed 3 times (";
        assert!(run.out.contains(expect), "{}", run.out);
        let one = &trials.saved()["scenarios"][0];
        assert_eq!(one["disturbed"]["foreign_cpu"], 3, "{one}");
        assert!(one["refused"].is_string(), "{one}");
        assert!(trials.report().contains("refused"), "{}", trials.report());
    }
    let run = trials.bench(&[&scale[..], &["--no-guards"]].concat());
    assert!(run.out.contains("1 workers"), "{}", run.out);
    let note = "note: trials that the machine disturbed were counted";
    assert!(run.out.contains(note), "{}", run.out);
}
