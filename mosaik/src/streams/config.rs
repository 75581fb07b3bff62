//! How streams behave unless a builder says otherwise.

use std::{fmt, sync::Arc, time::Duration};

use backon::{Backoff, BackoffBuilder};

use crate::random::Random;

/// Makes the pauses between one consumer's attempts to reach one producer, anew after each success.
pub type BackoffFactory = Arc<dyn Fn() -> Box<dyn Backoff> + Send + Sync>;

/// The longest pause between two attempts, whatever the backoff says, and after it has ended.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The first pause of the default backoff.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How streams behave unless a builder says otherwise. Made by [`Config::builder`].
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// The pauses between a consumer's attempts to reach a producer that is in the catalog.
    ///
    /// Default `None`: exponential from 100 ms to 30 s, each varied at random by up to a half. A
    /// consumer never gives up: a backoff that ends goes on with 30 s, which is also the longest.
    pub backoff: Option<BackoffFactory>,
}

impl Config {
    /// Starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backoff = if self.backoff.is_some() { "set" } else { "default" };
        f.debug_struct("Config").field("backoff", &backoff).finish()
    }
}

/// Changes the defaults of a [`Config`].
///
/// ```
/// use mosaik::streams::{Config, backoff::ConstantBuilder};
///
/// let config = Config::builder().with_backoff(ConstantBuilder::default()).build().unwrap();
/// assert!(config.backoff.is_some());
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ConfigBuilder(Config);

/// A configuration that makes no sense. Nothing was started. No value of this part is such at
/// present.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigBuilderError {
    /// A field without a default was not set.
    #[error("{0} is not set")]
    UninitializedField(&'static str),
    /// A value is outside its range; the text says which, and what is allowed.
    #[error("{0}")]
    ValidationError(String),
}

impl ConfigBuilder {
    /// Sets the pauses between a consumer's attempts to reach a producer.
    pub fn with_backoff<B>(mut self, backoff: B) -> Self
    where
        B: BackoffBuilder + Clone + 'static,
    {
        self.0.backoff = Some(factory(backoff));
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// None at present.
    pub fn build(self) -> Result<Config, ConfigBuilderError> {
        Ok(self.0)
    }
}

pub(super) fn factory<B: BackoffBuilder + Clone + 'static>(backoff: B) -> BackoffFactory {
    Arc::new(move || Box::new(backoff.clone().build()))
}

/// The pauses of one subscription.
pub(super) struct Pauses {
    factory: Option<BackoffFactory>,
    random: Random,
    current: Option<Box<dyn Backoff>>,
    next: Duration,
}

impl Pauses {
    pub(super) fn new(factory: Option<BackoffFactory>, random: Random) -> Self {
        Self { factory, random, current: None, next: FIRST_PAUSE }
    }

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let pause = match &self.factory {
            Some(factory) => {
                self.current.get_or_insert_with(|| factory()).next().unwrap_or(LONGEST_PAUSE)
            }
            None => {
                let pause = self.next;
                self.next = (pause * 2).min(LONGEST_PAUSE);
                self.random.jittered(pause, 0.5)
            }
        };
        pause.min(LONGEST_PAUSE)
    }

    /// An attempt succeeded: the next failure begins anew.
    pub(super) fn reset(&mut self) {
        self.current = None;
        self.next = FIRST_PAUSE;
    }
}

impl fmt::Debug for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pauses").field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_start_over_after_a_success() {
        let mut pauses = Pauses::new(None, Random::from_seed(1));
        let first = pauses.next();
        assert!(first >= FIRST_PAUSE / 2 && first <= FIRST_PAUSE * 3 / 2);
        let last = (0..20).map(|_| pauses.next()).last().unwrap();
        assert!(last >= LONGEST_PAUSE / 2 && last <= LONGEST_PAUSE);
        pauses.reset();
        assert!(pauses.next() <= FIRST_PAUSE * 3 / 2);
    }

    #[test]
    fn a_backoff_that_ends_goes_on_with_the_longest_pause() {
        let one = backon::ConstantBuilder::new().with_delay(FIRST_PAUSE).with_max_times(1);
        let mut pauses = Pauses::new(Some(factory(one)), Random::from_seed(1));
        assert_eq!(pauses.next(), FIRST_PAUSE);
        assert_eq!(pauses.next(), LONGEST_PAUSE);
        pauses.reset();
        assert_eq!(pauses.next(), FIRST_PAUSE);
    }
}
