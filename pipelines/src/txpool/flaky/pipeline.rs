//! The pipeline of the product with the stages that call, and a source that is told what is done.

use std::convert::Infallible;

use bytes::Bytes;
use pipewright::{Acknowledge, Commit, DeadLetter, Emit, Flow, pipeline};

use super::{
    raw,
    remote::{Remote, Stage, Unavailable},
};
use crate::txpool::{
    self,
    env::Env,
    feed::Input,
    reject::Reject,
    types::{RawBlock, RawTx, Recovered},
};

/// The texts of the environment, from where the last run ended.
pub struct Texts {
    texts: Vec<Bytes>,
    next: usize,
}

/// Keeps where the next run begins.
pub struct Committer;

impl Acknowledge for Texts {
    type Position = usize;
    type Committer = Committer;
    type Error = Infallible;

    fn committer(&mut self) -> Result<Committer, Infallible> {
        Ok(Committer)
    }

    fn position(&self) -> usize {
        self.next
    }
}

impl Commit<usize> for Committer {
    type Error = Infallible;

    fn commit(&mut self, position: usize) -> Result<(), Infallible> {
        Remote::with(|remote| {
            assert!(remote.position < position, "positions go on");
            remote.position = position;
            remote.commits += 1;
        });
        Ok(())
    }
}

/// The pipeline of the product, and the stages in it.
#[pipeline("flaky.ron", env = Env)]
pub mod flaky {
    use super::*;
    use crate::txpool::{
        classify::classify,
        decode::decode,
        hash::hash,
        parse::parse,
        recover::recover,
        root::{collect, missing, part, root},
        score::{score_blob, score_call, score_creation, score_swap, score_transfer},
        sender::sender,
        tally::{rank, reject, roots},
    };

    fn open(env: &Env) -> Texts {
        let Some(Input::Texts(_, texts)) = env.inputs.first() else {
            panic!("the test gives texts");
        };
        Texts {
            texts: texts.to_vec(),
            next: Remote::with(|remote| remote.position),
        }
    }

    #[source(state = open, acks)]
    pub fn texts(from: &mut Texts, out: &mut Emit<RawBlock>) -> Flow {
        let Some(text) = from.texts.get(from.next) else {
            return Flow::Done;
        };
        out.send(raw(from.next, text));
        from.next += 1;
        Flow::More
    }

    #[stage]
    pub async fn enrich(tx: Recovered) -> Result<Recovered, Unavailable> {
        Remote::ask(Stage::Enrich, &tx.hash).await.map(|()| tx)
    }

    #[stage]
    pub fn vet(tx: Recovered) -> Result<Recovered, Unavailable> {
        Remote::call(Stage::Vet, &tx.hash).map(|()| tx)
    }

    #[stage]
    pub async fn record(tx: Recovered) -> Result<Recovered, Unavailable> {
        Remote::ask(Stage::Record, &tx.hash).await.map(|()| tx)
    }

    #[sink]
    pub fn letters(letter: DeadLetter<Unavailable, Recovered>) {
        assert!(["enrich", "vet", "record"].contains(&letter.stage));
        Remote::with(|remote| remote.letters.push(letter.item.hash));
    }

    #[stage]
    pub fn admit(raw: RawTx) -> RawTx {
        raw
    }

    #[stage]
    pub fn check(raw: RawTx) -> Result<Recovered, Reject> {
        txpool::recover::recover(txpool::hash::hash(txpool::decode::decode(raw)?)?)
    }

    #[sink]
    pub fn refused(reject: Reject) {
        panic!("all of them are good: {reject:?}");
    }
}
