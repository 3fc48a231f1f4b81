//! Keys by a path, and by a closure whose parameter has no type.

use pipewright::pipeline;

pub struct Named {
    name: String,
    n: u64,
}

impl Named {
    fn name(&self) -> String {
        self.name.clone()
    }
}

#[pipeline]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[stage(from = numbers)]
    pub fn name(n: u64) -> Named {
        Named {
            name: (n % 3).to_string(),
            n,
        }
    }

    #[stage(from = name, key = Named::name)]
    pub fn by_path(named: Named, seen: &mut u64) -> Named {
        *seen += named.n;
        named
    }

    #[stage(from = by_path, key = |named| named.name.clone())]
    pub fn stage(_: Named, seen: &mut u64) -> u64 {
        *seen += 1;
        *seen
    }

    #[sink(from = stage)]
    pub fn last(n: u64, all: &mut Vec<u64>) {
        all.push(n);
        all.sort_unstable();
    }
}

fn main() {
    let mut report = shapes::pipeline().start(()).unwrap().wait().unwrap();
    assert_eq!(
        report.take_state::<shapes::last>().unwrap(),
        [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    );
}
