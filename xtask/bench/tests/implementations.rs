//! Two implementations of one interface, compared by `bench impl`.

#![forbid(unsafe_code)]

mod trials;

use pipewright_bench::protocol::Answer;

use trials::{Trials, in_time, scenario, throughput};

#[test]
fn implementations_are_compared_if_their_results_are_the_same() {
    let check = |digests: [Option<u64>; 2], args: &[&str], code: i32, expect: &str| {
        let answer = |rate, digest| Answer {
            digest,
            ..throughput(rate)
        };
        let trials = Trials::new(
            &[
                (scenario("throughput/old"), answer(1e5, digests[0])),
                (scenario("throughput/new"), answer(1.5e5, digests[1])),
            ],
            "",
        );
        let run = trials.bench(&[&["impl"], args, &["--no-guards", "--quiet"]].concat());
        let said = format!("{}{}", run.out, run.err);
        assert_eq!(run.code, code, "{said}");
        assert!(said.contains(expect), "{said}");
        if code == 0 {
            let saved = trials.saved();
            let one = &saved["scenarios"][0];
            assert_eq!(one["findings"]["interface"], "made-up");
            assert_eq!(saved["partial"], false);
            assert!(
                trials.asked().contains("\"items\":20000"),
                "{}",
                trials.asked()
            );
        }
    };
    let same = [Some(7), Some(7)];
    check(same, &["old", "new"], 0, "B is better");
    check(same, &["throughput/new", "throughput/old"], 0, "B is worse");
    check(same, &["old", "old"], 2, "are the same");
    check(same, &["old", "new", "--items", "0"], 2, "'--items <N>'");
    check(
        [Some(7), Some(8)],
        &["old", "new"],
        14,
        "have different results of the same 20000 items",
    );
    check(
        [Some(7), None],
        &["old", "new"],
        2,
        "`throughput/new` tells no results",
    );
    check(same, &["old", "other"], 2, "of `made-up`: `old`, `new`");
}

#[test]
fn an_implementation_that_is_only_later_is_worse_whatever_gates() {
    let check = |p95: [f64; 2], expect: &str| {
        // Too few items for a p99, as in short trials.
        let answer = |p95| in_time(&[("throughput", 1e5), ("latency_p95", p95)]);
        let answers = [
            (scenario("latency/old"), answer(p95[0])),
            (scenario("latency/new"), answer(p95[1])),
        ];
        let trials = Trials::new(&answers, "");
        let run = trials.bench(&["impl", "old", "new", "--no-guards", "--quiet"]);
        assert_eq!((run.code, run.out.trim()), (0, expect), "{}", run.err);
    };
    check([1e5, 1e5], "equivalent");
    check([1e5, 2e5], "B is worse");
    check([2e5, 1e5], "B is better");
}
