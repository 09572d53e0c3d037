//! The key maps: how the files of each source name their tensors.

use super::keys::{Deeper, Joined, KeyMap, LinearLayout, Stages};

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
    joined: None,
    turned: &[],
};

/// The blocks of a vision transformer.
const BLOCKS: Deeper = Deeper { list: "blocks", boundary: None };

/// The branches of local attention of TransFER and APViT.
const BRANCHES: Deeper = Deeper { list: "las", boundary: None };

/// Behind the trunk of TransFER and APViT.
const ENCODER: &[&str] = &[r"^(backbone\.)?(attention|convert|vit|head)\."];

/// CLIP's image tower, to `OpenAI`'s names.
const HUGGING_FACE: &[(&str, &str)] = &[
    (r"^vision_model\.embeddings\.class_embedding$", "class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    // Spelt like this there.
    (r"^vision_model\.pre_layrnorm\.", "ln_pre."),
    (r"^vision_model\.post_layernorm\.", "ln_post."),
    (r"^vision_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm([12])\.", ".ln_$1."),
    (r"\.self_attn\.", ".attn."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"^visual_projection\.weight$", "proj"),
];

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
        about: "vision transformers of timm: `blocks.0.attn.qkv`",
        // What turns pictures into tokens goes with the head where a network does that in another way.
        head: &[r"^(head|pre_logits|patch_embed)\.", r"^cls_token$"],
        deeper: &[BLOCKS],
        ..PYTORCH
    },
    KeyMap {
        name: "clip",
        about: "CLIP in OpenAI's names: `visual.transformer.resblocks.0`; its text tower is left out",
        ignore: &[
            r"^(transformer|token_embedding|ln_final)\.",
            r"^(positional_embedding|text_projection|logit_scale|input_resolution|context_length|vocab_size)$",
        ],
        head: &[],
        rename: &[(r"^visual\.", "")],
        ..PYTORCH
    },
    KeyMap {
        name: "clip-hf",
        about: "CLIP in Hugging Face's names: `vision_model.encoder.layers.0`; its text tower is left out",
        ignore: &[r"^text_model\.", r"^text_projection\.", r"^logit_scale$", r"\.position_ids$"],
        head: &[],
        rename: HUGGING_FACE,
        joined: Some(Joined {
            pattern: r"^(vision_model\..*\.self_attn)\.(?P<part>[qkv])_proj\.(weight|bias)$",
            parts: &["q", "k", "v"],
            name: "${1}.in_proj_${3}",
        }),
        turned: &[r"^visual_projection\.weight$"],
        ..PYTORCH
    },
    KeyMap {
        name: GOOGLE,
        about: "Google's vision transformers in NumPy's arrays: `Transformer/encoderblock_0`; the default of such files",
        head: &[r"^(opt\.target\.)?((head|pre_logits)\.|cls$)"],
        rename: &[
            (r"^opt\.target\.", ""),
            (r"\.(kernel|scale)$", ".weight"),
            (r"^conv_root\.", "patch_embed.backbone.stem.conv."),
            (r"^gn_root\.", "patch_embed.backbone.stem.norm."),
            (r"^block1\.", "patch_embed.backbone.stages.0."),
            (r"^block2\.", "patch_embed.backbone.stages.1."),
            (r"^block3\.", "patch_embed.backbone.stages.2."),
            // Units count from 1.
            (r"\.unit1\.", ".blocks.0."),
            (r"\.unit2\.", ".blocks.1."),
            (r"\.unit3\.", ".blocks.2."),
            (r"\.unit4\.", ".blocks.3."),
            (r"\.unit5\.", ".blocks.4."),
            (r"\.unit6\.", ".blocks.5."),
            (r"\.unit7\.", ".blocks.6."),
            (r"\.unit8\.", ".blocks.7."),
            (r"\.unit9\.", ".blocks.8."),
            (r"\.conv_proj\.", ".downsample.conv."),
            (r"\.gn_proj\.", ".downsample.norm."),
            (r"\.gn([123])\.", ".norm$1."),
            (r"^embedding\.", "patch_embed.proj."),
            (r"^cls$", "cls_token"),
            (r"^Transformer\.posembed_input\.pos_embedding$", "pos_embed"),
            (r"^Transformer\.encoderblock_", "blocks."),
            (r"^Transformer\.encoder_norm\.", "norm."),
            (r"\.LayerNorm_0\.", ".norm1."),
            (r"\.LayerNorm_2\.", ".norm2."),
            (r"\.MultiHeadDotProductAttention_1\.out\.", ".attn.proj."),
            (r"\.MultiHeadDotProductAttention_1\.", ".attn."),
            (r"\.MlpBlock_3\.Dense_0\.", ".mlp.fc1."),
            (r"\.MlpBlock_3\.Dense_1\.", ".mlp.fc2."),
        ],
        deeper: &[BLOCKS],
        joined: Some(QKV),
        ..PYTORCH
    },
    KeyMap {
        name: "transinvnet",
        about: "TransInvNet, involution and vision transformer: `transformer.transformer.encoder.layer.0`",
        head: &[r"^decoder\."],
        rename: &[
            (r"^transformer\.transformer\.embeddings\.patch_embeddings\.", "vit.patch_embed.proj."),
            (r"^transformer\.transformer\.embeddings\.position_embeddings$", "vit.pos_embed"),
            (r"^transformer\.transformer\.encoder\.encoder_norm\.", "vit.norm."),
            (r"^transformer\.transformer\.encoder\.layer\.", "vit.blocks."),
            (r"\.attention_norm\.", ".norm1."),
            (r"\.ffn_norm\.", ".norm2."),
            (r"\.attn\.out\.", ".attn.proj."),
            (r"\.ffn\.", ".mlp."),
            (r"^decoder\.aspp1\.", "fusion.rednet."),
            (r"^decoder\.aspp2\.", "fusion.vit."),
            (r"^(fusion\.(?:rednet|vit))\.conv\.0\.", "$1.conv."),
            (r"^(fusion\.(?:rednet|vit))\.conv\.1\.", "$1.bn."),
        ],
        deeper: &[BLOCKS],
        joined: Some(QKV),
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

/// Queries, keys and values of attention.
const QKV: Joined = Joined {
    pattern: r"^(.*)\.(?P<part>query|key|value)\.(kernel|weight|bias)$",
    parts: &["query", "key", "value"],
    name: "${1}.qkv.${3}",
};

/// The key map of `NumPy`'s arrays, unless another is named.
pub(super) const GOOGLE: &str = "google";

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
