//! The operator on a GPU of this machine, for each backend of the build.
#![cfg(any(feature = "vulkan", feature = "wgpu", feature = "metal", feature = "cuda"))]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use burn::{
    backend::fusion::{
        custom::OperationIr,
        observer::{BlockOperations, FusionObservation, FusionObserver},
    },
    tensor::{DType, Device, DeviceType, Tensor, TensorData, activation::relu},
};
use emoxide_kernels::involution2d;
use proptest::test_runner::{Config, TestRunner};

use super::{CASES, Operands, assert_close, by_definition, geometries, reference, through_tensors};
use crate::support::{difference, values};

/// The first device of every backend in the build, with autodiff. Where one has none, this says so on standard error.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn devices() -> Vec<(&'static str, Device)> {
    let types = [
        #[cfg(feature = "cuda")]
        ("cuda", DeviceType::Cuda),
        #[cfg(feature = "metal")]
        ("metal", DeviceType::Metal),
        #[cfg(feature = "vulkan")]
        ("vulkan", DeviceType::Vulkan),
        #[cfg(feature = "wgpu")]
        ("wgpu", DeviceType::Wgpu),
    ];
    let mut devices = Vec::new();
    for (name, device_type) in types {
        match Device::enumerate(device_type).into_iter().next() {
            Some(device) => devices.push((name, device.autodiff())),
            None => eprintln!("SKIPPED: no {name} device on this machine"),
        }
    }
    devices
}

#[test]
fn the_definition_whatever_is_tracked() {
    for (name, device) in devices() {
        for geometry in CASES {
            let operands = Operands::new(geometry);
            let [output, input, kernels] = by_definition(geometry, &operands);
            for tracked in [[true, false], [false, true], [true, true]] {
                let actual = through_tensors(DType::F32, geometry, &operands, tracked, &device);
                let wanted = |gradient: &Vec<f32>, tracked| if tracked { gradient.clone() } else { Vec::new() };
                let expected = [output.clone(), wanted(&input, tracked[0]), wanted(&kernels, tracked[1])];
                assert_close(&actual, &expected, 1e-5, &format!("{name} {geometry:?}, tracked {tracked:?}"));
            }
        }
    }
}

#[test]
fn any_sizes() {
    for (name, device) in devices() {
        let mut runner = TestRunner::new(Config { cases: 50, failure_persistence: None, ..Config::default() });
        let result = runner.run(&geometries(), |geometry| {
            let operands = Operands::new(&geometry);
            let actual = through_tensors(DType::F32, &geometry, &operands, [true, true], &device);
            assert_close(&actual, &by_definition(&geometry, &operands), 1e-5, &format!("{name} {geometry:?}"));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn agrees_with_pytorch() {
    for (device_name, device) in devices() {
        for (name, geometry, operands, expected) in reference::cases() {
            let actual = through_tensors(DType::F32, &geometry, &operands, [true, true], &device);
            assert_close(&actual, &expected, 1e-5, &format!("{device_name}, {name}"));
        }
    }
}

/// What stands around the operator is fused with others, recomputed, and seen through other strides.
#[test]
fn views_among_other_operators() {
    let run = |device: &Device, dtype| {
        let leaf = |shape: [usize; 4], seed| {
            let data = TensorData::new(values(shape.iter().product(), seed), shape);
            Tensor::<4>::from_data(data, (device, dtype)).require_grad()
        };
        // Channels come last in memory.
        let (input, weights) = (leaf([2, 9, 8, 32], 1), leaf([2, 5, 4, 98], 2));
        let maps = relu(input.clone() + 0.25).permute([0, 3, 1, 2]);
        let kernels = relu(weights.clone() * 2.0).permute([0, 3, 1, 2]).reshape([2, 2, 49, 5, 4]);
        let output = involution2d(maps.clone(), kernels, 2);
        let gradients = (relu(output) * maps.narrow(2, 0, 5).narrow(3, 0, 4)).powi_scalar(2).sum().backward();
        [input, weights].map(|leaf| {
            let gradient = leaf.grad(&gradients).expect("a leaf").into_data().convert::<f32>();
            gradient.try_to_vec::<f32>().expect("floats")
        })
    };
    let expected = run(&Device::flex().autodiff(), DType::F64);
    for (name, device) in devices() {
        for device in [device.clone(), device.gradient_checkpointing()] {
            for (actual, expected) in run(&device, DType::F32).iter().zip(&expected) {
                let difference = difference(actual, expected);
                assert!(difference < 1e-5, "{name}: {difference}");
            }
        }
    }
}

/// Operations of extensions, as the fusion server meets them.
#[derive(Default)]
struct Extensions(Mutex<BTreeSet<String>>);

impl FusionObserver for Extensions {
    fn registered(&self, operation: &OperationIr) {
        if let OperationIr::Custom(operation) = operation {
            self.0.lock().expect("no test panics with it").insert(operation.id.clone());
        }
    }

    fn block_starts(&self, _block: BlockOperations<'_>) {}

    fn block_ran(&self) {}
}

/// As against the sums of shifted inputs, which would give the same numbers.
#[test]
fn the_kernels_run() {
    for (name, device) in devices() {
        let extensions = Arc::new(Extensions::default());
        let observation = FusionObservation::new(extensions.clone());
        let geometry = CASES[2];
        through_tensors(DType::F32, &geometry, &Operands::new(&geometry), [true, true], &device);
        drop(observation);
        let seen = extensions.0.lock().unwrap();
        let expected = ["involution_input_gradient", "involution_kernel_gradient", "involve"];
        assert!(seen.iter().eq(expected.iter()), "{name}: {seen:?}");
    }
}
