//! Tests of the drawings, each against its exact text.

use super::*;
use crate::plan::plan;
use crate::sketch::sketch;

#[track_caller]
fn check(sketched: &str, expect: &str) {
    let model = sketch(sketched);
    assert!(crate::check(&model).is_empty());
    assert_eq!(text(&model, &plan(&model)), expect);
}

#[test]
fn a_line_of_stages_is_drawn_as_a_line() {
    check(
        "ingest: source
         parse: stage option | ingest
         book: stage serial | parse
         out: sink | book",
        "\
sketch

╭ 1 parallel, in order
│ ingest ─▶ parse ═▶ 2 book (in order)
╰

╭ 2 serial, in order
│ book [serial] ─▶ out
╰
",
    );
}

#[test]
fn the_stage_that_answers_is_marked() {
    check(
        "parse: stage | input
         price: stage serial | parse
         @ reply=price",
        "\
sketch

╭ 1 parallel, in order
│ input ─▶ parse ═▶ 2 price (in order)
╰

╭ 2 serial, in order
│ price [serial, answers]
╰
",
    );
}

const MEMPOOL: &str = "
    ingest: source poll serial | | state=code idle=\"20us\" cores=\"4\"
    decode: stage many | ingest
    dedup: stage keyed option | decode | key=code
    verify: stage batch | dedup | batch=64
    classify: stage | verify
    price: stage serial result | classify::Swap | priority=critical
    enrich: stage result | classify::Lookup | workers=2
    publish: sink | price, enrich | order=any
    reject: sink | price::Err, enrich::Err";

#[test]
fn routes_lanes_states_and_doors_are_drawn() {
    check(
        MEMPOOL,
        "\
sketch

╭ 1 pinned, in order
│ ingest [cores 4] ═▶ 2 decode (to any worker)
╰

╭ 2 parallel, in order
│ decode ═▶ 3 dedup (by key, in order)
╰

╭ 3 keyed
│ dedup [keyed] ─▶ verify [batch 64] ─▶ classify
│   ├─ Swap ═▶ 4 price (as they arrive)
│   └─ Lookup ═▶ 5 enrich (as they arrive)
╰

╭ 4 serial
│ price [serial, critical lane]
│   ├═▶ 6 publish (to any worker, by 2 paths)
│   └─ Err ═▶ 7 reject (as they arrive, by 2 paths)
╰

╭ 5 serial
│ enrich [2 workers]
│   ├═▶ 6 publish (to any worker, by 2 paths)
│   └─ Err ═▶ 7 reject (as they arrive, by 2 paths)
╰

╭ 6 parallel
│ publish [any order]
╰

╭ 7 serial
│ reject
╰
",
    );
}

#[test]
fn branches_nest_and_what_is_drawn_is_not_drawn_again() {
    check(
        "a: source
         b: stage | a
         c: stage | b::Left
         d: stage | b::Right
         e: stage | c, d
         f: stage | c
         g: sink | e, f, input | order=any
         h: sink per_worker | e",
        "\
sketch

╭ 1 parallel, in order
│ a ─▶ b
│   ├─ Left ─▶ c
│   │  ├─▶ e
│   │  │  ├═▶ 3 g (to any worker)
│   │  │  └─▶ h [per worker]
│   │  └─▶ f ═▶ 3 g (to any worker)
│   └─ Right ─▶ d ─▶ e (above)
╰

╭ 2 parallel, in order
│ input ═▶ 3 g (to any worker)
╰

╭ 3 parallel
│ g [any order]
╰
",
    );
}

#[test]
fn a_mermaid_flowchart_holds_the_same() {
    let model =
        sketch("end: source\nb: stage result | end\nc: sink serial | b\nd: sink | b::Err, input");
    assert_eq!(
        mermaid(&model, &plan(&model)),
        "\
flowchart LR
    subgraph s1[\"1 parallel, in order\"]
        n0([\"end\"])
        n1[\"b\"]
    end
    subgraph s2[\"2 parallel, in order\"]
        input([\"input\"])
    end
    subgraph s3[\"3 serial, in order\"]
        n2[[\"c<br/>serial\"]]
    end
    subgraph s4[\"4 serial, in order\"]
        n3[[\"d\"]]
    end
    n0 --> n1
    n1 ==>|\"in order\"| n2
    n1 ==>|\"Err: in order\"| n3
    input ==>|\"in order\"| n3
"
    );
}

#[test]
fn a_graphviz_digraph_holds_the_same() {
    let model =
        sketch("a: source\nb: stage result | a\nc: sink serial | b\nd: sink | b::Err, input");
    assert_eq!(
        dot(&model, &plan(&model)),
        "\
digraph \"sketch\" {
    rankdir=LR;
    node [shape=box, fontname=\"sans-serif\"];
    edge [fontname=\"sans-serif\"];
    subgraph cluster_1 {
        label=\"1 parallel, in order\";
        n0 [label=\"a\", shape=oval];
        n1 [label=\"b\"];
    }
    subgraph cluster_2 {
        label=\"2 parallel, in order\";
        input [label=\"input\", shape=oval];
    }
    subgraph cluster_3 {
        label=\"3 serial, in order\";
        n2 [label=\"c\\nserial\", peripheries=2];
    }
    subgraph cluster_4 {
        label=\"4 serial, in order\";
        n3 [label=\"d\", peripheries=2];
    }
    n0 -> n1;
    n1 -> n2 [label=\"in order\", style=bold];
    n1 -> n3 [label=\"Err: in order\", style=bold];
    input -> n3 [label=\"in order\", style=bold];
}
"
    );
}

#[test]
fn hostile_names_do_not_break_out_of_their_quotes() {
    let model = sketch("a\"b<c>\\: source\nd: sink | a\"b<c>\\");
    let plan = plan(&model);
    assert!(dot(&model, &plan).contains(r#"label="a\"b<c>\\", shape=oval"#));
    assert!(mermaid(&model, &plan).contains("([\"a#quot;b_c_\\\"])"));
}
