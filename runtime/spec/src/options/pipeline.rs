//! The options of a pipeline as a whole.

use super::*;

/// The options of a pipeline; each is `None` where it was not given.
#[derive(Clone, Debug)]
pub struct PipelineOptions<P> {
    /// The workers that run it.
    pub pool: Pool<P>,
    /// How long a worker runs before it looks for more urgent work.
    pub quantum: Option<Given<Duration, P>>,
    /// The stage whose output answers `call`; stored by the front door itself.
    pub reply: Option<Given<Door<P>, P>>,
    /// The most memory that the buffers between stages may take, in bytes.
    pub memory: Option<Given<u64, P>>,
    /// What happens where the machine does not give what is asked for.
    pub hw: Hw<P>,
    /// `env = Type`.
    pub env: Option<P>,
}

/// The workers of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool<P> {
    /// Where `pool` itself is written.
    pub key: Option<P>,
    /// How many there are.
    pub workers: Option<Given<u32, P>>,
    /// The cores that they run on.
    pub cores: Option<Given<CoreSet, P>>,
    /// Whether they share physical cores.
    pub smt: Option<Given<Smt, P>>,
    /// The memory node that they run on.
    pub numa: Option<Given<u32, P>>,
}

impl<P> Default for Pool<P> {
    fn default() -> Self {
        Self {
            key: None,
            workers: None,
            cores: None,
            smt: None,
            numa: None,
        }
    }
}

/// What a pipeline demands of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Hw<P> {
    /// Where `hw` itself is written.
    pub key: Option<P>,
    /// What happens where the machine does not give what is asked for.
    pub enforce: Option<Given<Enforce, P>>,
}

impl<P> Default for Hw<P> {
    fn default() -> Self {
        Self {
            key: None,
            enforce: None,
        }
    }
}

impl<P> Default for PipelineOptions<P> {
    fn default() -> Self {
        Self {
            pool: Pool::default(),
            quantum: None,
            reply: None,
            memory: None,
            hw: Hw::default(),
            env: None,
        }
    }
}

impl<P: Place> PipelineOptions<P> {
    /// Checks a written value and stores it, as [`StageOptions::set`] does.
    ///
    /// `reply` is an output, so the front door that read it stores it.
    pub fn set(
        &mut self,
        key: &KeyInfo,
        value: RawValue<P>,
        key_place: P,
        place: P,
    ) -> Result<(), Problems<P>> {
        if let Some(first) = self.given(key.key) {
            return Err(Problem::twice(key.name, key_place, first.clone()).into());
        }
        match (key.key, validate(key.name, key.value, value, &place)?) {
            (Key::Pool, Value::Group(group)) => self.pool = Pool::from_group(group, key_place),
            (Key::Quantum, Value::Time(time)) => self.quantum = given(time, key_place, place),
            (Key::Memory, Value::Count(bytes)) => self.memory = given(bytes, key_place, place),
            (Key::Hw, Value::Group(group)) => self.hw = Hw::from_group(group, key_place),
            (Key::Env, _) => self.env = Some(key_place),
            // `validate` gives each key the type of its line, and a test sets every line.
            _ => {}
        }
        Ok(())
    }
}

impl<P> PipelineOptions<P> {
    /// Where a key is given, if it is.
    pub fn given(&self, key: Key) -> Option<&P> {
        match key {
            Key::Pool => self.pool.key.as_ref(),
            Key::Quantum => key_of(&self.quantum),
            Key::Reply => key_of(&self.reply),
            Key::Memory => key_of(&self.memory),
            Key::Hw => self.hw.key.as_ref(),
            Key::Env => self.env.as_ref(),
            _ => None,
        }
    }

    /// The same options at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> PipelineOptions<Q> {
        PipelineOptions {
            pool: self.pool.map_place(f),
            quantum: self.quantum.map(|given| given.map_place(f)),
            reply: self.reply.map(|given| Given {
                value: given.value.map_place(f),
                key: f(given.key),
                place: f(given.place),
            }),
            memory: self.memory.map(|given| given.map_place(f)),
            hw: self.hw.map_place(f),
            env: self.env.map(f),
        }
    }
}

impl<P> Pool<P> {
    fn from_group(group: Group<P>, key: P) -> Self {
        let mut pool = Self {
            key: Some(key),
            ..Self::default()
        };
        for GroupField {
            name,
            value,
            key,
            place,
        } in group.fields
        {
            match (name, value) {
                ("workers", Value::Count(n)) => pool.workers = given(to_u32(n), key, place),
                ("cores", Value::Cores(cores)) => pool.cores = given(cores, key, place),
                ("smt", Value::Word(word)) => {
                    pool.smt = word_given(Smt::from_name(word), key, place)
                }
                ("numa", Value::Count(n)) => pool.numa = given(to_u32(n), key, place),
                _ => {}
            }
        }
        pool
    }

    fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Pool<Q> {
        Pool {
            key: self.key.map(&mut *f),
            workers: self.workers.map(|given| given.map_place(f)),
            cores: self.cores.map(|given| given.map_place(f)),
            smt: self.smt.map(|given| given.map_place(f)),
            numa: self.numa.map(|given| given.map_place(f)),
        }
    }
}

impl<P> Hw<P> {
    fn from_group(group: Group<P>, key: P) -> Self {
        let mut hw = Self {
            key: Some(key),
            ..Self::default()
        };
        for GroupField {
            name,
            value,
            key,
            place,
        } in group.fields
        {
            if let ("enforce", Value::Word(word)) = (name, value) {
                hw.enforce = word_given(Enforce::from_name(word), key, place);
            }
        }
        hw
    }

    fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Hw<Q> {
        Hw {
            key: self.key.map(&mut *f),
            enforce: self.enforce.map(|given| given.map_place(f)),
        }
    }
}
