//! The architectures that have a name, paper by paper.

use crate::image::Filter;
use crate::models::{
    AlexNetConfig, Branches, CafeConfig, DaclAttentionConfig, DaclConfig, InvolutionVitConfig, IrConfig,
    LocalTransformerConfig, Mask, NetworkConfig, PatchEmbedding, PcmConfig, RedNetConfig, ResNetConfig, TransferConfig,
    VggConfig, VitConfig,
};
use crate::preprocess::{Alignment, Preprocess};

/// One architecture that can be trained, or given foreign weights.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, as `--network` takes it.
    pub name: &'static str,
    /// Its settings.
    pub network: NetworkConfig,
    /// The input that its public weights want.
    pub preprocess: Preprocess,
    /// How faces are cut out for it.
    pub alignment: Alignment,
    /// Paper it comes from.
    pub paper: &'static str,
}

/// Every architecture under a name.
pub fn architectures() -> Vec<Entry> {
    [backbones(), transfer(), comparison(), pcm(), cafe(), involution_vit()].concat()
}

/// Faces in the detector's box, made square.
fn square(margin: f32) -> Alignment {
    Alignment::SquareBox { margin }
}

fn backbones() -> Vec<Entry> {
    let resnet = |name, config| Entry {
        name,
        network: NetworkConfig::Resnet(config),
        preprocess: Preprocess::imagenet(224),
        alignment: square(0.0),
        paper: "He et al., Deep residual learning for image recognition, 2016",
    };
    let ir = |name, config| Entry {
        name,
        network: NetworkConfig::Ir(config),
        preprocess: Preprocess::face_evolve(),
        alignment: Alignment::arcface(),
        paper: "Deng et al., ArcFace, 2019; face.evoLVe",
    };
    vec![
        resnet("resnet18", ResNetConfig::resnet18()),
        resnet("resnet34", ResNetConfig::resnet34()),
        resnet("resnet50", ResNetConfig::resnet50()),
        ir("ir18", IrConfig::ir18()),
        ir("ir50", IrConfig::ir50()),
    ]
}

fn transfer() -> Vec<Entry> {
    let entry = |name, network| Entry {
        name,
        network: NetworkConfig::Transfer(network),
        preprocess: Preprocess::imagenet(112),
        alignment: Alignment::arcface(),
        paper: "Xue et al., TransFER, 2021",
    };
    let paper = TransferConfig::default();
    vec![
        entry("transfer", paper.clone()),
        entry("transfer-pytorch", TransferConfig { mask: Mask::AfterProjection, ..paper.clone() }),
        entry("transfer-4", TransferConfig { branches: 4, ..paper.clone() }),
        entry("transfer-stage2", TransferConfig { stages: 2, ..paper.clone() }),
        entry("transfer-stage4", TransferConfig { stages: 4, ..paper }),
    ]
}

/// Trained and tested on FER2013 by one protocol, and what one of them is named after.
fn comparison() -> Vec<Entry> {
    let entry = |name, network, paper| Entry {
        name,
        network,
        preprocess: Preprocess::comparison(),
        alignment: Alignment::fer2013(),
        paper,
    };
    let suite = "Lee, comparison of networks on FER2013 (CS577 project)";
    let grey = ResNetConfig { input_channels: 1, ..ResNetConfig::resnet50() };
    let dacl = NetworkConfig::Dacl(DaclConfig::default());
    vec![
        entry("alexnet", NetworkConfig::Alexnet(AlexNetConfig::default()), "Krizhevsky, One weird trick, 2014"),
        entry("vgg", NetworkConfig::Vgg(VggConfig::default()), suite),
        entry("vgg-pooled", NetworkConfig::Vgg(VggConfig::pooled()), suite),
        entry("resnet50-grey", NetworkConfig::Resnet(grey), suite),
        entry("transfer-resnet18", NetworkConfig::LocalTransformer(LocalTransformerConfig::default()), suite),
        entry("transfer-plain", NetworkConfig::LocalTransformer(LocalTransformerConfig::plain()), suite),
        entry("dacl-resnet18", NetworkConfig::DaclAttention(DaclAttentionConfig::default()), suite),
        Entry {
            preprocess: Preprocess::dacl(),
            alignment: square(0.0),
            ..entry("dacl", dacl, "Farzaneh and Qi, Deep attentive center loss, 2021")
        },
    ]
}

fn pcm() -> Vec<Entry> {
    let entry = |name, network| Entry {
        name,
        network: NetworkConfig::Pcm(network),
        preprocess: Preprocess::imagenet(112),
        alignment: square(0.1),
        paper: "Yang et al., Augmented feature representation with parallel convolution, 2022",
    };
    vec![entry("pcm", PcmConfig::default()), entry("pcm-baseline", PcmConfig::baseline())]
}

fn cafe() -> Vec<Entry> {
    let entry = |name, network| Entry {
        name,
        network: NetworkConfig::Cafe(network),
        preprocess: Preprocess::imagenet(224),
        alignment: square(0.0),
        paper: "Zhang et al., Generalizable facial expression recognition, 2024",
    };
    vec![
        entry("cafe", CafeConfig::default()),
        entry("cafe-resnet50", CafeConfig::default().resnet50()),
        entry("cafe-mobilenet", CafeConfig::default().mobilenet_v2()),
    ]
}

/// The network of two branches, and each of them alone.
fn involution_vit() -> Vec<Entry> {
    let entry = |name, config, preprocess, paper| Entry {
        name,
        network: NetworkConfig::InvolutionVit(config),
        preprocess,
        alignment: square(0.0),
        paper,
    };
    let both = |name, embed| {
        let preprocess = Preprocess { filter: Filter::PillowBicubic, ..Preprocess::imagenet(352) };
        let paper = "Liu, involution and vision transformer on SFEW, 2021";
        entry(name, InvolutionVitConfig::with_embedding(embed), preprocess, paper)
    };
    let rednet = |name, config| {
        let config = InvolutionVitConfig::rednet(config);
        entry(name, config, Preprocess::imagenet(224), "Li et al., Involution, 2021")
    };
    let vit = |name, embed, side: u32| {
        let vit = VitConfig { embed, cls_token: true, ..VitConfig::default() };
        let (branches, image_size) = (Branches::Vit, side as usize);
        let config = InvolutionVitConfig { image_size, branches, vit, ..InvolutionVitConfig::default() };
        let preprocess = Preprocess { mean: vec![0.5; 3], std: vec![0.5; 3], ..Preprocess::imagenet(side) };
        entry(name, config, preprocess, "Dosovitskiy et al., An image is worth 16x16 words, 2021")
    };
    vec![
        both("involution-vit", PatchEmbedding::R50),
        both("involution-vit-patch16", PatchEmbedding::Patch16),
        both("involution-vit-rednet", PatchEmbedding::RednetHybrid),
        rednet("rednet26", RedNetConfig::rednet26()),
        rednet("rednet38", RedNetConfig::rednet38()),
        rednet("rednet50", RedNetConfig::rednet50()),
        rednet("rednet101", RedNetConfig::rednet101()),
        rednet("rednet152", RedNetConfig::rednet152()),
        vit("vit-b16", PatchEmbedding::Patch16, 224),
        vit("vit-r50", PatchEmbedding::R50, 384),
    ]
}
