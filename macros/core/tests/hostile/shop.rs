//! The pipelines that the files are for. That of the tuning files is in `tuned.rs`.

/// The module that the files in `pipeline` are read with.
pub(crate) const TEXT: &str = r#"#[pipeline("m.ron")]
mod shop {
    #[source]
    fn poll(socket: &mut Socket, out: &mut Emit<u8>) -> Flow { Flow::Done }
    #[source]
    fn numbers() -> impl Iterator<Item = u8> { 0..9 }
    #[stage]
    fn parse(x: u8) -> Result<u8, Error> { Ok(x) }
    #[stage]
    pub fn plain(x: u8) -> u8 { x }
    #[stage]
    fn groups(xs: &mut Batch<u8>) {}
    #[stage]
    pub fn serial(x: u8, seen: &mut Seen) -> u8 { x }
    #[stage]
    fn route(x: u8) -> Routed { x.into() }
    #[stage]
    fn left(x: u8) -> u8 { x }
    #[sink]
    fn right(x: u8) {}
    #[sink]
    fn end(x: u8) {}
    #[sink]
    fn reject(error: Error) {}
    fn helper(x: u8) -> u8 { x }
}
"#;

/// A topology of it without a mistake.
pub(crate) const GOOD: &str = r#"(
    stages: {
        "poll": (),
        "numbers": (),
        "parse": (from: "numbers"),
        "plain": (from: "parse"),
        "groups": (from: "plain"),
        "serial": (from: "groups"),
        "route": (from: "serial"),
        "left": (from: "route::Left"),
        "right": (from: "route::Right"),
        "end": (from: ["poll", "left"]),
        "reject": (from: "parse::Err"),
    },
)
"#;

/// A tuning file without a mistake.
pub(crate) const TUNED: &str = r#"( stages: {
    "ingest": (batch: 256, idle: "5us", on_panic: reset),
    "verify": (batch: 128, linger: "40us"),
    "call": (timeout: "2s", rate: "20/s", retry: (max: 5), breaker: (failure_pct: 30)),
    "pinned": (cores: "2", wait: park),
    "parse": (queue: "64Ki", on_panic: stop),
} )"#;
