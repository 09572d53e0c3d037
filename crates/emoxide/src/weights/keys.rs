//! How the names in other people's files become ours. Key maps are data.

use regex::Regex;

/// Rules for the tensor names of one source of weights. Names are matched without a leading `module.`, which
/// `DataParallel` adds. A rule is a pair of a regular expression and its replacement; all rules apply, in order.
#[derive(Debug)]
pub struct KeyMap {
    /// What the user calls it.
    pub name: &'static str,
    /// Whose files it is for.
    pub about: &'static str,
    /// Tensors of the file that no network needs.
    pub ignore: &'static [&'static str],
    /// Tensors of the file that belong to its head and go with it.
    pub head: &'static [&'static str],
    /// From the file's names to the network's.
    pub rename: &'static [(&'static str, &'static str)],
    /// How the file counts units, where it counts them per stage and the network does not.
    pub stages: Option<Stages>,
    /// How the file stores the weights of linear layers.
    pub linear: LinearLayout,
}

/// Units that a file names `<prefix><first + stage>.<index in the stage>` and the network `body.<index in all>`.
#[derive(Clone, Copy, Debug)]
pub struct Stages {
    /// What stands before the number of the stage, after `rename`.
    pub prefix: &'static str,
    /// The number of the first stage.
    pub first: usize,
}

/// The order of the axes of a linear layer's weight in a file. It is known from the file's origin and never guessed from
/// the shape: square weights look the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearLayout {
    /// `[outputs, inputs]`: PyTorch.
    OutputsInputs,
    /// `[inputs, outputs]`: Paddle.
    InputsOutputs,
}

/// Present in every PyTorch file with batch norms, and used by none of our layers.
const COUNTERS: &[&str] = &[r"(^|\.)num_batches_tracked$"];

const PYTORCH: KeyMap = KeyMap {
    name: "pytorch",
    about: "torchvision, face.evoLVe and other files with the authors' own names",
    ignore: COUNTERS,
    head: &[],
    rename: &[],
    stages: None,
    linear: LinearLayout::OutputsInputs,
};

/// All key maps; the first is the default.
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
        about: "IR networks of CD-FER-Benchmark (AGRA, PCM): `layer1.0`",
        stages: Some(Stages { prefix: "layer", first: 1 }),
        ..PYTORCH
    },
    KeyMap {
        name: "apvit",
        about: "IR networks of APViT: `extractor.body.0.0`, three stages",
        head: &[r"^(vit|head|convert)\."],
        rename: &[(r"^(backbone\.)?extractor\.", "")],
        stages: Some(Stages { prefix: "body.", first: 0 }),
        ..PYTORCH
    },
    KeyMap {
        name: "paddle",
        about: "IR networks of TransFER in Paddle's names: `extractor.body.0`, converted to safetensors",
        head: &[r"^(vit|head)\."],
        rename: &[
            (r"^extractor\.", ""),
            (r"\._mean$", ".running_mean"),
            (r"\._variance$", ".running_var"),
            (r"\._weight$", ".weight"),
        ],
        linear: LinearLayout::InputsOutputs,
        ..PYTORCH
    },
];

/// A key map with its expressions compiled.
pub(super) struct Renamer {
    ignore: Vec<Regex>,
    head: Vec<Regex>,
    rename: Vec<(Regex, &'static str)>,
    stages: Option<(Regex, Vec<usize>)>,
}

impl Renamer {
    /// `units`: units per stage, of networks that have `body.<index>`.
    pub(super) fn new(map: &KeyMap, units: Option<&[usize]>) -> Self {
        let compile = |pattern: &&str| Regex::new(pattern).expect("the patterns of KEY_MAPS are tested");
        let stages = map.stages.zip(units).map(|(Stages { prefix, first }, units)| {
            let pattern = format!(r"^{}([0-9]+)\.([0-9]+)\.", regex::escape(prefix));
            let mut starts = vec![usize::MAX; first];
            starts.extend(units.iter().scan(0, |next, count| {
                *next += count;
                Some(*next - count)
            }));
            (compile(&pattern.as_str()), starts)
        });
        Self {
            ignore: map.ignore.iter().map(compile).collect(),
            head: map.head.iter().map(compile).collect(),
            rename: map.rename.iter().map(|(from, to)| (compile(from), *to)).collect(),
            stages,
        }
    }

    pub(super) fn ignores(&self, key: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern.is_match(key))
    }

    pub(super) fn is_head(&self, key: &str) -> bool {
        self.head.iter().any(|pattern| pattern.is_match(key))
    }

    /// The network's name of the file's `key`. A key of a stage that the network has not stays as it is, and will be
    /// found to be unexpected.
    pub(super) fn rename(&self, key: &str) -> String {
        let mut name =
            self.rename.iter().fold(key.to_owned(), |name, (from, to)| from.replace(&name, *to).into_owned());
        if let Some((pattern, starts)) = &self.stages
            && let Some(found) = pattern.captures(&name)
            && let (Ok(stage), Ok(index)) = (found[1].parse::<usize>(), found[2].parse::<usize>())
            && let Some(&start) = starts.get(stage)
            && start != usize::MAX
            && starts.get(stage + 1).is_none_or(|&next| start + index < next)
        {
            let end = found.get_match().end();
            name = format!("body.{}.{}", start + index, &name[end..]);
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{KEY_MAPS, Renamer};

    fn renamed(map: &str, units: &[usize], key: &str) -> String {
        let map = KEY_MAPS.iter().find(|candidate| candidate.name == map).expect("a key map");
        Renamer::new(map, Some(units)).rename(key)
    }

    #[test]
    fn every_pattern_compiles_and_names_are_unique() {
        for (index, map) in KEY_MAPS.iter().enumerate() {
            Renamer::new(map, Some(&[2, 2]));
            assert!(KEY_MAPS[..index].iter().all(|other| other.name != map.name), "{}", map.name);
        }
    }

    #[test]
    fn keys_of_the_authors_become_ours() {
        let (ir18, ir50): (&[usize], &[usize]) = (&[2, 2, 2, 2], &[3, 4, 14, 3]);
        let cases = [
            ("pytorch", ir50, "body.7.res_layer.0.weight", "body.7.res_layer.0.weight"),
            ("agra", ir50, "layer1.2.res_layer.0.weight", "body.2.res_layer.0.weight"),
            ("agra", ir50, "layer3.0.shortcut_layer.0.weight", "body.7.shortcut_layer.0.weight"),
            ("agra", ir50, "layer3.13.res_layer.2.weight", "body.20.res_layer.2.weight"),
            ("agra", ir50, "layer4.2.res_layer.4.running_var", "body.23.res_layer.4.running_var"),
            ("agra", ir18, "layer4.1.res_layer.4.running_var", "body.7.res_layer.4.running_var"),
            ("agra", ir50, "input_layer.0.weight", "input_layer.0.weight"),
            ("apvit", &ir50[..3], "extractor.body.0.2.res_layer.1.weight", "body.2.res_layer.1.weight"),
            ("apvit", &ir50[..3], "extractor.body.2.13.res_layer.1.weight", "body.20.res_layer.1.weight"),
            ("apvit", &ir50[..3], "extractor.input_layer.2.weight", "input_layer.2.weight"),
            ("paddle", &ir50[..3], "extractor.body.20.res_layer.0._mean", "body.20.res_layer.0.running_mean"),
            ("paddle", &ir50[..3], "extractor.input_layer.2._weight", "input_layer.2.weight"),
            (
                "paddle",
                &ir50[..3],
                "extractor.body.3.shortcut_layer.1._variance",
                "body.3.shortcut_layer.1.running_var",
            ),
        ];
        for (map, units, key, expected) in cases {
            assert_eq!(renamed(map, units, key), expected, "{map}");
        }
    }

    #[test]
    fn units_beyond_a_stage_are_not_taken_for_the_next_stage() {
        assert_eq!(renamed("agra", &[2, 2], "layer1.2.res_layer.0.weight"), "layer1.2.res_layer.0.weight");
        assert_eq!(renamed("agra", &[2, 2], "layer0.0.res_layer.0.weight"), "layer0.0.res_layer.0.weight");
        assert_eq!(renamed("agra", &[2, 2], "layer3.0.res_layer.0.weight"), "layer3.0.res_layer.0.weight");
    }
}
