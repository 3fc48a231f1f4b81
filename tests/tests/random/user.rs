//! The bodies of the stages of random pipelines.

use std::{future::poll_fn, task::Poll};

use pipewright::{Batch, Emit};
use pipewright_tests::{shapes::State, work};

use crate::{
    env::{Call, Called},
    item::{Item, Trace},
    rules::{self, Fate},
};

/// What a route with two doors gives.
#[derive(Debug)]
pub enum Route2 {
    A(Item),
    B(Item),
}

/// What a route with three doors gives.
#[derive(Debug)]
pub enum Route3 {
    A(Item),
    B(Item),
    C(Item),
}

/// Is pending up to three times, and wakes itself.
pub async fn turn(tag: u64) {
    let mut left = tag % 4;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Call<'_> {
    fn panics(&self, trace: &Trace) -> bool {
        rules::panics(self.stage, trace.tag, self.env.plan().panics[self.stage])
    }

    /// The state counts the item and the call is recorded, if there is a state; returns its count.
    fn count(&mut self, trace: &Trace, panicked: bool) -> Option<u64> {
        for _ in 0..trace.tag % (self.env.plan().work + 1) {
            work(());
        }
        let tally = self.tally.as_mut()?;
        tally.count += 1;
        let called = Called {
            trace: trace.clone(),
            instance: tally.instance,
            count: tally.count,
            panicked,
        };
        self.env.record(self.stage).calls.push(called);
        Some(tally.count)
    }

    /// Counts the item, and marks it with what the state says.
    fn mark(&mut self, item: &mut Item, panicked: bool) {
        let stage = self.stage;
        if self.env.shape().stages[stage].state == State::Keyed {
            let key = rules::key(stage, item.tag);
            item.keys.push((stage, key));
        }
        if let Some(count) = self.count(item, panicked) {
            item.marks.push((stage, count));
        }
    }

    /// What every call with one item begins with.
    fn enter(&mut self, item: &mut Item) {
        let panics = self.panics(item);
        self.mark(item, panics);
        assert!(!panics, "chosen: item {}", item.tag);
    }

    /// What every call with a batch begins with: if one of its items panics, all are lost.
    fn enter_batch(&mut self, batch: &[Item], mut marks: impl FnMut(usize, u64)) {
        let most = self.env.plan().batches[self.stage] as usize;
        if batch.is_empty() || batch.len() > most {
            let breach = format!("a batch of {} items, at most {most}", batch.len());
            self.env.record(self.stage).breaches.push(breach);
        }
        let panics = batch.iter().any(|item| self.panics(item));
        for (n, item) in batch.iter().enumerate() {
            let last = n + 1 == batch.len();
            if let Some(count) = self.count(item, panics && last) {
                marks(n, count);
            }
        }
        if panics {
            let tags = batch.iter().map(|item| item.tag);
            self.env.record(self.stage).lost.extend(tags);
            panic!("chosen: a batch of {}", batch.len());
        }
    }

    fn enter_mut(&mut self, batch: &mut [Item]) {
        let mut marks = Vec::new();
        self.enter_batch(batch, |n, count| marks.push((n, count)));
        for (n, count) in marks {
            batch[n].marks.push((self.stage, count));
        }
    }
}

pub fn born(call: Call<'_>, n: u64) -> Item {
    let source = call.env.shape().stages[call.stage].from[0];
    let pipewright_tests::shapes::Door::Main(source) = source else {
        unreachable!("it reads a source");
    };
    let item = call.env.item(source as u64, n);
    map(call, item)
}

pub fn map(mut call: Call<'_>, mut item: Item) -> Item {
    call.enter(&mut item);
    item.passed(call.stage);
    item
}

pub fn in_place(mut call: Call<'_>, item: &mut Item) {
    call.enter(item);
    item.passed(call.stage);
}

pub fn keep(mut call: Call<'_>, item: &Item) -> bool {
    let panics = call.panics(item);
    call.count(item, panics);
    assert!(!panics, "chosen: item {}", item.tag);
    rules::passes(call.stage, item.tag)
}

pub fn opt(mut call: Call<'_>, mut item: Item) -> Option<Item> {
    call.enter(&mut item);
    let passes = rules::passes(call.stage, item.tag);
    item.passed(call.stage);
    passes.then_some(item)
}

pub fn res_opt(mut call: Call<'_>, mut item: Item) -> Result<Option<Item>, Item> {
    call.enter(&mut item);
    fate(&call, item, true)
}

pub fn res(mut call: Call<'_>, mut item: Item) -> Result<Item, Item> {
    call.enter(&mut item);
    fate(&call, item, false).map(|item| item.expect("it leaves none out"))
}

fn fate(call: &Call<'_>, mut item: Item, leaves: bool) -> Result<Option<Item>, Item> {
    match rules::fate(call.stage, item.tag, leaves) {
        Fate::Sent => {
            item.passed(call.stage);
            Ok(Some(item))
        }
        Fate::Left => Ok(None),
        Fate::Failed => {
            item.failed(call.stage);
            Err(item)
        }
    }
}

/// Several items, and perhaps a panic behind the first half of them.
pub fn many(mut call: Call<'_>, mut item: Item) -> impl Iterator<Item = Item> + use<> {
    let panics = call.panics(&item);
    call.mark(&mut item, panics);
    let (stage, copies) = (call.stage, rules::copies(call.stage, item.tag));
    (0..copies + u32::from(panics)).map(move |n| {
        assert!(!panics || n < copies / 2, "chosen: an iterator");
        let mut item = item.clone();
        item.grown(stage, n);
        item
    })
}

pub fn emit(mut call: Call<'_>, mut item: Item, out: &mut Emit<Item>) {
    let panics = call.panics(&item);
    call.mark(&mut item, panics);
    send(&call, &item, panics, out);
}

pub fn emit_res(mut call: Call<'_>, mut item: Item, out: &mut Emit<Item>) -> Result<(), Item> {
    let panics = call.panics(&item);
    call.mark(&mut item, panics);
    send(&call, &item, panics, out);
    if rules::fate(call.stage, item.tag, false) == Fate::Failed {
        item.failed(call.stage);
        return Err(item);
    }
    Ok(())
}

fn send(call: &Call<'_>, item: &Item, panics: bool, out: &mut Emit<Item>) {
    for n in 0..rules::copies(call.stage, item.tag) {
        let mut item = item.clone();
        item.grown(call.stage, n);
        out.send(item);
    }
    assert!(!panics, "chosen: behind what was sent");
}

pub fn route2(mut call: Call<'_>, mut item: Item) -> Route2 {
    call.enter(&mut item);
    let variant = rules::variant(call.stage, item.tag, 2);
    item.routed(call.stage, variant);
    if variant == 0 {
        Route2::A(item)
    } else {
        Route2::B(item)
    }
}

pub fn route3(mut call: Call<'_>, mut item: Item) -> Route3 {
    call.enter(&mut item);
    let variant = rules::variant(call.stage, item.tag, 3);
    item.routed(call.stage, variant);
    match variant {
        0 => Route3::A(item),
        1 => Route3::B(item),
        _ => Route3::C(item),
    }
}

pub fn batch(mut call: Call<'_>, batch: &mut Batch<Item>) {
    call.enter_mut(batch);
    let stage = call.stage;
    batch.retain(|item| rules::passes(stage, item.tag));
    let items: Vec<Item> = batch.drain().collect();
    for item in items {
        for n in 0..rules::grown(stage, item.tag) {
            let mut item = item.clone();
            item.grown(stage, n);
            batch.push(item);
        }
    }
}

pub fn slice(mut call: Call<'_>, batch: &mut [Item]) {
    call.enter_mut(batch);
    for item in batch {
        item.passed(call.stage);
    }
}

pub fn slice_emit(mut call: Call<'_>, batch: &[Item], out: &mut Emit<Item>) {
    let mut marks = Vec::new();
    call.enter_batch(batch, |_, count| marks.push(count));
    let mut marks = marks.into_iter();
    for item in batch {
        let mark = marks.next();
        for n in 0..rules::copies(call.stage, item.tag) {
            let mut item = item.clone();
            item.marks.extend(mark.map(|count| (call.stage, count)));
            item.grown(call.stage, n);
            out.send(item);
        }
    }
}

pub fn take(mut call: Call<'_>, mut item: Item) {
    call.enter(&mut item);
    call.env.record(call.stage).taken.push(item);
}

pub fn take_res(mut call: Call<'_>, mut item: Item) -> Result<(), Item> {
    call.enter(&mut item);
    if rules::fate(call.stage, item.tag, false) == Fate::Failed {
        item.failed(call.stage);
        return Err(item);
    }
    call.env.record(call.stage).taken.push(item);
    Ok(())
}

pub fn take_all(mut call: Call<'_>, batch: &[Item]) {
    let mut items = batch.to_vec();
    call.enter_mut(&mut items);
    call.env.record(call.stage).taken.extend(items);
}
