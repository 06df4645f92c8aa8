//! Time as the core sees it: numbers that arrive with events.
//!
//! Owns the two units of time. The core never asks what time it is; the driver hands `now` to every
//! step, taken from a clock that never steps back.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Timestamp(u64);

/// A length of time in milliseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Millis(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const ZERO: Self = Self(0);
    /// The moment no deadline reaches.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `ms` milliseconds after the epoch.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment less `length`, not before the epoch.
    pub const fn minus(self, length: Millis) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// `minutes` minutes.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self::from_secs(minutes.saturating_mul(60))
    }

    /// `hours` hours.
    pub const fn from_hours(hours: u64) -> Self {
        Self::from_minutes(hours.saturating_mul(60))
    }

    /// This length in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// This length doubled `times` times, at most `cap`: the step of an exponential back-off.
    pub fn doubled(self, times: u32, cap: Self) -> Self {
        let factor = 1u64.checked_shl(times).unwrap_or(u64::MAX);
        Self(self.0.saturating_mul(factor).min(cap.0))
    }
}

impl From<Millis> for std::time::Duration {
    fn from(length: Millis) -> Self {
        Self::from_millis(length.0)
    }
}

/// A length that does not fit, of half a billion years, is the longest there is.
impl From<std::time::Duration> for Millis {
    fn from(length: std::time::Duration) -> Self {
        Self(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
