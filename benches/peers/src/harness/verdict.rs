//! Is a goal met? Ratios are those of medians of one run; their spread is that of the rounds.

use serde::Serialize;

use super::{
    catalogue::{Better, Goal, Want, Whom},
    contender::Kind,
    rounds::{NoValue, Outcome, Row},
    stats::{Spread, shown},
};

/// A goal, and how it was met.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    pub(crate) row: String,
    /// The goal in words.
    pub(crate) goal: String,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met { figure: Figure },
    Missed { figure: Figure },
    NotMeasured { why: String },
}

/// What was reached: the figure that is judged, and how far the rounds' figures reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Verdict {
    fn new(figure: Figure, met: bool) -> Self {
        match met {
            true => Verdict::Met { figure },
            false => Verdict::Missed { figure },
        }
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verdict::Met { .. } => "met",
            Verdict::Missed { .. } => "MISSED",
            Verdict::NotMeasured { .. } => "not measured",
        }
    }
}

/// Judges all goals of a case.
pub(crate) fn judge(outcome: &Outcome<'_>) -> Result<Vec<Judged>, String> {
    let goals = outcome.case.goals.iter();
    goals.map(|goal| judge_one(outcome, goal)).collect()
}

fn judge_one(outcome: &Outcome<'_>, goal: &Goal) -> Result<Judged, String> {
    let measure = outcome.case.measure(goal.measure.as_deref())?;
    let other = match &goal.want {
        Want::Faster { than: whom, .. }
        | Want::Within { of: whom, .. }
        | Want::Over { of: whom, .. } => Some(rival(outcome, measure, &goal.row, whom)?),
        Want::AtMost(_) | Want::Steady(_) => None,
    };
    let verdict = match (values(outcome, &goal.row, measure), &other) {
        (Err(why), _) => Verdict::NotMeasured { why },
        (
            _,
            Some(Rival {
                values: Err(why), ..
            }),
        ) => Verdict::NotMeasured { why: why.clone() },
        (
            Ok(ours),
            Some(Rival {
                values: Ok(theirs), ..
            }),
        ) => compare(outcome.case.measures[measure].better, goal, ours, theirs),
        (Ok(ours), None) => alone(outcome.case.measures[measure].better, goal, ours),
    };
    Ok(Judged {
        row: goal.row.clone(),
        goal: words(outcome, measure, goal, other.as_ref()),
        verdict,
    })
}

/// What a row is compared with.
struct Rival {
    name: String,
    values: Result<Vec<f64>, String>,
}

fn rival(outcome: &Outcome<'_>, measure: usize, own: &str, whom: &Whom) -> Result<Rival, String> {
    let better = outcome.case.measures[measure].better;
    let row = |name: &str| Rival {
        name: name.to_owned(),
        values: values(outcome, name, measure).map(<[f64]>::to_vec),
    };
    let best = |rows: &mut dyn Iterator<Item = &Row>, what: &str| {
        let best = best(rows, measure, better);
        let nobody = || Rival {
            name: what.to_owned(),
            values: Err(format!("no value of {what}")),
        };
        best.map_or_else(nobody, |best| row(&best.name))
    };
    Ok(match whom {
        Whom::BestPeer => {
            let mut peers = outcome.rows.iter().filter(|row| row.kind == Kind::Peer);
            best(&mut peers, "the best peer")
        }
        Whom::BestOf(names) => {
            let mut rows = outcome.rows.iter().filter(|row| names.contains(&row.name));
            best(&mut rows, &names.join(", "))
        }
        Whom::Row(name) => row(name),
        Whom::BestRunOf(name) => {
            let mut rival = row(name);
            if let Ok(values) = &mut rival.values {
                let Spread { least, most, .. } = Spread::of(values);
                let best = if better.prefers(most, least) {
                    most
                } else {
                    least
                };
                values.fill(best);
            }
            rival
        }
        Whom::Own(name) => {
            let other = outcome.case.measure(Some(name))?;
            Rival {
                name: format!("its own {name}"),
                values: values(outcome, own, other).map(<[f64]>::to_vec),
            }
        }
    })
}

/// The row with the best median.
pub(crate) fn best<'r>(
    rows: &mut dyn Iterator<Item = &'r Row>,
    measure: usize,
    better: Better,
) -> Option<&'r Row> {
    let mut best: Option<(&Row, f64)> = None;
    for row in rows {
        let Some(values) = row.values(measure) else {
            continue;
        };
        let median = Spread::of(values).median;
        if best.is_none_or(|(_, top)| better.prefers(median, top)) {
            best = Some((row, median));
        }
    }
    best.map(|(row, _)| row)
}

fn values<'o>(outcome: &'o Outcome<'_>, name: &str, measure: usize) -> Result<&'o [f64], String> {
    let Some(row) = outcome.rows.iter().find(|row| row.name == name) else {
        return Err(format!("there is no row `{name}`"));
    };
    match &row.result {
        Ok(values) => Ok(&values[measure]),
        Err(NoValue::Skipped(why) | NoValue::Wrong(why)) => Err(format!("`{name}`: {why}")),
    }
}

fn compare(better: Better, goal: &Goal, ours: &[f64], theirs: &[f64]) -> Verdict {
    let ratio = |a: f64, b: f64| match goal.want {
        Want::Within { .. } => a / b,
        Want::Over { .. } => a - b,
        _ => better.speed(a, b),
    };
    let rounds: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| ratio(*a, *b))
        .collect();
    let spread = Spread::of(&rounds);
    let figure = Figure {
        value: ratio(Spread::of(ours).median, Spread::of(theirs).median),
        least: spread.least,
        most: spread.most,
    };
    let met = match goal.want {
        Want::Faster { times, .. } => figure.value >= times,
        Want::Within { times, .. } => figure.value <= times,
        Want::Over { by, .. } => figure.value <= by,
        Want::AtMost(_) | Want::Steady(_) => false,
    };
    Verdict::new(figure, met)
}

fn alone(better: Better, goal: &Goal, ours: &[f64]) -> Verdict {
    let Spread {
        median,
        least,
        most,
    } = Spread::of(ours);
    match goal.want {
        Want::Steady(part) => {
            let worst = if better.prefers(most, least) {
                least
            } else {
                most
            };
            let value = better.speed(worst, median);
            let figure = Figure {
                value,
                least: value,
                most: value,
            };
            Verdict::new(figure, value >= part)
        }
        Want::AtMost(bound) => {
            let figure = Figure {
                value: median,
                least,
                most,
            };
            Verdict::new(figure, median <= bound)
        }
        Want::Faster { .. } | Want::Within { .. } | Want::Over { .. } => Verdict::NotMeasured {
            why: "nothing to compare with".to_owned(),
        },
    }
}

fn words(outcome: &Outcome<'_>, measure: usize, goal: &Goal, other: Option<&Rival>) -> String {
    let measure = &outcome.case.measures[measure];
    let name = match outcome.case.measures.len() {
        1 => String::new(),
        _ => format!("{}: ", measure.name),
    };
    let other = other.map_or("", |other| other.name.as_str());
    let wanted = match &goal.want {
        Want::Faster { than, times } => {
            format!(">= {}x {}", plain(*times), role(than, other))
        }
        Want::Within { of, times } => {
            let value = &measure.unit;
            format!("<= {}x the {value} of {}", plain(*times), role(of, other))
        }
        Want::Over { of, by } => {
            let value = &measure.unit;
            format!("<= {} {value} more than {}", plain(*by), role(of, other))
        }
        Want::AtMost(bound) => format!("<= {} {}", plain(*bound), measure.unit),
        Want::Steady(part) => format!("no run below {}x of its median", plain(*part)),
    };
    format!("{name}{wanted}")
}

fn role(whom: &Whom, name: &str) -> String {
    match whom {
        Whom::BestPeer => format!("the best peer, {name}"),
        Whom::BestRunOf(_) => format!("the best run of {name}"),
        Whom::BestOf(_) | Whom::Row(_) | Whom::Own(_) => name.to_owned(),
    }
}

fn plain(number: f64) -> String {
    format!("{number}")
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Met { figure } | Verdict::Missed { figure } => {
                let Figure { value, least, most } = figure;
                write!(
                    f,
                    "{} [{} - {}]",
                    shown(*value),
                    shown(*least),
                    shown(*most)
                )
            }
            Verdict::NotMeasured { why } => f.write_str(why),
        }
    }
}
