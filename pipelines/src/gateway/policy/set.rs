//! A set of policies, compiled.

use std::{fmt, time::Duration};

use regorus::{Engine, Value};

use super::{
    Files, ReadError,
    ask::{Unasked, ask},
    input_value,
    outline::Outline,
};
use crate::gateway::{
    classes::{Classes, ClassesError},
    clock::Time,
    request::Request,
};

/// How long the question may take that shows whether a set can be asked.
const TRIAL: Duration = Duration::from_secs(1);

/// Policies and their data, ready to be asked, and what the gateway itself reads in the data: classes of tenants.
pub struct PolicySet {
    /// The first set has 1, and each that is loaded after it one more.
    pub revision: u64,
    /// Who the tenants are.
    pub classes: Classes,
    /// What workers' engines are copies of: parsed and analysed.
    engine: Engine,
}

/// Why policies are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file is wrong; the text says where.
    #[error("{0}")]
    Wrong(String),
    /// The data is not JSON, or no object.
    #[error("{file}: {why}")]
    Data {
        /// The file.
        file: String,
        /// What is wrong, and where.
        why: String,
    },
    /// The data says something about tenants that cannot be.
    #[error("{file}:{line}:{column}: {why}")]
    Classes {
        /// The file.
        file: String,
        /// The line there, from 1.
        line: usize,
        /// The column there, from 1.
        column: usize,
        /// What is wrong.
        #[source]
        why: ClassesError,
    },
    /// There is no rule that could decide.
    #[error(
        "no policy has the rule `decision` in `package gateway`\nhelp: write `decision := {{\"allow\": .., \"reason\": ..}}` there"
    )]
    NoDecision,
}

impl PolicySet {
    /// Compiles files. What does not change about the tenants' classes since `before` keeps its rates.
    ///
    /// # Errors
    ///
    /// If anything is wrong with any of them.
    pub fn compile(files: &Files, before: Option<&Self>) -> Result<Self, PolicyError> {
        let mut engine = Engine::new();
        // As `opa` does it: what a builtin cannot do is undefined.
        engine.set_strict_builtin_errors(false);
        engine.set_gather_prints(true);
        for (name, text) in &files.policies {
            let added = engine.add_policy(name.clone(), text.clone());
            added.map_err(|error| wrong(&error))?;
        }
        let outline = Outline::of(&engine).map_err(PolicyError::Wrong)?;
        // What recurses must not be asked anything.
        if let Some(why) = outline.recursion().or_else(|| outline.too_deep()) {
            return Err(PolicyError::Wrong(why));
        }
        let mut classes = Classes::default();
        if let Some((file, text)) = &files.data {
            let data = read_data(text).map_err(|why| PolicyError::Data {
                file: file.clone(),
                why,
            })?;
            if let Some((rule, place)) = outline.hidden_by(&data) {
                return Err(PolicyError::Data {
                    file: file.clone(),
                    why: format!(
                        "`{rule}` is a rule, at {place}\nhelp: give the data another name"
                    ),
                });
            }
            let found = Classes::read(&data, before.map(|set| &set.classes));
            classes = found.map_err(|why| {
                let (line, column) = why.place(text);
                PolicyError::Classes {
                    file: file.clone(),
                    line,
                    column,
                    why,
                }
            })?;
            let added = Value::from_json_str(text).and_then(|data| engine.add_data(data));
            added.map_err(|error| PolicyError::Data {
                file: file.clone(),
                why: error.to_string(),
            })?;
        }
        try_out(&mut engine)?;
        Ok(Self {
            revision: before.map_or(1, |set| set.revision + 1),
            classes,
            engine,
        })
    }

    /// An engine of a worker's own. What was parsed and analysed is shared.
    pub(in crate::gateway) fn engine(&self) -> Engine {
        self.engine.clone()
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet")
            .field("revision", &self.revision)
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

fn read_data(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(data)) => Ok(data),
        Ok(_) => Err("is not an object".to_owned()),
        Err(error) => Err(format!("is not JSON: {error}")),
    }
}

/// Asks once, so that rules are analysed and mistakes show that only that finds. What the answer is makes no difference, and
/// neither does it that a question takes long, which another one need not.
fn try_out(engine: &mut Engine) -> Result<(), PolicyError> {
    let request = Request {
        id: None,
        tenant: "nobody".to_owned(),
        subject: "nobody".to_owned(),
        action: "nothing".to_owned(),
        resource: "nothing".to_owned(),
        context: serde_json::Map::new(),
    };
    let input = input_value(&request, Time::default()).map_err(|why| wrong(&why))?;
    match ask(engine, input, TRIAL) {
        Ok(_) | Err(Unasked::Timeout) => Ok(()),
        Err(Unasked::Failed(why)) if why.contains("not a valid rule path") => {
            Err(PolicyError::NoDecision)
        }
        Err(Unasked::Failed(why)) => Err(wrong(&why)),
    }
}

/// The engine begins with the place and ends with what is wrong there, which is what people look for first.
fn wrong(error: &impl fmt::Display) -> PolicyError {
    let text = error.to_string();
    let text = text.trim();
    let parts = text.strip_prefix("--> ").and_then(|text| {
        let (place, rest) = text.split_once('\n')?;
        let (snippet, why) = rest.rsplit_once("\nerror: ")?;
        Some(format!("{place}: {why}\n{snippet}"))
    });
    PolicyError::Wrong(parts.unwrap_or_else(|| text.to_owned()))
}
