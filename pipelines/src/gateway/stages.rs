//! The stages between `validate` and the answer.

use std::time::Instant;

use pipewright::stage;

use super::{
    audit::Auditor,
    env::Env,
    policy::WorkerEngine,
    types::{Answer, Asked, By, Decided, Judged, Looked, Refused, Unanswered, Why},
};

/// Holds each tenant to the rate of its class.
#[stage]
pub fn limit(asked: Asked, env: &Env) -> Result<Asked, Refused> {
    if !env.limits_rates {
        return Ok(asked);
    }
    match asked.policies.classes.take(&asked.request.tenant) {
        Ok(()) => Ok(asked),
        Err(retry_after) => Err(Refused::asked(asked, Why::RateLimited { retry_after })),
    }
}

/// Answers with what was decided before, if it still holds; sends the others where they are decided.
#[stage]
pub fn lookup(asked: Asked, env: &Env) -> Looked {
    let found = env
        .cache
        .get(&asked.key, asked.policies.revision, Instant::now());
    match found {
        Some(decision) => Looked::Hit(Decided::of(asked, &decision, By::Cache)),
        None if env.remote.is_some() => Looked::Remote(asked),
        None => Looked::Local(asked),
    }
}

/// Asks the remote decision point.
#[stage]
pub async fn ask(asked: Asked, env: &Env) -> Result<Judged, Unanswered> {
    match &env.remote {
        Some(remote) => remote.ask(asked, env.clock.now()).await,
        // `lookup` sends nothing here without one.
        None => Err(Unanswered {
            asked: Box::new(asked),
            class: pipewright::ErrorClass::Item,
            why: "nobody is asked".to_owned(),
        }),
    }
}

/// What got no answer there is decided here.
#[stage]
pub fn unanswered(unanswered: Unanswered, env: &Env) -> Asked {
    if let Some(remote) = &env.remote {
        remote.missed(unanswered.why);
    }
    *unanswered.asked
}

/// Decides, by an engine of the worker's own.
#[stage(per_worker)]
pub fn evaluate(asked: Asked, engine: &mut WorkerEngine, env: &Env) -> Result<Judged, Refused> {
    engine.judge(asked, env.clock.now(), env.policy_limit)
}

/// Keeps what was decided.
#[stage]
pub fn fill(judged: Judged, env: &Env) -> Decided {
    let Judged {
        mut asked,
        decision,
        by,
    } = judged;
    let key = std::mem::take(&mut asked.key);
    let revision = asked.policies.revision;
    let decided = Decided::of(asked, &decision, by);
    env.cache.set(key, decision, revision, Instant::now());
    decided
}

/// What no policy decided is denied.
#[stage]
pub fn refuse(refused: Refused) -> Decided {
    refused.into()
}

/// Writes answers down before anybody gets them.
#[stage]
pub fn audit(answers: &mut [Decided], auditor: &mut Option<Auditor>, env: &Env) {
    let auditor = auditor.get_or_insert_with(|| env.auditor());
    auditor.write(answers);
}

/// Answers.
#[stage]
pub fn reply(decided: Decided) -> Answer {
    decided.answer
}
