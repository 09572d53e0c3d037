//! Scratch buffers that survive the call.
//!
//! Fresh memory of some megabytes comes from the system page by page, which costs as much as the work on it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

/// Buffers kept at most; the rest is freed.
const KEPT: usize = 64;

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Floats that go back to the pool when dropped. Contents are whatever the last user left.
#[derive(Debug)]
pub(crate) struct Scratch {
    buffer: Vec<f32>,
    len: usize,
}

impl Scratch {
    /// `len` initialised floats of arbitrary value.
    pub(crate) fn new(len: usize) -> Self {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that fits; if none fits, the largest makes room for a new one.
        let fitting = (0..pool.len()).filter(|&i| pool[i].len() >= len).min_by_key(|&i| pool[i].len());
        let chosen = fitting.or_else(|| (0..pool.len()).max_by_key(|&i| pool[i].len()));
        let buffer = chosen.map(|index| pool.swap_remove(index));
        drop(pool);
        let buffer = buffer.filter(|buffer| buffer.len() >= len).unwrap_or_else(|| vec![0.0; len]);
        Self { buffer, len }
    }

    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let mut scratch = Self::new(len);
        scratch.fill(0.0);
        scratch
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT {
            pool.push(buffer);
        }
    }
}
