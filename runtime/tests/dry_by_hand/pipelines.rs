//! Two pipelines as dry runs see them, written the way `#[pipeline]` generates them. They cannot be started.

#![allow(
    unreachable_pub,
    reason = "as generated code, which does not know who sees it"
)]

use std::collections::HashSet;

use pipewright::{__private as rt, Batch, Builder, Emit};

macro_rules! stages {
    ($pipeline:ty: $($id:ident = $n:literal $name:ident($in:ty) -> $out:ty, $err:ty, $state:ty, $env:ty;)*) => {$(
        pub const $id: u16 = $n;

        #[allow(non_camel_case_types, reason = "a stage is called like its function")]
        pub enum $name {}

        impl rt::StageFn for $name {
            type In = $in;
            type Out = $out;
            type Err = $err;
            type State = $state;
            type Env = $env;
            const NAME: &'static str = stringify!($name);
        }

        impl rt::StageOf<$pipeline> for $name {
            const ID: u16 = $id;
        }
    )*};
}

macro_rules! calls {
    ($($name:ident: $x:pat, $state:pat, $env:pat, $out:ident => $body:expr;)*) => {$(
        impl rt::Call for $name {
            fn call(
                $x: Self::In,
                $state: &mut Self::State,
                $env: &Self::Env,
                $out: &mut rt::Outlet<Self::Out, Self::Err>,
            ) {
                $body
            }
        }
    )*};
}

macro_rules! cannot_open {
    () => {
        const SHARED: rt::Shareable<Self::Env> = rt::shared_by_workers::<Self::Env>();
        const CROSSING: rt::Crossing<Self::Input> = rt::crosses_threads::<Self::Input>();

        fn open<'e>(
            _: &'e rt::Common<Self::Env>,
            _: &rt::Site<'_, Self::Input>,
        ) -> Result<impl rt::Graph + 'e, rt::InitError> {
            rt::never()
        }
    };
}

/// A stage without options, for the constants to change.
const fn plain(
    name: &'static str,
    kind: rt::Kind,
    inputs: &'static [rt::DoorInfo],
) -> rt::StageInfo {
    rt::StageInfo {
        name,
        kind,
        file: file!(),
        line: line!(),
        inputs,
        ..rt::StageInfo::EMPTY
    }
}

const fn from(stage: u16) -> rt::DoorInfo {
    rt::DoorInfo { stage, door: None }
}

const fn door(stage: u16, door: &'static str) -> rt::DoorInfo {
    rt::DoorInfo {
        stage,
        door: Some(door),
    }
}

const fn topology(name: &'static str, stages: &'static [rt::StageInfo]) -> rt::TopologyInfo {
    rt::TopologyInfo {
        name,
        stages,
        ..rt::TopologyInfo::EMPTY
    }
}

pub type Never = std::convert::Infallible;

/// Every kind of stage: one to many, keyed, batch, route, serial and fallible, broadcasts of all three doors, sinks.
pub mod trades {
    use super::*;

    #[derive(Default)]
    pub struct Env {
        pub published: std::sync::Mutex<Vec<u64>>,
    }

    #[derive(Debug, PartialEq)]
    pub enum Side {
        Buy(u64),
        Sell(u64),
    }

    #[derive(Default)]
    pub struct Book {
        pub total: u64,
    }

    /// The number, and its thousands.
    pub fn split(n: u64, out: &mut Emit<u64>) {
        out.send(n);
        assert!(n != 13, "thirteen");
        if n >= 1000 {
            out.send(n / 1000);
        }
    }

    pub fn dedup(n: u64, seen: &mut HashSet<u64>) -> Option<u64> {
        assert!(n != 31, "thirty-one");
        seen.insert(n).then_some(n)
    }

    pub fn verify(batch: &mut Batch<u64>) {
        assert!(!batch.contains(&666), "a bad batch");
        batch.retain(|n| n % 7 != 0);
    }

    pub fn classify(n: u64) -> Side {
        if n.is_multiple_of(2) {
            Side::Buy(n)
        } else {
            Side::Sell(n)
        }
    }

    pub fn price(n: u64, book: &mut Book) -> Result<u64, String> {
        book.total += n;
        assert!(n != 88, "eighty-eight");
        if n.is_multiple_of(10) {
            Err(format!("no {n}"))
        } else {
            Ok(book.total)
        }
    }

    stages! { Pipeline:
        INGEST = 0 ingest(()) -> u64, Never, (), ();
        SPLIT = 1 split(u64) -> u64, Never, (), ();
        DEDUP = 2 dedup(u64) -> u64, Never, HashSet<u64>, ();
        VERIFY = 3 verify(u64) -> u64, Never, (), ();
        CLASSIFY = 4 classify(u64) -> Side, Never, (), ();
        PRICE = 5 price(u64) -> u64, String, Book, ();
        TAPE = 6 tape(u64) -> (), Never, (), Env;
        PUBLISH = 7 publish(u64) -> (), Never, (), Env;
        REJECT = 8 reject(String) -> (), Never, (), ();
        ALERT = 9 alert(String) -> (), Never, (), ();
        COUNT = 10 count(u64) -> (), Never, (), ();
    }

    calls! {
        split: x, _, _, out => split(x, out.emit());
        dedup: x, state, _, out => if let Some(x) = dedup(x, state) { out.send(x); };
        classify: x, _, _, out => out.send(classify(x));
        price: x, state, _, out => match price(x, state) { Ok(x) => out.send(x), Err(e) => out.fail(e) };
        tape: x, _, env, out => { env.published.lock().unwrap().push(x); out.took(); };
        publish: x, _, env, out => { env.published.lock().unwrap().push(x); out.took(); };
        reject: _, _, _, out => out.took();
        alert: _, _, _, out => out.took();
        count: _, _, _, out => out.took();
    }

    impl rt::CallBatch for verify {
        fn call(xs: &mut Batch<u64>, _: &mut (), _: &(), out: &mut rt::Outlet<u64, Never>) {
            verify(xs);
            for x in xs.drain() {
                out.send(x);
            }
        }
    }

    impl<E> rt::Init<E> for dedup {
        fn init(_: &E) -> Result<HashSet<u64>, rt::InitError> {
            Ok(HashSet::new())
        }
    }

    impl rt::Keyed for dedup {
        fn key(item: &u64) -> impl rt::StageKey + use<> {
            item % 10
        }
    }

    impl<E> rt::Init<E> for price {
        fn init(_: &E) -> Result<Book, rt::InitError> {
            Ok(Book::default())
        }
    }

    static TOPOLOGY: rt::TopologyInfo = topology(
        "trades",
        &[
            plain("ingest", rt::Kind::Source, &[]),
            rt::StageInfo {
                many: true,
                ..plain("split", rt::Kind::Stage, &[from(INGEST)])
            },
            rt::StageInfo {
                state: rt::StateKind::Keyed,
                on_panic: Some(rt::OnPanic::Reset),
                ..plain("dedup", rt::Kind::Stage, &[from(SPLIT)])
            },
            rt::StageInfo {
                is_batch: true,
                batch: Some(3),
                linger_ns: Some(50_000),
                ..plain("verify", rt::Kind::Stage, &[from(DEDUP)])
            },
            plain("classify", rt::Kind::Stage, &[from(VERIFY)]),
            rt::StageInfo {
                state: rt::StateKind::Serial,
                fallible: true,
                ..plain("price", rt::Kind::Stage, &[door(CLASSIFY, "Buy")])
            },
            plain("tape", rt::Kind::Sink, &[door(CLASSIFY, "Buy")]),
            plain(
                "publish",
                rt::Kind::Sink,
                &[from(PRICE), door(CLASSIFY, "Sell")],
            ),
            plain("reject", rt::Kind::Sink, &[door(PRICE, "Err")]),
            plain("alert", rt::Kind::Sink, &[door(PRICE, "Err")]),
            plain("count", rt::Kind::Sink, &[from(INGEST)]),
        ],
    );

    pub struct Pipeline;

    pub fn pipeline() -> Builder<Pipeline> {
        Builder::new()
    }

    impl rt::Blueprint for Pipeline {
        type Env = Env;
        type Input = rt::NoInput;
        type Queued = rt::NoInput;
        const TOPOLOGY: &'static rt::TopologyInfo = &TOPOLOGY;
        cannot_open!();

        fn dry(a: &mut rt::DryAssembly<Self>) {
            a.copies::<ingest>(INGEST, rt::copy::<<ingest as rt::StageFn>::Out, ingest>);
            a.plain::<split>(SPLIT, rt::no_env);
            a.keyed::<dedup>(DEDUP, rt::no_env);
            a.batch::<verify>(VERIFY, rt::no_env);
            a.plain::<classify>(CLASSIFY, rt::no_env);
            a.routes::<classify>(CLASSIFY, |x| match x {
                Side::Buy(x) => rt::routed_copied("Buy", x, rt::copy::<_, classify>),
                Side::Sell(x) => rt::routed("Sell", x),
            });
            a.stateful::<price>(PRICE, rt::no_env);
            a.err_copies::<price>(PRICE, rt::copy::<<price as rt::StageFn>::Err, price>);
            a.plain::<tape>(TAPE, rt::env_for::<tape, Env>);
            a.plain::<publish>(PUBLISH, rt::env_for::<publish, Env>);
            a.plain::<reject>(REJECT, rt::no_env);
            a.plain::<alert>(ALERT, rt::no_env);
            a.plain::<count>(COUNT, rt::no_env);
        }
    }
}

/// A pipeline with an input that has two readers, errors that are dropped or stop the run, and a state that is not made.
pub mod strict {
    use super::*;

    /// An item whose copy may panic.
    #[derive(Debug, PartialEq)]
    pub struct Fragile(pub u64);

    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(self.0 != 99, "ninety-nine");
            Self(self.0)
        }
    }

    fn at_most(n: u64, most: u64) -> Result<u64, String> {
        if n > most {
            Err(format!("{n} is over {most}"))
        } else {
            Ok(n)
        }
    }

    stages! { Pipeline:
        LAX = 0 lax(Fragile) -> u64, String, (), ();
        TAP = 1 tap(Fragile) -> (), Never, (), ();
        FIRM = 2 firm(u64) -> u64, String, (), ();
        STORE = 3 store(u64) -> (), Never, u64, ();
    }

    calls! {
        lax: Fragile(x), _, _, out => match at_most(x, 100) { Ok(x) => out.send(x), Err(e) => out.fail(e) };
        tap: _, _, _, out => out.took();
        firm: x, _, _, out => match at_most(x, 50) { Ok(x) => out.send(x), Err(e) => out.fail(e) };
        store: x, state, _, out => { *state += x; out.took(); };
    }

    impl<E> rt::Init<E> for store {
        fn init(_: &E) -> Result<u64, rt::InitError> {
            Err(rt::InitError::new("store", "no room"))
        }
    }

    static TOPOLOGY: rt::TopologyInfo = topology(
        "strict",
        &[
            rt::StageInfo {
                fallible: true,
                on_error: Some(rt::OnError::Drop),
                ..plain("lax", rt::Kind::Stage, &[from(rt::DoorInfo::INPUT)])
            },
            plain("tap", rt::Kind::Sink, &[from(rt::DoorInfo::INPUT)]),
            rt::StageInfo {
                fallible: true,
                on_error: Some(rt::OnError::Stop),
                ..plain("firm", rt::Kind::Stage, &[from(LAX)])
            },
            rt::StageInfo {
                state: rt::StateKind::Serial,
                ..plain("store", rt::Kind::Sink, &[from(FIRM)])
            },
        ],
    );

    pub struct Pipeline;

    pub fn pipeline() -> Builder<Pipeline> {
        Builder::new()
    }

    impl rt::Blueprint for Pipeline {
        type Env = ();
        type Input = Fragile;
        type Queued = Fragile;
        const TOPOLOGY: &'static rt::TopologyInfo = &TOPOLOGY;
        cannot_open!();

        fn dry(a: &mut rt::DryAssembly<Self>) {
            a.input_copies(rt::copy::<Fragile, lax>);
            a.plain::<lax>(LAX, rt::no_env);
            a.plain::<tap>(TAP, rt::no_env);
            a.plain::<firm>(FIRM, rt::no_env);
            a.stops::<firm>(FIRM, rt::shown::<String>);
            a.stateful::<store>(STORE, rt::no_env);
        }
    }
}
