//! Which maps of attention lie as the picture does.

use std::fmt;

use crate::models::AttentionAxes;
use crate::zoo::Attention;

/// Where a part of a network looks in one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Name within the network and, where it has several maps of this name, which of them: `branches.0[2]`.
    pub name: String,
    /// Rows of the map.
    pub rows: usize,
    /// Columns of the map.
    pub cols: usize,
    /// The values, row by row.
    pub values: Vec<f32>,
}

/// Maps that say nothing of places in the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Their name within the network.
    pub name: String,
    /// Why they are left out.
    pub reason: Reason,
}

/// Why maps of attention are not laid over the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Tokens attend to each other, and none stands for the class.
    NoClassToken,
    /// Numbers without a place.
    Numbers,
    /// A map of a single place.
    OnePlace,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoClassToken => "shares of tokens, none of which looks at the picture for the class",
            Self::Numbers => "numbers that have no place in the picture",
            Self::OnePlace => "one place that is all of the picture",
        })
    }
}

/// The maps of one name that can be laid over face `face`: as they are, one a branch; the mean over the places that look; of a
/// transformer, the shares that the token of the class gives the patches, the mean over the heads.
pub fn maps(attention: &Attention, face: usize) -> Result<Vec<Map>, LeftOut> {
    let left_out = |reason| LeftOut { name: attention.name.clone(), reason };
    let [_, count, rows, cols] = attention.shape;
    let of_face = &attention.values[face * count * rows * cols..][..count * rows * cols];
    let planes = of_face.chunks_exact(rows * cols);
    let named = |name, rows, cols, values| Map { name, rows, cols, values };
    let maps = match attention.axes {
        AttentionAxes::Picture => {
            let name = |index| if count == 1 { attention.name.clone() } else { format!("{}[{index}]", attention.name) };
            planes.enumerate().map(|(index, plane)| named(name(index), rows, cols, plane.to_vec())).collect()
        }
        AttentionAxes::Places => vec![named(attention.name.clone(), rows, cols, mean(planes))],
        AttentionAxes::ClassToken => {
            let (side, patches) = ((cols - 1).isqrt(), planes.map(|shares| &shares[1..cols]));
            if side * side != cols - 1 {
                return Err(left_out(Reason::NoClassToken));
            }
            vec![named(attention.name.clone(), side, side, mean(patches))]
        }
        AttentionAxes::Tokens => return Err(left_out(Reason::NoClassToken)),
        AttentionAxes::Numbers => return Err(left_out(Reason::Numbers)),
    };
    if maps.iter().all(|map| map.rows * map.cols <= 1) { Err(left_out(Reason::OnePlace)) } else { Ok(maps) }
}

/// The mean of rows of equal length.
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let rows: Vec<&[f32]> = rows.collect();
    let at = |index: usize| rows.iter().map(|row| row[index]).sum::<f32>() / rows.len() as f32;
    (0..rows[0].len()).map(at).collect()
}

impl Map {
    /// Lowest and highest value.
    pub fn range(&self) -> (f32, f32) {
        self.values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
    }

    /// The map in another size, between the middles of its places bilinear and beyond the outer ones even, as PyTorch's
    /// `interpolate` does it without `align_corners`.
    pub fn enlarged(&self, width: usize, height: usize) -> Vec<f32> {
        let (above, left) = (neighbours(self.rows, height), neighbours(self.cols, width));
        let mut values = Vec::with_capacity(width * height);
        for (top, bottom, down) in above {
            let [upper, lower] = [top, bottom].map(|row| &self.values[row * self.cols..][..self.cols]);
            values.extend(left.iter().map(|&(from, to, right)| {
                let [upper, lower] = [upper, lower].map(|row| row[from] + (row[to] - row[from]) * right);
                upper + (lower - upper) * down
            }));
        }
        values
    }
}

/// For each of `wanted` places the two of `count` that it lies between, and how far it is from the first towards the second.
fn neighbours(count: usize, wanted: usize) -> Vec<(usize, usize, f32)> {
    let scale = count as f32 / wanted as f32;
    let place = |index: usize| {
        let position = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, (count - 1) as f32);
        let first = position as usize;
        (first, (first + 1).min(count - 1), position - first as f32)
    };
    (0..wanted).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attention(axes: AttentionAxes, shape: [usize; 4]) -> Attention {
        let values = (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
        Attention { name: "name".to_owned(), axes, shape, values }
    }

    #[test]
    fn maps_of_the_picture_are_numbered_and_of_their_face() {
        let found = maps(&attention(AttentionAxes::Picture, [2, 3, 2, 4]), 1).unwrap();
        let names: Vec<&str> = found.iter().map(|map| map.name.as_str()).collect();
        assert_eq!(names, ["name[0]", "name[1]", "name[2]"]);
        assert_eq!((found[1].rows, found[1].cols, found[1].values[0], found[1].range()), (2, 4, 32.0, (32.0, 39.0)));
        assert_eq!(maps(&attention(AttentionAxes::Picture, [1, 1, 2, 4]), 0).unwrap()[0].name, "name");
    }

    #[test]
    fn what_many_places_or_heads_look_at_is_their_mean() {
        let places = maps(&attention(AttentionAxes::Places, [1, 2, 1, 2]), 0).unwrap();
        assert_eq!((places.len(), places[0].values.as_slice()), (1, [1.0, 2.0].as_slice()));

        // Two heads, a class token and four patches: 1..=4 of row 0, and 25 more of the second head.
        let class = maps(&attention(AttentionAxes::ClassToken, [1, 2, 5, 5]), 0).unwrap();
        assert_eq!((class[0].rows, class[0].cols), (2, 2));
        assert_eq!(class[0].values, [13.5, 14.5, 15.5, 16.5]);
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let reason = |axes, shape| maps(&attention(axes, shape), 0).unwrap_err().reason;
        assert_eq!(reason(AttentionAxes::Tokens, [1, 2, 5, 5]), Reason::NoClassToken);
        assert_eq!(reason(AttentionAxes::ClassToken, [1, 2, 6, 6]), Reason::NoClassToken);
        assert_eq!(reason(AttentionAxes::Numbers, [1, 1, 1, 8]), Reason::Numbers);
        assert_eq!(reason(AttentionAxes::Places, [1, 1, 1, 1]), Reason::OnePlace);
    }

    #[test]
    fn enlarging_is_bilinear_as_pytorch_does_it() {
        let map = Map { name: String::new(), rows: 2, cols: 2, values: vec![0.0, 1.0, 2.0, 3.0] };
        // torch.nn.functional.interpolate(torch.arange(4.).view(1, 1, 2, 2), (3, 4), mode="bilinear")
        let expected = [0.0, 0.25, 0.75, 1.0, 1.0, 1.25, 1.75, 2.0, 2.0, 2.25, 2.75, 3.0];
        for (value, wanted) in map.enlarged(4, 3).iter().zip(expected) {
            approx::assert_relative_eq!(*value, wanted, epsilon = 1e-6);
        }
    }
}
