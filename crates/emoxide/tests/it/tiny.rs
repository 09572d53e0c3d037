//! The small network of the files that `tools/reference/pth_files.py` writes.

use emoxide::models::{NetworkConfig, ResNetConfig, Stem};

/// A grey compact ResNet of two blocks.
pub(crate) fn resnet() -> NetworkConfig {
    NetworkConfig::Resnet(ResNetConfig {
        input_channels: 1,
        stem: Stem::Compact,
        stem_width: 4,
        widths: vec![4, 6],
        blocks: vec![1, 1],
        ..ResNetConfig::resnet18()
    })
}
