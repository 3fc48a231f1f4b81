//! An answer goes back to another thread.

use pipewright::pipeline;

#[pipeline(reply = price)]
mod shop {
    #[stage(from = input)]
    pub fn price(n: u8) -> std::rc::Rc<u8> {
        std::rc::Rc::new(n)
    }
}

fn main() {
    let _ = shop::pipeline();
}
