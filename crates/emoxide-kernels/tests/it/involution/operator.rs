//! The operator on tensors of Flex, and its derivatives.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emoxide_kernels::{Level, involution2d};

use super::{CASES, Operands, assert_close, by_definition, through_tensors, with_kernels};
use crate::support::{difference, values};

#[test]
fn extension_gives_the_kernels_results_whatever_is_tracked() {
    let level = Level::active().expect("EMOXIDE_CPU names a level of this processor");
    let plain = Device::flex().autodiff();
    for device in [plain.clone(), plain.gradient_checkpointing()] {
        for geometry in CASES {
            let operands = Operands::new(geometry);
            let [output, input, kernels] = with_kernels(level, geometry, &operands);
            for tracked in [[true, false], [false, true], [true, true]] {
                let actual = through_tensors(DType::F32, geometry, &operands, tracked, &device);
                let wanted = |gradient: &Vec<f32>, tracked| if tracked { gradient.clone() } else { Vec::new() };
                let expected = [output.clone(), wanted(&input, tracked[0]), wanted(&kernels, tracked[1])];
                assert_eq!(actual, expected, "{geometry:?}, tracked {tracked:?}");
            }
        }
    }
}

/// What the kernels do not cover is computed, and differentiated, by Burn's operators.
#[test]
fn burns_operators_compute_the_definition() {
    let device = Device::flex().autodiff();
    for geometry in CASES {
        let operands = Operands::new(geometry);
        let actual = through_tensors(DType::F64, geometry, &operands, [true, true], &device);
        assert_close(&actual, &by_definition(geometry, &operands), 1e-6, &format!("{geometry:?}"));
    }
}

#[test]
fn views_and_activations_that_are_computed_again() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        let [single, double] = [DType::F32, DType::F64].map(|dtype| {
            let leaf = |shape: [usize; 4], seed| {
                let data = TensorData::new(values(shape.iter().product(), seed), shape);
                Tensor::<4>::from_data(data, (&device, dtype)).require_grad()
            };
            // Channels come last in memory; the kernels are an activation of the input, as in the paper.
            let (input, weight) = (leaf([2, 9, 8, 32], 1), leaf([98, 32, 1, 1], 2));
            let maps = input.clone().permute([0, 3, 1, 2]);
            let options = burn::tensor::ops::ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
            let kernels = burn::tensor::module::conv2d(maps.clone(), weight.clone(), None, options);
            let kernels = burn::tensor::activation::relu(kernels * 2.0).reshape([2, 2, 49, 5, 4]);
            let gradients = involution2d(maps, kernels, 2).powi_scalar(2).sum().backward();
            [input, weight].map(|leaf| {
                let gradient = leaf.grad(&gradients).expect("a leaf").into_data().convert::<f32>();
                gradient.try_to_vec::<f32>().expect("floats")
            })
        });
        for (single, double) in single.iter().zip(&double) {
            assert!(difference(single, double) < 1e-5);
        }
    }
}

#[test]
#[should_panic(expected = "involution to [5, 6] rows and columns with kernels for [9, 12]")]
fn the_operator_says_what_does_not_fit() {
    let device = Device::flex();
    involution2d(Tensor::zeros([2, 32, 9, 12], &device), Tensor::zeros([2, 2, 49, 9, 12], &device), 2);
}
