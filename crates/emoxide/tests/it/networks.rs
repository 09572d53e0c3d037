//! Small networks of all families, for the tests of what all have in common.

use burn::tensor::{Device, Tensor};
use emoxide::models::{
    AlexNetConfig, BlockKind, Branches, CafeConfig, ClipConfig, ClipNorm, DaclAttentionConfig, DaclConfig, FaceHead,
    FaceTrunkConfig, FeatureMask, FusionConfig, FusionGrid, FusionKind, GlobalInput, GlobalVector, Grid, HeadDrop,
    HybridConfig, InvertedStage, InvolutionVitConfig, IrConfig, LocalBase, LocalDropConfig, LocalDropKind,
    LocalTransformerConfig, MapDrop, MapHead, Mask, MaskBackbone, MobileNetConfig, MshConfig, NetworkConfig, Numerics,
    PatchEmbedding, PcmBase, PcmConfig, PlainConfig, Predict, RedNetConfig, ResNetConfig, Stem, TokenLayout,
    TransferConfig, TrunkConfig, VggConfig, VitConfig,
};
use emoxide::nn::NormPlace;
use emoxide_testing::portable;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) config: NetworkConfig,
    /// rows, cols
    pub(crate) size: [usize; 2],
}

impl Case {
    /// The same ones whenever they are asked for, `[batch, channels, rows, cols]`.
    pub(crate) fn images(&self, batch: usize, device: &Device) -> Tensor<4> {
        let shape = [batch, self.config.channels(), self.size[0], self.size[1]];
        let values = portable::values("contract", shape.iter().product());
        Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
    }
}

/// Small networks that together reach every branch of the code.
pub(crate) fn cases() -> Vec<Case> {
    let resnet = |config| NetworkConfig::Resnet(config);
    let compact = ResNetConfig {
        input_channels: 1,
        stem: Stem::Compact,
        stem_width: 4,
        widths: vec![6, 8, 10],
        blocks: vec![1, 2, 1],
        first_stride: 2,
        dropout: 0.3,
        ..ResNetConfig::resnet18()
    };
    let bottleneck = ResNetConfig {
        stem_width: 8,
        block: BlockKind::Bottleneck,
        widths: vec![4, 6, 8, 10],
        blocks: vec![1, 1, 2, 1],
        ..ResNetConfig::resnet50()
    };
    let ir = |widths: &[usize], units: &[usize]| IrConfig {
        stem_width: 4,
        widths: widths.to_vec(),
        units: units.to_vec(),
        ..IrConfig::ir50()
    };
    let head = FaceHead { image_size: 16, embedding: 12, dropout: 0.4 };
    let mut cases = vec![
        Case { name: "resnet-compact", config: resnet(compact), size: [24, 32] },
        Case { name: "resnet-bottleneck", config: resnet(bottleneck), size: [64, 48] },
        Case { name: "ir-pooled", config: NetworkConfig::Ir(ir(&[4, 6, 8, 10], &[2, 1, 1, 1])), size: [40, 32] },
        Case {
            name: "ir-face-head",
            config: NetworkConfig::Ir(ir(&[4, 6, 8], &[1, 2, 1]).with_face_head(head)),
            size: [16, 16],
        },
    ];
    cases.extend(compared());
    cases.extend(transfer());
    cases.extend(pcm());
    cases.extend(cafe());
    cases.extend(involution_vit());
    cases
}

/// PCM as in the paper, its baseline, and with its other settings.
fn pcm() -> Vec<Case> {
    let face = |widths: &[usize]| FaceTrunkConfig {
        stem_width: 4,
        widths: widths.to_vec(),
        units: [2, 1, 1, 1][..widths.len()].to_vec(),
    };
    let paper = PcmConfig { base: PcmBase::Ir(face(&[4, 6, 8, 10])), branches: 3, width: 4, ..PcmConfig::default() };
    let other = PcmConfig {
        base: PcmBase::Iresnet(face(&[4, 6, 8])),
        kernel: 1,
        norm: false,
        tokens: TokenLayout::Stage,
        msh: MshConfig { depth: 2, heads: 3, out_proj: true, pre_norm: true, mlp_ratio: 2, ..MshConfig::default() },
        head: GlobalInput::Class,
        predict: Predict::Sum,
        ..paper.clone()
    };
    let trunk = TrunkConfig {
        stem: Stem::Compact,
        stem_width: 4,
        widths: vec![4, 6],
        blocks: vec![1, 2],
        ..TrunkConfig::default()
    };
    let single = PcmConfig {
        input_channels: 1,
        base: PcmBase::Resnet(trunk),
        branches: 1,
        msh: MshConfig { depth: 0, ..MshConfig::default() },
        head: GlobalInput::Mean,
        predict: Predict::Local,
        ..paper.clone()
    };
    let baseline = PcmConfig { base: paper.base.clone(), width: 4, ..PcmConfig::baseline() };
    let mean = PcmConfig { global: GlobalVector::Mean, ..baseline.clone() };
    let case = |name, config| Case { name, config: NetworkConfig::Pcm(config), size: [48, 40] };
    vec![
        case("pcm", paper),
        case("pcm-other", other),
        case("pcm-single", single),
        case("pcm-baseline", baseline),
        case("pcm-baseline-mean", mean),
    ]
}

/// Involution and vision transformer, together and alone.
fn involution_vit() -> Vec<Case> {
    let both = InvolutionVitConfig {
        image_size: 64,
        rednet: RedNetConfig {
            stem_width: 16,
            widths: vec![8, 8, 16, 16],
            blocks: vec![1, 1, 1, 1],
            kernel: 3,
            group: 8,
            // Blocks that start as what is carried around them let no gradient through.
            zero_blocks: false,
        },
        vit: VitConfig {
            hybrid: HybridConfig { root_width: 8, widths: [8, 12, 16], units: [1, 1, 1], groups: 4 },
            width: 12,
            depth: 2,
            heads: 3,
            hidden: 18,
            ..VitConfig::default()
        },
        fusion: FusionConfig { projected: 10, width: 8, ..FusionConfig::default() },
        dropout: 0.1,
        ..InvolutionVitConfig::default()
    };
    let vit = |embed| VitConfig { embed, ..both.vit.clone() };
    let patches = InvolutionVitConfig {
        input_channels: 1,
        vit: vit(PatchEmbedding::Patch16),
        fusion: FusionConfig {
            kind: FusionKind::DirectConcat,
            grid: FusionGrid::Vit,
            norm: false,
            ..both.fusion.clone()
        },
        ..both.clone()
    };
    let serial = InvolutionVitConfig {
        vit: vit(PatchEmbedding::RednetHybrid),
        fusion: FusionConfig { kind: FusionKind::Sum, rectified: false, ..both.fusion.clone() },
        ..both.clone()
    };
    let rednet = InvolutionVitConfig { branches: Branches::Involution, ..both.clone() };
    let token = VitConfig { numerics: Numerics::Transunet, cls_token: true, ..both.vit.clone() };
    let token = InvolutionVitConfig { branches: Branches::Vit, vit: token, ..both.clone() };
    let case = |name, config| Case { name, config: NetworkConfig::InvolutionVit(config), size: [64, 64] };
    vec![
        case("involution-vit", both),
        case("involution-vit-patches", patches),
        case("involution-vit-serial", serial),
        case("rednet", rednet),
        case("vit-token", token),
    ]
}

/// `TransFER` as in the paper, and with its other settings.
fn transfer() -> Vec<Case> {
    // A classifier that starts at zero lets no gradient through.
    let paper = TransferConfig {
        image_size: 32,
        stem_width: 4,
        widths: vec![6, 8, 12],
        units: vec![1, 1, 1],
        lanet_ratio: 4,
        width: 12,
        depth: 2,
        heads: 3,
        hidden: 18,
        // At the paper's rate, one branch would now and then be dropped in all images, and have no gradient.
        local_drop: MapDrop::Mad { rate: 0.1 },
        zero_head: false,
        ..TransferConfig::default()
    };
    let other = TransferConfig {
        stages: 2,
        branches: 3,
        // With fewer channels between its convolutions and no norm, a branch now and then sees nothing at all.
        lanet_ratio: 1,
        lanet_norm: false,
        mask: Mask::AfterProjection,
        local_drop: MapDrop::DropBlock { rate: 0.2, block: 3 },
        head_drop: HeadDrop::Token { rate: 0.5 },
        qkv_bias: true,
        ..paper.clone()
    };
    let plain = TransferConfig { branches: 0, head_drop: HeadDrop::Dropout { rate: 0.1 }, ..paper.clone() };
    let case = |name, config| Case { name, config: NetworkConfig::Transfer(config), size: [32, 32] };
    vec![case("transfer", paper), case("transfer-other", other), case("transfer-plain", plain)]
}

/// Those of the comparison on FER2013.
fn compared() -> Vec<Case> {
    let trunk = |stem, widths: &[usize]| TrunkConfig {
        stem,
        stem_width: 4,
        widths: widths.to_vec(),
        blocks: vec![1; widths.len()],
        ..TrunkConfig::default()
    };
    let alexnet =
        AlexNetConfig { widths: vec![8, 16, 16, 16, 16], hidden: 24, dropout: 0.2, ..AlexNetConfig::default() };
    let vgg = VggConfig { image_size: 32, widths: vec![4, 6, 8, 8], hidden: 16, dropout: 0.2, ..VggConfig::default() };
    let vgg_pooled = VggConfig { input_channels: 3, pool: Some(3), ..vgg.clone() };
    let after = LocalTransformerConfig {
        base: LocalBase::Resnet(trunk(Stem::Imagenet, &[4, 6])),
        local_width: 12,
        depth: 2,
        heads: 3,
        hidden: 10,
        ..LocalTransformerConfig::default()
    };
    let before = LocalTransformerConfig {
        input_channels: 3,
        base: LocalBase::Plain(PlainConfig { widths: vec![4, 6, 8] }),
        local_drop: LocalDropConfig { kind: LocalDropKind::Channels, rate: 0.3 },
        norm: NormPlace::Before,
        ..after.clone()
    };
    let pooled = DaclAttentionConfig {
        base: trunk(Stem::Imagenet, &[4, 6]),
        attention_width: 5,
        ..DaclAttentionConfig::default()
    };
    let mean = DaclAttentionConfig { grid: Grid::Map, head: MapHead::Mean, ..pooled.clone() };
    let flattened = DaclAttentionConfig {
        input_channels: 3,
        image_size: 16,
        base: trunk(Stem::Compact, &[4, 6]),
        head: MapHead::Flatten,
        ..mean.clone()
    };
    let dacl = DaclConfig {
        image_size: 16,
        base: trunk(Stem::Compact, &[4, 6]),
        attention_widths: [12, 10, 8],
        ..DaclConfig::default()
    };
    let case = |name, config, size| Case { name, config, size };
    vec![
        case("alexnet", NetworkConfig::Alexnet(alexnet), [72, 96]),
        case("vgg", NetworkConfig::Vgg(vgg), [32, 32]),
        case("vgg-pooled", NetworkConfig::Vgg(vgg_pooled), [40, 64]),
        case("local-transformer-after", NetworkConfig::LocalTransformer(after), [48, 64]),
        case("local-transformer-before", NetworkConfig::LocalTransformer(before), [24, 32]),
        case("dacl-attention-pooled", NetworkConfig::DaclAttention(pooled), [48, 64]),
        case("dacl-attention-mean", NetworkConfig::DaclAttention(mean), [48, 64]),
        case("dacl-attention-flattened", NetworkConfig::DaclAttention(flattened), [16, 16]),
        case("dacl", NetworkConfig::Dacl(dacl), [16, 16]),
    ]
}

/// CAFE with each mask and each kind of network for it.
fn cafe() -> Vec<Case> {
    let trunk = TrunkConfig {
        stem: Stem::Compact,
        stem_width: 4,
        widths: vec![6, 12],
        blocks: vec![1, 1],
        ..Default::default()
    };
    let clip =
        ClipConfig { patch: 8, width: 12, depth: 2, heads: 3, hidden: 18, embedding: 12, ..ClipConfig::default() };
    let paper =
        CafeConfig { image_size: 24, backbone: MaskBackbone::Resnet(trunk), clip: clip.clone(), ..Default::default() };
    let stage = |expansion, stride| InvertedStage { expansion, width: 6, blocks: 2, stride };
    let mobilenet = MobileNetConfig { stem_width: 4, stages: vec![stage(1, 1), stage(2, 2)], width: 20 };
    let tuned = CafeConfig {
        backbone: MaskBackbone::MobilenetV2(mobilenet),
        clip: ClipConfig { trainable: true, norm: ClipNorm::Clip, ..clip },
        ..paper.clone()
    };
    let raw = CafeConfig { input_channels: 1, mask: FeatureMask::Raw, ..paper.clone() };
    let probe = CafeConfig { mask: FeatureMask::Probe, ..paper.clone() };
    let none = CafeConfig { mask: FeatureMask::None, ..paper.clone() };
    let case = |name, config, size| Case { name, config: NetworkConfig::Cafe(config), size };
    vec![
        case("cafe", paper, [24, 24]),
        case("cafe-tuned", tuned, [24, 24]),
        case("cafe-raw", raw, [24, 24]),
        case("cafe-probe", probe, [24, 24]),
        case("cafe-none", none, [24, 32]),
    ]
}
