//! Call: threads and tasks send requests and wait for their answers.
//!
//! With `reply = quote`, what the stage `quote` returns answers the call. Every call is answered: when its request is
//! filtered, fails, panics, comes too late, or when the run ends. The error says which, and has the request again if it
//! was not taken.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    fmt,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use pipewright::{CallError, pipeline};

/// Asks what so many of a fruit cost.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    fruit: &'static str,
    count: u32,
}

/// Why there is no price.
#[derive(Debug)]
pub enum NoPrice {
    /// Nobody sells it.
    Unknown(&'static str),
    /// There are not so many.
    SoldOut,
}

impl fmt::Display for NoPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(fruit) => write!(f, "nobody sells `{fruit}`"),
            Self::SoldOut => f.write_str("sold out"),
        }
    }
}

impl Error for NoPrice {}

/// Tells prices.
#[pipeline(reply = quote)]
pub mod market {
    use super::*;

    /// Takes no empty requests; their callers are told that it was this stage.
    #[stage(from = input, queue = 64)]
    pub fn wanted(request: &Request) -> bool {
        request.count > 0
    }

    /// Finds the price of one. An error goes to the caller, and to nobody else.
    #[stage(from = wanted, on_error = drop)]
    pub fn find(request: Request) -> Result<(Request, u32), NoPrice> {
        match request.fruit {
            "apple" => Ok((request, 30)),
            "cherry" => Ok((request, 5)),
            other => Err(NoPrice::Unknown(other)),
        }
    }

    /// Answers, and keeps the stock: one state, one request at a time.
    #[stage(from = find, state = || 100, on_error = drop)]
    pub fn quote((request, price): (Request, u32), stock: &mut u32) -> Result<u32, NoPrice> {
        *stock = stock.checked_sub(request.count).ok_or(NoPrice::SoldOut)?;
        Ok(request.count * price)
    }
}

/// Waits for a future, as an executor does.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(ready) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return ready;
        }
        thread::park();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let run = market::pipeline().workers(2).start(())?;
    let of = |fruit, count| Request { fruit, count };

    println!("3 apples: {}", run.call(of("apple", 3))?);
    for request in [of("pear", 1), of("apple", 0), of("cherry", 1000)] {
        match run.call(request) {
            Ok(price) => println!("{} {}: {price}", request.count, request.fruit),
            Err(CallError::Filtered { stage }) => println!("`{stage}` did not pass it on"),
            Err(error) => println!("{error}"),
        }
    }

    // Threads call with handles of their own; each gets its own answer.
    thread::scope(|scope| {
        for count in 1..=3 {
            let caller = run.caller();
            scope.spawn(move || {
                match caller.call_within(of("cherry", count), Duration::from_secs(1)) {
                    Ok(price) => println!("{count} cherries: {price}"),
                    Err(error) => println!("{count} cherries: {error}"),
                }
            });
        }
    });

    // Tasks of any executor; a future that is dropped cancels its call.
    println!(
        "2 apples, asked by a task: {}",
        block_on(run.call_async(of("apple", 2)))?
    );

    let late = run.caller();
    let report = run.drain()?;
    if let Err(error) = late.try_call(of("apple", 1)) {
        print!("{error}; here it is again: ");
        println!("{:?}", error.into_request());
    }
    println!("\n{report}");
    Ok(())
}
