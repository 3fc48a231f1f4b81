//! Memory of a wanted kind of page, touched and ready.

use std::fs;

use memmap2::{Advice, MmapMut, MmapOptions};

use super::Why;

/// What pages to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    Small,
    /// Transparent huge pages, which the kernel gives if it has any.
    Huge,
}

pub(super) const SMALL: usize = 4 << 10;
pub(super) const HUGE: usize = 2 << 20;

/// Memory that was not touched yet.
pub(super) fn untouched(bytes: usize, pages: Pages) -> Result<MmapMut, Why> {
    let map = MmapOptions::new()
        .len(bytes)
        .map_anon()
        .map_err(|error| format!("no memory: {error}"))?;
    let advice = match pages {
        Pages::Small => Advice::NoHugePage,
        Pages::Huge => Advice::HugePage,
    };
    map.advise(advice)
        .map_err(|error| format!("the kernel has no such pages: {error}"))?;
    Ok(map)
}

/// Touches each page.
pub(super) fn touch(map: &mut [u8], page: usize) {
    for byte in map.iter_mut().step_by(page) {
        *byte = 1;
    }
}

/// Bytes of this process that lie in transparent huge pages.
pub(super) fn in_huge_pages() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    kibibytes(&text, "AnonHugePages:")
}

/// Bytes that programs can have without others being moved out.
pub(super) fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kibibytes(&text, "MemAvailable:").unwrap_or(512 << 20)
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let number: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    number.checked_mul(1024)
}

/// Bytes of the largest cache of a cpu, or of a usual one if the kernel does not tell.
pub(super) fn largest_cache(cpu: u32) -> u64 {
    let size = |index: u32| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cache/index{index}/size");
        cache_size(fs::read_to_string(path).ok()?.trim())
    };
    (0..8).filter_map(size).max().unwrap_or(32 << 20)
}

fn cache_size(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        _ => return text.parse().ok(),
    };
    text[..text.len() - 1]
        .parse::<u64>()
        .ok()?
        .checked_shl(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_kernel_writes_them() {
        for (text, expect) in [
            ("32K", Some(32 << 10)),
            ("1024K", Some(1 << 20)),
            ("32M", Some(32 << 20)),
            ("512", Some(512)),
            ("", None),
            ("K", None),
        ] {
            assert_eq!(cache_size(text), expect, "{text}");
        }
        assert_eq!(
            kibibytes("MemTotal: 5 kB\nMemAvailable:   2048 kB\n", "MemAvailable:"),
            Some(2 << 20)
        );
        assert_eq!(kibibytes("", "MemAvailable:"), None);
    }
}
