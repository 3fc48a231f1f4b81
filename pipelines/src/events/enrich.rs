//! Adds what an event does not say by itself: whom it is about, and that something failed.

use std::{net::Ipv4Addr, sync::Arc};

use pipewright::stage;

use super::types::{Event, Severity};

/// So far into its content an event is looked at.
const LOOKED_AT: usize = 256;
/// Words that make a warning of what calls itself an information.
const TROUBLE: [&str; 6] = ["fail", "error", "denied", "refused", "invalid", "break-in"];

/// Finds the first address in the content, and makes a warning of what tells of trouble. From here on the event is shared.
#[stage]
pub fn enrich(mut event: Event) -> Arc<Event> {
    let content = event.content();
    let most = content.floor_char_boundary(LOOKED_AT);
    let head = content[..most].to_ascii_lowercase();
    event.peer = address(&head);
    if event.severity == Severity::Info && TROUBLE.iter().any(|word| head.contains(word)) {
        event.severity = Severity::Warning;
    }
    Arc::new(event)
}

/// The first IPv4 address of a text.
fn address(text: &str) -> Option<Ipv4Addr> {
    let words = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    words
        .filter(|word| word.len() >= 7)
        .find_map(|word| word.trim_matches('.').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_is_found() {
        let check = |text: &str, expect: Option<[u8; 4]>| {
            assert_eq!(address(text), expect.map(Ipv4Addr::from), "{text}");
        };
        check("rhost=218.188.2.4 ", Some([218, 188, 2, 4]));
        check(
            "blockmap updated: 10.251.73.220:50010 is",
            Some([10, 251, 73, 220]),
        );
        check("from 1.2.3.4.", Some([1, 2, 3, 4]));
        check("version 1.2.3 or 999.1.1.1 of 8.8.8.8", Some([8, 8, 8, 8]));
        check("", None);
        check("1.4.1: restart", None);
    }
}
