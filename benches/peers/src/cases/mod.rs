//! The cases: for each a file with the functions that all contenders share, and the contenders.

mod fork_join;
mod heavy;
mod hop;
mod hop_latency;
mod linear;
mod machine;
mod spawn;

use crate::harness::{Contender, Scale};

/// The contenders of a case; `None` if there is no such case.
pub(crate) fn contenders(name: &str, scale: Scale) -> Option<Vec<Contender>> {
    Some(match name {
        "machine_triad" => machine::triad(scale),
        "machine_ops" => machine::ops(scale),
        "machine_futex" => machine::futex(scale),
        "linear_pipeline" => linear::contenders(scale),
        "heavy_pipeline" => heavy::contenders(scale),
        "spawn" => spawn::contenders(scale),
        "fork_join" => fork_join::contenders(scale),
        "hop_latency" => hop_latency::contenders(scale),
        "hop" => hop::contenders(scale),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::harness::{
        Scale, catalogue,
        rounds::{self, Rounds},
        verdict,
    };

    #[test]
    fn every_contender_of_every_case_is_right() {
        let rounds = Rounds {
            runs: 1,
            scale: Scale::Quick,
            seed: 7,
        };
        for case in catalogue::cases().unwrap() {
            let outcome = rounds::run(&case, rounds).unwrap();
            for row in &outcome.rows {
                assert_eq!(row.wrong(), None, "{}: {}", case.name, row.name);
            }
            assert_eq!(verdict::judge(&outcome).unwrap().len(), case.goals.len());
        }
    }
}
