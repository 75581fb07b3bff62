//! The node's source of randomness: one seed, from the system or from a test.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// A shared, seedable generator (ChaCha, cryptographically strong when the seed is).
#[derive(Clone)]
pub(crate) struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system.
    pub(crate) fn from_system() -> Self {
        Self::from(StdRng::from_rng(&mut rand::rng()))
    }

    /// The same seed gives the same numbers.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self::from(StdRng::seed_from_u64(seed))
    }

    fn from(rng: StdRng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut StdRng) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A generator of its own for a part that draws often.
    pub(crate) fn fork(&self) -> StdRng {
        self.with(StdRng::from_rng)
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.with(|rng| rng.fill_bytes(&mut out));
        out
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&self, end: usize) -> usize {
        if end == 0 { 0 } else { self.with(|rng| rng.random_range(0..end)) }
    }

    /// `interval` times a factor uniform in `1 - jitter ..= 1 + jitter`, cut to what a duration holds.
    pub(crate) fn jittered(&self, interval: Duration, jitter: f64) -> Duration {
        let jitter = jitter.clamp(0.0, 1.0);
        let factor = self.with(|rng| rng.random_range(1.0 - jitter..=1.0 + jitter));
        Duration::try_from_secs_f64(interval.as_secs_f64() * factor).unwrap_or(Duration::MAX)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (a, b) = (Random::from_seed(7), Random::from_seed(7));
        assert_eq!(a.bytes::<32>(), b.bytes::<32>());
        assert_eq!(a.below(1000), b.below(1000));
        assert_eq!(a.below(0), 0);
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let random = Random::from_seed(1);
        for _ in 0..1000 {
            let span = random.jittered(Duration::from_secs(10), 0.5);
            assert!(span >= Duration::from_secs(5) && span <= Duration::from_secs(15));
            assert!(random.jittered(Duration::MAX, 1.0) <= Duration::MAX);
        }
    }
}
