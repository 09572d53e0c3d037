//! How the names in other people's files become ours. Key maps are data.

use regex::Regex;

/// Rules for the tensor names of one source of weights. Names are matched without a leading `module.`, which
/// `DataParallel` adds. A rule is a pair of a regular expression and its replacement; all rules apply, in order: those of
/// the key map, then its stages, then the network's own spelling of the authors' names.
#[derive(Debug)]
pub struct KeyMap {
    /// What the user calls it.
    pub name: &'static str,
    /// Whose files it is for.
    pub about: &'static str,
    /// Tensors of the file that no network needs.
    pub ignore: &'static [&'static str],
    /// Tensors of the file that belong to its head, and go with it where the network has no place for them.
    pub head: &'static [&'static str],
    /// From the file's names to the network's.
    pub rename: &'static [(&'static str, &'static str)],
    /// How the file counts units, where it counts them per stage and the network does not.
    pub stages: Option<Stages>,
    /// Lists of modules that may go on in the file behind the network's last one, where training starts from it.
    pub deeper: &'static [Deeper],
    /// How the file stores the weights of linear layers, unless its container says so.
    pub linear: LinearLayout,
    /// Tensors that are parts of one in the network.
    pub joined: Option<Joined>,
    /// Matrices of other layers than linear ones that lie on their side in the file.
    pub turned: &'static [&'static str],
}

/// Tensors of a file that make up one, along the first axis in the order of `parts`.
#[derive(Clone, Copy, Debug)]
pub struct Joined {
    /// A regular expression of their names, whose group `part` is one of `parts`.
    pub pattern: &'static str,
    /// All parts in their order.
    pub parts: &'static [&'static str],
    /// The name of the whole, a replacement that does not use that group.
    pub name: &'static str,
}

/// Units that a file names `<prefix><first + stage>.<index in the stage>` and the network `<list><index in all>`.
#[derive(Clone, Copy, Debug)]
pub struct Stages {
    /// What stands before the number of the stage, after `rename`.
    pub prefix: &'static str,
    /// The number of the first stage.
    pub first: usize,
    /// What stands before the number of the unit in the network, before its own spelling.
    pub list: &'static str,
}

/// A numbered list of modules (`blocks.0`, `blocks.1`, …) of which a network may use the first ones only.
#[derive(Clone, Copy, Debug)]
pub struct Deeper {
    /// Its name.
    pub list: &'static str,
    /// What the first module that is left out must hold; absent: the list may end anywhere.
    pub boundary: Option<&'static str>,
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

/// A regular expression and what takes its place.
type Rule = (Regex, &'static str);

/// A key map with its expressions compiled.
pub(super) struct Renamer {
    ignore: Vec<Regex>,
    head: Vec<Regex>,
    rename: Vec<Rule>,
    stages: Option<StageCounter>,
    spelling: Vec<Rule>,
}

/// Where each stage of the network begins.
struct StageCounter {
    pattern: Regex,
    first: usize,
    list: &'static str,
    /// Index of the first unit of every stage.
    starts: Vec<usize>,
}

impl Renamer {
    /// `units`: units per stage, of networks that number them through. `spelling`: the network's own rules.
    pub(super) fn new(map: &KeyMap, units: Option<&[usize]>, spelling: &[(&'static str, &'static str)]) -> Self {
        let compile = |pattern: &str| Regex::new(pattern).expect("the patterns of key maps and networks are tested");
        let rules = |rules: &[(&str, &'static str)]| rules.iter().map(|&(from, to)| (compile(from), to)).collect();
        let stages = map.stages.zip(units).map(|(Stages { prefix, first, list }, units)| StageCounter {
            pattern: compile(&format!(r"^{}([0-9]+)\.([0-9]+)\.", regex::escape(prefix))),
            first,
            list,
            starts: (0..=units.len()).map(|stage| units[..stage].iter().sum()).collect(),
        });
        Self {
            ignore: map.ignore.iter().map(|pattern| compile(pattern)).collect(),
            head: map.head.iter().map(|pattern| compile(pattern)).collect(),
            rename: rules(map.rename),
            stages,
            spelling: rules(spelling),
        }
    }

    pub(super) fn ignores(&self, key: &str) -> bool {
        self.ignore.iter().any(|pattern| pattern.is_match(key))
    }

    pub(super) fn is_head(&self, key: &str) -> bool {
        self.head.iter().any(|pattern| pattern.is_match(key))
    }

    /// The authors' name of the file's `key`, units numbered through. A key of a stage that the network has not stays as
    /// it is, and will be found to have no place.
    pub(super) fn rename(&self, key: &str) -> String {
        let name = apply(&self.rename, key);
        self.stages.as_ref().and_then(|stages| stages.number(&name)).unwrap_or(name)
    }

    /// The network's name of an authors' name.
    pub(super) fn spell(&self, name: &str) -> String {
        apply(&self.spelling, name)
    }

    /// Whether `name`, as [`rename`](Self::rename) left it, is of a stage behind the network's last one.
    pub(super) fn is_later_stage(&self, name: &str) -> bool {
        self.stages.as_ref().is_some_and(|stages| {
            let stage = stages.parse(name).and_then(|(stage, _, _)| stage.checked_sub(stages.first));
            stage.is_some_and(|stage| stage + 1 >= stages.starts.len())
        })
    }
}

fn apply(rules: &[Rule], name: &str) -> String {
    rules.iter().fold(name.to_owned(), |name, (from, to)| from.replace(&name, *to).into_owned())
}

impl StageCounter {
    /// The stage's number as it is written, the unit's in it, and the rest of the name.
    fn parse<'a>(&self, name: &'a str) -> Option<(usize, usize, &'a str)> {
        let found = self.pattern.captures(name)?;
        Some((found[1].parse().ok()?, found[2].parse().ok()?, &name[found.get_match().end()..]))
    }

    fn number(&self, name: &str) -> Option<String> {
        let (stage, index, rest) = self.parse(name)?;
        let stage = stage.checked_sub(self.first)?;
        let (start, end) = (*self.starts.get(stage)?, *self.starts.get(stage + 1)?);
        (index < end - start).then(|| format!("{}{}.{rest}", self.list, start + index))
    }
}

#[cfg(test)]
mod tests {
    use super::super::key_maps::{KEY_MAPS, OWN};
    use super::Renamer;

    const IR: &[(&str, &str)] = &[(r"^extractor\.", "")];

    fn renamer(map: &str, units: &[usize]) -> Renamer {
        let map = KEY_MAPS.iter().find(|candidate| candidate.name == map).expect("a key map");
        Renamer::new(map, Some(units), IR)
    }

    fn renamed(map: &str, units: &[usize], key: &str) -> String {
        let renamer = renamer(map, units);
        renamer.spell(&renamer.rename(key))
    }

    #[test]
    fn every_pattern_compiles_and_names_are_unique() {
        Renamer::new(&OWN, None, &[]);
        for (index, map) in KEY_MAPS.iter().enumerate() {
            Renamer::new(map, Some(&[2, 2]), &[]);
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
        let transfer = Renamer::new(&KEY_MAPS[3], Some(&ir50[..3]), &[]);
        assert_eq!(transfer.rename("extractor.body.1.3.res_layer.1.weight"), "extractor.body.6.res_layer.1.weight");
    }

    #[test]
    fn units_beyond_a_stage_are_not_taken_for_the_next_stage() {
        assert_eq!(renamed("agra", &[2, 2], "layer1.2.res_layer.0.weight"), "layer1.2.res_layer.0.weight");
        assert_eq!(renamed("agra", &[2, 2], "layer0.0.res_layer.0.weight"), "layer0.0.res_layer.0.weight");
        assert_eq!(renamed("agra", &[2, 2], "layer3.0.res_layer.0.weight"), "layer3.0.res_layer.0.weight");
    }

    #[test]
    fn a_later_stage_is_told_from_a_longer_one() {
        let later = |key| renamer("agra", &[2, 2]).is_later_stage(key);
        assert!(later("layer3.0.res_layer.0.weight") && later("layer4.1.res_layer.0.weight"));
        assert!(!later("layer2.5.res_layer.0.weight") && !later("layer0.0.x") && !later("output_layer.0.weight"));
    }
}
