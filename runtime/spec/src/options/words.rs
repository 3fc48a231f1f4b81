//! The options whose value is one of a few words, spelled the same in attributes and in RON.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$word_doc])* $word,)+ }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The value that a word stands for.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }

            /// The word for this value.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

words! {
    /// The lane of a stage: who is served first.
    Priority {
        /// Before everything else.
        Critical = "critical",
        /// Before normal work.
        High = "high",
        /// The default.
        Normal = "normal",
        /// When nothing else is left.
        Low = "low",
    }
}

words! {
    /// Whether a stage sees its items in source order.
    Order {
        /// It does.
        Keep = "keep",
        /// It takes them as they come.
        Any = "any",
    }
}

words! {
    /// What happens to an error that no stage reads.
    OnError {
        /// The run stops.
        Stop = "stop",
        /// The item is dropped and counted.
        Drop = "drop",
    }
}

words! {
    /// What happens when a stage panics.
    OnPanic {
        /// The item is lost and counted, and the rest goes on.
        Isolate = "isolate",
        /// The item leaves by the stage's `Err`, and the rest goes on.
        DeadLetter = "dead_letter",
        /// The run stops.
        Stop = "stop",
        /// The state is made anew, and the rest goes on.
        Reset = "reset",
        /// The state stays as it is, and the rest goes on.
        Keep = "keep",
    }
}

words! {
    /// What happens when a queue is full.
    Overflow {
        /// The sender waits.
        Block = "block",
        /// The sender gets the item back.
        Reject = "reject",
        /// The new item is dropped.
        DropNewest = "drop_newest",
        /// The oldest item is dropped.
        DropOldest = "drop_oldest",
        /// The item of the lowest lane is dropped.
        ShedLowest = "shed_lowest",
    }
}

impl Overflow {
    /// Does it drop items?
    pub const fn is_lossy(self) -> bool {
        matches!(self, Self::DropNewest | Self::DropOldest | Self::ShedLowest)
    }
}

words! {
    /// How a pinned thread waits for items.
    Wait {
        /// It burns its core.
        Spin = "spin",
        /// It spins for a while, then sleeps.
        Adaptive = "adaptive",
        /// It sleeps.
        Park = "park",
    }
}

words! {
    /// What a run does where the machine does not give it what it asks for.
    Enforce {
        /// It goes on, and says nothing.
        Off = "off",
        /// It goes on, and says so in its warnings.
        Warn = "warn",
        /// It does not start.
        Deny = "deny",
    }
}

words! {
    /// Whether workers share a physical core.
    Smt {
        /// The runtime decides.
        Auto = "auto",
        /// They may.
        Use = "use",
        /// They do not.
        Avoid = "avoid",
    }
}
