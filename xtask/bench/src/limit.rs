//! What limits a pipeline, and what it would bring to make a stage faster.
//!
//! Workers do whatever is there, so they limit it together: with `c` of them that have a processor, an item that takes `S` in all
//! stages lets at most `c / S` items a second through. A stage that only `k` items may be in at once lets `k` through in the time that
//! it takes for one. The lowest of these bounds is the limit (Denning and Buzen, "The Operational Analysis of Queueing Network
//! Models", 1978). What a faster stage would bring is the lowest bound then, which is Amdahl's law where the workers are the limit,
//! and less where another stage is the next limit.

use serde::{Deserialize, Serialize};

use crate::protocol::{Answer, Passage};

/// What limits a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Limit {
    /// The stage that limits it: the longest one, if it is the workers.
    pub(crate) stage: String,
    /// Is it the workers, and not that only so many items may be in the stage at once?
    pub(crate) by_workers: bool,
    /// Items a second that can go through at most, as far as the stages tell.
    pub(crate) bound: f64,
    /// Items a second that went through.
    pub(crate) throughput: f64,
    /// The share of the workers' time in which they worked in stages.
    pub(crate) busy: f64,
    /// What an item takes outside of its stages, in nanoseconds; known where the pipeline was given all that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) between_ns: Option<f64>,
    pub(crate) rows: Vec<Row>,
}

/// A stage, for one item on the average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Row {
    pub(crate) stage: String,
    /// Items that were looked at.
    pub(crate) items: u64,
    /// How long it works on an item, in nanoseconds.
    pub(crate) work_ns: f64,
    /// How long an item waits before it, in nanoseconds.
    pub(crate) wait_ns: f64,
    /// The share of what all stages take.
    pub(crate) share: f64,
    /// The share of the time of those who may work on it.
    pub(crate) utilisation: f64,
    /// How many times as much would go through if it took half as long.
    pub(crate) if_halved: f64,
    /// What would be the limit then.
    pub(crate) then: String,
}

/// What a stage takes of each item that comes in, in seconds, and how many may be in it at once.
struct Demand {
    seconds: f64,
    at_once: Option<f64>,
}

/// What limits it, by trials of one scenario. `workers`: how many there were; `cpus`: how many may run at once; `saturated`: it was
/// given all that it takes. `None` if no stage was looked at.
pub(crate) fn limit(
    answers: &[&Answer],
    workers: usize,
    cpus: usize,
    saturated: bool,
) -> Option<Limit> {
    let passages = summed(answers);
    let first = passages.first().filter(|first| first.items > 0)?.items as f64;
    let rates = answers
        .iter()
        .filter_map(|answer| answer.metrics.get("throughput").copied());
    let throughput = crate::stats::median(&rates.collect::<Vec<f64>>())?;
    let running = workers.min(cpus).max(1) as f64;
    let demands: Vec<Demand> = passages
        .iter()
        .map(|passage| Demand {
            seconds: passage.work_ns as f64 / first / 1e9,
            at_once: passage.at_once.map(f64::from),
        })
        .collect();
    let in_stages: f64 = demands.iter().map(|demand| demand.seconds).sum();
    // Workers that have all that they can do are never idle: what is not in stages is between them.
    let pooled = demands.iter().all(|demand| demand.at_once.is_none());
    let between = (saturated && pooled && throughput > 0.0)
        .then(|| (running / throughput - in_stages).max(0.0));
    let at = |halved: Option<usize>| lowest(&demands, running, between.unwrap_or(0.0), halved);
    let (bound, by) = at(None);
    let name = |by: Option<usize>| match by {
        Some(stage) => passages[stage].stage.clone(),
        None => "all workers".to_owned(),
    };
    let longest =
        (0..demands.len()).max_by(|a, b| demands[*a].seconds.total_cmp(&demands[*b].seconds))?;
    let row = |(at_stage, passage): (usize, &Passage)| {
        let (faster, then) = at(Some(at_stage));
        let seconds = demands[at_stage].seconds;
        let mine = demands[at_stage].at_once.unwrap_or(running);
        let items = passage.items.max(1) as f64;
        Row {
            stage: passage.stage.clone(),
            items: passage.items,
            work_ns: passage.work_ns as f64 / items,
            wait_ns: (passage.wait_ns + passage.blocked_ns) as f64 / items,
            share: seconds / in_stages.max(f64::MIN_POSITIVE),
            utilisation: throughput * seconds / mine,
            if_halved: faster / bound,
            then: name(then),
        }
    };
    Some(Limit {
        stage: name(Some(by.unwrap_or(longest))),
        by_workers: by.is_none(),
        bound,
        throughput,
        // Work is measured of single items, and may come to a little more than all of the time.
        busy: (throughput * in_stages / running).min(1.0),
        between_ns: between.map(|seconds| seconds * 1e9),
        rows: passages.iter().enumerate().map(row).collect(),
    })
}

/// The lowest bound in items a second, and the stage whose it is; none if it is that of the workers.
fn lowest(
    demands: &[Demand],
    running: f64,
    between: f64,
    halved: Option<usize>,
) -> (f64, Option<usize>) {
    let seconds = |at: usize| match halved {
        Some(stage) if stage == at => demands[at].seconds / 2.0,
        _ => demands[at].seconds,
    };
    let all: f64 = (0..demands.len()).map(seconds).sum::<f64>() + between;
    let of_stages = demands.iter().enumerate().filter_map(|(at, demand)| {
        let at_once = demand.at_once?;
        Some((at_once / seconds(at).max(f64::MIN_POSITIVE), Some(at)))
    });
    let of_workers = (running / all.max(f64::MIN_POSITIVE), None);
    of_stages
        .chain([of_workers])
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap_or(of_workers)
}

/// Passages of all trials together.
fn summed(answers: &[&Answer]) -> Vec<Passage> {
    let mut sum: Vec<Passage> = Vec::new();
    for passage in answers.iter().flat_map(|answer| &answer.passages) {
        match sum.iter_mut().find(|one| one.stage == passage.stage) {
            None => sum.push(passage.clone()),
            Some(one) => {
                one.items += passage.items;
                one.blocked_ns += passage.blocked_ns;
                one.wait_ns += passage.wait_ns;
                one.work_ns += passage.work_ns;
            }
        }
    }
    sum
}

/// Below this share of a bound the stages do not explain what went through.
const EXPLAINS: f64 = 0.7;

impl Limit {
    /// What limits it and by which evidence, and a line for each stage.
    pub(crate) fn lines(&self) -> Vec<String> {
        let row = self.rows.iter().find(|row| row.stage == self.stage);
        let evidence = row.map_or_else(String::new, |row| match self.by_workers {
            true => format!(
                "the workers are busy in stages for {:.0} % of their time, {:.0} % of that in `{}`",
                100.0 * self.busy,
                100.0 * row.share,
                row.stage
            ),
            false => format!(
                "it is in use for {:.0} % of the time, and takes {}",
                100.0 * row.utilisation,
                ns(row.work_ns)
            ),
        });
        let mut lines = vec![format!("bottleneck `{}`: {evidence}", self.stage)];
        let seen = self.throughput / self.bound;
        if self.between_ns.is_none() {
            lines.push(format!(
                "the stages let {} a second through at most; this load is {:.0} % of that",
                count(self.bound),
                100.0 * seen
            ));
        }
        lines.push(format!(
            "{:<12} {:>10} {:>7} {:>12} {:>12}  if it took half as long",
            "stage", "work", "share", "utilisation", "waits before"
        ));
        for row in &self.rows {
            lines.push(format!(
                "{:<12} {:>10} {:>5.0} % {:>10.0} % {:>12}  {:.2}x, then the limit is `{}`",
                row.stage,
                ns(row.work_ns),
                100.0 * row.share,
                100.0 * row.utilisation,
                ns(row.wait_ns),
                row.if_halved,
                row.then
            ));
        }
        if let Some(between) = self.between_ns {
            let share = between / (between + self.rows.iter().map(|row| row.work_ns).sum::<f64>());
            lines.push(format!("{:<12} {:>10}", "(between)", ns(between)));
            if share > 1.0 - EXPLAINS {
                lines.push(
                    "most of an item's time is between its stages: larger batches, fewer stages"
                        .to_owned(),
                );
            }
        }
        lines
    }
}

/// A time in words.
fn ns(value: f64) -> String {
    crate::metrics::find("latency_p50").map_or_else(String::new, |metric| metric.value(value))
}

/// A rate without its unit.
fn count(value: f64) -> String {
    let shown = crate::metrics::find("throughput").map(|metric| metric.value(value));
    shown.unwrap_or_default().trim_end_matches("/s").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(stage: &str, work_ns: u64, at_once: Option<u32>) -> Passage {
        Passage {
            stage: stage.to_owned(),
            items: 1000,
            work_ns: 1000 * work_ns,
            wait_ns: 5000,
            at_once,
            ..Passage::default()
        }
    }

    fn of(passages: &[Passage], throughput: f64, workers: usize, saturated: bool) -> Limit {
        let answer = Answer {
            metrics: [("throughput".to_owned(), throughput)].into(),
            passages: passages.to_vec(),
            ..Answer::default()
        };
        limit(&[&answer, &answer], workers, 8, saturated).expect("there are stages")
    }

    #[test]
    fn workers_limit_together_and_the_longest_stage_is_named() {
        let stages = [
            passage("parse", 100, None),
            passage("price", 600, None),
            passage("apply", 300, None),
        ];
        // An item takes 1 us in stages and 0.25 us between them, on two workers.
        let found = of(&stages, 1.6e6, 2, true);
        assert_eq!((found.stage.as_str(), found.by_workers), ("price", true));
        assert!((found.between_ns.expect("saturated") - 250.0).abs() < 1e-6);
        assert!((found.bound - 1.6e6).abs() < 1e-3, "{found:?}");
        assert!((found.busy - 0.8).abs() < 1e-9);
        // Amdahl: 1250 / 950.
        assert!((found.rows[1].if_halved - 1250.0 / 950.0).abs() < 1e-9);
        assert_eq!(found.rows[1].then, "all workers");
        assert!((found.rows[1].share - 0.6).abs() < 1e-9);
    }

    #[test]
    fn a_stage_for_one_item_at_a_time_limits_and_the_next_limit_is_told() {
        let stages = [passage("parse", 300, None), passage("fold", 500, Some(1))];
        let found = of(&stages, 1.9e6, 4, true);
        assert_eq!((found.stage.as_str(), found.by_workers), ("fold", false));
        assert!((found.bound - 2e6).abs() < 1e-3);
        assert_eq!(found.between_ns, None, "who waits for `fold` is idle");
        // Halved it lets 4 M through, and so many workers 7.3 M.
        assert!((found.rows[1].if_halved - 2.0).abs() < 1e-9);
        assert_eq!(found.rows[1].then, "fold");
        assert!((found.rows[0].if_halved - 1.0).abs() < 1e-9);
        // With two workers they are the next limit: 2 / 0.55 us.
        let found = of(&stages, 1.9e6, 2, true);
        assert!((found.rows[1].if_halved - 2.0 / 0.55 / 2.0).abs() < 1e-9);
        assert_eq!(found.rows[1].then, "all workers");
    }

    #[test]
    fn what_is_told_has_its_evidence() {
        let stages = [passage("parse", 100, None), passage("price", 900, None)];
        let text = of(&stages, 5e5, 1, false).lines().join("\n");
        let expect = "bottleneck `price`: the workers are busy in stages for 50 % of their time, 90 % of that in `price`\n\
            the stages let 1.00 M a second through at most; this load is 50 % of that\n\
            stage              work   share  utilisation waits before  if it took half as long\n\
            parse          100.0 ns    10 %          5 %       5.0 ns  1.05x, then the limit is `all workers`\n\
            price          900.0 ns    90 %         45 %       5.0 ns  1.82x, then the limit is `all workers`";
        assert_eq!(text, expect);
        assert_eq!(limit(&[&Answer::default()], 1, 1, true), None);
    }
}
