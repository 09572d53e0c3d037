//! Attention head by head: the scores of a few queries at a time, their shares, and the shares' sums of the values.

use std::cell::RefCell;

use rayon::prelude::*;

use super::{
    convolution::groups,
    layout::{Buffer, Layout},
    planar::sized,
    softmax::Pixels,
    tile::{Finish, Operands, Part, Target, tiling},
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// `softmax(scale * query · keyᵀ) · value` for heads whose channels follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Heads.
    pub heads: usize,
    /// Channels of a head's queries and keys.
    pub width: usize,
    /// Channels of a head's values.
    pub value_width: usize,
    /// Factor of the scores.
    pub scale: f32,
}

/// Tokens, the pixels of maps in the order of rows, of which some channels are read.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// Where they lie.
    pub layout: &'a Layout,
    /// Their values.
    pub values: &'a [f32],
    /// The first channel of the first head.
    pub first: usize,
}

/// Queries whose scores are held at a time.
const QUERIES: usize = 56;

thread_local! {
    /// Queries, keys, values, keys and values in the order of the products, scores and results of this thread.
    static SCRATCH: RefCell<[Buffer; 7]> = RefCell::new(std::array::from_fn(|_| Buffer::zeroed(0)));
}

impl Attention {
    /// Computes it for all images: the target has the pixels of the queries and `heads * value_width` channels; its
    /// halo stays as it is.
    ///
    /// # Panics
    /// When the level is not available, or layouts and lengths do not fit each other.
    pub fn run(
        &self,
        level: Level,
        [query, key, value]: [Tokens<'_>; 3],
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        let lanes = shape(level).lanes;
        let images = target.len() / target_layout.image();
        let tokens = |layout: &Layout| layout.rows * layout.cols;
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert_eq!([target_layout.lanes, target_layout.channels], [lanes, self.heads * self.value_width], "target");
        assert_eq!([target_layout.rows, target_layout.cols], [query.layout.rows, query.layout.cols], "queries");
        assert_eq!(tokens(key.layout), tokens(value.layout), "a value for every key");
        assert!(self.heads * self.width * self.value_width * tokens(key.layout) > 0, "nothing to attend to");
        assert_eq!(target.len(), images * target_layout.image(), "target length");
        for (tokens, width) in [(query, self.width), (key, self.width), (value, self.value_width)] {
            assert_eq!(tokens.layout.lanes, lanes, "lanes");
            assert!(tokens.first + self.heads * width <= tokens.layout.channels, "channels");
            assert_eq!(tokens.values.len(), images * tokens.layout.image(), "length");
        }
        let target = Target::new(target);
        (0..images * self.heads).into_par_iter().for_each(|index| {
            let (image, head) = (index / self.heads, index % self.heads);
            let head = Head { attention: self, level, image, index: head };
            SCRATCH.with_borrow_mut(|scratch| head.run([query, key, value], target_layout, target, scratch));
        });
    }
}

/// One head of one image.
struct Head<'a> {
    attention: &'a Attention,
    level: Level,
    image: usize,
    /// Which one.
    index: usize,
}

impl Head<'_> {
    fn run(
        &self,
        [query, key, value]: [Tokens<'_>; 3],
        target_layout: &Layout,
        target: Target<'_>,
        scratch: &mut [Buffer; 7],
    ) {
        let Attention { width, value_width, scale, .. } = *self.attention;
        let level = self.level;
        let lanes = shape(level).lanes;
        let tokens = |layout: &Layout| layout.rows * layout.cols;
        let (queries, keys) = (tokens(query.layout), tokens(key.layout));
        let padded = keys.next_multiple_of(lanes);
        let blocks = width.div_ceil(lanes);
        let [own_queries, own_keys, own_values, by_key, by_value, scores, results] = scratch;
        let own_queries = self.own(query, width, queries, own_queries);
        let own_keys = self.own(key, width, padded, own_keys);
        let own_values = self.own(value, value_width, padded, own_values);
        let by_key = sized(by_key, blocks * lanes * padded);
        let by_value = sized(by_value, value_width.next_multiple_of(lanes) * padded);
        let key_groups = groups(padded / lanes);
        let value_groups = groups(value_width.div_ceil(lanes));
        turn(level, own_keys, padded, by_key);
        join(lanes, own_values, padded, by_value);
        let zeros = [0.0; 32];
        let together = QUERIES.min(queries);
        let scores = sized(scores, padded * together);
        let results = sized(results, value_width.next_multiple_of(lanes) * together);
        for first in (0..queries).step_by(together) {
            let count = together.min(queries - first);
            let tile = tiling(level, 1, count);
            let product = |source: &[f32], taps: &[usize], weights: &[f32], target: Target<'_>, blocks: usize| {
                Part {
                    source,
                    source_row: 0,
                    taps,
                    inner: lanes,
                    source_col: lanes,
                    weights,
                    bias: &zeros,
                    operands: Operands::Floats,
                    finish: Finish::Linear,
                    carried: None,
                    target,
                    target_block: count * lanes,
                    target_row: 0,
                    target_col: lanes,
                    target_bf16: false,
                    rows: 0..1,
                    cols: count,
                    blocks,
                    tile,
                }
                .run(level);
            };
            let taps: Vec<usize> = (0..blocks).map(|block| block * queries * lanes).collect();
            let memory = Target::new(scores);
            for group in &key_groups {
                let weights = &by_key[group.start * lanes * blocks * lanes..];
                let to = memory.part(group.start * count * lanes);
                product(&own_queries[first * lanes..], &taps, weights, to, group.len());
            }
            Pixels { values: scores, block: count * lanes, count }.shares(level, keys, scale);
            let taps: Vec<usize> = (0..padded / lanes).map(|block| block * count * lanes).collect();
            let memory = Target::new(results);
            for group in &value_groups {
                let weights = &by_value[group.start * lanes * padded..];
                let to = memory.part(group.start * count * lanes);
                product(scores, &taps, weights, to, group.len());
            }
            self.leave(results, first, count, target_layout, target);
        }
    }

    /// This head's channels of all tokens, `[blocks][count][lanes]`, zero beyond the last channel and token.
    fn own<'a>(&self, tokens: Tokens<'_>, width: usize, count: usize, scratch: &'a mut Buffer) -> &'a mut [f32] {
        let Tokens { layout, values, first } = tokens;
        let lanes = layout.lanes;
        let own = sized(scratch, width.next_multiple_of(lanes) * count);
        own.fill(0.0);
        let image = &values[self.image * layout.image()..][..layout.image()];
        for piece in pieces(first + self.index * width, width, lanes) {
            for row in 0..layout.rows {
                let from = layout.offset(piece.outer_block, row as isize, 0);
                let to = (piece.own_block * count + row * layout.cols) * lanes;
                let from = &image[from..from + layout.cols * lanes];
                copy(&piece, lanes, from, &mut own[to..to + layout.cols * lanes]);
            }
        }
        own
    }

    /// Writes this head's results `[blocks][count][lanes]` for the queries from `first` on.
    fn leave(&self, results: &[f32], first: usize, count: usize, layout: &Layout, target: Target<'_>) {
        let lanes = layout.lanes;
        let width = self.attention.value_width;
        let target = target.part(self.image * layout.image());
        for piece in pieces(self.index * width, width, lanes) {
            for query in 0..count {
                let (row, col) = ((first + query) / layout.cols, (first + query) % layout.cols);
                let from = (piece.own_block * count + query) * lanes + piece.own_lane;
                let to = layout.offset(piece.outer_block, row as isize, col as isize) + piece.outer_lane;
                target.write(to, &results[from..from + piece.len]);
            }
        }
    }
}

/// Channels that lie in one block both in a map and in a head's own memory.
struct Piece {
    outer_block: usize,
    outer_lane: usize,
    own_block: usize,
    own_lane: usize,
    len: usize,
}

/// The pieces of `width` channels from `first` on.
fn pieces(first: usize, width: usize, lanes: usize) -> impl Iterator<Item = Piece> {
    let mut own = 0;
    std::iter::from_fn(move || {
        let outer = first + own;
        let len = (lanes - outer % lanes).min(lanes - own % lanes).min(width - own);
        let piece = Piece {
            outer_block: outer / lanes,
            outer_lane: outer % lanes,
            own_block: own / lanes,
            own_lane: own % lanes,
            len,
        };
        own += len;
        (len > 0).then_some(piece)
    })
}

/// Copies the lanes of a piece for all pixels of a row.
fn copy(piece: &Piece, lanes: usize, from: &[f32], to: &mut [f32]) {
    if piece.len == lanes {
        to.copy_from_slice(from);
        return;
    }
    for (to, from) in to.chunks_mut(lanes).zip(from.chunks(lanes)) {
        to[piece.own_lane..piece.own_lane + piece.len]
            .copy_from_slice(&from[piece.outer_lane..piece.outer_lane + piece.len]);
    }
}

/// Keys `[blocks][count][lanes]` to `[groups of keys][blocks · lanes][keys of the group]`.
fn turn(level: Level, keys: &[f32], count: usize, turned: &mut [f32]) {
    let lanes = shape(level).lanes;
    let channels = keys.len() / count;
    assert!(level.is_available() && count.is_multiple_of(lanes) && channels.is_multiple_of(lanes));
    assert_eq!([keys.len(), turned.len()], [channels * count; 2], "lengths");
    // SAFETY: the level is available, and both are whole squares of `lanes` rows.
    unsafe { dispatch(level, Turn { keys, count, turned }) }
}

struct Turn<'a> {
    keys: &'a [f32],
    count: usize,
    turned: &'a mut [f32],
}

impl Kernel for Turn<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let channels = self.keys.len() / self.count;
        for group in groups(self.count / S::LANES) {
            let row = group.len() * S::LANES;
            for key in group.clone() {
                for block in 0..channels / S::LANES {
                    let from = (block * self.count + key * S::LANES) * S::LANES;
                    let to =
                        group.start * S::LANES * channels + block * S::LANES * row + (key - group.start) * S::LANES;
                    // SAFETY: as for this function; `turn` checked the lengths.
                    unsafe {
                        S::transpose(self.keys.as_ptr().add(from), S::LANES, self.turned.as_mut_ptr().add(to), row);
                    }
                }
            }
        }
    }
}

/// Values `[blocks][count][lanes]` to `[groups of blocks][count][channels of the group]`.
fn join(lanes: usize, values: &[f32], count: usize, joined: &mut [f32]) {
    for group in groups(values.len() / count / lanes) {
        let width = group.len() * lanes;
        let rows = joined[group.start * lanes * count..][..width * count].chunks_mut(width);
        for (index, row) in rows.enumerate() {
            for (block, vector) in group.clone().zip(row.chunks_mut(lanes)) {
                vector.copy_from_slice(&values[(block * count + index) * lanes..][..lanes]);
            }
        }
    }
}
