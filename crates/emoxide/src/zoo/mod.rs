//! The one place that joins networks with weights: the embedded default and the list of architectures.

mod executor;
mod model;

use std::borrow::Cow;
use std::io::ErrorKind;

use burn::tensor::Device;

pub use emoxide_engine::Precision;
pub use executor::{Executor, Why};
pub use model::{Model, softmax};

use crate::image::Filter;
use crate::models::{
    AlexNetConfig, Branches, CafeConfig, DaclAttentionConfig, DaclConfig, InvolutionVitConfig, IrConfig,
    LocalTransformerConfig, Mask, NetworkConfig, PatchEmbedding, PcmConfig, RedNetConfig, ResNetConfig, TransferConfig,
    VggConfig, VitConfig,
};
use crate::preprocess::{Alignment, Preprocess};
use crate::weights::checkpoint::{self, Card, CheckpointError};

/// The name under which the embedded model is found.
pub const DEFAULT: &str = "default";

/// The checkpoint that ships inside the program.
static EMBEDDED: &[u8] = include_bytes!("../../../../assets/default.safetensors");

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
    let resnet = |name, config| Entry {
        name,
        network: NetworkConfig::Resnet(config),
        preprocess: Preprocess::imagenet(224),
        alignment: Alignment::SquareBox { margin: 0.0 },
        paper: "He et al., Deep residual learning for image recognition, 2016",
    };
    let ir = |name, config| Entry {
        name,
        network: NetworkConfig::Ir(config),
        preprocess: Preprocess::face_evolve(),
        alignment: Alignment::arcface(),
        paper: "Deng et al., ArcFace, 2019; face.evoLVe",
    };
    let transfer = |name, network| Entry {
        name,
        network: NetworkConfig::Transfer(network),
        preprocess: Preprocess::imagenet(112),
        alignment: Alignment::arcface(),
        paper: "Xue et al., TransFER, 2021",
    };
    let pcm = |name, network| Entry {
        name,
        network: NetworkConfig::Pcm(network),
        preprocess: Preprocess::imagenet(112),
        alignment: Alignment::SquareBox { margin: 0.1 },
        paper: "Yang et al., Augmented feature representation with parallel convolution, 2022",
    };
    let cafe = |name, network| Entry {
        name,
        network: NetworkConfig::Cafe(network),
        preprocess: Preprocess::imagenet(224),
        alignment: Alignment::SquareBox { margin: 0.0 },
        paper: "Zhang et al., Generalizable facial expression recognition, 2024",
    };
    // Trained and tested on FER2013 by one protocol.
    let compared = |name, network, paper| Entry {
        name,
        network,
        preprocess: Preprocess::comparison(),
        alignment: Alignment::fer2013(),
        paper,
    };
    let branches = |name, config, preprocess, paper| Entry {
        name,
        network: NetworkConfig::InvolutionVit(config),
        preprocess,
        alignment: Alignment::SquareBox { margin: 0.0 },
        paper,
    };
    let involution_vit = |name, embed| {
        let preprocess = Preprocess { filter: Filter::PillowBicubic, ..Preprocess::imagenet(352) };
        let paper = "Liu, involution and vision transformer on SFEW, 2021";
        branches(name, InvolutionVitConfig::with_embedding(embed), preprocess, paper)
    };
    let rednet = |name, config| {
        let config = InvolutionVitConfig::rednet(config);
        branches(name, config, Preprocess::imagenet(224), "Li et al., Involution, 2021")
    };
    let vit = |name, embed, side: u32| {
        let vit = VitConfig { embed, cls_token: true, ..VitConfig::default() };
        let (branch, image_size) = (Branches::Vit, side as usize);
        let config = InvolutionVitConfig { image_size, branches: branch, vit, ..InvolutionVitConfig::default() };
        let preprocess = Preprocess { mean: vec![0.5; 3], std: vec![0.5; 3], ..Preprocess::imagenet(side) };
        branches(name, config, preprocess, "Dosovitskiy et al., An image is worth 16x16 words, 2021")
    };
    let suite = "Lee, comparison of networks on FER2013 (CS577 project)";
    let grey = ResNetConfig { input_channels: 1, ..ResNetConfig::resnet50() };
    vec![
        resnet("resnet18", ResNetConfig::resnet18()),
        resnet("resnet34", ResNetConfig::resnet34()),
        resnet("resnet50", ResNetConfig::resnet50()),
        ir("ir18", IrConfig::ir18()),
        ir("ir50", IrConfig::ir50()),
        transfer("transfer", TransferConfig::default()),
        transfer("transfer-pytorch", TransferConfig { mask: Mask::AfterProjection, ..TransferConfig::default() }),
        transfer("transfer-4", TransferConfig { branches: 4, ..TransferConfig::default() }),
        transfer("transfer-stage2", TransferConfig { stages: 2, ..TransferConfig::default() }),
        transfer("transfer-stage4", TransferConfig { stages: 4, ..TransferConfig::default() }),
        compared("alexnet", NetworkConfig::Alexnet(AlexNetConfig::default()), "Krizhevsky, One weird trick, 2014"),
        compared("vgg", NetworkConfig::Vgg(VggConfig::default()), suite),
        compared("vgg-pooled", NetworkConfig::Vgg(VggConfig::pooled()), suite),
        compared("resnet50-grey", NetworkConfig::Resnet(grey), suite),
        compared("transfer-resnet18", NetworkConfig::LocalTransformer(LocalTransformerConfig::default()), suite),
        compared("transfer-plain", NetworkConfig::LocalTransformer(LocalTransformerConfig::plain()), suite),
        compared("dacl-resnet18", NetworkConfig::DaclAttention(DaclAttentionConfig::default()), suite),
        Entry {
            preprocess: Preprocess::dacl(),
            alignment: Alignment::SquareBox { margin: 0.0 },
            ..compared(
                "dacl",
                NetworkConfig::Dacl(DaclConfig::default()),
                "Farzaneh and Qi, Deep attentive center loss, 2021",
            )
        },
        pcm("pcm", PcmConfig::default()),
        pcm("pcm-baseline", PcmConfig::baseline()),
        cafe("cafe", CafeConfig::default()),
        cafe("cafe-resnet50", CafeConfig::default().resnet50()),
        cafe("cafe-mobilenet", CafeConfig::default().mobilenet_v2()),
        involution_vit("involution-vit", PatchEmbedding::R50),
        involution_vit("involution-vit-patch16", PatchEmbedding::Patch16),
        involution_vit("involution-vit-rednet", PatchEmbedding::RednetHybrid),
        rednet("rednet26", RedNetConfig::rednet26()),
        rednet("rednet38", RedNetConfig::rednet38()),
        rednet("rednet50", RedNetConfig::rednet50()),
        rednet("rednet101", RedNetConfig::rednet101()),
        rednet("rednet152", RedNetConfig::rednet152()),
        vit("vit-b16", PatchEmbedding::Patch16, 224),
        vit("vit-r50", PatchEmbedding::R50, 384),
    ]
}

/// Opens a model by name: `default`, or the path of a checkpoint.
pub fn open(name: &str, device: &Device) -> Result<Model, CheckpointError> {
    let (bytes, origin) = bytes(name)?;
    let (network, card) = checkpoint::read(bytes.into_owned(), origin, device)?;
    Ok(Model::new(&network, card, device.clone()))
}

/// The card of a model by name, without building its network.
pub fn card(name: &str) -> Result<Card, CheckpointError> {
    let (bytes, origin) = bytes(name)?;
    checkpoint::read_card(&bytes, origin)
}

/// A model's file, and what errors call it.
fn bytes(name: &str) -> Result<(Cow<'static, [u8]>, &str), CheckpointError> {
    if name == DEFAULT {
        return Ok((Cow::Borrowed(EMBEDDED), "the embedded default model"));
    }
    match fs_err::read(name) {
        Ok(bytes) => Ok((Cow::Owned(bytes), name)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(CheckpointError::Unknown(name.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Size in bytes of the embedded checkpoint.
pub fn embedded_len() -> usize {
    EMBEDDED.len()
}
