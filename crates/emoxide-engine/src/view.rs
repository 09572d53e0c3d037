//! How a recorded tensor lies in the value that holds its numbers.
//!
//! Networks reshape, permute and slice; the numbers stay where they are. `[1, channels, rows, cols]` as
//! `[1, tokens, channels]`, heads of tokens and flattened maps are other walks through the same value.

use crate::graph::{Size, Value};

/// Axes of a value, in the order in which [`Size`] has them.
pub(crate) const CHANNELS: usize = 0;
pub(crate) const ROWS: usize = 1;
pub(crate) const COLS: usize = 2;

/// A tensor for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) value: Value,
    /// Where its first number lies.
    pub(crate) start: Size,
    /// What one goes along in every dimension, the slowest walk first; nothing in a dimension of size 1.
    pub(crate) dims: Vec<Vec<Walk>>,
}

/// Regular steps along an axis of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) axis: usize,
    pub(crate) count: usize,
    pub(crate) stride: usize,
}

impl View {
    /// All of a value, whose axes are made of these dimensions.
    pub(crate) fn canonical(value: Value, shape: &[usize], axes: &[Vec<usize>; 3]) -> Self {
        let mut dims = vec![Vec::new(); shape.len()];
        for (axis, parts) in axes.iter().enumerate() {
            let mut stride = 1;
            for &dim in parts.iter().rev() {
                dims[dim] = merged([Walk { axis, count: shape[dim], stride }]);
                stride *= shape[dim];
            }
        }
        Self { value, start: [0; 3], dims }
    }

    /// Which axes the dimensions of a tensor become where nothing else is known: maps, tokens or a vector.
    pub(crate) fn usual_axes(rank: usize) -> [Vec<usize>; 3] {
        match rank {
            4 => [vec![0, 1], vec![2], vec![3]],
            3 => [vec![0, 2], vec![], vec![1]],
            _ => [(0..rank).collect(), vec![], vec![]],
        }
    }

    pub(crate) fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(|walks| walks.iter().map(|walk| walk.count).product()).collect()
    }

    /// Channel, row and column of an element.
    pub(crate) fn position(&self, index: &[usize]) -> Size {
        let mut position = self.start;
        for (walks, &index) in self.dims.iter().zip(index) {
            let mut rest = index;
            for walk in walks.iter().rev() {
                position[walk.axis] += rest % walk.count * walk.stride;
                rest /= walk.count;
            }
        }
        position
    }

    /// The same walks through a value that holds nothing else, and its size.
    pub(crate) fn dense(&self) -> (Vec<Vec<Walk>>, Size) {
        let mut dims = self.dims.clone();
        let mut size = [1; 3];
        for (axis, size) in size.iter_mut().enumerate() {
            let mut walks: Vec<&mut Walk> = dims.iter_mut().flatten().filter(|walk| walk.axis == axis).collect();
            walks.sort_by_key(|walk| walk.stride);
            for walk in walks {
                walk.stride = *size;
                *size *= walk.count;
            }
        }
        (dims.into_iter().map(merged).collect(), size)
    }

    /// Whether it is all of a value of this size.
    pub(crate) fn is_whole(&self, size: Size) -> bool {
        self.start == [0; 3] && self.dense() == (self.dims.clone(), size)
    }

    /// The axes that a dimension walks along.
    pub(crate) fn axes(&self, dim: usize) -> Vec<usize> {
        self.dims[dim].iter().map(|walk| walk.axis).collect()
    }

    /// What all dimensions but one walk along.
    pub(crate) fn walks_beside(&self, dim: usize) -> Vec<Walk> {
        let others = self.dims.iter().enumerate().filter(|(other, _)| *other != dim);
        merged(others.flat_map(|(_, walks)| walks.iter().copied()))
    }

    /// With other dimensions of as many numbers; nothing if a walk would have to end in mid-row.
    pub(crate) fn reshape(&self, shape: &[usize]) -> Option<Self> {
        let mut walks = merged(self.dims.iter().flatten().copied()).into_iter();
        let mut next = walks.next();
        let mut dims = Vec::new();
        for &size in shape {
            let mut dim = Vec::new();
            let mut rest = size;
            while rest > 1 {
                let Walk { axis, count, stride } = next?;
                if rest.is_multiple_of(count) {
                    dim.push(Walk { axis, count, stride });
                    rest /= count;
                    next = walks.next();
                } else if count.is_multiple_of(rest) {
                    let inner = count / rest;
                    dim.push(Walk { axis, count: rest, stride: stride * inner });
                    next = Some(Walk { axis, count: inner, stride });
                    rest = 1;
                } else {
                    return None;
                }
            }
            dims.push(dim);
        }
        Some(Self { dims, ..self.clone() })
    }

    pub(crate) fn permute(&self, axes: &[usize]) -> Self {
        Self { dims: axes.iter().map(|&axis| self.dims[axis].clone()).collect(), ..self.clone() }
    }

    /// `count` elements of a dimension from `first` on, `step` apart; nothing if they do not lie regularly.
    pub(crate) fn slice(&self, dim: usize, first: usize, count: usize, step: usize) -> Option<Self> {
        let mut view = self.clone();
        let mut index = vec![0; self.dims.len()];
        index[dim] = first;
        view.start = self.position(&index);
        view.dims[dim] = match self.dims[dim].as_slice() {
            _ if count == 1 => Vec::new(),
            [walk] => vec![Walk { count, stride: walk.stride * step, ..*walk }],
            [outer, inner @ ..] => {
                let inside: usize = inner.iter().map(|walk| walk.count).product();
                if count == self.shape()[dim] {
                    self.dims[dim].clone()
                } else if step == 1 && first.is_multiple_of(inside) && count.is_multiple_of(inside) {
                    let outer = Walk { count: count / inside, ..*outer };
                    merged(std::iter::once(outer).chain(inner.iter().copied()))
                } else {
                    return None;
                }
            }
            [] => Vec::new(),
        };
        Some(view)
    }
}

/// Without walks of one step, and with those joined that continue each other.
fn merged(walks: impl IntoIterator<Item = Walk>) -> Vec<Walk> {
    let mut merged: Vec<Walk> = Vec::new();
    for walk in walks.into_iter().filter(|walk| walk.count > 1) {
        match merged.last_mut() {
            Some(last) if last.axis == walk.axis && last.stride == walk.stride * walk.count => {
                *last = Walk { count: last.count * walk.count, ..walk };
            }
            _ => merged.push(walk),
        }
    }
    merged
}

/// Visits all indices of a shape, the last dimension fastest.
pub(crate) fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut index = vec![0; shape.len()];
    for _ in 0..shape.iter().product() {
        visit(&index);
        for (at, size) in index.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < *size {
                break;
            }
            *at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{View, for_each_index};

    /// Numbers of the elements in memory, where a value lies channel by channel.
    fn numbers(view: &View, [_, rows, cols]: [usize; 3]) -> Vec<usize> {
        let mut numbers = Vec::new();
        for_each_index(&view.shape(), |index| {
            let [channel, row, col] = view.position(index);
            numbers.push((channel * rows + row) * cols + col);
        });
        numbers
    }

    #[test]
    fn heads_of_tokens_are_walks_through_a_map() {
        let size = [6, 2, 5];
        let map = View::canonical(0, &[1, 6, 2, 5], &View::usual_axes(4));
        assert_eq!(numbers(&map, size), (0..60).collect::<Vec<_>>());
        let tokens = map.reshape(&[1, 6, 10]).expect("rows follow each other").permute(&[0, 2, 1]);
        assert_eq!(tokens.shape(), [1, 10, 6]);
        let heads = tokens.reshape(&[1, 10, 2, 3]).expect("heads divide channels").permute(&[0, 2, 1, 3]);
        let expected = (0..2).flat_map(|head| {
            (0..10).flat_map(move |token| (0..3).map(move |channel| (head * 3 + channel) * 10 + token))
        });
        assert_eq!(numbers(&heads, size), expected.collect::<Vec<_>>());
        assert_eq!(heads.permute(&[0, 2, 1, 3]).reshape(&[1, 10, 6]), Some(tokens));
    }

    #[test]
    fn slices_begin_elsewhere_and_become_dense() {
        let map = View::canonical(0, &[1, 6, 4], &View::usual_axes(3));
        let slice = map.slice(1, 1, 3, 2).and_then(|slice| slice.slice(2, 2, 2, 1)).expect("regular");
        assert_eq!(numbers(&slice, [4, 1, 6]), [13, 19, 15, 21, 17, 23]);
        assert!(!slice.is_whole([4, 1, 6]));
        let (dims, size) = slice.dense();
        assert_eq!(size, [2, 1, 3]);
        assert!(View { value: 0, start: [0; 3], dims }.is_whole(size));
    }

    #[test]
    fn what_ends_in_mid_row_is_no_walk() {
        let map = View::canonical(0, &[1, 1, 3, 4], &View::usual_axes(4));
        let tokens = map.reshape(&[1, 12]).expect("rows follow each other");
        assert_eq!(tokens.reshape(&[1, 2, 6]), None);
        assert_eq!(tokens.slice(1, 1, 11, 1), None);
        assert!(tokens.slice(1, 4, 8, 1).is_some());
    }
}
