//! A link to a segment that any worker may run: no gate.

use std::fmt;

use crate::{
    carrier::{Carrier, Home},
    diagnose::Crossing,
    drive::Watch,
    graph::Site,
    load::Load,
    worker::Worker,
};

/// A link without a gate.
pub struct Direct<T: 'static> {
    home: Home<T>,
    /// Must empty carriers go on, because an ordered gate further on counts them?
    keep_empty: bool,
}

impl<T: 'static> Direct<T> {
    /// The link number `link`. `keep_empty`: whether its segment must pass every carrier on, also empty ones.
    pub fn new<I>(site: &Site<'_, I>, link: u16, keep_empty: bool, items: Crossing<T>) -> Self {
        let buffers = site.shared.settings.most_at(site.shared.info, link.into());
        Self {
            home: Home::new(site.shared, link, buffers, items),
            keep_empty,
        }
    }

    /// An empty carrier for the outputs of `load`.
    pub fn carrier(&self, w: Watch<'_>, load: &impl Load, base: u16) -> Carrier<T> {
        self.home.carrier_of(w, load, base)
    }

    /// Leaves a filled carrier for whichever worker is free first.
    pub fn post(&self, carrier: Carrier<T>, w: &mut Worker<'_>) {
        if self.is_wanted(&carrier) {
            w.post(carrier);
        }
    }

    /// Must this carrier go on?
    pub fn is_wanted(&self, carrier: &Carrier<T>) -> bool {
        self.keep_empty || !carrier.is_empty()
    }
}

impl<T> fmt::Debug for Direct<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct")
            .field("link", &self.home.link())
            .finish_non_exhaustive()
    }
}
