//! Rounds: in each, every contender of a case runs once, in an order that is drawn anew.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Case, Scale,
    catalogue::Measure,
    contender::{Contender, Kind, Sample},
};

/// How a case is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// Rounds that count, after one that does not.
    pub(crate) runs: usize,
    pub(crate) scale: Scale,
    /// Of the order of the contenders.
    pub(crate) seed: u64,
}

/// What came out for a case.
#[derive(Debug)]
pub(crate) struct Outcome<'c> {
    pub(crate) case: &'c Case,
    pub(crate) rows: Vec<Row>,
}

/// What came out for a contender.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) result: Result<Vec<Vec<f64>>, NoValue>,
}

/// Why a row has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoValue {
    /// It cannot run here.
    Skipped(String),
    /// It ran, and was wrong or broke.
    Wrong(String),
}

impl Row {
    /// The values of a measure, one for each round.
    pub(crate) fn values(&self, measure: usize) -> Option<&[f64]> {
        Some(self.result.as_ref().ok()?.get(measure)?.as_slice())
    }

    pub(crate) fn wrong(&self) -> Option<&str> {
        match &self.result {
            Err(NoValue::Wrong(why)) => Some(why),
            _ => None,
        }
    }
}

/// Runs a case.
pub(crate) fn run(case: &Case, rounds: Rounds) -> Result<Outcome<'_>, String> {
    let mut contenders = case.contenders(rounds.scale)?;
    let mut rows: Vec<Row> = contenders
        .iter()
        .map(|c| blank(c, &case.measures))
        .collect();
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut random = fastrand::Rng::with_seed(rounds.seed);
    for round in 0..=rounds.runs {
        random.shuffle(&mut order);
        for &at in &order {
            let Ok(values) = &mut rows[at].result else {
                continue;
            };
            match once(&mut contenders[at], case.measures.len()) {
                // The first round warms up.
                Ok(_) if round == 0 => {}
                Ok(sample) => values
                    .iter_mut()
                    .zip(sample)
                    .for_each(|(all, one)| all.push(one)),
                Err(why) => rows[at].result = Err(NoValue::Wrong(why)),
            }
        }
    }
    Ok(Outcome { case, rows })
}

fn blank(contender: &Contender, measures: &[Measure]) -> Row {
    let result = match &contender.work {
        Ok(_) => Ok(vec![Vec::new(); measures.len()]),
        Err(why) => Err(NoValue::Skipped(why.clone())),
    };
    Row {
        name: contender.name.to_owned(),
        kind: contender.kind,
        result,
    }
}

/// One run; a panic is a wrong result.
fn once(contender: &mut Contender, measures: usize) -> Result<Sample, String> {
    let work = contender.work.as_mut().map_err(|why| why.clone())?;
    let sample = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("it panicked: {}", text.unwrap_or_default()))
    })?;
    match sample.len() == measures && sample.iter().all(|value| value.is_finite()) {
        true => Ok(sample),
        false => Err(format!("it gave {sample:?} for {measures} measures")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_fails_panics_or_gives_no_number_is_wrong() {
        let check = |mut contender: Contender, expect: Result<Sample, &str>| {
            assert_eq!(
                once(&mut contender, 1),
                expect.map_err(|why| why.to_owned())
            );
        };
        check(Contender::peer("fine", || Ok(vec![2.0])), Ok(vec![2.0]));
        check(
            Contender::peer("failing", || Err("no".to_owned())),
            Err("no"),
        );
        check(
            Contender::peer("panicking", || panic!("oh")),
            Err("it panicked: oh"),
        );
        check(
            Contender::peer("short", || Ok(vec![])),
            Err("it gave [] for 1 measures"),
        );
        check(
            Contender::peer("infinite", || Ok(vec![f64::INFINITY])),
            Err("it gave [inf] for 1 measures"),
        );
    }
}
