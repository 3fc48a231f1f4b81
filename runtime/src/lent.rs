//! The context of a loop, by value while the loop runs, so that the compiler can keep what it holds in registers.
//!
//! What lies behind a reference is stored at every change, because LLVM may not store at the end of a loop what a turn of it
//! might not have stored. So a loop takes its context by value: a bitwise copy of what stays behind a mutable reference. Nobody
//! can look at the original meanwhile, and the copy goes back when it is dropped, also while unwinding. Nothing is dropped
//! twice: the copy is never dropped, only moved back.

use std::{
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr,
};

/// The context of a loop, by value until this is dropped.
pub(crate) struct Lent<'a, C> {
    home: &'a mut C,
    here: ManuallyDrop<C>,
}

impl<'a, C> Lent<'a, C> {
    #[inline(always)]
    pub(crate) fn new(home: &'a mut C) -> Self {
        // SAFETY: the value is used here only: what is at home is only written, when this is dropped, and this never drops
        // the value.
        let here = ManuallyDrop::new(unsafe { ptr::read(home) });
        Self { home, here }
    }
}

impl<C> Deref for Lent<'_, C> {
    type Target = C;

    #[inline(always)]
    fn deref(&self) -> &C {
        &self.here
    }
}

impl<C> DerefMut for Lent<'_, C> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut C {
        &mut self.here
    }
}

impl<C> Drop for Lent<'_, C> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the value goes back, and this one is not used again.
        unsafe { ptr::copy_nonoverlapping(&raw const *self.here, self.home, 1) };
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        rc::Rc,
    };

    use super::*;

    #[test]
    fn what_is_lent_is_back_afterwards_also_when_the_loop_unwinds_and_is_dropped_once() {
        for panics in [false, true] {
            let counted = Rc::new(());
            let mut context = (vec![1], Rc::clone(&counted));
            let attempt = catch_unwind(AssertUnwindSafe(|| {
                let mut lent = Lent::new(&mut context);
                for n in 0..100 {
                    lent.0.push(n);
                }
                assert!(!panics, "in the middle of a loop");
            }));
            assert_eq!(attempt.is_err(), panics);
            assert_eq!(context.0.len(), 101);
            assert_eq!(Rc::strong_count(&counted), 2);
            drop(context);
            assert_eq!(Rc::strong_count(&counted), 1);
        }
    }
}
