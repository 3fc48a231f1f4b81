//! What comes, as it is written in a file.
//!
//! ```ron
//! (
//!     arrivals: bursty(10),
//!     phases: [
//!         steady(rate: "20k/s", during: "2s"),
//!         spike(base: "20k/s", times: 10.0, during: "3s"),
//!         sine(mean: "20k/s", amplitude: 0.5, period: "1s", during: "4s"),
//!     ],
//!     level: heavy,
//!     mix: (30, 25, 20, 10, 10, 5),
//! )
//! ```

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Asked, text, trace};
use crate::{
    commands::options::{rate, time},
    error::Error,
    load::{Arrivals, Level, Load, Phase, Shares},
};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    arrivals: WrittenArrivals,
    #[serde(default)]
    phases: Vec<WrittenPhase>,
    level: Option<Level>,
    mix: Option<[u16; 6]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenArrivals {
    Constant,
    #[default]
    Poisson,
    Bursty(u32),
    /// A file beside this one.
    Trace(PathBuf),
}

/// Rates and times as they are typed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WrittenPhase {
    Steady {
        rate: Rate,
        during: Time,
    },
    Burst {
        base: Rate,
        peak: Rate,
        on: Time,
        off: Time,
        during: Time,
    },
    Ramp {
        from: Rate,
        to: Rate,
        during: Time,
    },
    Spike {
        base: Rate,
        times: f64,
        during: Time,
    },
    Sine {
        mean: Rate,
        amplitude: f64,
        period: Time,
        during: Time,
    },
    Mixed {
        rate: Rate,
        during: Time,
    },
}

/// Items a second: `"20k/s"`, or `"0"` for none.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Rate(f64);

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "0" => Ok(Self(0.0)),
            _ => rate("rate", &text)
                .map(Self)
                .map_err(|error| error.to_string()),
        }
    }
}

/// Milliseconds: `"2s"`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Time(u64);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = time("time", &text).map_err(|error| error.to_string())?;
        Ok(Self(time.as_millis() as u64))
    }
}

/// Reads such a file.
pub(super) fn file(path: &Path) -> Result<Asked, Error> {
    let wrong = |why: String| Error::Usage(format!("`{}`: {why}", path.display()));
    let options =
        ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let written: Written = options
        .from_str(&text("load", path)?)
        .map_err(|error| wrong(error.to_string()))?;
    let mix = written.mix.map(Shares::try_from).transpose();
    let arrivals = match written.arrivals {
        WrittenArrivals::Constant => Arrivals::Constant,
        WrittenArrivals::Poisson => Arrivals::Poisson,
        WrittenArrivals::Bursty(items) => Arrivals::Bursty(items),
        WrittenArrivals::Trace(name) => {
            let folder = path.parent().unwrap_or(Path::new("."));
            Arrivals::Trace(trace(&folder.join(name))?)
        }
    };
    let says_when = !written.phases.is_empty() || matches!(arrivals, Arrivals::Trace(_));
    Ok(Asked {
        name: String::new(),
        load: says_when.then(|| Load {
            arrivals,
            phases: written.phases.iter().map(WrittenPhase::phase).collect(),
        }),
        level: written.level,
        mix: mix.map_err(wrong)?,
    })
}

impl WrittenPhase {
    fn phase(&self) -> Phase {
        match *self {
            Self::Steady { rate, during } => Phase::Steady {
                rate: rate.0,
                during_ms: during.0,
            },
            Self::Burst {
                base,
                peak,
                on,
                off,
                during,
            } => Phase::Burst {
                base: base.0,
                peak: peak.0,
                on_ms: on.0,
                off_ms: off.0,
                during_ms: during.0,
            },
            Self::Ramp { from, to, during } => Phase::Ramp {
                from: from.0,
                to: to.0,
                during_ms: during.0,
            },
            Self::Spike {
                base,
                times,
                during,
            } => Phase::Spike {
                base: base.0,
                times,
                during_ms: during.0,
            },
            Self::Sine {
                mean,
                amplitude,
                period,
                during,
            } => Phase::Sine {
                mean: mean.0,
                amplitude,
                period_ms: period.0,
                during_ms: during.0,
            },
            Self::Mixed { rate, during } => Phase::Mixed {
                rate: rate.0,
                during_ms: during.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::load::{PhaseArg, typed_phase};

    fn read(text: &str) -> Result<Asked, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("load.ron");
        std::fs::write(folder.path().join("times"), "0\n1000000\n5000000\n").expect("a file");
        std::fs::write(&path, text).expect("a file");
        file(&path)
    }

    #[test]
    fn every_phase_can_be_written() {
        let check = |phase: &str, expect: Phase| {
            let asked = read(&format!("(phases: [{phase}])")).expect("it is a load");
            let load = asked.load.expect("it says when");
            assert_eq!(load.phases, [expect], "{phase}");
            assert_eq!(load.during_ms(), 2000, "{phase}");
        };
        let (rate, during_ms) = (20_000.0, 2000);
        check(
            "steady(rate: \"20k/s\", during: \"2s\")",
            typed_phase(PhaseArg::Steady, rate, during_ms),
        );
        check(
            "burst(base: \"10k/s\", peak: \"60k/s\", on: \"80ms\", off: \"320ms\", during: \"2s\")",
            typed_phase(PhaseArg::Burst, rate, during_ms),
        );
        check(
            "ramp(from: \"0\", to: \"40k/s\", during: \"2s\")",
            typed_phase(PhaseArg::Ramp, rate, during_ms),
        );
        check(
            "spike(base: \"20k/s\", times: 10.0, during: \"2s\")",
            typed_phase(PhaseArg::Spike, rate, during_ms),
        );
        check(
            "sine(mean: \"20k/s\", amplitude: 0.5, period: \"1s\", during: \"2s\")",
            typed_phase(PhaseArg::Sine, rate, during_ms),
        );
        check(
            "mixed(rate: \"20k/s\", during: \"2s\")",
            typed_phase(PhaseArg::Mixed, rate, during_ms),
        );
    }

    #[test]
    fn the_load_of_the_repository_can_be_read() {
        let path = crate::commands::build::root().join("benches/load.ron");
        let load = file(&path).expect("it can be read").load;
        assert_eq!(load.expect("it says when").during_ms(), 3200);
    }

    #[test]
    fn arrivals_level_and_mix_can_be_written() {
        let phases = "phases: [steady(rate: \"1k/s\", during: \"1s\")]";
        let check = |arrivals: &str, expect: Arrivals| {
            let asked = read(&format!("(arrivals: {arrivals}, {phases})")).expect("it is a load");
            assert_eq!(asked.load.expect("it says when").arrivals, expect);
        };
        check("constant", Arrivals::Constant);
        check("poisson", Arrivals::Poisson);
        check("bursty(7)", Arrivals::Bursty(7));
        check(
            "trace(\"times\")",
            Arrivals::Trace(vec![0, 1_000_000, 5_000_000]),
        );
        let asked = read("(level: stress, mix: (1, 1, 1, 1, 1, 1))").expect("it is a load");
        let expect = Asked {
            name: String::new(),
            load: None,
            level: Some(Level::Stress),
            mix: Some(Shares::try_from([1; 6]).expect("it is a mix")),
        };
        assert_eq!(asked, expect);
    }

    #[test]
    fn what_is_written_wrongly_says_where() {
        let check = |text: &str, expect: &str| {
            let error = read(text).expect_err("it is wrong").to_string();
            assert!(
                error.contains("load.ron") && error.contains(expect),
                "{error}"
            );
        };
        check("(phases: [steady(rate: \"fast\", during: \"2s\")])", "fast");
        check(
            "(phases: [steady(rate: \"1/s\", during: \"2\")])",
            "a time has a unit",
        );
        check("(phases: [jump()])", "jump");
        check("(phase: [])", "phase");
        check("(mix: (0, 0, 0, 0, 0, 0))", "at least one kind");
    }
}
