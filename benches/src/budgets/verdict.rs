//! Whether a budget is met.

use super::{Bound, Reading};

/// The median of the rounds, with the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; of an even number, the upper of the two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of these values; `None` if there are none, or one is no number.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: *sorted.get(sorted.len() / 2)?,
            least: *sorted.first()?,
            greatest: *sorted.last()?,
        })
    }
}

/// What came of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The median is within the bound.
    Met,
    /// It is not, or nothing came out where something should have.
    Missed,
    /// There is no bound: it says how the machine is.
    Shown,
    /// What it is about does not exist yet.
    NotBuilt,
    /// This machine cannot tell.
    NotKnown,
}

impl Verdict {
    /// In one or two words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Shown => "",
            Self::NotBuilt => "not built",
            Self::NotKnown => "not known",
        }
    }
}

/// Compares what was measured with the bound.
pub fn judge(bound: Bound, reading: Option<&Reading>) -> (Verdict, Option<Spread>) {
    if let Bound::NotBuilt(_) = bound {
        return (Verdict::NotBuilt, None);
    }
    let values = match reading.map(|reading| &reading.values) {
        None => return (Verdict::Missed, None),
        Some(Err(_)) => return (Verdict::NotKnown, None),
        Some(Ok(values)) => values,
    };
    let Some(spread) = Spread::of(values) else {
        return (Verdict::Missed, None);
    };
    let within = match bound {
        Bound::AtMost(most) => spread.median <= most,
        Bound::Below(most) => spread.median < most,
        Bound::AtLeast(least) => spread.median >= least,
        Bound::Above(least) => spread.median > least,
        Bound::Shown | Bound::NotBuilt(_) => return (Verdict::Shown, Some(spread)),
    };
    let verdict = if within {
        Verdict::Met
    } else {
        Verdict::Missed
    };
    (verdict, Some(spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides() {
        let check = |bound: Bound, values: &[f64], expect: Verdict| {
            let reading = Reading::new("B0", values.to_vec());
            assert_eq!(
                judge(bound, Some(&reading)).0,
                expect,
                "{bound:?} {values:?}"
            );
        };
        check(Bound::AtMost(5.0), &[9.0, 5.0, 1.0], Verdict::Met);
        check(Bound::AtMost(5.0), &[5.1, 5.1, 1.0], Verdict::Missed);
        check(Bound::Below(5.0), &[5.0], Verdict::Missed);
        check(Bound::Below(5.0), &[4.9], Verdict::Met);
        check(Bound::AtLeast(1.9), &[1.9, 2.0, 1.0], Verdict::Met);
        check(Bound::AtLeast(1.9), &[1.8], Verdict::Missed);
        check(Bound::Above(100.0), &[100.0], Verdict::Missed);
        check(Bound::Above(100.0), &[101.0], Verdict::Met);
        check(Bound::Shown, &[1e9], Verdict::Shown);
    }

    #[test]
    fn what_was_not_measured_is_never_met() {
        let check = |bound: Bound, reading: Option<Reading>, expect: Verdict| {
            assert_eq!(
                judge(bound, reading.as_ref()),
                (expect, None),
                "{bound:?} {reading:?}"
            );
        };
        check(Bound::AtMost(5.0), None, Verdict::Missed);
        check(Bound::Shown, None, Verdict::Missed);
        check(
            Bound::AtMost(5.0),
            Some(Reading::new("B0", vec![])),
            Verdict::Missed,
        );
        check(
            Bound::AtMost(5.0),
            Some(Reading::new("B0", vec![1.0, f64::NAN])),
            Verdict::Missed,
        );
        check(
            Bound::AtMost(5.0),
            Some(Reading::unknown("B0", "no `/proc`")),
            Verdict::NotKnown,
        );
        check(Bound::NotBuilt("later"), None, Verdict::NotBuilt);
    }

    #[test]
    fn a_spread_has_its_values_in_order() {
        let spread = Spread::of(&[3.0, -1.0, 2.0]).expect("there are values");
        assert_eq!(
            (spread.least, spread.median, spread.greatest),
            (-1.0, 2.0, 3.0)
        );
        assert_eq!(Spread::of(&[]), None);
    }
}
