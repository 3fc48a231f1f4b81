//! The cases: for each a file with the functions that all contenders share, and the contenders.

mod alloc;
mod breaker;
mod fork_join;
mod heavy;
mod hop;
mod hop_latency;
mod keyed;
mod linear;
mod machine;
mod mpmc;
mod overhead;
mod prefetch;
mod request;
mod spawn;

use crate::harness::{Contender, Scale};
use alloc::Between::{SameThread, TwoCores};
use keyed::Keys;
use prefetch::Body;
use request::Load;

/// The contenders of a case; `None` if there is no such case.
pub(crate) fn contenders(name: &str, scale: Scale) -> Option<Vec<Contender>> {
    let load = |workers, percent| Load { workers, percent };
    Some(match name {
        "machine_triad" => machine::triad(scale),
        "machine_ops" => machine::ops(scale),
        "machine_futex" => machine::futex(scale),
        "linear_pipeline" => linear::contenders(scale),
        "heavy_pipeline" => heavy::contenders(scale),
        "request_1w_50" => request::contenders(scale, load(1, 50)),
        "request_1w_80" => request::contenders(scale, load(1, 80)),
        "request_1w_95" => request::contenders(scale, load(1, 95)),
        "request_2w_50" => request::contenders(scale, load(2, 50)),
        "request_2w_80" => request::contenders(scale, load(2, 80)),
        "request_2w_95" => request::contenders(scale, load(2, 95)),
        "spawn" => spawn::contenders(scale),
        "fork_join" => fork_join::contenders(scale),
        "hop_latency" => hop_latency::contenders(scale),
        "hop" => hop::contenders(scale),
        "alloc_same_64" => alloc::contenders::<8>(scale, SameThread),
        "alloc_same_1024" => alloc::contenders::<128>(scale, SameThread),
        "alloc_same_4096" => alloc::contenders::<512>(scale, SameThread),
        "alloc_cross_64" => alloc::contenders::<8>(scale, TwoCores),
        "alloc_cross_1024" => alloc::contenders::<128>(scale, TwoCores),
        "alloc_cross_4096" => alloc::contenders::<512>(scale, TwoCores),
        "breaker_1t" => breaker::contenders(scale, 1),
        "breaker_2t" => breaker::contenders(scale, 2),
        "mpmc" => mpmc::contenders(scale),
        "overhead_per_item" => overhead::contenders(scale),
        "prefetch_light_4k_pages" => prefetch::contenders(scale, Body::Light, false),
        "prefetch_light_huge_pages" => prefetch::contenders(scale, Body::Light, true),
        "prefetch_work_4k_pages" => prefetch::contenders(scale, Body::Work, false),
        "prefetch_work_huge_pages" => prefetch::contenders(scale, Body::Work, true),
        "keyed_uniform" => keyed::contenders(scale, Keys::Uniform),
        "keyed_zipf" => keyed::contenders(scale, Keys::Zipf),
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
