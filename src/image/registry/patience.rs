//! When a request is sent again, and after how long.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::RETRY_AFTER;

use super::transport::SendError;

/// The longest a server may make us wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often and how fast to try again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How often a failed request is tried again.
    pub(super) retries: u32,
    /// Pause before the first retry; it doubles each time.
    pub(super) delay: Duration,
}

impl Patience {
    /// The pause before retry number `attempt` (from 0).
    pub(super) fn pause(self, attempt: u32) -> Duration {
        let doubled = self.delay.saturating_mul(1 << attempt.min(10));
        // Up to a quarter more, so that many clients do not come back at once.
        let mut random = [0; 1];
        getrandom::fill(&mut random).ok();
        (doubled + doubled.mul_f64(f64::from(random[0]) / 1024.0)).min(LONGEST_WAIT)
    }

    /// The pause after a connection that broke; none when there is no use in trying again.
    pub(super) fn after_error(self, error: &SendError, attempt: u32) -> Option<Duration> {
        (error.transient && attempt < self.retries).then(|| self.pause(attempt))
    }

    /// The pause after an answer that says to come again; none when it says something else, or not to be waited for.
    pub(super) fn after_answer(self, response: &Response, attempt: u32) -> Option<Duration> {
        if !matches!(response.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504) || attempt >= self.retries {
            return None;
        }
        let wanted = retry_after(response);
        // A limit without a time is for hours, not for seconds.
        let hopeless = response.status() == StatusCode::TOO_MANY_REQUESTS && wanted.is_none() && attempt > 0;
        let pause = wanted.unwrap_or_else(|| self.pause(attempt));
        (pause <= LONGEST_WAIT && !hopeless).then_some(pause)
    }
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(date.timestamp().as_second()).ok()?);
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}
