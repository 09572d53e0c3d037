//! Memory that uploads and pictures may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::ApiError;

/// Bytes that are left.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicUsize>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Bytes that nobody holds.
    pub(crate) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A request's share of it, nothing yet.
    pub(crate) fn charge(&self) -> Charge {
        Charge { left: Arc::clone(&self.0), held: 0 }
    }
}

/// What one request holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    left: Arc<AtomicUsize>,
    held: usize,
}

impl Charge {
    /// Takes so many bytes more.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        let less = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map_err(|_| ApiError::Memory)?;
        self.held += bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.left.fetch_add(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.charge(), budget.charge());
        one.take(60).unwrap();
        assert_eq!(other.take(41), Err(ApiError::Memory));
        other.take(40).unwrap();
        assert_eq!(budget.left(), 0);
        drop(one);
        assert_eq!(budget.left(), 60);
        drop(other);
        assert_eq!(budget.left(), 100);
    }
}
