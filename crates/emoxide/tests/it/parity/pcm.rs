//! PCM against its twin (`tools/reference/pcm.py`).

use emoxide::models::{
    FaceTrunkConfig, GlobalInput, GlobalVector, MshConfig, NetworkConfig, PcmBase, PcmConfig, Predict, Scale, Stem,
    TokenLayout, TrunkConfig,
};

use super::agrees;

fn pcm(case: &str, config: PcmConfig, classes: usize, shape: [usize; 4]) {
    agrees("pcm", case, &NetworkConfig::Pcm(config), classes, shape);
}

/// face.evoLVe's units in these widths.
fn small(widths: &[usize]) -> PcmConfig {
    let units = [1, 2, 1, 1][..widths.len()].to_vec();
    let base = FaceTrunkConfig { stem_width: 8, widths: widths.to_vec(), units };
    PcmConfig { base: PcmBase::Ir(base), branches: 2, width: 4, ..PcmConfig::default() }
}

fn without_msh() -> MshConfig {
    MshConfig { depth: 0, ..MshConfig::default() }
}

#[test]
fn pcm_agrees_in_the_paper_s_sizes() {
    pcm("full", PcmConfig::default(), 7, [2, 3, 64, 48]);
}

#[test]
fn rows_of_the_ablation_agree() {
    pcm("small", PcmConfig { branches: 3, ..small(&[8, 12, 16, 24]) }, 7, [4, 3, 48, 64]);
    let three = small(&[8, 12, 16]);
    let msh = MshConfig { cls_token: false, ..MshConfig::default() };
    pcm("without-class", PcmConfig { msh, head: GlobalInput::Mean, ..three.clone() }, 7, [4, 3, 32, 40]);
    let local = PcmConfig { msh: without_msh(), predict: Predict::Local, ..three.clone() };
    pcm("without-msh", local, 7, [4, 3, 32, 40]);
    let baseline = PcmConfig { branches: 0, msh: without_msh(), ..three };
    pcm("baseline", baseline.clone(), 7, [4, 3, 32, 40]);
    pcm("baseline-mean", PcmConfig { global: GlobalVector::Mean, ..baseline }, 7, [4, 3, 32, 40]);
}

#[test]
fn other_trunks_and_settings_agree() {
    let other = PcmConfig {
        base: PcmBase::Iresnet(FaceTrunkConfig { stem_width: 8, widths: vec![8, 12, 16], units: vec![2, 1, 1] }),
        branches: 3,
        kernel: 1,
        norm: false,
        tokens: TokenLayout::Stage,
        msh: MshConfig {
            depth: 2,
            heads: 2,
            scale: Scale::Embedding,
            out_proj: true,
            pre_norm: true,
            mlp_ratio: 2,
            ..MshConfig::default()
        },
        head: GlobalInput::Class,
        predict: Predict::Sum,
        ..small(&[8])
    };
    pcm("other", other, 8, [4, 3, 32, 48]);
    let trunk = TrunkConfig {
        stem: Stem::Compact,
        stem_width: 8,
        widths: vec![8, 12, 16],
        blocks: vec![1; 3],
        ..TrunkConfig::default()
    };
    let resnet = PcmConfig {
        base: PcmBase::Resnet(trunk),
        branches: 1,
        width: 8,
        msh: MshConfig { heads: 2, ..MshConfig::default() },
        ..PcmConfig::default()
    };
    pcm("resnet", resnet, 7, [4, 3, 24, 32]);
}
