//! Pushes: horizontal forces at the top of the body, for a while.

use core::fmt;
use core::str::FromStr;

/// A push.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Push {
    /// Milliseconds from the robot's release to its start.
    pub at_ms: u32,
    /// Its force in N, positive forward.
    pub newtons: f32,
    /// Its duration in milliseconds.
    pub ms: u32,
}

/// The reason why a text is no push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// It does not have three parts.
    Parts,
    /// A time is not a whole number of milliseconds.
    Time,
    /// The force is not a finite number.
    Force,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self {
            Self::Parts => "it does not have three parts",
            Self::Time => "a time is not a whole number of milliseconds",
            Self::Force => "the force is not a finite number of newtons",
        };
        write!(f, "{reason}; write START:NEWTONS:DURATION with times in milliseconds, such as 1000:-4:100")
    }
}

impl core::error::Error for PushError {}

impl fmt::Display for Push {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.at_ms, self.newtons, self.ms)
    }
}

impl FromStr for Push {
    type Err = PushError;

    /// Reads `START:NEWTONS:DURATION`, times in milliseconds.
    fn from_str(text: &str) -> Result<Self, PushError> {
        let mut parts = text.split(':').map(str::trim);
        let (Some(at), Some(force), Some(duration), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PushError::Parts);
        };
        let time = |text: &str| text.parse::<u32>().map_err(|_| PushError::Time);
        let newtons = force.parse::<f32>().ok().filter(|force| force.is_finite()).ok_or(PushError::Force)?;
        Ok(Self { at_ms: time(at)?, newtons, ms: time(duration)? })
    }
}

/// Returns `force` and the pushes' forces in N at a time in microseconds from the release, added in their order.
pub fn force_at(pushes: &[Push], micros: u64, force: f32) -> f32 {
    let acts = |push: &&Push| {
        let (start, duration) = (u64::from(push.at_ms) * 1000, u64::from(push.ms) * 1000);
        micros >= start && micros - start < duration
    };
    pushes.iter().filter(acts).fold(force, |force, push| force + push.newtons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_read_from_three_parts() {
        assert_eq!("1000:-4.5:100".parse(), Ok(Push { at_ms: 1000, newtons: -4.5, ms: 100 }));
        let push = Push { at_ms: 7, newtons: 0.1, ms: 3 };
        assert_eq!(std::format!("{push}").parse(), Ok(push));
        let refused = |text: &str| text.parse::<Push>().unwrap_err();
        assert_eq!(refused("1000:4"), PushError::Parts);
        assert_eq!(refused("1:2:3:4"), PushError::Parts);
        assert_eq!(refused("-1:4:100"), PushError::Time);
        assert_eq!(refused("1:inf:100"), PushError::Force);
    }

    #[test]
    fn forces_act_from_their_start_and_add_up() {
        let pushes = [Push { at_ms: 1, newtons: 2.0, ms: 2 }, Push { at_ms: 2, newtons: 3.0, ms: 2 }];
        let forces = [0, 999, 1000, 2000, 3000, 3999, 4000].map(|micros| force_at(&pushes, micros, 0.0));
        assert_eq!(forces, [0.0, 0.0, 2.0, 5.0, 3.0, 3.0, 0.0]);
    }
}
