//! What a run is about, by its seed alone.

use std::time::Duration;

/// How long faults last, and how long there is to heal after them.
pub(super) const FAULTS: Duration = Duration::from_secs(100);
pub(super) const HEALING: Duration = Duration::from_secs(90);

/// What a run is about.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) strict: Option<usize>,
    pub(super) hosts: usize,
    pub(super) observers: usize,
    pub(super) restarts: bool,
    /// The longest time from one fault to the next, in milliseconds.
    pub(super) calm_ms: u64,
    /// Messages (not statuses) are lost and overtake each other.
    pub(super) wild: bool,
}

impl Plan {
    pub(super) fn strict(seed: u64) -> Self {
        let n = if seed.is_multiple_of(3) { 5 } else { 3 };
        let hosts = n + (seed / 3) as usize % n;
        Self {
            strict: Some(n),
            hosts,
            observers: 0,
            restarts: false,
            calm_ms: calm_ms(seed),
            wild: seed.is_multiple_of(2),
        }
    }

    pub(super) fn strict_with_restarts(seed: u64) -> Self {
        Self { restarts: true, ..Self::strict(seed) }
    }

    pub(super) fn elastic(seed: u64) -> Self {
        let hosts = 1 + (seed % 7) as usize;
        let observers = usize::from(seed.is_multiple_of(5) && hosts > 2);
        let restarts = !seed.is_multiple_of(3);
        Self {
            strict: None,
            hosts,
            observers,
            restarts,
            calm_ms: calm_ms(seed),
            wild: seed.is_multiple_of(2),
        }
    }
}

/// From many short faults to a few that outlast every patience.
fn calm_ms(seed: u64) -> u64 {
    [1_500, 6_000, 30_000][(seed / 2 % 3) as usize]
}
