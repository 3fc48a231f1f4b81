//! P: the memory, the priorities and the layout that a pipeline asks for, and what there is of them.

use pipewright::machine::kernel;
use pipewright_spec::options::Wait;

use super::{Run, bytes, count, limits, memory, neighbours};
use crate::{
    check::{Found, Look, Reason, impossible, met, skip, test, unknown},
    parse,
};

pub(super) const ALL: [(&str, Run); 8] = [
    ("P11", footprint),
    ("P12", huge_pages),
    ("P13", limits::locked),
    ("P14", realtime),
    ("P15", niceness),
    ("P18", layout),
    ("P19", working_set),
    ("P20", spinning_guest),
];

fn footprint(look: &Look<'_>) -> Found {
    let footprint = memory::footprint(look)?;
    let available = memory::meminfo(look, "MemAvailable")?;
    let limit = memory::limit(look)?;
    let room = limit.map_or(available, |limit| limit.min(available)).max(1);
    let pct = footprint as f64 * 100.0 / room as f64;
    let text = format!("{} of {}, {pct:.0} %", bytes(footprint), bytes(room));
    let found = match pct {
        pct if pct > look.thresholds.footprint_fail_pct => impossible(text),
        pct => test(pct <= look.thresholds.footprint_warn_pct, text),
    };
    Ok(memory::besides(look, found?))
}

fn huge_pages(look: &Look<'_>) -> Found {
    let Some(wanted) = look.declared.demands.huge_pages else {
        return skip(
            Reason::NotDeclared,
            "nobody asks for huge pages with `--huge-pages`",
        );
    };
    let hot = look.declared.hot();
    let mut nodes: Vec<u32> = hot
        .iter()
        .filter_map(|core| look.machine.cpu(*core))
        .map(|cpu| cpu.node)
        .collect();
    if nodes.is_empty() {
        nodes = look.machine.nodes();
    }
    nodes.sort_unstable();
    nodes.dedup();
    let mut free = 0;
    for node in &nodes {
        let path =
            format!("sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/free_hugepages");
        free += look.number::<u64>(&path)?;
    }
    let text = format!(
        "{free} free on {} of the pipeline, for {wanted}",
        count(nodes.len(), "node")
    );
    match free < wanted {
        true => impossible(text),
        false => met(text),
    }
}

fn realtime(look: &Look<'_>) -> Found {
    let found = limits::realtime(look)?;
    let runtime: i64 = look.number("proc/sys/kernel/sched_rt_runtime_us")?;
    match runtime {
        0 => impossible("no real-time thread may run at all"),
        _ => Ok(found),
    }
}

fn niceness(look: &Look<'_>) -> Found {
    let stat = look.peek("proc/self/stat")?;
    let nice = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(16)?.parse::<i64>().ok());
    let Some(nice) = nice else {
        return unknown("`/proc/self/stat` has another form");
    };
    look.saw("/proc/self/stat nice", nice);
    if nice == 0 {
        return skip(
            Reason::NotDeclared,
            "this process has the usual niceness, and lanes do not use it",
        );
    }
    let grouped: u32 = look.number("proc/sys/kernel/sched_autogroup_enabled")?;
    let scope = if grouped == 0 {
        ""
    } else {
        ", which holds only inside of its session"
    };
    test(grouped == 0, format!("niceness {nice}{scope}"))
}

fn layout(look: &Look<'_>) -> Found {
    let line: u64 = look.number("sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size")?;
    let Some(item) = look.declared.demands.item else {
        return skip(
            Reason::NotDeclared,
            "nobody says with `--item` how large an item is",
        );
    };
    if line == 0 {
        return unknown("a cache line of 0 bytes");
    }
    let text = format!(
        "{} an item, {} of {line} bytes",
        bytes(item),
        count(item.div_ceil(line) as usize, "line")
    );
    test(item <= look.thresholds.inline_bytes, text)
}

fn working_set(look: &Look<'_>) -> Found {
    let Some(item) = look.declared.demands.item else {
        return skip(
            Reason::NotDeclared,
            "nobody says with `--item` how large an item is",
        );
    };
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    let mut second = None;
    for path in look.some_paths("sys/devices/system/cpu/cpu0/cache/index*/level")? {
        if look.text(&path)? == "2" {
            second = parse::size(&look.text(&path.replace("/level", "/size"))?);
        }
    }
    let Some(second) = second else {
        return skip(Reason::NotPresent, "no second-level cache is listed");
    };
    let (stage, batch) = look
        .declared
        .largest_batch()
        .unwrap_or(("the default".to_owned(), kernel::BATCH.into()));
    // A loop reads a batch and fills the next one.
    let set = item.saturating_mul(batch).saturating_mul(2);
    let text = format!(
        "{} for batches of {batch} ({stage}), of {}",
        bytes(set),
        bytes(second)
    );
    test(set <= second, text)
}

fn spinning_guest(look: &Look<'_>) -> Found {
    let spinning: Vec<String> = look
        .declared
        .pinned()
        .into_iter()
        .filter(|p| p.wait == Wait::Spin)
        .map(|p| p.name)
        .collect();
    if spinning.is_empty() {
        return skip(Reason::NotDeclared, "no pinned stage spins");
    }
    neighbours::known_place(look)?;
    let Some(guest) = &look.place.guest else {
        return met("bare metal, as far as can be seen");
    };
    let text = match neighbours::stolen(look) {
        Ok((pct, _)) if pct > look.thresholds.steal_spin_pct => {
            format!("guest of {guest}, which takes {pct:.1} % of the time away")
        }
        _ => format!("guest of {guest}, which may run other guests on the same cpus"),
    };
    Ok(test(false, text)?.affects(spinning))
}
