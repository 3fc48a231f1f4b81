//! `prefetch` names a function of something else.

use pipewright::pipeline;

pub struct Env {
    table: Vec<u64>,
}

#[pipeline(env = Env)]
mod walk {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..9
    }

    fn place(at: usize, env: &Env) -> &u64 {
        &env.table[at]
    }

    #[stage(from = numbers, prefetch = place)]
    pub fn lookup(at: u64, env: &Env) -> u64 {
        env.table[at as usize]
    }

    #[sink(from = lookup)]
    pub fn last(_: u64) {}
}

fn main() {
    let _ = walk::pipeline();
}
