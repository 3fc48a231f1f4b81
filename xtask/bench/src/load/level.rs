//! How much there is to do.

use serde::{Deserialize, Serialize};

/// How many events, for how many services, of which size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Level {
    /// 100 events for 3 services, of 512 bytes.
    Light,
    /// 1,000 events for 10 services, of 1 KiB.
    #[default]
    Medium,
    /// 10,000 events for 50 services, of 4 KiB.
    Heavy,
    /// 100,000 events for 100 services, of 8 KiB.
    Stress,
}

impl Level {
    /// All of them, from the least.
    pub const ALL: [Self; 4] = [Self::Light, Self::Medium, Self::Heavy, Self::Stress];

    /// Events of one pass.
    pub fn events(self) -> usize {
        [100, 1_000, 10_000, 100_000][self as usize]
    }

    /// Services that they are for.
    pub fn services(self) -> u32 {
        [3, 10, 50, 100][self as usize]
    }

    /// Bytes of each event.
    pub fn bytes(self) -> usize {
        [512, 1 << 10, 4 << 10, 8 << 10][self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ["light", "medium", "heavy", "stress"][self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_more_of_everything() {
        for two in Level::ALL.windows(2) {
            assert!(two[0].events() < two[1].events());
            assert!(two[0].services() < two[1].services());
            assert!(two[0].bytes() < two[1].bytes());
        }
        assert_eq!(Level::Stress.name(), "stress");
    }
}
