//! The pipelines: the stages, and how `events.ron`, `events_live.ron` and the files in `outlets/` connect them.

use pipewright::pipeline;

/// Routes events from what can be read to its end.
#[pipeline("events.ron", env = Env)]
pub mod events {
    use crate::events::{
        dedup::dedup,
        deliver::{deliver, reject, unrouted},
        enrich::enrich,
        env::Env,
        feed::read,
        normalise::normalise,
        parse::parse,
        route::route,
        tally::count,
    };
}

/// Routes events from everywhere, until it is asked to end.
#[pipeline("events_live.ron", env = Env)]
pub mod events_live {
    use crate::events::{
        dedup::dedup,
        deliver::{deliver, reject, unrouted},
        enrich::enrich,
        env::Env,
        feed::read,
        normalise::normalise,
        parse::parse,
        route::route,
        tally::count,
    };
}

/// A service that everybody waits for.
#[pipeline("outlets/block.ron", env = Desk)]
pub mod block {
    use crate::events::outlet::{Desk, store};
}

/// A service that rejects what it has no room for.
#[pipeline("outlets/reject.ron", env = Desk)]
pub mod reject {
    use crate::events::outlet::{Desk, store};
}

/// A service that drops what comes when it is full.
#[pipeline("outlets/drop_newest.ron", env = Desk)]
pub mod drop_newest {
    use crate::events::outlet::{Desk, store};
}

/// A service that drops what has waited longest.
#[pipeline("outlets/drop_oldest.ron", env = Desk)]
pub mod drop_oldest {
    use crate::events::outlet::{Desk, store};
}

/// A service that drops what matters least.
#[pipeline("outlets/shed_lowest.ron", env = Desk)]
pub mod shed_lowest {
    use crate::events::outlet::{Desk, store};
}
