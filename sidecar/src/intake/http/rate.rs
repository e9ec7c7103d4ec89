//! How many requests a second are answered: a bucket of tokens that time refills. Pure; time comes in.

use thumbforge_core::limits;

/// Tokens are counted in thousandths, so that a millisecond refills a whole number of them.
const WHOLE: u64 = 1000;
const FULL: u64 = limits::HTTP_BURST as u64 * WHOLE;

/// A bucket of [`limits::HTTP_BURST`] tokens, refilled with [`limits::HTTP_PER_SECOND`].
#[derive(Debug)]
pub(super) struct Bucket {
    level: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full one, at time 0.
    pub(super) fn full() -> Self {
        Self { level: FULL, at_ms: 0 }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How many milliseconds to wait for one.
    pub(super) fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        let per_ms = u64::from(limits::HTTP_PER_SECOND);
        let passed = now_ms.saturating_sub(self.at_ms);
        self.level = self.level.saturating_add(passed.saturating_mul(per_ms)).min(FULL);
        self.at_ms = self.at_ms.max(now_ms);
        if self.level >= WHOLE {
            self.level -= WHOLE;
            return Ok(());
        }
        Err((WHOLE - self.level).div_ceil(per_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, now_ms: u64) -> u32 {
        (0..).take_while(|_| bucket.take(now_ms).is_ok()).count() as u32
    }

    #[test]
    fn a_burst_is_answered_and_then_refused_with_a_time() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 0), limits::HTTP_BURST);
        assert_eq!(bucket.take(0), Err(1));
    }

    #[test]
    fn time_refills_at_the_rate_and_never_over_the_brim() {
        let mut bucket = Bucket::full();
        taken(&mut bucket, 0);
        assert_eq!(taken(&mut bucket, 1000), limits::HTTP_PER_SECOND);
        assert_eq!(taken(&mut bucket, 1_000_000_000), limits::HTTP_BURST);
    }

    #[test]
    fn time_that_goes_back_refills_nothing() {
        let mut bucket = Bucket::full();
        taken(&mut bucket, 5000);
        assert!(bucket.take(10).is_err());
        assert!(bucket.take(5000).is_err());
    }
}
