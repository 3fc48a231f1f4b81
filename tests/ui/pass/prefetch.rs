//! `prefetch = ..`, by a method, a function, closures and a distance.

use pipewright::pipeline;

pub struct Env {
    table: Vec<u64>,
}

impl Env {
    fn place(&self, at: &usize) -> &u64 {
        &self.table[*at]
    }
}

#[pipeline(env = Env)]
mod walk {
    use super::*;

    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = usize> {
        0..env.table.len()
    }

    fn place<'e>(at: &usize, env: &'e Env) -> &'e u64 {
        env.place(at)
    }

    #[stage(from = numbers, prefetch = Env::place)]
    pub fn method(at: usize, env: &Env) -> usize {
        env.table[at] as usize
    }

    #[stage(from = method, prefetch = place)]
    pub fn function(at: usize, env: &Env) -> usize {
        env.table[at] as usize
    }

    #[stage(from = function, prefetch = |at: &usize, env: &Env| &env.table[*at])]
    pub fn closure(at: usize, env: &Env) -> Box<usize> {
        Box::new(env.table[at] as usize)
    }

    #[stage(from = closure, prefetch = |at: &Box<usize>| &**at)]
    pub fn of_item(at: &Box<usize>) -> bool {
        **at % 2 == 0
    }

    #[stage(from = of_item, prefetch = 4)]
    pub fn distance(at: &mut Box<usize>) {
        **at += 1;
    }

    #[sink(from = distance)]
    pub fn last(at: Box<usize>, sum: &mut usize) {
        *sum += *at;
    }
}

fn main() {
    let table: Vec<u64> = (0..100).rev().collect();
    let mut report = walk::pipeline().start(Env { table }).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<walk::last>().unwrap(), (0..50).map(|n| 2 * n + 1).sum::<usize>());
}
