//! A key that borrows from its item.

use pipewright::pipeline;

pub struct Order {
    user: String,
}

impl Order {
    fn user(&self) -> &String {
        &self.user
    }
}

#[pipeline]
mod shop {
    use super::*;

    #[source]
    pub fn orders() -> impl Iterator<Item = Order> {
        ["a", "b"].into_iter().map(|name| Order {
            user: name.to_owned(),
        })
    }

    #[sink(from = orders, key = Order::user)]
    pub fn count(_: Order, seen: &mut u64) {
        *seen += 1;
    }
}

fn main() {
    let _ = shop::pipeline();
}
