//! Async stages: batches whose items are futures that wait.
//!
//! An `async fn` is a segment of its own. What is called with an item gives a future; it lies in a *seat*, of which a stage has as
//! many as `in_flight` says. They are made when the run starts, each with room for the future in place and with its waker, so
//! that an item allocates nothing. A seat that has no future belongs to the stage (`Futures::spare`), or to the batch that
//! took it last and has more items.
//!
//! **A batch** of which a future is under way is a flight (see [`crate::flight`], which tells how it parks, is woken, and why no
//! wake-up is lost). It keeps its ticket, so that what is under way holds the sources back, and what it has made so far. A worker
//! that runs it
//!
//! 1. cancels futures that have taken too long (`timeout`): their items leave as errors;
//! 2. polls those that were woken, once each;
//! 3. begins others, as long as there are items and seats, and the guards of the stage let it;
//!
//! and hands each result on as it comes (`landing.rs`). Then it gives seats that it does not need back, and parks. No
//! worker waits: a parked flight is a pointer in its stage, and whoever wakes one of its futures puts it into a run queue.
//! A future that wakes itself while it is polled is polled again when its flight has been through the run queue.
//!
//! **Seats that are missing.** A flight that finds none is listed, under the lock that the seats are taken under. Whoever ends a
//! run with seats left rings as many listed flights. So a flight that waits is listed while there is no seat, and rung
//! when there is one.
//!
//! **Fewer seats** may be taken since `in_flight` was lowered: then a flight with too many gives those back that have no future,
//! before it begins another one, and who finds that there are seats but none to be had is listed as well. When it is raised,
//! all flights are rung.
//!
//! **Order.** Results come as futures end. Where something behind the stage keeps order, a batch leaves when all of it is there, in
//! the order of its items. With `order = any` what has ended leaves as soon as the flight parks, with a ticket of its own (so that
//! every bound that follows from the number of tickets holds); if none is free, it waits for more.
//!
//! **Guards** are asked for each future: one item of the rate, one permit of the breaker, which goes with the future and is resolved when
//! that has ended. A permit whose future is dropped, because the run stops, is a failure, as with every ticket of a
//! breaker. A future that has failed may be tried again: its item waits for its pause beside the others, for which nothing waits.
//! While the breaker is open the flight waits and is rung by the news of it, as a batch that was put aside is (see [`crate::guard`]).
//! Items that are turned away come to the loop between the results of futures: as errors, or as they are, where another way or
//! another function takes them (`lands.rs`).
//!
//! **Panics.** Each poll has its own `catch_unwind`; a future that panics is dropped, its item is counted, and `on_panic` says what
//! follows. With `dead_letter` its result is an error that is made of the panic, with which its item leaves as with any other, but
//! that it is not tried again.
//!
//! **The end.** A drain ends pauses and rates, and waits for what is under way. A run that stops drops its futures, wherever they
//! wait for something, and counts their items as dropped before the stage. Wakers that outlive the run find an idle flight.

mod beside;
mod flying;
mod futures;
mod hub;
mod landing;
mod lands;
mod seat;

pub(crate) use self::hub::Flights;
pub use self::{
    beside::{Answered, Beside},
    flying::{Ahead, Flying, Waiting},
    futures::Futures,
    hub::FlightMetrics,
    landing::{drive_async, drive_async_or_turn_away},
    lands::Landing,
    seat::TimedOut,
};
