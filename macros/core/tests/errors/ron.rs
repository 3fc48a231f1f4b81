//! Topologies in RON files.

use super::check_ron;

#[test]
fn the_text_of_the_file_is_checked() {
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a")})"#, &[]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "b")})"#, &[r#"no stage is called `b`
 --> m.ron:1:33
  |
1 | (stages: {"a": (), "z": (from: "b")})
  |                                 ^
  |
  = help: did you mean `a`?"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a", wrokers: 2)})"#, &[r#"a stage has no option `wrokers`
 --> m.ron:1:37
  |
1 | (stages: {"a": (), "z": (from: "a", wrokers: 2)})
  |                                     ^^^^^^^
  |
  = help: did you mean `workers`?"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a", linger: 5)})"#, &[r#"`linger` is a time like "50us", not `5`
 --> m.ron:1:45
  |
1 | (stages: {"a": (), "z": (from: "a", linger: 5)})
  |                                             ^
  |
  = help: write "5us" or "5ms""#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a""#, &[r#"expected comma
 --> m.ron:1:35
  |
1 | (stages: {"a": (), "z": (from: "a"
  |                         -         ^
  |                         |
  |                         opened here and never closed
  |
  = help: close the `(`"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, "", &[r#"this file is empty
 --> m.ron:1:1
  |
1 |
  | ^
  |
  = help: write `( stages: { "name": (from: "other"), }, )`"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (key: "x"), "z": (from: "a", state: "f")})"#, &[r#"`key` belongs to the code, so it is written in Rust
 --> m.ron:1:17
  |
1 | (stages: {"a": (key: "x"), "z": (from: "a", state: "f")})
  |                 ^^^
  |
  = help: write `#[stage(key = ..)]`"#, r#"`state` belongs to the code, so it is written in Rust
 --> m.ron:1:45
  |
1 | (stages: {"a": (key: "x"), "z": (from: "a", state: "f")})
  |                                             ^^^^^
  |
  = help: write `#[stage(state = ..)]`"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})"#, &[r#"`kep` is not a value of `order`
 --> m.ron:1:58
  |
1 | (stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})
  |                                                          ^^^
  |
  = help: did you mean `keep`?"#, r#"`"x"` is not a core list
 --> m.ron:1:86
  |
1 | (stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})
  |                                                                                      ^^^
  |
  = help: write "4-7,12""#, r#"`batch` must be at least 1
 --> m.ron:1:98
  |
1 | (stages: {"a": (), "z": (from: ["a", "input::x"], order: kep, priority: high, cores: "x", batch: 0)})
  |                                                                                                  ^
  |
  = help: write 1 or more"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (from: "z"), "z": (from: "a")})"#, &[r#"`a` is a source, so it reads nothing
 --> m.ron:1:24
  |
1 | (stages: {"a": (from: "z"), "z": (from: "a")})
  |                        ^
  |
  = help: remove `from`, or make it a `#[stage]`"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, "(stage: {})", &[r#"a pipeline has no option `stage`
 --> m.ron:1:2
  |
1 | (stage: {})
  |  ^^^^^
  |
  = help: did you mean `stages`?"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a", priority: high)})"#, &[r#"`priority` is not available in pipewright 0.1
 --> m.ron:1:37
  |
1 | (stages: {"a": (), "z": (from: "a", priority: high)})
  |                                     ^^^^^^^^
  |
  = help: remove it; all stages are served alike"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a", workers: 4, cores: "1")})"#, &[r#"`z` has 4 workers on 1 core
 --> m.ron:1:56
  |
1 | (stages: {"a": (), "z": (from: "a", workers: 4, cores: "1")})
  |                                              -         ^^^
  |                                              |
  |                                              the workers
  |
  = help: give 4 cores, or at most 1 workers"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(quantum: "1h", stages: {"a": (), "z": (from: "a")})"#, &[r#"`"1h"` has no unit of time
 --> m.ron:1:11
  |
1 | (quantum: "1h", stages: {"a": (), "z": (from: "a")})
  |           ^^^^
  |
  = help: the units are ns, us, ms, s, min"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a b": (), "z": (from: "a")})"#, &[r#"`m.ron` names `a b`, but this module has no `#[stage] fn a b`
 --> m.ron:1:12
  |
1 | (stages: {"a b": (), "z": (from: "a")})
  |            ^^^
  |
  = help: write `#[stage] fn a b` in it, or `use` the stage by its name"#, r#"`a` is a source here, but `m.ron` does not mention it
help: add `"a": (from: ..)` there, or take `#[source]` away"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: 5)})"#, &[r#"an output is a string, and this is a number
 --> m.ron:1:32
  |
1 | (stages: {"a": (), "z": (from: 5)})
  |                                ^
  |
  = help: write a name in quotes, like "decode""#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, "[1, 2]", &[r#"the parts of a pipeline stand in parentheses, and this is a list
 --> m.ron:1:1
  |
1 | [1, 2]
  | ^^^^^^
  |
  = help: write `( stages: { .. }, )`"#]);
}

#[test]
fn file_and_module_fit_together() {
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a"), "y": (from: "a")})"#, &[r#"`m.ron` names `y`, but this module has no `#[stage] fn y`
 --> m.ron:1:39
  |
1 | (stages: {"a": (), "z": (from: "a"), "y": (from: "a")})
  |                                       ^
  |
  = help: did you mean `a`?"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": ()})"#, &[r#"`z` is a sink here, but `m.ron` does not mention it
help: add `"z": (from: ..)` there, or take `#[sink]` away"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a"), "z": (from: "a")})"#, &[r#"`z` is already a stage
 --> m.ron:1:39
  |
1 | (stages: {"a": (), "z": (from: "a"), "z": (from: "a")})
  |                     -                 ^
  |                     |
  |                     first given here
  |
  = help: in RON, give the second another name and `run: "z"`"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a"), "y": (from: "a", run: "z")})"#, &[]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a"), "y": (from: "a", run: "zz")})"#, &[r#"`m.ron` names `zz`, but this module has no `#[stage] fn zz`
 --> m.ron:1:61
  |
1 | (stages: {"a": (), "z": (from: "a"), "y": (from: "a", run: "zz")})
  |                                                             ^^
  |
  = help: did you mean `z`?"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a)] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a")})"#, &[r#"`from` of `z` is set here and in `m.ron:1:33`
help: keep one"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(batch = 4)] fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a", batch: 5)})"#, &[r#"`batch` of `z` is set here and in `m.ron:1:37`
help: keep one"#]);
    check_ron(r#"#[pipeline("m.ron", pool(workers = 2))] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(pool: (workers: 2), stages: {"a": (), "z": (from: "a")})"#, &[r#"`pool` is set here and in `m.ron:1:2`
help: keep one"#]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#, r#"(stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12": (from: "q12"),"z13": (from: "q13"),"z14": (from: "q14"),"z15": (from: "q15"),"z16": (from: "q16"),"z17": (from: "q17"),"z18": (from: "q18"),"z19": (from: "q19")})"#, &[r#"`m.ron` names `z0`, but this module has no `#[stage] fn z0`
 --> m.ron:1:12
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |            ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z1`, but this module has no `#[stage] fn z1`
 --> m.ron:1:31
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                               ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z2`, but this module has no `#[stage] fn z2`
 --> m.ron:1:50
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                  ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z3`, but this module has no `#[stage] fn z3`
 --> m.ron:1:69
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                     ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z4`, but this module has no `#[stage] fn z4`
 --> m.ron:1:88
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                                        ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z5`, but this module has no `#[stage] fn z5`
 --> m.ron:1:107
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                                                           ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z6`, but this module has no `#[stage] fn z6`
 --> m.ron:1:126
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                                                                              ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z7`, but this module has no `#[stage] fn z7`
 --> m.ron:1:145
  |
1 | ..."q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (fr...
  |                                                                    ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z8`, but this module has no `#[stage] fn z8`
 --> m.ron:1:164
  |
1 | ..."q4"),"z5": (from: "q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (...
  |                                                                    ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z9`, but this module has no `#[stage] fn z9`
 --> m.ron:1:183
  |
1 | ..."q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12":...
  |                                                                    ^^
  |
  = help: did you mean `z`?"#, r#"`m.ron` names `z10`, but this module has no `#[stage] fn z10`
 --> m.ron:1:202
  |
1 | ...q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12": (from: "q12"),"z13"...
  |                                                                   ^^^
  |
  = help: write `#[stage] fn z10` in it, or `use` the stage by its name"#, r#"`m.ron` names `z11`, but this module has no `#[stage] fn z11`
 --> m.ron:1:223
  |
1 | ..."),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12": (from: "q12"),"z13": (from: "q13"),"z14"...
  |                                                                   ^^^
  |
  = help: write `#[stage] fn z11` in it, or `use` the stage by its name"#, "and 10 more problems"]);
    check_ron(r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     fn z(x: u8) {}
     }"#, r#"(stages: {"a": (), "z": (from: "a")})"#, &[r#"`m.ron` names `z`, but this module has no `#[stage] fn z`
 --> m.ron:1:21
  |
1 | (stages: {"a": (), "z": (from: "a")})
  |                     ^
  |
  = help: put `#[stage]` on `fn z`"#]);
}
