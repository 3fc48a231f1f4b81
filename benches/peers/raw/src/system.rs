//! System calls and instructions whose cost is measured.

use std::sync::atomic::AtomicU32;

/// Sleeps while the word is `expected`; may also wake up for no reason.
pub fn futex_wait(word: &AtomicU32, expected: u32) {
    futex(word, libc::FUTEX_WAIT, expected);
}

/// Wakes one thread that sleeps on the word.
pub fn futex_wake(word: &AtomicU32) {
    futex(word, libc::FUTEX_WAKE, 1);
}

fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) {
    let operation = operation | libc::FUTEX_PRIVATE_FLAG;
    let no_time = std::ptr::null::<libc::timespec>();
    // SAFETY: the word is aligned and lives through the call; there is no time and no second word.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, no_time) };
}

/// A system call that does next to nothing.
#[must_use]
pub fn getppid() -> i32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::getppid() }
}

/// The processor's time stamp; 0 where there is none.
#[inline]
#[must_use]
pub fn time_stamp() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: x86-64 machines have the instruction.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}

/// Lets the calling thread's sleeps end when they are due, and not up to 50 us later.
pub fn sleep_exactly() {
    // SAFETY: the call sets a number of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}
