//! RON files and the modules that name them.

use super::check_ron;

#[test]
fn file_and_module_fit_together() {
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a"), "y": (from: "a")})"#,
        &[r#"`m.ron` names `y`, but this module has no `#[stage] fn y`
 --> m.ron:1:39
  |
1 | (stages: {"a": (), "z": (from: "a"), "y": (from: "a")})
  |                                       ^
  |
  = help: did you mean `a`?"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": ()})"#,
        &[r#"`z` is a sink here, but `m.ron` does not mention it
help: add `"z": (from: ..)` there, or take `#[sink]` away"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a"), "z": (from: "a")})"#,
        &[r#"`z` is already a stage
 --> m.ron:1:39
  |
1 | (stages: {"a": (), "z": (from: "a"), "z": (from: "a")})
  |                     -                 ^
  |                     |
  |                     first given here
  |
  = help: in RON, give the second another name and `run: "z"`"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a"), "y": (from: "a", run: "z")})"#,
        &[],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a"), "y": (from: "a", run: "zz")})"#,
        &[
            r#"`m.ron` names `zz`, but this module has no `#[stage] fn zz`
 --> m.ron:1:61
  |
1 | (stages: {"a": (), "z": (from: "a"), "y": (from: "a", run: "zz")})
  |                                                             ^^
  |
  = help: did you mean `z`?"#,
        ],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(from = a)] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a")})"#,
        &[r#"`from` of `z` is set here and in `m.ron:1:33`
help: keep one"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink(batch = 4)] fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a", batch: 5)})"#,
        &[r#"`batch` of `z` is set here and in `m.ron:1:37`
help: keep one"#],
    );
    check_ron(
        r#"#[pipeline("m.ron", pool(workers = 2))] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(pool: (workers: 2), stages: {"a": (), "z": (from: "a")})"#,
        &[r#"`pool` is set here and in `m.ron:1:2`
help: keep one"#],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     #[sink] fn z(x: u8) {}
     }"#,
        r#"(stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12": (from: "q12"),"z13": (from: "q13"),"z14": (from: "q14"),"z15": (from: "q15"),"z16": (from: "q16"),"z17": (from: "q17"),"z18": (from: "q18"),"z19": (from: "q19")})"#,
        &[
            r#"`m.ron` names `z0`, but this module has no `#[stage] fn z0`
 --> m.ron:1:12
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |            ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z1`, but this module has no `#[stage] fn z1`
 --> m.ron:1:31
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                               ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z2`, but this module has no `#[stage] fn z2`
 --> m.ron:1:50
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                  ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z3`, but this module has no `#[stage] fn z3`
 --> m.ron:1:69
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                     ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z4`, but this module has no `#[stage] fn z4`
 --> m.ron:1:88
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                                        ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z5`, but this module has no `#[stage] fn z5`
 --> m.ron:1:107
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                                                           ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z6`, but this module has no `#[stage] fn z6`
 --> m.ron:1:126
  |
1 | (stages: {"z0": (from: "q0"),"z1": (from: "q1"),"z2": (from: "q2"),"z3": (from: "q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (fr...
  |                                                                                                                              ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z7`, but this module has no `#[stage] fn z7`
 --> m.ron:1:145
  |
1 | ..."q3"),"z4": (from: "q4"),"z5": (from: "q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (fr...
  |                                                                    ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z8`, but this module has no `#[stage] fn z8`
 --> m.ron:1:164
  |
1 | ..."q4"),"z5": (from: "q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (...
  |                                                                    ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z9`, but this module has no `#[stage] fn z9`
 --> m.ron:1:183
  |
1 | ..."q5"),"z6": (from: "q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12":...
  |                                                                    ^^
  |
  = help: did you mean `z`?"#,
            r#"`m.ron` names `z10`, but this module has no `#[stage] fn z10`
 --> m.ron:1:202
  |
1 | ...q6"),"z7": (from: "q7"),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12": (from: "q12"),"z13"...
  |                                                                   ^^^
  |
  = help: write `#[stage] fn z10` in it, or `use` the stage by its name"#,
            r#"`m.ron` names `z11`, but this module has no `#[stage] fn z11`
 --> m.ron:1:223
  |
1 | ..."),"z8": (from: "q8"),"z9": (from: "q9"),"z10": (from: "q10"),"z11": (from: "q11"),"z12": (from: "q12"),"z13": (from: "q13"),"z14"...
  |                                                                   ^^^
  |
  = help: write `#[stage] fn z11` in it, or `use` the stage by its name"#,
            "and 10 more problems",
        ],
    );
    check_ron(
        r#"#[pipeline("m.ron")] mod m {
     #[source] fn a() -> impl Iterator<Item = u8> { 0..9 }
     fn z(x: u8) {}
     }"#,
        r#"(stages: {"a": (), "z": (from: "a")})"#,
        &[r#"`m.ron` names `z`, but this module has no `#[stage] fn z`
 --> m.ron:1:21
  |
1 | (stages: {"a": (), "z": (from: "a")})
  |                     ^
  |
  = help: put `#[stage]` on `fn z`"#],
    );
}
