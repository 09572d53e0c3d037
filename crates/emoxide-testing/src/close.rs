use burn::tensor::Tensor;

/// Numbers to be compared: a float tensor in row-major order, or a slice.
pub trait Values {
    /// All of them.
    fn values(self) -> Vec<f32>;
}

impl<const D: usize> Values for Tensor<D> {
    fn values(self) -> Vec<f32> {
        self.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32 just before")
    }
}

impl<const D: usize> Values for &Tensor<D> {
    fn values(self) -> Vec<f32> {
        self.clone().values()
    }
}

impl Values for &[f32] {
    fn values(self) -> Vec<f32> {
        self.to_vec()
    }
}

impl Values for &Vec<f32> {
    fn values(self) -> Vec<f32> {
        self.clone()
    }
}

impl Values for Vec<f32> {
    fn values(self) -> Vec<f32> {
        self
    }
}

/// The largest `|actual - expected|`.
///
/// # Panics
/// If the two differ in length or one value is not finite.
pub fn largest_difference(name: &str, actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len(), "{name}: as many values as expected");
    actual.iter().zip(expected).fold(0.0, |largest, (actual, expected)| {
        assert!(actual.is_finite() && expected.is_finite(), "{name}: {actual} where {expected} is expected");
        largest.max((actual - expected).abs())
    })
}

/// Asserts `|actual - expected| <= abs + rel |expected|` everywhere and returns the largest difference.
///
/// # Panics
/// If that does not hold; the message names the first place, the worst, and how many there are.
pub fn assert_close(name: &str, actual: impl Values, expected: impl Values, rel: f32, abs: f32) -> f32 {
    let (actual, expected) = (actual.values(), expected.values());
    let largest = largest_difference(name, &actual, &expected);
    let apart: Vec<usize> =
        (0..actual.len()).filter(|&i| (actual[i] - expected[i]).abs() > abs + rel * expected[i].abs()).collect();
    if let Some(&first) = apart.first() {
        panic!(
            "{name}: {} of {} values differ by more than {abs} + {rel} of the value; the first at {first}: \
             {} where {} is expected; the largest difference is {largest}",
            apart.len(),
            actual.len(),
            actual[first],
            expected[first],
        );
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::assert_close;

    #[test]
    fn differences_inside_the_tolerance_pass_and_the_largest_is_returned() {
        let largest = assert_close("x", vec![1.0, 2.001], vec![1.0, 2.0], 1e-3, 0.0);
        assert!((largest - 0.001).abs() < 1e-6);
    }

    #[test]
    #[should_panic(expected = "x: 1 of 2 values differ")]
    fn differences_outside_the_tolerance_panic() {
        assert_close("x", vec![1.0, 2.01], vec![1.0, 2.0], 1e-3, 0.0);
    }

    #[test]
    #[should_panic(expected = "x: NaN where 2 is expected")]
    fn values_that_are_not_finite_panic() {
        assert_close("x", vec![1.0, f32::NAN], vec![1.0, 2.0], 1e-3, 0.0);
    }

    #[test]
    #[should_panic(expected = "as many values as expected")]
    fn lengths_must_agree() {
        assert_close("x", vec![1.0], vec![1.0, 2.0], 1e-3, 0.0);
    }
}
