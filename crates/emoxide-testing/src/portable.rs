//! Values that Python computes too, bit for bit, so that fixtures need not hold weights. The twin is
//! `tools/reference/portable.py`.

/// `count` numbers in `[-1, 1)`: a 32-bit integer hash (the murmur3 finaliser) of the index, offset by FNV-1a of the name.
pub fn uniform(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(2_166_136_261, |seed: u32, byte| (seed ^ u32::from(byte)).wrapping_mul(16_777_619));
    let value = |index: usize| {
        let mut x = (index as u32).wrapping_add(seed).wrapping_mul(0x9E37_79B1);
        x ^= x >> 16;
        x = x.wrapping_mul(0x85EB_CA6B);
        x ^= x >> 13;
        x = x.wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        f64::from(x) / 2_147_483_648.0 - 1.0
    };
    (0..count).map(value).collect()
}

/// [`uniform`] in single precision.
pub fn values(name: &str, count: usize) -> Vec<f32> {
    uniform(name, count).into_iter().map(|value| value as f32).collect()
}

/// A weight of the size that a trained network would have, told apart by the name and the number of axes. `shape` is
/// PyTorch's: a linear layer's is `[outputs, inputs]`.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let (offset, scale) = if name.ends_with("running_var") {
        (1.0, 0.5)
    } else if name.ends_with("running_mean") || name.ends_with("bias") {
        (0.0, 0.1)
    } else if name.ends_with("bn3.weight") {
        (0.15 * 0.75, 0.15 * 0.25)
    } else if shape.len() == 1 {
        (0.75, 0.25)
    } else {
        let inputs: usize = shape[1..].iter().product();
        (0.0, (3.0 / inputs as f64).sqrt())
    };
    let values = uniform(name, shape.iter().product());
    values.into_iter().map(|value| (f64::from(value as f32) * scale + offset) as f32).collect()
}

/// Evenly spaced values of a tensor (all, if there are no more than `count`), then its L2 norm.
pub fn samples(values: &[f32], count: usize) -> Vec<f32> {
    let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt() as f32;
    let stride = if values.len() > count { count } else { values.len() };
    (0..stride).map(|i| values[i * values.len() / stride]).chain([norm]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_values_are_those_of_the_twin_in_python() {
        let expected: [f64; 3] = [0.793_831_083_923_578_3, -0.910_183_980_595_320_5, -0.371_381_971_053_779_1];
        assert_eq!(super::uniform("images", 3), expected);
    }
}
