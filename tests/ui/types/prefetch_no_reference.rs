//! A closure of `prefetch` that returns a value.

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

    #[stage(from = numbers, prefetch = |at: &u64, env: &Env| env.table[*at as usize])]
    pub fn lookup(at: u64, env: &Env) -> u64 {
        env.table[at as usize]
    }

    #[sink(from = lookup)]
    pub fn last(_: u64) {}
}

fn main() {
    let _ = walk::pipeline();
}
