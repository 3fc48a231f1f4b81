//! The forms in which the kernel writes things.

use pipewright::machine::kernel;

/// `0-3,8`, ascending; empty and `(null)` are no cpus. `None` if it is something else.
pub fn list(text: &str) -> Option<Vec<u32>> {
    match text.trim() {
        "(null)" => Some(Vec::new()),
        text => kernel::parse_list(text),
    }
}

/// `00000000,0000000f`: hexadecimal digits with a comma behind every eight, the lowest cpu last. `None` if it is something
/// else.
pub fn mask(text: &str) -> Option<Vec<u32>> {
    let text = text.trim();
    if text.is_empty() || text.starts_with(',') || text.ends_with(',') || text.contains(",,") {
        return None;
    }
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| *c != ',')
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    let mut cpus = Vec::new();
    for (place, digit) in (0..).zip(digits.into_iter().rev()) {
        let bits = (0..4).filter(|bit| digit >> bit & 1 == 1);
        cpus.extend(bits.map(|bit| place * 4 + bit));
    }
    Some(cpus)
}

/// The mask of these cpus, in the same form.
pub fn to_mask(cpus: &[u32]) -> String {
    let words = cpus.iter().max().map_or(1, |most| most / 32 + 1);
    let word = |at: u32| {
        cpus.iter()
            .filter(|cpu| **cpu / 32 == at)
            .fold(0_u32, |word, cpu| word | 1 << (cpu % 32))
    };
    let words: Vec<String> = (0..words)
        .rev()
        .map(|at| format!("{:08x}", word(at)))
        .collect();
    words.join(",")
}

/// The word in brackets of `always [madvise] never`.
pub fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    let (word, _) = rest.split_once(']')?;
    (!word.is_empty()).then_some(word)
}

/// The average over 10 s of a line of pressure: `some avg10=1.50 avg60=..`.
pub fn pressure(text: &str, line: &str) -> Option<f64> {
    let line = text.lines().find_map(|text| text.strip_prefix(line))?;
    let average = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?;
    average.parse().ok().filter(|n: &f64| n.is_finite())
}

/// The numbers of a version: `6.18.44-fc` is 6 and 18.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next()?.parse().ok();
    Some((next()?, next()?))
}

/// `250 KiB`, `32M`, `8388608`: the kernel's sizes, in bytes.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" => 0,
        "K" | "kB" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    number.checked_mul(1 << unit)
}

/// The shortest list that means these cpus, which ascend: `0-3,8`; none is `none`.
pub fn listed(cpus: &[u32]) -> String {
    match pipewright_spec::cores::CoreSet::of(cpus) {
        Some(set) => set.to_string(),
        None => "none".to_owned(),
    }
}
