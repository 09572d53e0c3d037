use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor, TensorData};

/// Bilinear resampling that keeps the four corners, as PyTorch's `interpolate` with `align_corners`: `[batch, channels, rows,
/// cols]` → `[batch, channels, to[0], to[1]]`. A single row or column is the first one of the map.
///
/// It is linear along each axis, so it is two products with matrices, which every backend can differentiate.
pub fn resize_corners(map: Tensor<4>, to: [usize; 2]) -> Tensor<4> {
    let [_, _, rows, cols] = map.dims();
    along_cols(along_cols(map, cols, to[1]).swap_dims(2, 3), rows, to[0]).swap_dims(2, 3)
}

/// `[.., .., .., from]` → `[.., .., .., to]`
fn along_cols(map: Tensor<4>, from: usize, to: usize) -> Tensor<4> {
    if from == to {
        return map;
    }
    let matrix = shares(from, to, &map.device());
    linear(map, matrix, None)
}

/// How much of every old place is in every new one, `[from, to]`.
fn shares(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut shares = vec![0.0f32; from * to];
    for place in 0..to {
        let source = if to == 1 { 0.0 } else { (place * (from - 1)) as f64 / (to - 1) as f64 };
        let first = source.floor() as usize;
        let across = (source - first as f64) as f32;
        shares[first * to + place] += 1.0 - across;
        shares[(first + 1).min(from - 1) * to + place] += across;
    }
    Tensor::from_data(TensorData::new(shares, [from, to]), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use emoxide_testing::assert_close;

    use super::resize_corners;

    fn map(values: &[f32], shape: [usize; 4]) -> Tensor<4> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape(shape)
    }

    #[test]
    fn corners_stay_and_the_rest_lies_between() {
        let small = map(&[0.0, 2.0, 4.0, 10.0], [1, 1, 2, 2]);
        let large = resize_corners(small.clone(), [3, 3]);
        assert_close("larger", large.clone(), vec![0.0, 1.0, 2.0, 2.0, 4.0, 6.0, 4.0, 7.0, 10.0], 0.0, 1e-6);
        assert_close("back", resize_corners(large, [2, 2]), small, 0.0, 1e-6);
    }

    #[test]
    fn a_single_place_is_the_first() {
        let row = map(&[3.0, 5.0, 7.0], [1, 1, 1, 3]);
        assert_close("one of three", resize_corners(row.clone(), [1, 1]), vec![3.0], 0.0, 0.0);
        assert_close("rows of one", resize_corners(row, [2, 3]), vec![3.0, 5.0, 7.0, 3.0, 5.0, 7.0], 0.0, 0.0);
    }
}
