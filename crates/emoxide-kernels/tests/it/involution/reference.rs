//! What `tools/reference/involution.py` wrote with PyTorch.

use burn::tensor::{DType, Device};
use emoxide_kernels::{Level, involution::Geometry};
use emoxide_testing::{Fixture, portable};

use super::{Operands, Results, assert_close, through_tensors, with_kernels};

/// Every case of the fixture: name, sizes, operands, and output and gradients.
pub(super) fn cases() -> Vec<(String, Geometry, Operands, Results)> {
    let fixture = Fixture::open("involution");
    let names = fixture.names_below("").filter_map(|name| name.strip_suffix("/sizes"));
    let case = |name: &str| {
        let tensor = |topic: &str| format!("{name}/{topic}");
        let [groups, kernel, stride] = fixture.values(&tensor("sizes")) else { panic!("{name}: three sizes") };
        let [batch, channels, rows, cols] = fixture.shape(&tensor("images")) else { panic!("{name}: four axes") };
        let geometry = Geometry {
            batch: *batch,
            channels: *channels,
            groups: *groups as usize,
            input: [*rows, *cols],
            kernel: *kernel as usize,
            stride: *stride as usize,
        };
        let operands = Operands {
            input: portable::values("images", geometry.input_len()),
            kernels: portable::values("kernels", geometry.kernels_len()),
            gradient: portable::values("cotangent", geometry.output_len()),
        };
        let expected = ["output", "images", "kernels"].map(|topic| fixture.values(&tensor(topic)).to_vec());
        (name.to_owned(), geometry, operands, expected)
    };
    names.map(case).collect()
}

#[test]
fn every_level_agrees_with_pytorch() {
    let cases = cases();
    assert_eq!(cases.len(), 5);
    for (name, geometry, operands, expected) in cases {
        for level in Level::available() {
            let actual = with_kernels(level, &geometry, &operands);
            assert_close(&actual, &expected, 1e-5, &format!("{name}, {}", level.name()));
        }
    }
}

/// Through 64-bit floats, and so through Burn's operators.
#[test]
fn burns_operators_agree_with_pytorch() {
    for (name, geometry, operands, expected) in cases() {
        let actual = through_tensors(DType::F64, &geometry, &operands, [true, true], &Device::flex().autodiff());
        assert_close(&actual, &expected, 1e-6, &name);
    }
}
