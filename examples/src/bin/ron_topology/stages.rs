//! What the stages of `orders.ron` do: plain functions, with the names of the file.

use std::{collections::BTreeMap, sync::Arc};

use pipewright::{sink, source, stage};

/// What all stages see.
#[derive(Debug)]
pub struct Shop {
    prices: BTreeMap<&'static str, u32>,
}

/// A customer wants so many copies of a title.
#[derive(Debug)]
pub struct Order {
    customer: &'static str,
    title: &'static str,
    copies: u32,
}

/// What the customer pays.
#[derive(Debug)]
pub struct Invoice {
    customer: &'static str,
    euros: u32,
}

/// Copies on the shelf.
#[derive(Debug)]
pub struct Stock(BTreeMap<&'static str, u32>);

impl Shop {
    /// With three titles.
    pub fn open() -> Self {
        Self {
            prices: BTreeMap::from([("Emma", 9), ("Walden", 12), ("Ulysses", 20)]),
        }
    }
}

fn full_shelf() -> Stock {
    Stock(BTreeMap::from([("Emma", 3), ("Walden", 3), ("Ulysses", 3)]))
}

/// The orders of the day.
#[source]
pub fn read() -> impl Iterator<Item = Order> {
    let orders = [
        ("Ada", "Emma", 1),
        ("Ben", "Walden", 2),
        ("Cem", "Faust", 1),
        ("Dot", "Walden", 2),
        ("Eli", "Ulysses", 3),
        ("Fay", "Emma", 2),
        ("Gus", "Walden", 1),
    ];
    orders.into_iter().map(|(customer, title, copies)| Order {
        customer,
        title,
        copies,
    })
}

/// A title that has no price cannot be bought.
#[stage]
pub fn check(order: Order, shop: &Arc<Shop>) -> Result<Order, String> {
    match shop.prices.contains_key(order.title) {
        true => Ok(order),
        false => Err(format!(
            "{}: we do not have `{}`",
            order.customer, order.title
        )),
    }
}

/// One stock for all orders: `&mut` state makes the stage serial.
#[stage(state = full_shelf)]
pub fn reserve(order: Order, stock: &mut Stock) -> Result<Order, String> {
    let left = stock.0.entry(order.title).or_default();
    if *left < order.copies {
        return Err(format!(
            "{}: {left} of `{}` left",
            order.customer, order.title
        ));
    }
    *left -= order.copies;
    Ok(order)
}

/// `&` is what all stages see; `None` would leave an order out.
#[stage]
pub fn invoice(order: Order, shop: &Arc<Shop>) -> Option<Invoice> {
    let price = shop.prices.get(order.title)?;
    Some(Invoice {
        customer: order.customer,
        euros: price * order.copies,
    })
}

/// A page holds as many invoices as the file says.
#[sink]
pub fn file(page: &[Invoice]) {
    let lines: Vec<_> = page
        .iter()
        .map(|one| format!("{} {} EUR", one.customer, one.euros))
        .collect();
    println!("page: {}", lines.join(", "));
}

/// Errors of two stages meet here.
#[sink]
pub fn refuse(why: String) {
    println!("refused: {why}");
}
