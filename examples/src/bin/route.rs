//! Routes: the variants of an enum are doors.
//!
//! `sort` returns an enum, and other stages read `sort::Letter`, `sort::Parcel` and `sort::Freight`. The compiler checks
//! that every variant has a reader. Behind the routes two ways meet again (`from = [stamp, weigh]`), and the sink sees
//! the items in the order of the source, whichever way they took.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::pipeline;

/// What is handed in at the counter: a destination and a weight.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    to: &'static str,
    grams: u32,
}

/// How it travels.
#[derive(Debug)]
pub enum Way {
    /// Up to 50 g.
    Letter(Item),
    /// Up to 30 kg.
    Parcel(Item),
    /// All that is heavier.
    Freight(Item),
}

/// What it costs.
#[derive(Debug)]
pub struct Priced {
    to: &'static str,
    cents: u32,
}

/// Sends items on their way.
#[pipeline]
pub mod post_office {
    use super::*;

    /// A `Vec` is a source that workers can cut pieces from.
    #[source]
    pub fn counter() -> Vec<Item> {
        let towns = ["Bergen", "Cork", "Dijon", "Evora"].into_iter().cycle();
        let weights = [20, 900, 45, 31_000, 4_500, 18, 250];
        towns
            .zip(weights)
            .map(|(to, grams)| Item { to, grams })
            .collect()
    }

    /// Each variant of `Way` leaves by its own door.
    #[stage(from = counter)]
    pub fn sort(item: Item) -> Way {
        match item.grams {
            0..=50 => Way::Letter(item),
            51..=30_000 => Way::Parcel(item),
            _ => Way::Freight(item),
        }
    }

    /// A letter has one price.
    #[stage(from = sort::Letter)]
    pub fn stamp(letter: Item) -> Priced {
        Priced {
            to: letter.to,
            cents: 120,
        }
    }

    /// A parcel is paid by weight.
    #[stage(from = sort::Parcel)]
    pub fn weigh(parcel: Item) -> Priced {
        Priced {
            to: parcel.to,
            cents: 450 + parcel.grams / 10,
        }
    }

    /// Both ways meet again.
    #[sink(from = [stamp, weigh])]
    pub fn dispatch(priced: Priced) {
        println!("to {:6} {:4} cents", priced.to, priced.cents);
    }

    /// The third door has its own sink.
    #[sink(from = sort::Freight)]
    pub fn send_to_depot(item: Item) {
        println!(
            "to {:6} {} kg: the depot takes it",
            item.to,
            item.grams / 1000
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = post_office::pipeline().start(())?.wait()?;
    println!();
    for (door, items) in &report.metrics().stage::<post_office::sort>().routed {
        println!("{items} by the door sort::{door}");
    }
    println!("\n{report}");
    Ok(())
}
