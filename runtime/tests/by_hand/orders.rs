//! A pipeline with an ordered serial stage behind a parallel segment, and an error door, written the way `#[pipeline]`
//! generates it: what the runtime promises to generated code.

#![allow(unreachable_pub, reason = "as generated code, which does not know who sees it")]

use std::sync::{Arc, Mutex};

use pipewright::{__private as rt, Builder};

pub struct Env {
    pub last: u64,
    pub delivered: Arc<Mutex<Vec<u64>>>,
    pub rejected: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
pub struct Book {
    pub total: u64,
}

pub fn ingest(env: &Env) -> impl Iterator<Item = u64> {
    0..env.last
}

pub fn parse(n: u64) -> Option<u64> {
    (!n.is_multiple_of(3)).then_some(n)
}

pub fn price(n: u64) -> Result<u64, String> {
    assert!(n != 13, "thirteen");
    if n.is_multiple_of(5) { Err(n.to_string()) } else { Ok(n) }
}

pub fn book(n: u64, book: &mut Book) -> u64 {
    book.total += n;
    n
}

pub fn deliver(n: u64, env: &Env) {
    env.delivered.lock().unwrap().push(n);
}

pub fn reject(error: String, env: &Env) {
    env.rejected.lock().unwrap().push(error);
}

// ---- what the attributes add ----

macro_rules! marker {
    ($name:ident, $in:ty, $out:ty, $err:ty, $state:ty, $env:ty) => {
        #[allow(non_camel_case_types)]
        pub enum $name {}
        impl rt::StageFn for $name {
            type In = $in;
            type Out = $out;
            type Err = $err;
            type State = $state;
            type Env = $env;
            const NAME: &'static str = stringify!($name);
        }
    };
}
marker!(ingest, (), u64, std::convert::Infallible, (), Env);
marker!(parse, u64, u64, std::convert::Infallible, (), ());
marker!(price, u64, u64, String, (), ());
marker!(book, u64, u64, std::convert::Infallible, Book, ());
marker!(deliver, u64, (), std::convert::Infallible, (), Env);
marker!(reject, String, (), std::convert::Infallible, (), Env);

macro_rules! calls {
    ($($name:ident($x:ident, $state:pat, $env:pat, $out:ident) $body:expr;)*) => {$(
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
calls! {
    parse(x, _, _, out) if let Some(x) = parse(x) { out.send(x); };
    price(x, _, _, out) match price(x) { Ok(x) => out.send(x), Err(x) => out.fail(x) };
    book(x, state, _, out) out.send(book(x, state));
    deliver(x, _, env, out) { deliver(x, env); out.took(); };
    reject(x, _, env, out) { reject(x, env); out.took(); };
}

impl<E> rt::Init<E> for book {
    fn init(env: &E) -> Result<Book, rt::InitError> {
        rt::make_state::<Self, _, _, _>(<Book as rt::WorkerState>::first, env)
    }
}

pub struct Pipeline;

pub fn pipeline() -> Builder<Pipeline> {
    Builder::new()
}

const INGEST: u16 = 0;
const PARSE: u16 = 1;
const PRICE: u16 = 2;
const BOOK: u16 = 3;
const DELIVER: u16 = 4;
const REJECT: u16 = 5;

const fn stage(
    name: &'static str,
    kind: rt::Kind,
    state: rt::StateKind,
    fallible: bool,
    inputs: &'static [rt::DoorInfo],
) -> rt::StageInfo {
    rt::StageInfo {
        name,
        kind,
        file: file!(),
        line: line!(),
        state,
        fallible,
        many: false,
        is_poll: false,
        is_batch: false,
        batch: None,
        linger_ns: None,
        idle_ns: None,
        queue: None,
        on_panic: None,
        on_error: None,
        inputs,
    }
}

const fn from(stage: u16) -> rt::DoorInfo {
    rt::DoorInfo { stage, door: None }
}

static TOPOLOGY: rt::TopologyInfo = rt::TopologyInfo {
    name: "orders",
    stages: &[
        stage("ingest", rt::Kind::Source, rt::StateKind::None, false, &[]),
        stage("parse", rt::Kind::Stage, rt::StateKind::None, false, &[from(INGEST)]),
        stage("price", rt::Kind::Stage, rt::StateKind::None, true, &[from(PARSE)]),
        stage("book", rt::Kind::Stage, rt::StateKind::Serial, false, &[from(PRICE)]),
        stage("deliver", rt::Kind::Sink, rt::StateKind::None, false, &[from(BOOK)]),
        stage(
            "reject",
            rt::Kind::Sink,
            rt::StateKind::None,
            false,
            &[rt::DoorInfo { stage: PRICE, door: Some("Err") }],
        ),
    ],
    links: &[
        rt::LinkInfo { to: BOOK, kind: rt::LinkKindInfo::Ordered, parts: &[1], paths: 1, tagged: false },
        rt::LinkInfo { to: REJECT, kind: rt::LinkKindInfo::Ordered, parts: &[1], paths: 1, tagged: false },
    ],
    sources: &[rt::SourceInfo { stage: Some(INGEST), gates: &[0, 1] }],
    workers: None,
    quantum_ns: None,
    drawing: "",
};

impl rt::StageOf<Pipeline> for ingest {
    const ID: u16 = INGEST;
}
impl rt::StageOf<Pipeline> for book {
    const ID: u16 = BOOK;
}

const _: () = {
    impl rt::Blueprint for Pipeline {
        type Env = Env;
        type Input = rt::NoInput;
        const TOPOLOGY: &'static rt::TopologyInfo = &TOPOLOGY;

        fn open<'e>(
            env: &'e Env,
            site: &rt::Site<'_, rt::NoInput>,
        ) -> Result<impl rt::Graph + 'e, rt::InitError> {
            Ok(Graph {
                env,
                ingest: rt::IterSource::new(site, 0, INGEST, ingest(rt::env_for::<ingest, _>(env))),
                book: rt::Serial::new(site, 0, <book as rt::Init<Env>>::init(env)?),
                reject: rt::Serial::new(site, 1, ()),
            })
        }

        fn dry(a: &mut rt::DryAssembly<Self>) {
            a.plain::<parse>(PARSE, rt::no_env);
            a.plain::<price>(PRICE, rt::no_env);
            a.stateful::<book>(BOOK, rt::no_env);
            a.plain::<deliver>(DELIVER, rt::env_for::<deliver, Env>);
            a.plain::<reject>(REJECT, rt::env_for::<reject, Env>);
        }
    }

    struct Graph<'e, S0: Iterator<Item = <ingest as rt::StageFn>::Out>> {
        env: &'e Env,
        ingest: rt::IterSource<S0>,
        book: rt::Serial<<book as rt::StageFn>::In, Book>,
        reject: rt::Serial<<reject as rt::StageFn>::In, ()>,
    }

    struct Local {}

    impl<'e, S0> rt::Graph for Graph<'e, S0>
    where
        S0: Iterator<Item = <ingest as rt::StageFn>::Out> + Send,
    {
        type Local = Local;

        fn local(&self, _w: &rt::Worker<'_>) -> Result<Local, rt::InitError> {
            Ok(Local {})
        }

        fn pull(&self, source: usize, local: &mut Local, w: &mut rt::Worker<'_>) -> rt::Pulled {
            match source {
                0 => self.ingest.pull(w, |load, w| self.segment_0(load, local, w)),
                _ => rt::Pulled::Done,
            }
        }

        fn task(&self, task: rt::Task, local: &mut Local, w: &mut rt::Worker<'_>) {
            match task.link() {
                0 => self.enter_book(task.open(), local, w),
                1 => self.enter_reject(task.open(), local, w),
                _ => {}
            }
        }

        fn solo(&mut self, source: usize, local: &mut Local, w: &mut rt::Worker<'_>) -> rt::Pulled {
            let mut solo =
                Solo { w: w.watch(), env: self.env, book: self.book.state(), _local: local };
            match source {
                0 => self.ingest.solo(w, &mut solo, |cx, x, t| cx.from_ingest(x, t)),
                _ => rt::Pulled::Done,
            }
        }

        fn flush(&mut self, local: &mut Local, w: &mut rt::Worker<'_>, due: rt::Due) {
            let mut solo =
                Solo { w: w.watch(), env: self.env, book: self.book.state(), _local: local };
            rt::flush(w.watch(), &mut solo, due);
        }

        fn retire(_local: Local, _states: &rt::States) {}

        fn finish(self, states: &rt::States) {
            states.put::<book>(self.book.into_state());
        }
    }

    impl<S0> Graph<'_, S0>
    where
        S0: Iterator<Item = <ingest as rt::StageFn>::Out> + Send,
    {
        fn segment_0(
            &self,
            load: impl rt::Load<Item = <ingest as rt::StageFn>::Out>,
            local: &mut Local,
            w: &mut rt::Worker<'_>,
        ) {
            let watch = w.watch();
            let mut book = self.book.carrier(watch, &load, 0);
            let mut reject = self.reject.carrier(watch, &load, 0);
            let mut cx = Segment0 { book: &mut book, reject: &mut reject };
            rt::drive(watch, load, &mut cx, |cx, x, t| cx.item(x, t));
            self.enter_book(book, local, w);
            self.enter_reject(reject, local, w);
        }

        fn enter_book(
            &self,
            carrier: rt::Carrier<<book as rt::StageFn>::In>,
            _local: &mut Local,
            w: &mut rt::Worker<'_>,
        ) {
            self.book.enter(carrier, w, |state, load, w| {
                let mut cx = Segment1 { env: self.env, book: state };
                rt::drive(w.watch(), load, &mut cx, |cx, x, t| cx.item(x, t));
            });
        }

        fn enter_reject(
            &self,
            carrier: rt::Carrier<<reject as rt::StageFn>::In>,
            _local: &mut Local,
            w: &mut rt::Worker<'_>,
        ) {
            self.reject.enter(carrier, w, |(), load, w| {
                let mut cx = Segment2 { env: self.env };
                rt::drive(w.watch(), load, &mut cx, |cx, x, t| cx.item(x, t));
            });
        }
    }

    #[derive(Default)]
    struct Tally0 {
        at: u16,
        n: u64,
        parse: u64,
        price: u64,
        price_err: u64,
    }

    impl rt::Tally for Tally0 {
        #[inline(always)]
        fn at(&self) -> u16 {
            self.at
        }
        #[inline(always)]
        fn set_at(&mut self, stage: u16) {
            self.at = stage;
        }
        #[inline(always)]
        fn seen(&mut self, items: u64) {
            self.n += items;
        }
        fn settle(&self, c: &rt::Counts) {
            c.sent(INGEST, self.n);
            c.received(PARSE, self.n);
            c.sent(PARSE, self.parse);
            c.received(PRICE, self.parse);
            c.sent(PRICE, self.price);
            c.failed(PRICE, self.price_err);
        }
        fn recount(&self, _: &rt::Counts) {}
    }

    struct Segment0<'a> {
        book: &'a mut rt::Carrier<<book as rt::StageFn>::In>,
        reject: &'a mut rt::Carrier<<reject as rt::StageFn>::In>,
    }

    impl Segment0<'_> {
        #[inline(always)]
        fn item(&mut self, x: <ingest as rt::StageFn>::Out, t: &mut Tally0) {
            t.at = PARSE;
            if let Some(x) = parse(rt::link::<ingest, parse>(x)) {
                t.parse += 1;
                t.at = PRICE;
                match price(rt::link::<parse, price>(x)) {
                    Ok(x) => {
                        t.price += 1;
                        self.book.push(rt::link::<price, book>(x));
                    }
                    Err(x) => {
                        t.price_err += 1;
                        self.reject.push(rt::err_link::<price, reject>(x));
                    }
                }
            }
        }
    }

    impl rt::Segment for Segment0<'_> {
        type Tally = Tally0;
        fn reset(&mut self, _: u16) -> Result<(), rt::InitError> {
            Ok(())
        }
        fn flush(&mut self, _: &mut Tally0, _: rt::Due) {}
    }

    #[derive(Default)]
    struct Tally1 {
        at: u16,
        n: u64,
    }

    impl rt::Tally for Tally1 {
        fn at(&self) -> u16 {
            self.at
        }
        fn set_at(&mut self, stage: u16) {
            self.at = stage;
        }
        fn seen(&mut self, items: u64) {
            self.n += items;
        }
        fn settle(&self, c: &rt::Counts) {
            c.received(BOOK, self.n);
            c.sent(BOOK, self.n);
            c.received(DELIVER, self.n);
            c.sent(DELIVER, self.n);
        }
        // `book` and `deliver` pass every item on and share `n`.
        fn recount(&self, c: &rt::Counts) {
            match self.at {
                BOOK => {
                    c.unsent(BOOK);
                    c.unreceived(DELIVER);
                    c.unsent(DELIVER);
                }
                DELIVER => c.unsent(DELIVER),
                _ => {}
            }
        }
    }

    struct Segment1<'a> {
        env: &'a Env,
        book: &'a mut Book,
    }

    impl Segment1<'_> {
        #[inline(always)]
        fn item(&mut self, x: <book as rt::StageFn>::In, t: &mut Tally1) {
            t.at = BOOK;
            let x = book(x, self.book);
            t.at = DELIVER;
            deliver(rt::link::<book, deliver>(x), rt::env_for::<deliver, _>(self.env));
        }
    }

    impl rt::Segment for Segment1<'_> {
        type Tally = Tally1;
        fn reset(&mut self, stage: u16) -> Result<(), rt::InitError> {
            if stage == BOOK {
                *self.book = <book as rt::Init<Env>>::init(self.env)?;
            }
            Ok(())
        }
        fn flush(&mut self, _: &mut Tally1, _: rt::Due) {}
    }

    #[derive(Default)]
    struct Tally2 {
        at: u16,
        n: u64,
    }

    impl rt::Tally for Tally2 {
        fn at(&self) -> u16 {
            self.at
        }
        fn set_at(&mut self, stage: u16) {
            self.at = stage;
        }
        fn seen(&mut self, items: u64) {
            self.n += items;
        }
        fn settle(&self, c: &rt::Counts) {
            c.received(REJECT, self.n);
            c.sent(REJECT, self.n);
        }
        fn recount(&self, c: &rt::Counts) {
            if self.at == REJECT {
                c.unsent(REJECT);
            }
        }
    }

    struct Segment2<'a> {
        env: &'a Env,
    }

    impl Segment2<'_> {
        #[inline(always)]
        fn item(&mut self, x: <reject as rt::StageFn>::In, t: &mut Tally2) {
            t.at = REJECT;
            reject(x, rt::env_for::<reject, _>(self.env));
        }
    }

    impl rt::Segment for Segment2<'_> {
        type Tally = Tally2;
        fn reset(&mut self, _: u16) -> Result<(), rt::InitError> {
            Ok(())
        }
        fn flush(&mut self, _: &mut Tally2, _: rt::Due) {}
    }

    #[derive(Default)]
    struct SoloTally {
        at: u16,
        n: u64,
        parse: u64,
        price: u64,
        price_err: u64,
    }

    impl rt::Tally for SoloTally {
        #[inline(always)]
        fn at(&self) -> u16 {
            self.at
        }
        #[inline(always)]
        fn set_at(&mut self, stage: u16) {
            self.at = stage;
        }
        #[inline(always)]
        fn seen(&mut self, items: u64) {
            self.n += items;
        }
        fn settle(&self, c: &rt::Counts) {
            c.sent(INGEST, self.n);
            c.received(PARSE, self.n);
            c.sent(PARSE, self.parse);
            c.received(PRICE, self.parse);
            c.sent(PRICE, self.price);
            c.failed(PRICE, self.price_err);
            c.received(BOOK, self.price);
            c.sent(BOOK, self.price);
            c.received(DELIVER, self.price);
            c.sent(DELIVER, self.price);
            c.received(REJECT, self.price_err);
            c.sent(REJECT, self.price_err);
        }
        fn recount(&self, c: &rt::Counts) {
            match self.at {
                BOOK => {
                    c.unsent(BOOK);
                    c.unreceived(DELIVER);
                    c.unsent(DELIVER);
                }
                DELIVER => c.unsent(DELIVER),
                REJECT => c.unsent(REJECT),
                _ => {}
            }
        }
    }

    /// The whole pipeline, for a worker that has it alone.
    struct Solo<'a> {
        #[allow(dead_code)]
        w: rt::Watch<'a>,
        env: &'a Env,
        book: &'a mut Book,
        _local: &'a mut Local,
    }

    impl Solo<'_> {
        #[inline(always)]
        fn from_ingest(&mut self, x: <ingest as rt::StageFn>::Out, t: &mut SoloTally) {
            t.at = PARSE;
            if let Some(x) = parse(rt::link::<ingest, parse>(x)) {
                t.parse += 1;
                t.at = PRICE;
                match price(rt::link::<parse, price>(x)) {
                    Ok(x) => {
                        t.price += 1;
                        t.at = BOOK;
                        let x = book(rt::link::<price, book>(x), self.book);
                        t.at = DELIVER;
                        deliver(rt::link::<book, deliver>(x), rt::env_for::<deliver, _>(self.env));
                    }
                    Err(x) => {
                        t.price_err += 1;
                        t.at = REJECT;
                        reject(rt::err_link::<price, reject>(x), rt::env_for::<reject, _>(self.env));
                    }
                }
            }
        }
    }

    impl rt::Segment for Solo<'_> {
        type Tally = SoloTally;
        fn reset(&mut self, stage: u16) -> Result<(), rt::InitError> {
            if stage == BOOK {
                *self.book = <book as rt::Init<Env>>::init(self.env)?;
            }
            Ok(())
        }
        fn flush(&mut self, _: &mut SoloTally, _: rt::Due) {}
    }
};
