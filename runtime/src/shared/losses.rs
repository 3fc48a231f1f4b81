//! What a run drops, by link, source and stage.

use super::Shared;
use crate::{
    dropped::{Losses, Why},
    source::SourceCtl,
    sync::Ordering,
};

impl Shared {
    /// Items at a link, or pulled from a source, that the run drops because it stops.
    pub(crate) fn dropped(&self, link: u16, items: u64) {
        if let Some(losses) = self.dropped.get(usize::from(link)) {
            losses.add(Why::Stopped, items, 0);
        }
    }

    /// Items at a link, or pulled from a source, that are dropped while the run goes on.
    #[cold]
    pub(crate) fn lost(&self, link: u16, why: Why, items: u64) {
        if let Some(losses) = self.dropped.get(usize::from(link)) {
            losses.add(why, items, self.now());
        }
    }

    /// Items at a link, of a batch with this ticket, that their source is to give again.
    #[cold]
    pub(crate) fn give_back(&self, link: u16, ticket: u32, items: u64) {
        self.lost(link, Why::Returned, items);
        let root = self.credits.root(ticket);
        let source = self.sources.get(self.credits.source(root) as usize);
        if let Some(acks) = source.and_then(SourceCtl::acks) {
            acks.give_back(self.credits.batch(root));
        }
    }

    /// Items that a stage has made and that the run drops because it stops.
    pub(crate) fn drop_inside(&self, stage: u16, items: u64) {
        if let Some(cell) = self.dropped_inside.get(usize::from(stage)) {
            cell.fetch_add(items, Ordering::Relaxed);
        }
    }

    pub(crate) fn dropped_inside(&self, stage: usize) -> u64 {
        self.dropped_inside[stage].load(Ordering::Acquire)
    }

    /// What was dropped at the links to a stage, at its source, or in the input that it reads.
    pub(crate) fn losses_before(&self, stage: usize) -> impl Iterator<Item = &Losses> {
        let links = self.info.links.iter().enumerate();
        let links = links.filter(move |(_, link)| usize::from(link.to) == stage);
        let reads_input = self.info.stages[stage].reads_input();
        let sources = self.info.sources.iter().enumerate();
        let sources = sources.filter(move |(_, source)| match source.stage {
            Some(own) => usize::from(own) == stage,
            None => reads_input,
        });
        links
            .map(|(link, _)| &self.dropped[link])
            .chain(sources.flat_map(|(source, _)| self.losses_at_source(source)))
    }

    /// What was dropped after it was pulled from a source, and, of an input, before that.
    pub(crate) fn losses_at_source(&self, source: usize) -> impl Iterator<Item = &Losses> {
        let pulled = &self.dropped[self.info.links.len() + source];
        [Some(pulled), self.sources[source].losses()]
            .into_iter()
            .flatten()
    }
}
