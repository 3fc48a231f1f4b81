//! A stage answers, not one of its doors.

use pipewright::pipeline;

#[pipeline(reply = sort::Small)]
mod shop {
    pub enum Size {
        Small(u8),
        Large(u8),
    }

    #[stage(from = input)]
    pub fn sort(n: u8) -> Size {
        if n < 9 { Size::Small(n) } else { Size::Large(n) }
    }

    #[sink(from = [sort::Small, sort::Large])]
    pub fn count(_: u8) {}
}

fn main() {
    let _ = shop::pipeline();
}
