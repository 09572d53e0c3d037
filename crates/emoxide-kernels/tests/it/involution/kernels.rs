//! The kernels on slices, at every level of this machine.

use emoxide_kernels::{
    Level,
    blocked::{self, Buffer, Layout, from_blocked},
    involution::{self, Geometry, ShapeError},
};
use proptest::prelude::*;

use super::{CASES, Operands, assert_close, by_definition, geometries, with_kernels};
use crate::support::{blocked, values};

#[test]
fn every_level_computes_the_definition() {
    for geometry in CASES {
        let operands = Operands::new(geometry);
        let expected = by_definition(geometry, &operands);
        for level in Level::available() {
            let actual = with_kernels(level, geometry, &operands);
            assert_close(&actual, &expected, 1e-5, &format!("{} {geometry:?}", level.name()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes(geometry in geometries()) {
        let operands = Operands::new(&geometry);
        let expected = by_definition(&geometry, &operands);
        for level in Level::available() {
            let actual = with_kernels(level, &geometry, &operands);
            assert_close(&actual, &expected, 1e-5, &format!("{} {geometry:?}", level.name()));
        }
    }
}

#[test]
fn a_centred_one_returns_the_pixels_of_the_stride() {
    for level in Level::available() {
        for stride in [1, 2, 3] {
            let geometry = Geometry { batch: 2, channels: 32, groups: 2, input: [9, 14], kernel: 7, stride };
            let input = values(geometry.input_len(), 1);
            let [rows, cols] = geometry.output();
            let mut kernels = vec![0.0; geometry.kernels_len()];
            kernels.chunks_mut(rows * cols).skip(24).step_by(49).for_each(|centre| centre.fill(1.0));
            let output = involution::forward(level, &geometry, &input, &kernels);
            let pixels = input
                .chunks(9 * 14)
                .flat_map(|plane| plane.chunks(14).step_by(stride).flat_map(|row| row.iter().step_by(stride).copied()));
            assert_eq!(output, pixels.collect::<Vec<_>>(), "{} stride {stride}", level.name());
        }
    }
}

#[test]
fn same_bits_whatever_the_threads() {
    for geometry in CASES {
        let operands = Operands::new(geometry);
        for level in Level::available() {
            let [one, two, five] = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let results = pool.install(|| with_kernels(level, geometry, &operands));
                results.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            });
            assert_eq!(one, two, "{} {geometry:?}", level.name());
            assert_eq!(one, five, "{} {geometry:?}", level.name());
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let new = |input, kernels, stride| Geometry::new(input, kernels, stride);
    let geometry = new([2, 32, 9, 12], [2, 2, 49, 5, 6], 2).unwrap();
    assert_eq!(geometry, Geometry { batch: 2, channels: 32, groups: 2, input: [9, 12], kernel: 7, stride: 2 });
    assert!(matches!(new([0, 32, 9, 12], [0, 2, 49, 9, 12], 1), Err(ShapeError::Empty { .. })));
    assert!(matches!(new([2, 32, 9, 12], [2, 2, 49, 9, 12], 0), Err(ShapeError::Empty { .. })));
    assert_eq!(new([2, 32, 9, 12], [2, 2, 48, 9, 12], 1), Err(ShapeError::Kernel { taps: 48 }));
    assert_eq!(new([2, 32, 9, 12], [2, 2, 16, 9, 12], 1), Err(ShapeError::Kernel { taps: 16 }));
    assert_eq!(new([2, 32, 9, 12], [2, 3, 49, 9, 12], 1), Err(ShapeError::Groups { channels: 32, groups: 3 }));
    assert_eq!(new([2, 32, 9, 12], [1, 2, 49, 9, 12], 1), Err(ShapeError::Batch { input: 2, kernels: 1 }));
    let error = new([2, 32, 9, 12], [2, 2, 49, 9, 12], 2).unwrap_err();
    assert_eq!(error, ShapeError::Output { expected: [5, 6], found: [9, 12] });
    assert_eq!(error.to_string(), "involution to [5, 6] rows and columns with kernels for [9, 12]");
}

#[test]
#[should_panic(expected = "kernels length")]
fn slices_of_another_length_are_refused() {
    let geometry = Geometry { batch: 1, channels: 4, groups: 2, input: [3, 3], kernel: 3, stride: 1 };
    let operands = Operands::new(&geometry);
    involution::forward(Level::Portable, &geometry, &operands.input, &operands.kernels[1..]);
}

#[test]
#[should_panic(expected = "invalid involution")]
fn an_even_kernel_is_refused() {
    let geometry = Geometry { batch: 1, channels: 4, groups: 2, input: [3, 3], kernel: 2, stride: 1 };
    involution::kernel_gradient(Level::Portable, &geometry, &[], &[]);
}

/// Of compiled networks: the same numbers in blocks of channels.
#[test]
fn blocked_maps_give_the_same() {
    for geometry in CASES {
        let operands = Operands::new(geometry);
        let [rows, cols] = geometry.output();
        for level in Level::available() {
            let layout = |channels, size, halo| Layout::blocked(level, channels, size, halo);
            let [source, target] =
                [layout(geometry.channels, geometry.input, 1), layout(geometry.channels, [rows, cols], 2)];
            let kernels = layout(geometry.groups * geometry.kernel * geometry.kernel, [rows, cols], 0);
            let batch = geometry.batch;
            let input = blocked(&source, batch, None, &operands.input);
            let by = blocked(&kernels, batch, None, &operands.kernels);
            let mut output = Buffer::images(&target, batch, None);
            let involution = blocked::Involution::new(level, Geometry { batch: 1, ..*geometry });
            involution.run(batch, (&source, &input), (&kernels, &by), (&target, &mut output));
            let [expected, ..] = with_kernels(level, geometry, &operands);
            assert_eq!(from_blocked(&target, &output), expected, "{geometry:?}, {}", level.name());
        }
    }
}
