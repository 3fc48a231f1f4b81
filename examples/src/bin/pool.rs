//! Memory of a pool: blocks are taken in the source, travel as items, and go back wherever they are dropped.
//!
//! Run it: `cargo run -p pipewright-examples --bin pool`.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::{
    memory::{Class, Pool},
    pipeline,
};

/// Packets in blocks of 64 bytes or 1 KiB, checked and counted.
#[pipeline(env = Pool)]
pub mod packets {
    use pipewright::{
        Emit, Flow,
        memory::{Block, Pool},
    };

    #[source(state = first)]
    pub fn receive(next: &mut usize, out: &mut Emit<Block>, pool: &Pool) -> Flow {
        if *next == 10_000 {
            return Flow::Done;
        }
        let len = 20 + *next % 500;
        // All blocks are on their way: there will be some when their sink has dropped them.
        let Ok(mut block) = pool.alloc(len) else {
            return Flow::Idle;
        };
        block[..len].fill(*next as u8);
        out.send(block);
        *next += 1;
        Flow::More
    }

    /// The source begins with this.
    pub fn first() -> usize {
        0
    }

    #[stage(from = receive)]
    pub fn is_even(packet: &Block) -> bool {
        packet[0].is_multiple_of(2)
    }

    #[sink(from = is_even)]
    pub fn count(_packet: Block, packets: &mut u64) {
        *packets += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder()
        .blocks(Class::Bytes64, 4_096)
        .blocks(Class::Kib1, 8_192)
        .build()?;
    let mut report = packets::pipeline().start(pool.clone())?.wait()?;
    let packets = report.take_state::<packets::count>().unwrap_or_default();
    println!("{packets} packets\n{}", pool.stats());
    assert_eq!(packets, 5_000);
    assert!(pool.stats().classes.iter().all(|class| class.in_use == 0));
    Ok(())
}
