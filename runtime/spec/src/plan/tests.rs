//! Tests of the plan, each a pipeline and what becomes of it.

use std::fmt::Write;

use super::*;
use crate::sketch::sketch;

/// The plan in a few lines: a segment, its stages and outs, then the links.
fn show(text: &str) -> String {
    let model = sketch(text);
    let problems = crate::check(&model);
    assert!(problems.is_empty(), "{problems}");
    let plan = plan(&model);
    let name = |stage: usize| {
        if stage == INPUT {
            "input"
        } else {
            model.stages[stage].name.text.as_str()
        }
    };
    let mut out = String::new();
    for (n, segment) in plan.segments.iter().enumerate() {
        let head = match segment.head {
            Head::Source(stage) => format!("source {}", name(stage)),
            Head::Input => "input".into(),
            Head::Link(link) => format!("link {link}"),
        };
        let stages: Vec<&str> = segment.stages.iter().map(|&stage| name(stage)).collect();
        let outs: Vec<String> = segment
            .outs
            .iter()
            .map(|out| format!("{}+{}", out.link, out.base))
            .collect();
        let flags = [(segment.ordered, " ordered"), (segment.tagged, " tagged")];
        let flags: String = flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, flag)| *flag)
            .collect();
        let cores = segment.cores.as_ref();
        let flags = flags + &cores.map_or_else(String::new, |cores| format!(" pinned {cores}"));
        let _ = writeln!(
            out,
            "{n} {:?}{flags}: {head}: {} -> {}",
            segment.class,
            stages.join(" "),
            outs.join(" ")
        );
    }
    for (n, link) in plan.links.iter().enumerate() {
        let door = |(stage, door): &(usize, Option<String>)| match door {
            Some(door) => format!("{}::{door}", name(*stage)),
            None => name(*stage).to_owned(),
        };
        let from: Vec<String> = link.from.iter().map(door).collect();
        let tagged = if link.tagged { " tagged" } else { "" };
        let Link {
            kind,
            segment,
            paths,
            parts,
            ..
        } = link;
        let _ = writeln!(
            out,
            "link {n} {kind:?}{tagged}: {} -> {} in {segment}, {parts:?}, {paths}",
            from.join(" "),
            name(link.to)
        );
    }
    out
}

#[track_caller]
fn check(text: &str, expect: &str) {
    let words = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(words(&show(text)), words(expect));
}

#[test]
fn a_line_of_parallel_stages_is_one_loop_up_to_the_ordered_sink() {
    check(
        "a: source
         b: stage | a
         c: stage option | b
         d: sink | c",
        "0 Parallel ordered: source a: b c -> 0+0
         1 Serial ordered: link 0: d ->
         link 0 Ordered: c -> d in 1, [1], 1",
    );
}

#[test]
fn a_sink_in_any_order_joins_the_loop() {
    check(
        "a: source
         b: sink | a | order=any",
        "0 Parallel ordered: source a: b ->",
    );
}

#[test]
fn a_route_and_its_merge_are_one_loop() {
    check(
        "a: source
         b: stage | a
         c: stage | b::Left
         d: stage | b::Right
         e: stage | c, d
         f: sink | e",
        "0 Parallel ordered: source a: b c d e -> 0+0
         1 Serial ordered: link 0: f ->
         link 0 Ordered: e -> f in 1, [1], 1",
    );
}

#[test]
fn a_broadcast_feeds_two_links_from_one_loop() {
    check(
        "a: source
         b: sink | a
         c: sink | a",
        "0 Parallel ordered: source a:  -> 0+0 1+0
         1 Serial ordered: link 0: b ->
         2 Serial ordered: link 1: c ->
         link 0 Ordered: a -> b in 1, [1], 1
         link 1 Ordered: a -> c in 2, [1], 1",
    );
}

#[test]
fn a_parallel_stage_does_not_lengthen_the_serial_one_before_it() {
    check(
        "a: source
         b: stage serial | a
         c: stage | b
         d: sink | c",
        "0 Parallel ordered: source a:  -> 0+0
         1 Serial ordered: link 0: b -> 1+0
         2 Parallel ordered: link 1: c -> 2+0
         3 Serial ordered: link 2: d ->
         link 0 Ordered: a -> b in 1, [1], 1
         link 1 Direct: b -> c in 2, [1], 1
         link 2 Ordered: c -> d in 3, [1], 1",
    );
}

#[test]
fn serial_stages_and_an_ordered_sink_share_a_loop() {
    check(
        "a: source
         b: stage serial | a
         c: stage serial | b
         d: sink | c",
        "0 Parallel ordered: source a:  -> 0+0
         1 Serial ordered: link 0: b c d ->
         link 0 Ordered: a -> b in 1, [1], 1",
    );
}

#[test]
fn a_serial_stage_in_any_order_takes_items_as_they_arrive_and_keeps_what_follows() {
    check(
        "a: source
         b: stage serial | a | order=any
         c: stage | b
         d: sink | c",
        "0 Parallel ordered: source a:  -> 0+0
         1 Serial: link 0: b c d ->
         link 0 Arrival: a -> b in 1, [1], 1",
    );
}

#[test]
fn a_sink_joins_the_keyed_loop_before_it() {
    check(
        "a: source
         b: stage keyed | a
         c: stage | b
         d: sink | c",
        "0 Parallel ordered: source a:  -> 0+0
         1 Keyed: link 0: b c d ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1",
    );
}

#[test]
fn a_serial_stage_behind_a_keyed_one_takes_items_as_they_arrive() {
    check(
        "a: source
         b: stage keyed | a
         c: sink serial | b",
        "0 Parallel ordered: source a:  -> 0+0
         1 Keyed: link 0: b -> 1+0
         2 Serial: link 1: c ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1
         link 1 Arrival: b -> c in 2, [1], 1",
    );
}

#[test]
fn a_keyed_stage_behind_a_keyed_one_has_lost_the_order() {
    check(
        "a: source
         b: stage keyed | a | order=any
         c: sink keyed | b",
        "0 Parallel ordered: source a:  -> 0+0
         1 Keyed: link 0: b -> 1+0
         2 Keyed: link 1: c ->
         link 0 Keyed { ordered: false }: a -> b in 1, [1], 1
         link 1 Keyed { ordered: false }: b -> c in 2, [1], 1",
    );
}

#[test]
fn two_sources_meet_in_a_loop_of_their_own() {
    check(
        "a: source
         b: source
         c: stage | a, b
         d: sink | c",
        "0 Parallel ordered: source a:  -> 0+0
         1 Parallel ordered: source b:  -> 0+1
         2 Parallel ordered: link 0: c -> 1+0
         3 Serial ordered: link 1: d ->
         link 0 Direct: a b -> c in 2, [1, 1], 1
         link 1 Ordered: c -> d in 3, [1, 1], 1",
    );
}

#[test]
fn a_fork_with_a_serial_arm_is_merged_by_tags() {
    check(
        "a: source
         b: stage | a
         c: stage serial | b
         d: sink | b, c",
        "0 Parallel ordered tagged: source a: b -> 0+0 1+0
         1 Serial ordered tagged: link 0: c -> 1+1
         2 Serial ordered: link 1: d ->
         link 0 Ordered tagged: b -> c in 1, [1], 1
         link 1 Ordered tagged: b c -> d in 2, [2], 2",
    );
}

#[test]
fn tags_start_where_the_paths_part_and_not_before() {
    check(
        "a: source
         b: stage serial | a
         c: stage | b
         d: stage serial | c
         e: stage | d
         f: sink | c, e",
        "0 Parallel ordered: source a:  -> 0+0
         1 Serial ordered: link 0: b -> 1+0
         2 Parallel ordered tagged: link 1: c -> 2+0 4+0
         3 Serial ordered tagged: link 2: d -> 3+0
         4 Parallel ordered tagged: link 3: e -> 4+1
         5 Serial ordered: link 4: f ->
         link 0 Ordered: a -> b in 1, [1], 1
         link 1 Direct: b -> c in 2, [1], 1
         link 2 Ordered tagged: c -> d in 3, [1], 1
         link 3 Direct tagged: d -> e in 4, [1], 1
         link 4 Ordered tagged: c e -> f in 5, [2], 2",
    );
}

#[test]
fn paths_that_meet_without_order_stay_apart_until_a_gate_joins_them() {
    check(
        "a: source
         b: stage serial | a
         c: stage | a, b
         d: stage serial | c
         e: sink | d",
        "0 Parallel ordered tagged: source a:  -> 0+0 1+0
         1 Serial ordered tagged: link 0: b -> 1+1
         2 Parallel ordered tagged: link 1: c -> 2+0
         3 Serial ordered: link 2: d e ->
         link 0 Ordered tagged: a -> b in 1, [1], 1
         link 1 Direct tagged: a b -> c in 2, [2], 2
         link 2 Ordered tagged: c -> d in 3, [2], 2",
    );
}

#[test]
fn a_sink_of_an_ordered_and_a_keyed_producer_takes_items_as_they_arrive() {
    check(
        "a: source
         b: stage keyed | a
         c: sink | a, b",
        "0 Parallel ordered: source a:  -> 0+0 1+0
         1 Keyed: link 0: b -> 1+1
         2 Serial: link 1: c ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1
         link 1 Arrival: a b -> c in 2, [2], 2",
    );
}

#[test]
fn errors_have_a_link_of_their_own() {
    check(
        "a: source
         b: stage result | a
         c: stage serial | b
         d: sink | c
         e: sink | b::Err",
        "0 Parallel ordered: source a: b -> 0+0 1+0
         1 Serial ordered: link 0: c d ->
         2 Serial ordered: link 1: e ->
         link 0 Ordered: b -> c in 1, [1], 1
         link 1 Ordered: b::Err -> e in 2, [1], 1",
    );
}

#[test]
fn the_push_input_heads_a_loop_and_counts_last() {
    check(
        "a: source
         b: stage | input
         c: stage | a
         d: sink | b, c",
        "0 Parallel ordered: source a: c -> 0+0
         1 Parallel ordered: input: b -> 0+1
         2 Serial ordered: link 0: d ->
         link 0 Ordered: b c -> d in 2, [1, 1], 1",
    );
    check(
        "a: sink | input",
        "0 Parallel ordered: input:  -> 0+0
         1 Serial ordered: link 0: a ->
         link 0 Ordered: input -> a in 1, [1], 1",
    );
}

#[test]
fn a_stage_with_a_state_for_each_worker_is_parallel() {
    check(
        "a: source
         b: stage per_worker | a
         c: sink per_worker | b",
        "0 Parallel ordered: source a: b c ->",
    );
}

#[test]
fn the_order_stages_are_written_in_does_not_matter() {
    check(
        "d: sink | c
         c: stage | b
         b: stage | a
         a: source",
        "0 Parallel ordered: source a: b c -> 0+0
         1 Serial ordered: link 0: d ->
         link 0 Ordered: c -> d in 1, [1], 1",
    );
}

#[test]
fn without_signatures_stages_are_parallel_and_those_unread_are_sinks() {
    check(
        "a:
         b: | a
         c: | b",
        "0 Parallel ordered: source a: b -> 0+0
         1 Serial ordered: link 0: c ->
         link 0 Ordered: b -> c in 1, [1], 1",
    );
}

#[test]
fn a_model_that_is_not_checked_does_no_harm() {
    for text in [
        "",
        "a: stage | a",
        "a: stage | b\nb: stage | a",
        "a: stage | nothing",
        "a: stage | input::X",
    ] {
        let plan = plan(&sketch(text));
        assert!(plan.links.len() <= 1, "{text}");
    }
}

#[test]
fn segment_of_finds_sources_and_stages() {
    let model = sketch("a: source\nb: stage | a\nc: sink | b");
    let plan = plan(&model);
    assert_eq!(
        [0, 1, 2].map(|stage| plan.segment_of(stage)),
        [Some(0), Some(0), Some(1)]
    );
    assert_eq!([1, 2].map(|stage| plan.link_to(stage)), [None, Some(0)]);
}

#[test]
fn pinned_stages_are_cut_where_the_cores_differ() {
    check(
        "a: source
         b: stage | a | cores=\"0\"
         c: stage serial | b | cores=\"0\"
         d: stage | c | cores=\"1\"
         e: sink | d",
        "0 Parallel ordered: source a: -> 0+0
         1 Serial ordered pinned 0: link 0: b c -> 1+0
         2 Serial ordered pinned 1: link 1: d -> 2+0
         3 Serial ordered: link 2: e ->
         link 0 Ordered: a -> b in 1, [1], 1
         link 1 Ordered: c -> d in 2, [1], 1
         link 2 Ordered: d -> e in 3, [1], 1",
    );
}

#[test]
fn one_pinned_thread_feeds_another_by_a_ring_where_nothing_goes_back_to_the_pool() {
    check(
        "a: source | | cores=\"0\"
         b: stage | a | cores=\"0\"
         c: stage serial | b | cores=\"1\"
         d: sink | c | cores=\"2\" order=any
         e: sink | b",
        "0 Parallel ordered pinned 0: source a: b -> 0+0 2+0
         1 Serial ordered pinned 1: link 0: c -> 1+0
         2 Serial pinned 2: link 1: d ->
         3 Serial ordered: link 2: e ->
         link 0 Ring: b -> c in 1, [1], 1
         link 1 Ring: c -> d in 2, [1], 1
         link 2 Ordered: b -> e in 3, [1], 1",
    );
}

#[test]
fn several_pinned_threads_take_whatever_is_there() {
    check(
        "a: source
         b: stage | a | cores=\"0,1\"
         c: sink serial | b | cores=\"2\"",
        "0 Parallel ordered: source a: -> 0+0
         1 Parallel ordered pinned 0,1: link 0: b -> 1+0
         2 Serial ordered pinned 2: link 1: c ->
         link 0 Direct: a -> b in 1, [1], 1
         link 1 Ordered: b -> c in 2, [1], 1",
    );
}

#[test]
fn keys_on_one_pinned_thread_join_its_loop() {
    check(
        "a: source | | cores=\"0\"
         b: stage | a | cores=\"1\"
         c: stage keyed | b | cores=\"1\"
         d: sink keyed | c | cores=\"2\"",
        "0 Parallel ordered pinned 0: source a:  -> 0+0
         1 Serial ordered pinned 1: link 0: b c -> 1+0
         2 Serial ordered pinned 2: link 1: d ->
         link 0 Ring: a -> b in 1, [1], 1
         link 1 Ring: c -> d in 2, [1], 1",
    );
}

#[test]
fn keys_on_several_pinned_threads_are_divided_between_them() {
    check(
        "a: source cut | | cores=\"0,1\"
         b: stage keyed | a | cores=\"0,1\"
         c: stage | b | cores=\"0,1\"
         d: sink keyed | c | cores=\"0,1\"",
        "0 Parallel ordered pinned 0,1: source a:  -> 0+0
         1 Keyed pinned 0,1: link 0: b c -> 1+0
         2 Keyed pinned 0,1: link 1: d ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1
         link 1 Keyed { ordered: false }: c -> d in 2, [1], 1",
    );
}

#[test]
fn behind_pinned_threads_keys_stay_in_order_on_one_worker_at_a_time() {
    check(
        "a: source
         b: stage keyed | a | cores=\"0,1\"
         c: stage | b
         d: sink serial | c",
        "0 Parallel ordered: source a:  -> 0+0
         1 Keyed pinned 0,1: link 0: b -> 1+0
         2 Serial: link 1: c d ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1
         link 1 Arrival: b -> c in 2, [1], 1",
    );
    check(
        "a: source
         b: stage keyed | a
         c: stage | b | cores=\"0\"
         d: stage | c | order=any
         e: sink per_worker | c
         f: sink serial | d",
        "0 Parallel ordered: source a:  -> 0+0
         1 Keyed: link 0: b -> 1+0
         2 Serial pinned 0: link 1: c -> 2+0 3+0
         3 Parallel: link 2: d -> 4+0
         4 Parallel: link 3: e ->
         5 Serial: link 4: f ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1
         link 1 Arrival: b -> c in 2, [1], 1
         link 2 Direct: c -> d in 3, [1], 1
         link 3 Direct: c -> e in 4, [1], 1
         link 4 Arrival: d -> f in 5, [1], 1",
    );
}

#[test]
fn a_guarded_stage_has_a_segment_of_its_own_and_order_is_kept_around_it() {
    check(
        "a: source
         b: stage | a
         c: stage result | b | breaker=group
         d: stage | c
         e: sink | d
         f: sink | c::Err | order=any",
        "0 Parallel ordered: source a: b -> 0+0
         1 Parallel ordered: link 0: c -> 1+0 3+0
         2 Parallel ordered: link 1: d -> 2+0
         3 Serial ordered: link 2: e ->
         4 Parallel: link 3: f ->
         link 0 Direct: b -> c in 1, [1], 1
         link 1 Direct: c -> d in 2, [1], 1
         link 2 Ordered: d -> e in 3, [1], 1
         link 3 Direct: c::Err -> f in 4, [1], 1",
    );
    check(
        "a: source
         b: stage keyed | a | key=code
         c: stage result | b | breaker=group
         d: sink result | c | breaker=group on_error=drop
         e: sink | c::Err",
        "0 Parallel ordered: source a: -> 0+0
         1 Keyed: link 0: b -> 1+0
         2 Serial: link 1: c -> 2+0 3+0
         3 Serial: link 2: d ->
         4 Serial: link 3: e ->
         link 0 Keyed { ordered: true }: a -> b in 1, [1], 1
         link 1 Arrival: b -> c in 2, [1], 1
         link 2 Arrival: c -> d in 3, [1], 1
         link 3 Arrival: c::Err -> e in 4, [1], 1",
    );
}

#[test]
fn a_guarded_stage_on_a_thread_of_its_own_takes_and_gives_batches() {
    check(
        "a: source | | cores=\"0\"
         b: stage result | a | cores=\"1\" breaker=group on_error=drop
         c: stage | b | cores=\"2\"
         d: sink | c | cores=\"3\"",
        "0 Parallel ordered pinned 0: source a: -> 0+0
         1 Serial ordered pinned 1: link 0: b -> 1+0
         2 Serial ordered pinned 2: link 1: c -> 2+0
         3 Serial ordered pinned 3: link 2: d ->
         link 0 Ordered: a -> b in 1, [1], 1
         link 1 Ordered: b -> c in 2, [1], 1
         link 2 Ring: c -> d in 3, [1], 1",
    );
}

#[test]
fn an_async_stage_has_a_segment_of_its_own_and_any_worker_runs_its_batches() {
    check(
        "a: source
         b: stage async | a
         c: stage | b
         d: sink | c
         e: sink async | b",
        "0 Parallel ordered: source a: -> 0+0
         1 Parallel ordered: link 0: b -> 1+0 3+0
         2 Parallel ordered: link 1: c -> 2+0
         3 Serial ordered: link 2: d ->
         4 Parallel ordered: link 3: e ->
         link 0 Direct: a -> b in 1, [1], 1
         link 1 Direct: b -> c in 2, [1], 1
         link 2 Ordered: c -> d in 3, [1], 1
         link 3 Direct: b -> e in 4, [1], 1",
    );
}
