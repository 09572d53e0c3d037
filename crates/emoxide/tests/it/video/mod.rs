//! Clips: reading, writing, following faces, summing up.

mod kalman;
mod over_time;
mod reader;
mod tracker;
mod writer;
