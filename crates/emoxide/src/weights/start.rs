//! Weights that training starts from: files for a network or for parts of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contents::{self, Origin};
use super::fill::Filling;
use super::import::{key_map, naming};
use super::{Head, WeightsError, fingerprint};
use crate::labels::Classes;
use crate::models::{Network, NetworkConfig};

/// What becomes of a stem for colour where the network takes grey pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StemWeights {
    /// It is left out, and the network's own is drawn, as the authors of the FER2013 comparison do it.
    #[default]
    Draw,
    /// The weights of red, green and blue are added: a grey picture gives what it gave as a colour picture.
    SumRgb,
}

/// A file that a network's weights start from; an entry of `network.weights` in a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// PyTorch, Paddle, `NumPy` (`.npz`) or safetensors file, or a checkpoint of emoxide; relative to the working directory.
    pub file: PathBuf,
    /// How the file names its tensors, one of [`KEY_MAPS`](super::KEY_MAPS). Absent: `pytorch`, `paddle` for Paddle's
    /// own files and `google` for `NumPy`'s. A checkpoint of emoxide has the network's own names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// The part of the network that the file fills: how the names of its parameters start, such as `extractor`. Absent:
    /// the whole network but its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What becomes of a stem for colour where the network takes grey pictures.
    #[serde(default)]
    pub stem_weights: StemWeights,
}

impl Start {
    /// The whole network from this file, with the default of every other setting.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), keys: None, part: None, stem_weights: StemWeights::default() }
    }
}

/// Where weights came from before training, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The file as the recipe names it.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The part of the network that it filled; absent: the whole network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Number of tensors taken.
    pub tensors: usize,
    /// What was done beside copying, such as a head that was drawn anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// Refuses settings that no network could start from; the files are not looked at.
pub fn check(starts: &[Start]) -> Result<(), WeightsError> {
    for (index, start) in starts.iter().enumerate() {
        let refused = |problem: String| WeightsError::Start { index, problem };
        start.keys.as_deref().map(key_map).transpose()?;
        if start.file.as_os_str().is_empty() {
            return Err(refused("`file` is empty; name a file of weights".to_owned()));
        }
        let segments = |part: &str| part.split('.').all(|segment| !segment.is_empty());
        if start.part.as_deref().is_some_and(|part| !segments(part)) {
            return Err(refused("`part` is how names of parameters start, such as `extractor`".to_owned()));
        }
        if let Some(other) = starts[..index].iter().find(|other| overlap(start, other)) {
            return Err(refused(format!("fills what {} fills too; name a `part` for each", other.file.display())));
        }
    }
    Ok(())
}

/// Whether one's part of the network lies in the other's.
fn overlap(one: &Start, other: &Start) -> bool {
    let (Some(one), Some(other)) = (&one.part, &other.part) else { return true };
    format!("{one}.").starts_with(&format!("{other}.")) || format!("{other}.").starts_with(&format!("{one}."))
}

/// Gives a drawn network the weights of files. Each fills the whole of its part, with these exceptions:
///
/// * The head keeps its fresh weights, unless the file is a checkpoint of emoxide for the same classes in the same order,
///   or `part` names the head.
/// * A stem for colour in a grey network goes by [`StemWeights`].
/// * Tables of positions (`pos_embed`) of another length are resampled bilinearly, with or without alignment of the corners
///   as the network's authors did; the class token keeps its position, and where the network has none, neither is taken.
///
/// Every tensor of a file has a place, or belongs to its head, or the key map leaves it out: what it ignores, and the
/// later stages or blocks of a deeper network where it says so. A file of a whole network whose names start with `part`
/// gives that part only.
pub fn start(
    mut network: Network,
    config: &NetworkConfig,
    classes: &Classes,
    starts: &[Start],
) -> Result<(Network, Vec<Started>), WeightsError> {
    check(starts)?;
    let mut all = Vec::with_capacity(starts.len());
    for (index, start) in starts.iter().enumerate() {
        all.push(start_from(&mut network, config, classes, start, index)?);
    }
    Ok((network, all))
}

fn start_from(
    network: &mut Network,
    config: &NetworkConfig,
    classes: &Classes,
    start: &Start,
    index: usize,
) -> Result<Started, WeightsError> {
    let path: &Path = &start.file;
    let contents = contents::read(path)?;
    let (map, linear) = naming(start.keys.as_deref(), &contents.origin)?;
    let (mut head, mut why) = (Head::Drop, "the file does not say its classes".to_owned());
    let (mut file_head, mut spelling): (&[&str], _) = (&[], config.spelling());
    if let Origin::Own(card) = &contents.origin {
        if start.keys.is_some() {
            let problem =
                format!("{}: a checkpoint of emoxide has the network's own names; remove `keys`", path.display());
            return Err(WeightsError::Start { index, problem });
        }
        file_head = card.network.head();
        spelling = &[];
        if start.part.is_none() && card.classes == *classes {
            head = Head::Keep;
        }
        why = format!("the file's classes are {}", card.classes);
    }
    let (part, adapt) = (start.part.as_deref(), Some(start.stem_weights));
    let filling = Filling { path, config, map, spelling, linear, file_head, head, part, others: &[], adapt };
    let mut filled = filling.fill(network, contents.tensors)?;
    if head == Head::Drop && part.is_none() {
        filled.changes.push(format!("head drawn: {why}"));
    }
    Ok(Started {
        file: path.display().to_string(),
        sha256: fingerprint(path)?,
        part: start.part.clone(),
        tensors: filled.tensors,
        changes: filled.changes,
    })
}

#[cfg(test)]
mod tests {
    use super::{Start, check};

    #[test]
    fn files_for_the_same_part_are_refused() {
        let of = |part: &str| Start { part: Some(part.to_owned()), ..Start::new(format!("{part}.pth")) };
        assert!(check(&[of("extractor"), of("vit"), of("vit_2")]).is_ok());
        for (one, other) in
            [(of("vit"), of("vit.blocks")), (of("vit.norm"), of("vit")), (of("vit"), Start::new("all.pth"))]
        {
            let error = check(&[one, other]).unwrap_err().to_string();
            assert!(error.starts_with("network.weights[1]: fills what "), "{error}");
        }
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        let cases = [
            (Start::new(""), "network.weights[0]: `file` is empty"),
            (Start { part: Some("vit.".to_owned()), ..Start::new("x.pth") }, "network.weights[0]: `part` is how names"),
            (Start { keys: Some("keras".to_owned()), ..Start::new("x.pth") }, "no key map `keras`; there are pytorch,"),
        ];
        for (start, expected) in cases {
            let error = check(&[start]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
