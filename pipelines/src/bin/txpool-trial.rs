//! Trials of the `txpool` pipeline, one transaction at a time, and of the same stages called one after the other.
//!
//! ```sh
//! cargo build --release -p pipewright-pipelines --bin txpool-trial
//! cargo xtask bench impl sequential pipeline --bin target/release/txpool-trial
//! cargo xtask bench capacity latency/pipeline --bin target/release/txpool-trial
//! ```
//!
//! Transactions are signed before the clock starts and used again and again. Each time counts as another view of the chain, so that
//! a transaction that was kept once is none that comes twice.

#![forbid(unsafe_code)]

mod stamps;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use pipewright::Running;
use pipewright_bench::{
    protocol::Request,
    trial::{About, Probe, Stamp, Subject, Trials},
};
use pipewright_pipelines::txpool::{
    flow::txpool_live,
    generate::Generator,
    live::Live,
    parse::parse,
    reject::Reject,
    sequential::Decider,
    types::{BlockHead, Origin, Piece, Place, RawBlock, RawTx, Scored},
};

use stamps::Stamps;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Transactions that are signed: some blocks of them, in about a quarter of a second.
const TRANSACTIONS: usize = 2_000;
/// What waits for the thread that does everything, as in the queue of the pipeline's input.
const INPUT: usize = 4 << 10;

fn main() -> ExitCode {
    let about = |about| About::of(about).implements("transaction-pool").at(2_000.0);
    let about = |text| about(text).allocates();
    Trials::new(None)
        .subject::<Trial<Pipeline>>("pipeline", about("the `txpool` pipeline"))
        .subject::<Trial<Sequential>>(
            "sequential",
            about("one thread that calls the stages one after the other"),
        )
        .main()
}

/// Something that decides on transactions.
trait Pool: Sized {
    fn start(workers: usize, live: Live) -> Result<Self, String>;

    /// Takes a transaction if there is room for it.
    fn try_send(&self, raw: RawTx) -> bool;

    /// Takes a transaction as soon as there is room for it; whether it was taken.
    fn send(&self, raw: RawTx) -> bool;

    /// Decides on everything that was taken.
    fn end(self) -> Result<(), String>;
}

struct Pipeline(Running<txpool_live::Pipeline>);

impl Pool for Pipeline {
    fn start(workers: usize, live: Live) -> Result<Self, String> {
        let run = txpool_live::pipeline().workers(workers).start(live);
        run.map(Self).map_err(|error| error.to_string())
    }

    fn try_send(&self, raw: RawTx) -> bool {
        self.0.try_send(raw).is_ok()
    }

    fn send(&self, raw: RawTx) -> bool {
        self.0.send(raw).is_ok()
    }

    fn end(self) -> Result<(), String> {
        let drained = self.0.drain();
        drained.map(drop).map_err(|failed| failed.error.to_string())
    }
}

struct Sequential {
    to: SyncSender<RawTx>,
    thread: JoinHandle<()>,
}

impl Pool for Sequential {
    fn start(_: usize, live: Live) -> Result<Self, String> {
        let (to, from) = sync_channel::<RawTx>(INPUT);
        let work = move || {
            let mut decider = Decider::default();
            for raw in from {
                live.tell(decider.decide(raw));
            }
        };
        let thread = thread::Builder::new().name("sequential".to_owned());
        let thread = thread.spawn(work).map_err(|error| error.to_string())?;
        Ok(Self { to, thread })
    }

    fn try_send(&self, raw: RawTx) -> bool {
        self.to.try_send(raw).is_ok()
    }

    fn send(&self, raw: RawTx) -> bool {
        self.to.send(raw).is_ok()
    }

    fn end(self) -> Result<(), String> {
        drop(self.to);
        let joined = self.thread.join();
        joined.map_err(|_| "the thread that decides has panicked".to_owned())
    }
}

/// A pool with the transactions that it is given.
struct Trial<P> {
    pool: P,
    stamps: Arc<Stamps>,
    /// The blocks of this round, which their transactions share.
    heads: Vec<Arc<BlockHead>>,
    /// The number of its block, and the text.
    transactions: Vec<(usize, Bytes)>,
    next: u64,
}

impl<P: Pool> Subject for Trial<P> {
    type Item = RawTx;

    fn start(request: &Request, probe: Probe) -> Result<Self, String> {
        let (heads, transactions) = signed(request.seed)?;
        let stamps = Arc::<Stamps>::default();
        let of = Arc::clone(&stamps);
        let live = Live::new(move |decision| {
            probe.result(digest(&decision));
            if let Some(stamp) = number(&decision).and_then(|number| of.take(number)) {
                probe.done(&stamp);
            }
        });
        Ok(Self {
            pool: P::start(request.workers(), live)?,
            stamps,
            heads,
            transactions,
            next: 0,
        })
    }

    fn item(&mut self, stamp: Stamp) -> RawTx {
        let number = self.next;
        self.next += 1;
        let at = number as usize % self.transactions.len();
        if at == 0 && number > 0 {
            self.heads.iter_mut().for_each(next_view);
        }
        self.stamps.put(number, stamp);
        let (head, text) = &self.transactions[at];
        RawTx {
            place: Place {
                block: Arc::clone(&self.heads[*head]),
                // Not its index in the block, but its number among all: that is what its stamp is found by.
                index: number as u32,
            },
            text: text.clone(),
        }
    }

    fn try_send(&mut self, raw: RawTx) -> bool {
        self.pool.try_send(raw)
    }

    fn send(&mut self, all: &mut Vec<RawTx>) -> Result<(), String> {
        for raw in all.drain(..) {
            if !self.pool.send(raw) {
                return Err("it takes no more".to_owned());
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), String> {
        self.pool.end()
    }
}

/// The blocks of a seed, and their transactions in order.
type Signed = (Vec<Arc<BlockHead>>, Vec<(usize, Bytes)>);

fn signed(seed: u64) -> Result<Signed, String> {
    let blocks = Generator::new(seed, TRANSACTIONS).map_err(|error| error.to_string())?;
    let (mut heads, mut transactions) = (Vec::new(), Vec::new());
    for (seq, text) in blocks.enumerate() {
        let text = text.map_err(|error| error.to_string())?;
        let origin = Origin {
            file: "trial".into(),
            seq: seq as u64,
            view: 0,
        };
        let raw = RawBlock {
            origin,
            text: Ok(text),
        };
        for piece in parse(raw) {
            let Piece::Tx(RawTx { place, text }) = piece else {
                return Err("a block that was made is none".to_owned());
            };
            if heads.len() == seq {
                heads.push(place.block);
            }
            transactions.push((seq, text));
        }
    }
    Ok((heads, transactions))
}

/// The same block in the next view of the chain.
fn next_view(head: &mut Arc<BlockHead>) {
    let mut next = BlockHead::clone(head);
    next.origin.view += 1;
    *head = Arc::new(next);
}

/// The number of the transaction that this is of.
fn number(decision: &Result<Scored, Reject>) -> Option<u64> {
    match decision {
        Ok(scored) => Some(scored.tx.signed.place.index.into()),
        Err(reject) => reject.index.map(u64::from),
    }
}

/// What became of a transaction, as a number.
fn digest(decision: &Result<Scored, Reject>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match decision {
        Ok(scored) => {
            let signed = &scored.tx.signed;
            (signed.hash, signed.sender, scored.tx.replaces).hash(&mut hasher);
            (scored.kind, scored.tip, scored.function).hash(&mut hasher);
        }
        Err(reject) => (reject.index, reject.reason.code()).hash(&mut hasher),
    }
    hasher.finish()
}
