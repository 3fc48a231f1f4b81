//! One test for each rule; each names the code, the place and the sentence.

mod futures;
mod guards;
mod keys;

use crate::sketch::{show, sketch};

/// `text` has exactly these problems, and `help` is the first help line of the first.
#[track_caller]
fn check(text: &str, expect: &[&str], help: &str) {
    let problems = crate::check(&sketch(text));
    assert_eq!(show(&problems), expect);
    let first = problems
        .iter()
        .next()
        .and_then(|problem| problem.help.first());
    assert_eq!(first.map_or("", String::as_str), help);
}

/// `text` has no problems.
#[track_caller]
fn good(text: &str) {
    check(text, &[], "");
}

#[test]
fn a_pipeline_in_order_has_no_problems() {
    good(
        "ingest: source poll serial | | idle=\"20us\" batch=64 state=code
         decode: stage many | ingest
         dedup: stage keyed option | decode | key=code linger=\"1ms\"
         verify: stage batch | dedup | batch=64 linger=\"150us\"
         classify: stage | verify
         price: stage serial result | classify::Swap, input | state=code on_panic=reset queue=\"4Ki\" overflow=block
         enrich: stage async result | classify::Lookup | in_flight=256 timeout=\"1s\" retry=group breaker=group
         publish: sink result per_worker | price, enrich | per_worker on_error=stop
         reject: sink | price::Err, enrich::Err | order=any on_panic=isolate",
    );
}

#[test]
fn a_pipeline_has_stages() {
    check(
        "",
        &["E_EMPTY at sketch: this pipeline has no stages"],
        "add a source, and a sink that reads it",
    );
}

#[test]
fn a_pipeline_has_not_too_many_stages() {
    let text: String = (0..300).map(|n| format!("s{n}: sink | input\n")).collect();
    check(
        &text,
        &["E_TOO_MANY_STAGES at s256: a pipeline has at most 256 stages, and this has 300"],
        "split it into several pipelines",
    );
}

#[test]
fn a_stage_reads_not_too_many_outputs() {
    let doors: Vec<String> = (0..257).map(|n| format!("a::V{n}")).collect();
    check(
        &format!("a: source\nb: sink | {}", doors.join(", ")),
        &[
            "E_TOO_MANY_INPUTS at b.from[256]: a stage reads at most 256 outputs, and this reads 257",
        ],
        "merge some of them in a stage before it",
    );
}

#[test]
fn a_stage_name_is_a_rust_name() {
    check(
        "my-source: source\nb: sink | my-source",
        &["E_NAME at my-source: `my-source` is not the name of a function"],
        "use letters, digits and `_`, like `decode_frame`",
    );
    check(
        "2nd: source\nb: sink | 2nd",
        &["E_NAME at 2nd: `2nd` is not the name of a function"],
        "use letters, digits and `_`, like `decode_frame`",
    );
}

#[test]
fn some_names_are_taken() {
    check(
        "input: source\nb: sink | input",
        &["E_RESERVED at input: `input` is the push input, not a stage"],
        "rename the stage",
    );
    check(
        "pipeline: source\nb: sink | pipeline",
        &["E_RESERVED at pipeline: `pipeline` is generated for every pipeline"],
        "rename the stage",
    );
    check(
        "self: source\nb: sink | self",
        &["E_RESERVED at self: `self` is a word of Rust"],
        "rename the stage",
    );
}

#[test]
fn a_stage_name_is_given_once() {
    check(
        "a: source\na: source\nb: sink | a",
        &["E_DUPLICATE_STAGE at a: `a` is already a stage"],
        "in RON, give the second another name and `run: \"a\"`",
    );
}

#[test]
fn from_names_stages_that_exist() {
    check(
        "decode: source\nb: sink | decod",
        &["E_UNKNOWN_STAGE at b.from[0]: no stage is called `decod`"],
        "did you mean `decode`?",
    );
    check(
        "a: source\nb: sink | nothing_like_it",
        &["E_UNKNOWN_STAGE at b.from[0]: no stage is called `nothing_like_it`"],
        "stages here: `a`, `b`",
    );
    check(
        "a: source\nb: sink | inptu",
        &["E_UNKNOWN_STAGE at b.from[0]: no stage is called `inptu`"],
        "did you mean `input`?",
    );
}

#[test]
fn from_names_an_output_once() {
    check(
        "a: source\nb: sink | a, a",
        &["E_FROM_TWICE at b.from[1]: `b` reads `a` twice"],
        "keep one",
    );
    check(
        "a: source\nb: sink | a::X, a::Y, a::X",
        &["E_FROM_TWICE at b.from[2]: `b` reads `a::X` twice"],
        "keep one",
    );
}

#[test]
fn the_push_input_has_no_doors() {
    check(
        "b: sink | input::Swap",
        &["E_INPUT_DOOR at b.from[0].door: `input` has no door `Swap`"],
        "write `input`",
    );
}

#[test]
fn a_source_reads_nothing() {
    check(
        "a: source | input\nb: sink | a",
        &["E_SOURCE_FROM at a.from[0]: `a` is a source, so it reads nothing"],
        "remove `from`, or make it a `#[stage]`",
    );
}

#[test]
fn a_stage_reads_something() {
    check(
        "a: stage\nb: sink | a",
        &["E_NO_INPUT at a: `a` has no input"],
        "add `from = ..`, or make it a `#[source]`",
    );
    check(
        "b: sink",
        &["E_NO_INPUT at b: `b` has no input"],
        "add `from = ..`",
    );
}

#[test]
fn a_stage_passes_something_on() {
    check(
        "a: source\nb: stage unit | a\nc: sink | b",
        &["E_NO_OUTPUT at b: `b` passes nothing on, so it is a sink"],
        "write `#[sink(..)]`",
    );
}

#[test]
fn a_sink_has_no_output() {
    check(
        "a: source\nb: sink | a\nc: sink | b",
        &["E_FROM_SINK at c.from[0]: `b` is a sink, so it has no output"],
        "make it a `#[stage]` that returns what is to be read",
    );
    good("a: source\nb: sink result | a\nc: sink | b::Err");
}

#[test]
fn stages_do_not_feed_each_other() {
    let help = "a pipeline has no cycles; send feedback through `input` or through state";
    check(
        "s: source\na: stage | s, c\nb: stage | a\nc: stage | b\nd: sink | c",
        &["E_CYCLE at a.from[1]: these stages feed each other: `a` -> `b` -> `c` -> `a`"],
        help,
    );
    check(
        "a: stage | a\nb: sink | a",
        &["E_CYCLE at a.from[0]: `a` feeds itself"],
        help,
    );
    check(
        "a: stage result | input, b\nb: stage | a::Err\nc: sink | a",
        &["E_CYCLE at a.from[1]: these stages feed each other: `a` -> `b` -> `a`"],
        help,
    );
}

#[test]
fn what_a_stage_passes_on_is_read() {
    check(
        "a: source\nb: stage | a",
        &["E_UNREAD at b: nothing reads `b`"],
        "add a stage or sink with `from = b`, or make it a `#[sink]` that returns nothing",
    );
    check(
        "a: source\nb: sink | input",
        &["E_UNREAD at a: nothing reads `a`"],
        "add a stage or sink with `from = a`",
    );
    check(
        "a: source\nb: stage result | a\nc: sink | b::Err",
        &["E_UNREAD at b: nothing reads `b`"],
        "add a stage or sink with `from = b`, or make it a `#[sink]` that returns nothing",
    );
}

#[test]
fn an_output_is_read_whole_or_by_its_variants() {
    check(
        "a: source\nb: sink | a::Left\nc: sink | a::Right\nd: sink | a",
        &["E_MIXED_DOORS at d.from[0]: `a` is read whole here, and by its variants elsewhere"],
        "read every variant by its name, or add a stage that takes the whole and routes it",
    );
}

#[test]
fn only_what_can_fail_has_an_err_door() {
    check(
        "a: source\nb: stage | a\nc: sink | b\nd: sink | b::Err",
        &["E_NO_ERR_DOOR at d.from[0].door: `b` cannot fail, so it has no `Err` door"],
        "let `b` return a `Result`, or do not read `b::Err`",
    );
}

#[test]
fn an_error_is_handled() {
    check(
        "a: source\nb: stage result | a\nc: sink | b",
        &["E_UNHANDLED_ERROR at b: `b` can fail, and nothing reads `b::Err`"],
        "add a sink with `from = b::Err`, or give `on_error = stop` or `on_error = drop`",
    );
    good("a: source\nb: stage result | a | on_error=drop\nc: sink | b");
    good("a: source\nb: stage result | a\nc: sink | b\nd: sink | b::Err");
}

#[test]
fn an_error_is_handled_once() {
    check(
        "a: source\nb: stage result | a | on_error=stop\nc: sink | b\nd: sink | b::Err",
        &["E_HANDLED_TWICE at b.on_error: `on_error` has no effect, as `d` reads `b::Err`"],
        "keep one",
    );
}

#[test]
fn on_error_is_for_what_can_fail() {
    check(
        "a: source\nb: sink | a | on_error=stop",
        &["E_CANNOT_FAIL at b.on_error: `b` cannot fail, so `on_error` has no effect"],
        "remove it, or let the function return a `Result`",
    );
}

#[test]
fn reply_names_a_stage() {
    check(
        "price: stage | input\nb: sink | price\n@ reply=prize",
        &["E_REPLY_UNKNOWN at @reply=: no stage is called `prize`"],
        "did you mean `price`?",
    );
}

#[test]
fn reply_is_reached_from_the_input() {
    check(
        "a: source\nb: stage | a\nc: sink | b, input\n@ reply=b",
        &["E_REPLY_UNREACHED at @reply=: `b` is not reached from `input`"],
        "let a stage on the way to it read `input`, or name another stage",
    );
}

#[test]
fn no_stage_before_the_reply_makes_many_of_one() {
    check(
        "a: stage | input\nb: stage many | a\nc: stage | b\nd: sink | c\n@ reply=c",
        &["E_REPLY_MANY at @reply=: `b` may send many items, so a call has no single answer"],
        "name a stage before `b`",
    );
    good("a: stage option | input\nb: stage many | a\nd: sink | b\n@ reply=a");
}

#[test]
fn nothing_is_tried_again_on_the_way_of_a_call() {
    check(
        "a: stage result | input | retry=group\nb: sink | a\nc: sink | a::Err\n@ reply=a",
        &[
            "E_REPLY_RETRY at a.retry: `a` is on the way of calls, which are answered at the first error",
        ],
        "remove `retry`, and call again where the call is made",
    );
}

#[test]
fn a_whole_stage_answers_and_needs_no_other_reader() {
    good("a: stage | input\n@ reply=a");
    check(
        "a: stage | input\nb: sink | a::X\n@ reply=a::X",
        &["E_REPLY_DOOR at @reply=: `a::X` is a door of `a`, and a stage answers"],
        "write `reply = a`, or name a stage behind the door",
    );
    check(
        "a: stage | input\nb: sink | a\n@ reply=b",
        &["E_REPLY_SINK at @reply=: `b` is a sink, so it has no output that answers"],
        "name a stage before it, or let `b` return the answer as a `#[stage]`",
    );
}

#[test]
fn a_batch_on_the_way_keeps_its_items() {
    good("a: stage slice_mut | input\nb: stage | a\n@ reply=b");
    check(
        "a: stage batch | input\nb: stage | a\n@ reply=b",
        &[
            "E_REPLY_BATCH at @reply=: `a` may add and drop items of its batch, so a call loses its item there",
        ],
        "let it take `&mut [T]`, which keeps every item at its place, or name a stage before `a`",
    );
}

#[test]
fn calls_pass_futures() {
    good(
        "a: stage async result | input | timeout=\"1s\"\nb: stage | a\nc: sink | a::Err\n@ reply=b",
    );
}

#[test]
fn calls_wait_with_what_keeps_items_back() {
    good("a: stage | input | rate=\"1k/s\"\nb: sink | a\n@ reply=a");
    good(
        "a: stage | input\nb: stage | a\nc: sink result | b | on_error=drop rate=\"1k/s\"\n@ reply=a",
    );
}

#[test]
fn one_reader_of_an_output_leads_to_the_reply() {
    good("a: stage | input\nb: stage | a\nc: sink | a\n@ reply=b");
    good("a: stage | input\nb: stage | a::X\nc: stage | a::Y\nd: stage | b, c\n@ reply=d");
    check(
        "a: stage | input\nb: stage | a\nc: stage | a\nd: stage | b, c\n@ reply=d",
        &[
            "E_REPLY_TWICE at @reply=: `a` is read by `b` and `c`, which both lead to the answer, so a call has two",
        ],
        "let one of them lead to it, or route with an enum",
    );
    check(
        "a: stage | input\nb: stage | input, a\n@ reply=b",
        &[
            "E_REPLY_TWICE at @reply=: `input` is read by `a` and `b`, which both lead to the answer, so a call has two",
        ],
        "let one of them lead to it, or route with an enum",
    );
}

#[test]
fn paths_are_joined_before_they_are_too_many() {
    // Each stage reads the two before it, and each starts a loop, so the paths grow like rabbits.
    let mut text = String::from("s: source\na0: stage serial | s\na1: stage | s, a0\n");
    for n in 2..20 {
        text.push_str(&format!("a{n}: stage | a{}, a{}\n", n - 1, n - 2));
    }
    text.push_str("z: sink | a19");
    let problems = crate::check(&sketch(&text));
    assert_eq!(
        show(&problems),
        ["E_TOO_MANY_PATHS at a9: items reach `a9` by more than 64 paths"],
        "the plan must not overflow either"
    );
}

#[test]
fn wrong_names_hide_what_follows_from_them() {
    check(
        "decode: source\nb: stage result | decod\nc: sink | b",
        &["E_UNKNOWN_STAGE at b.from[0]: no stage is called `decod`"],
        "did you mean `decode`?",
    );
}

#[test]
fn rules_that_need_a_signature_wait_for_it() {
    good(
        "a: | | idle=\"1ms\" batch=4\nb: | a | linger=\"1ms\"\nc: | b::Err, b | on_error=drop on_panic=reset",
    );
}

#[test]
fn several_problems_come_at_once() {
    let problems = crate::check(&sketch(
        "a: source
         b: stage result | a | queue=4
         c: stage | b
         d: sink | b | on_error=stop wait=park",
    ));
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(
        codes,
        [
            "E_NEEDS",
            "E_NEEDS",
            "E_UNREAD",
            "E_UNHANDLED_ERROR",
            "E_CANNOT_FAIL"
        ]
    );
}
