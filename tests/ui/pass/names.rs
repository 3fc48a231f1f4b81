//! Stages may be called like what generated code uses.

use pipewright::{Emit, Merge, pipeline};

#[derive(Default)]
pub struct Graph(u64);

impl Merge for Graph {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

pub struct Local {
    add: u64,
}

#[pipeline(env = Local)]
mod shapes {
    use super::*;

    #[source]
    pub fn source(env: &Local) -> impl Iterator<Item = u64> {
        0..9 + env.add
    }

    #[stage(from = source)]
    pub fn x(x: u64) -> Option<u64> {
        Some(x)
    }

    #[stage(from = x)]
    pub fn t(t: u64, out: &mut Emit<u64>) {
        out.send(t);
    }

    #[stage(from = t, per_worker)]
    pub fn local(w: u64, local: &mut Graph, env: &Local) -> u64 {
        local.0 += env.add;
        w
    }

    #[stage(from = local)]
    pub fn w(n: u64, state: &mut Graph) -> u64 {
        state.0 += n;
        n
    }

    #[stage(from = w, key = |n: &u64| *n)]
    pub fn env(n: u64, state: &mut u64) -> u64 {
        *state += n;
        n
    }

    #[stage(from = env)]
    pub fn rt(n: u64) -> Result<u64, u64> {
        if n.is_multiple_of(2) { Ok(n) } else { Err(n) }
    }

    #[stage(from = rt, order = any)]
    pub fn load(n: u64, sum: &mut u64) -> u64 {
        *sum += n;
        n
    }

    #[stage(from = load, batch = 2)]
    pub fn r#loop(batch: &mut [u64]) {
        batch.sort_unstable();
    }

    #[sink(from = r#loop)]
    pub fn watch(n: u64) {
        assert!(n < 100);
    }

    #[sink(from = rt::Err)]
    pub fn carrier(n: u64, sum: &mut u64) {
        *sum += n;
    }

    #[sink(from = [r#loop, rt::Err])]
    pub fn cx(n: u64, sum: &mut u64) {
        *sum += n;
    }

    #[sink(from = cx_sent)]
    pub fn solo(_: u64) {}

    #[stage(from = load)]
    pub fn cx_sent(n: u64) -> u64 {
        n
    }
}

fn main() {
    for workers in [1, 2] {
        let run = shapes::pipeline()
            .workers(workers)
            .start(Local { add: 1 })
            .unwrap();
        let mut report = run.wait().unwrap();
        assert_eq!(report.take_state::<shapes::cx>(), Some(45));
        assert_eq!(report.take_state::<shapes::load>(), Some(20));
    }
}
