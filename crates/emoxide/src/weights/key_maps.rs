//! The key maps: how the files of each source name their tensors.

use super::keys::{Deeper, KeyMap, LinearLayout, Stages};

/// Present in every PyTorch file with batch norms, and used by none of our layers.
const COUNTERS: &[&str] = &[r"(^|\.)num_batches_tracked$"];

/// The trunk of an IR network, numbered through; a stage begins with a unit that changes the number of channels.
const TRUNK: Deeper = Deeper { list: "body", boundary: Some("shortcut_layer.") };

const PYTORCH: KeyMap = KeyMap {
    name: "pytorch",
    about: "torchvision, face.evoLVe, DACL and other PyTorch files with the authors' own names",
    ignore: COUNTERS,
    head: &[r"^(fc|classifier|head|output_layer)\."],
    rename: &[],
    stages: None,
    deeper: &[TRUNK],
    linear: LinearLayout::OutputsInputs,
};

/// The blocks of a vision transformer.
const BLOCKS: Deeper = Deeper { list: "blocks", boundary: None };

/// The branches of local attention of TransFER and APViT.
const BRANCHES: Deeper = Deeper { list: "las", boundary: None };

/// Behind the trunk of TransFER and APViT.
const ENCODER: &[&str] = &[r"^(backbone\.)?(attention|convert|vit|head)\."];

/// All key maps; the first is the default, but for Paddle's own files, whose default is `paddle`.
pub const KEY_MAPS: &[KeyMap] = &[
    PYTORCH,
    KeyMap {
        name: "backbone",
        about: "files that keep the network below `backbone.` (mmcls and others)",
        head: &[r"^head\.", r"^neck\."],
        rename: &[(r"^backbone\.", "")],
        ..PYTORCH
    },
    KeyMap {
        name: "agra",
        about: "IR networks of CD-FER-Benchmark (AGRA, PCM): `layer1.0`; what adapts them to other data is left out",
        ignore: &[COUNTERS[0], r"^(Crop_Net|GCN|SourceMean|TargetMean|SourceBN|TargetBN)\."],
        head: &[PYTORCH.head[0], r"^loc_fc\."],
        stages: Some(Stages { prefix: "layer", first: 1, list: "body." }),
        ..PYTORCH
    },
    KeyMap {
        name: "apvit",
        about: "TransFER and APViT in PyTorch: `extractor.body.0.0`, units counted per stage",
        head: ENCODER,
        rename: &[(r"^backbone\.", "")],
        stages: Some(Stages { prefix: "extractor.body.", first: 0, list: "extractor.body." }),
        deeper: &[TRUNK, BLOCKS, BRANCHES],
        ..PYTORCH
    },
    KeyMap {
        name: "timm",
        about: "vision transformers of timm: `blocks.0.attn.qkv`; their patch embedding is left out",
        ignore: &[r"^patch_embed\."],
        head: &[r"^(head|pre_logits)\."],
        deeper: &[BLOCKS],
        ..PYTORCH
    },
    KeyMap {
        name: PADDLE,
        about: "TransFER and others in Paddle's names: `_mean`, `_variance`; the default of Paddle's own files",
        head: ENCODER,
        rename: &[(r"\._mean$", ".running_mean"), (r"\._variance$", ".running_var"), (r"\._weight$", ".weight")],
        deeper: &[TRUNK, BLOCKS, BRANCHES],
        linear: LinearLayout::InputsOutputs,
        ..PYTORCH
    },
];

/// The key map of files that Paddle wrote, unless another is named.
pub(super) const PADDLE: &str = "paddle";

/// The names and the layout of our own checkpoints.
pub(super) const OWN: KeyMap = KeyMap {
    name: "emoxide",
    about: "checkpoints of emoxide",
    ignore: &[],
    head: &[],
    linear: LinearLayout::InputsOutputs,
    ..PYTORCH
};
