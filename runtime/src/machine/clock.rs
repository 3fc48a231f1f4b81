//! How the system's clock is kept.

/// Is the clock synchronised with others, and by how many microseconds may it be off? `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn clock_discipline() -> Option<(bool, u64)> {
    // SAFETY: `timex` is numbers and padding, for all of which zeros are a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` is alive and writable for the call, and its `modes` of 0 changes nothing.
    let state = unsafe { libc::adjtimex(&mut timex) };
    if state < 0 {
        return None;
    }
    let synced = timex.status & libc::STA_UNSYNC == 0 && state != libc::TIME_ERROR;
    Some((synced, u64::try_from(timex.maxerror).unwrap_or(u64::MAX)))
}

/// Is the clock synchronised with others, and by how many microseconds may it be off? `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn clock_discipline() -> Option<(bool, u64)> {
    None
}
