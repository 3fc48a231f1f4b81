//! Topologies in RON files.

use super::check_ron;

#[test]
fn the_text_of_the_file_is_checked() {
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a")})"#,
        &[],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "b")})"#,
        &[r#"no stage is called `b`
 --> m.ron:1:33
  |
1 | (stages: {"a": (), "z": (from: "b")})
  |                                 ^
  |
  = help: did you mean `a`?"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a", wrokers: 2)})"#,
        &[r#"a stage has no option `wrokers`
 --> m.ron:1:37
  |
1 | (stages: {"a": (), "z": (from: "a", wrokers: 2)})
  |                                     ^^^^^^^
  |
  = help: did you mean `workers`?"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a", linger: 5)})"#,
        &[r#"`linger` is a time like "50us", not `5`
 --> m.ron:1:45
  |
1 | (stages: {"a": (), "z": (from: "a", linger: 5)})
  |                                             ^
  |
  = help: write "5us" or "5ms""#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a""#,
        &[r#"expected comma
 --> m.ron:1:35
  |
1 | (stages: {"a": (), "z": (from: "a"
  |                         -         ^
  |                         |
  |                         opened here and never closed
  |
  = help: close the `(`"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        "",
        &[r#"this file is empty
 --> m.ron:1:1
  |
1 |
  | ^
  |
  = help: write `( stages: { "name": (from: "other"), }, )`"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (key: "x"), "z": (from: "a", state: "f")})"#,
        &[
            r#"`key` belongs to the code, so it is written in Rust
 --> m.ron:1:17
  |
1 | (stages: {"a": (key: "x"), "z": (from: "a", state: "f")})
  |                 ^^^
  |
  = help: write `#[stage(key = ..)]`"#,
            r#"`state` belongs to the code, so it is written in Rust
 --> m.ron:1:45
  |
1 | (stages: {"a": (key: "x"), "z": (from: "a", state: "f")})
  |                                             ^^^^^
  |
  = help: write `#[stage(state = ..)]`"#,
        ],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})"#,
        &[
            r#"`kep` is not a value of `order`
 --> m.ron:1:58
  |
1 | (stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})
  |                                                          ^^^
  |
  = help: did you mean `keep`?"#,
            r#"`"x"` is not a core list
 --> m.ron:1:86
  |
1 | (stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})
  |                                                                                      ^^^
  |
  = help: write "4-7,12""#,
            r#"`batch` must be at least 1
 --> m.ron:1:98
  |
1 | (stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})
  |                                                                                                  ^
  |
  = help: write 1 or more"#,
        ],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (from: "z"), "z": (from: "a")})"#,
        &[r#"`a` is a source, so it reads nothing
 --> m.ron:1:24
  |
1 | (stages: {"a": (from: "z"), "z": (from: "a")})
  |                        ^
  |
  = help: remove `from`, or make it a `#[stage]`"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        "(stage: {})",
        &[r#"a pipeline has no option `stage`
 --> m.ron:1:2
  |
1 | (stage: {})
  |  ^^^^^
  |
  = help: did you mean `stages`?"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(jemalloc: (arenas: 2), stages: {"a": (), "z": (from: "a")})"#,
        &[r#"a pipeline has no option `jemalloc`
 --> m.ron:1:2
  |
1 | (jemalloc: (arenas: 2), stages: {"a": (), "z": (from: "a")})
  |  ^^^^^^^^
  |
  = help: a program has one allocator, which is set up when it is linked: write `pipewright::jemalloc_conf!("narenas:4");` in its `main.rs`"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(pool: (workers: 4, cores: "1"), stages: {"a": (), "z": (from: "a")})"#,
        &[r#"the pool has 4 workers on 1 core
 --> m.ron:1:28
  |
1 | (pool: (workers: 4, cores: "1"), stages: {"a": (), "z": (from: "a")})
  |                  -         ^^^
  |                  |
  |                  the workers
  |
  = help: give 4 cores, or at most 1 workers"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(quantum: "1h", stages: {"a": (), "z": (from: "a")})"#,
        &[r#"`"1h"` has no unit of time
 --> m.ron:1:11
  |
1 | (quantum: "1h", stages: {"a": (), "z": (from: "a")})
  |           ^^^^
  |
  = help: the units are ns, us, ms, s, min"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a b": (), "z": (from: "a")})"#,
        &[r#"`a b` is not the name of a function
 --> m.ron:1:12
  |
1 | (stages: {"a b": (), "z": (from: "a")})
  |            ^^^
  |
  = help: use letters, digits and `_`, like `decode_frame`"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: 5)})"#,
        &[r#"an output is a string, and this is a number
 --> m.ron:1:32
  |
1 | (stages: {"a": (), "z": (from: 5)})
  |                                ^
  |
  = help: write a name in quotes, like "decode""#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        "[1, 2]",
        &[
            r#"the parts of a pipeline stand in parentheses, and this is a list
 --> m.ron:1:1
  |
1 | [1, 2]
  | ^^^^^^
  |
  = help: write `( stages: { .. }, )`"#,
        ],
    );
}
