//! Makes random pipelines. Every one is correct: it compiles, and what its items do is known without running it.

use super::{Door, Form, Shape, Stage, State};

/// Most stages with keys in one pipeline: each multiplies the batches that may be on their way.
const MOST_KEYED: usize = 2;
/// One shape in so many has stages that are `async fn`s.
const AWAITING: u64 = 3;
/// One pipeline of so many has stages with threads of their own.
const PINNED: u64 = 4;
/// Most ways from a source to a stage.
const MOST_PATHS: usize = 12;

/// So many pipelines.
pub fn shapes(seed: u64, count: usize) -> Vec<Shape> {
    let shape = |n: u64| {
        let dice = Dice::new(seed).fork(n);
        let mut shape = shape(dice.clone());
        if n % PINNED == PINNED - 1 {
            pin(&mut shape, dice.fork(PINNED));
        } else if n % AWAITING == AWAITING - 1 {
            wait(&mut shape, dice.fork(AWAITING));
        }
        shape
    };
    (0..count as u64).map(shape).collect()
}

/// Gives about half of the stages threads of their own, many of them those of the stage before.
fn pin(shape: &mut Shape, mut dice: Dice) {
    // Behind keys, of which several threads would mix the items.
    let mut keys = vec![false; shape.stages.len()];
    for at in 0..shape.stages.len() {
        let from: Vec<usize> = shape.stages[at].from.iter().filter_map(stage_of).collect();
        let before = from.first().and_then(|from| shape.stages[*from].cores);
        let behind_keys = from.iter().any(|from| keys[*from]);
        let stage = &mut shape.stages[at];
        keys[at] = behind_keys || stage.state == State::Keyed;
        // What one thread must run has one core.
        let one = matches!(stage.form, Form::Iterator | Form::Poll)
            || stage.state == State::Serial
            || (stage.form.is_sink() && stage.state == State::None && !stage.any)
            || (behind_keys && stage.state != State::Keyed);
        let cores = match dice.chance(50) {
            true => before,
            false => dice.pick(&[None, Some("0"), Some("1"), Some("0,1")]),
        };
        stage.cores = cores.filter(|cores| !one || cores.len() == 1);
    }
}

/// Makes about half of the stages that can be it an `async fn`. Sinks stay, because they would see no order.
fn wait(shape: &mut Shape, mut dice: Dice) {
    for stage in &mut shape.stages {
        let fits = matches!(
            stage.form,
            Form::Map | Form::Opt | Form::Res | Form::ResOpt | Form::Route(_)
        );
        if fits && stage.state == State::None && dice.chance(50) {
            stage.futures = Some(dice.pick(&[1, 3, 64]));
        }
    }
}

/// The stage that a door belongs to.
fn stage_of(door: &Door) -> Option<usize> {
    match door {
        Door::Input => None,
        Door::Main(stage) | Door::Err(stage) | Door::Variant(stage, _) => Some(*stage),
    }
}

/// A sequence of random numbers: `SplitMix64`, by G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number
/// generators", 2014. It is here so that a seed means the same pipelines for ever.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, number `n` of this one.
    pub fn fork(&self, n: u64) -> Self {
        Self(mix(self.0 ^ mix(n)))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Spreads the bits of a number.
pub fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// A pipeline while it is made.
struct Maker {
    dice: Dice,
    stages: Vec<Stage>,
    /// Doors that nobody reads yet.
    open: Vec<Door>,
    /// Doors that are read and may be read again.
    shared: Vec<Door>,
    keyed: usize,
}

fn shape(dice: Dice) -> Shape {
    let mut maker = Maker {
        dice,
        stages: Vec::new(),
        open: Vec::new(),
        shared: Vec::new(),
        keyed: 0,
    };
    maker.sources();
    for _ in 0..3 + maker.dice.below(9) {
        maker.stage();
    }
    maker.sinks();
    let quantum_us = maker
        .dice
        .chance(30)
        .then(|| maker.dice.pick(&[1, 16, 1000]));
    Shape {
        stages: maker.stages,
        quantum_us,
    }
}

impl Maker {
    fn sources(&mut self) {
        let pushed = self.dice.chance(45);
        let own = match (pushed, self.dice.below(4)) {
            (true, 0) => 1,
            (true, _) => 0,
            (false, 0) => 2,
            (false, _) => 1,
        };
        if pushed {
            self.open.push(Door::Input);
        }
        for _ in 0..own {
            let form = self
                .dice
                .pick(&[Form::Range, Form::Vector, Form::Iterator, Form::Poll]);
            let door = Door::Main(self.stages.len());
            let mut source = self.plain(form, Vec::new());
            source.batch = self.dice.chance(30).then(|| self.dice.pick(&[1, 7, 64]));
            self.stages.push(source);
            let reader = match form {
                Form::Range => {
                    let born = self.plain(Form::Born, vec![door]);
                    self.stages.push(born);
                    Door::Main(self.stages.len() - 1)
                }
                _ => door,
            };
            self.open.push(reader);
        }
    }

    fn plain(&mut self, form: Form, from: Vec<Door>) -> Stage {
        let priority = self
            .dice
            .chance(15)
            .then(|| self.dice.pick(&["critical", "high", "normal", "low"]));
        Stage {
            form,
            state: State::None,
            from,
            any: false,
            on_panic: None,
            priority,
            batch: None,
            bad_keys: false,
            cores: None,
            futures: None,
        }
    }

    fn stage(&mut self) {
        let Some(from) = self.doors(25) else { return };
        let mut form = self.dice.pick(&[
            Form::Map,
            Form::Map,
            Form::InPlace,
            Form::Keep,
            Form::Opt,
            Form::Res,
            Form::ResOpt,
            Form::Many,
            Form::Many,
            Form::Emit,
            Form::EmitRes,
            Form::Route(2),
            Form::Route(3),
            Form::BatchMut,
            Form::SliceMut,
            Form::SliceEmit,
        ]);
        // A filter gives the items that it took, which could then meet themselves.
        let again = from.iter().any(|door| self.shared.contains(door));
        if form == Form::Keep && again {
            form = Form::Opt;
        }
        let mut stage = self.plain(form, from);
        self.give_state(&mut stage);
        stage.any = self.dice.chance(8);
        if form.is_batch() {
            stage.batch = self
                .dice
                .chance(70)
                .then(|| self.dice.pick(&[1, 3, 16, 200]));
        }
        self.read(&stage.from.clone(), form != Form::Keep);
        let at = self.stages.len();
        self.stages.push(stage);
        match form {
            Form::Route(n) => self.open.extend((0..n).map(|door| Door::Variant(at, door))),
            _ => self.open.push(Door::Main(at)),
        }
        if form.is_fallible() && self.dice.chance(60) {
            self.open.push(Door::Err(at));
        }
    }

    fn give_state(&mut self, stage: &mut Stage) {
        stage.state = match self.dice.below(10) {
            0 | 1 => State::Serial,
            2 => State::PerWorker,
            3 | 4 if !stage.form.is_batch() && self.keyed < MOST_KEYED => State::Keyed,
            _ => State::None,
        };
        stage.on_panic = match stage.state {
            State::None => None,
            State::Serial => Some(self.dice.pick(&["keep", "reset"])),
            State::PerWorker => {
                self.dice
                    .pick(&[None, Some("keep"), Some("reset"), Some("isolate")])
            }
            State::Keyed => {
                self.keyed += 1;
                stage.bad_keys = self.dice.chance(40);
                Some(self.dice.pick(&["keep", "reset"]))
            }
        };
    }

    /// One door or several that a stage may read together.
    fn doors(&mut self, several: usize) -> Option<Vec<Door>> {
        let mut found = Vec::new();
        let mut paths = 0;
        loop {
            let pool = match self.dice.chance(20) && !self.shared.is_empty() {
                true => &self.shared,
                false => &self.open,
            };
            if !pool.is_empty() {
                let door = pool[self.dice.below(pool.len())];
                paths += self.paths(door);
                if !found.contains(&door) && (paths <= MOST_PATHS || found.is_empty()) {
                    found.push(door);
                }
            }
            if found.is_empty() && pool.is_empty() {
                return None;
            }
            if !found.is_empty() && (found.len() == 3 || !self.dice.chance(several)) {
                return Some(found);
            }
        }
    }

    fn paths(&self, door: Door) -> usize {
        match door {
            Door::Input => 1,
            Door::Main(stage) | Door::Err(stage) | Door::Variant(stage, _) => {
                let from = self.stages[stage].from.iter();
                from.map(|door| self.paths(*door)).sum::<usize>().max(1)
            }
        }
    }

    /// Marks doors as read.
    fn read(&mut self, doors: &[Door], again: bool) {
        self.open.retain(|door| !doors.contains(door));
        self.shared.retain(|door| again || !doors.contains(door));
        if again {
            let new: Vec<Door> = doors
                .iter()
                .filter(|door| !self.shared.contains(door))
                .copied()
                .collect();
            self.shared.extend(new);
        }
    }

    fn sinks(&mut self) {
        while !self.open.is_empty() {
            let Some(from) = self.doors(60) else { return };
            let form = self.dice.pick(&[
                Form::Sink,
                Form::Sink,
                Form::Sink,
                Form::SinkRes,
                Form::SinkSlice,
            ]);
            let mut stage = self.plain(form, from);
            self.give_state(&mut stage);
            stage.any = self.dice.chance(15);
            if form.is_batch() {
                stage.batch = self.dice.chance(70).then(|| self.dice.pick(&[1, 5, 64]));
            }
            self.read(&stage.from.clone(), true);
            self.stages.push(stage);
        }
    }
}
