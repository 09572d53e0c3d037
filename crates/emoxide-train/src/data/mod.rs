//! Labelled faces: readers of the layouts that people have on disk, splits, hold-out slices and a check of the counts.
//!
//! Every reader hands out the same thing, a [`DataSet`]: samples that name their picture, labels that are indices into
//! (or distributions over) the set's own [`Classes`], in the toolkit's canonical order. Pictures are decoded when asked for.

mod afed;
mod affectnet;
mod check;
mod ckplus;
mod decode;
mod draw;
mod error;
mod expw;
mod fer2013;
mod ferplus;
mod folder;
mod hold_out;
mod jaffe;
mod manifest;
mod mma;
mod published;
mod rafdb;
mod sfew;
mod spec;
pub mod synth;
mod table;
mod votes;
mod words;

use std::path::{Path, PathBuf};

use emoxide::image::RgbImage;
use emoxide::labels::{Classes, Expression};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use check::{CheckReport, ClassCount, SplitReport};
pub use error::DataError;
pub use published::Reference;
pub use spec::{DataOptions, DataSpec, Layout};
pub use votes::LabelRule;

/// Side in pixels of a picture of FER2013 and FER+.
pub(crate) const FER_SIDE: u32 = 48;

/// Where the picture of a sample is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An image file in any format that the toolkit decodes.
    File(PathBuf),
    /// A face in an image file, cut out with a tenth of the box's width and height more on each side, as far as the picture
    /// goes (the CD-FER benchmark, Chen et al., 2022).
    Face {
        /// The image file.
        file: PathBuf,
        /// Left, top, right and bottom edge of the box in pixels.
        bounds: [i32; 4],
    },
    /// Another one with red and blue in each other's place.
    Bgr(Box<Self>),
    /// 48x48 grey values, rows from top to bottom, as in `fer2013.csv`.
    Pixels48(Box<[u8]>),
}

impl Source {
    /// The image file, if there is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) | Self::Face { file, .. } => Some(file),
            Self::Bgr(source) => source.file(),
            Self::Pixels48(_) => None,
        }
    }

    /// Whether a box says where the face is.
    fn has_box(&self) -> bool {
        match self {
            Self::Face { .. } => true,
            Self::Bgr(source) => source.has_box(),
            Self::File(_) | Self::Pixels48(_) => false,
        }
    }
}

/// What a picture shows, in terms of its data set's [`Classes`].
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// One class.
    Class(usize),
    /// A share for every class; the shares add up to one.
    Votes(Vec<f32>),
}

impl Label {
    /// The single class that stands for this label: the largest share, the first of equals.
    pub fn class(&self) -> usize {
        match self {
            Self::Class(class) => *class,
            Self::Votes(shares) => first_largest(shares),
        }
    }

    /// The label as shares of `classes` classes: one-hot for a single class.
    pub fn distribution(&self, classes: usize) -> Vec<f32> {
        match self {
            Self::Class(class) => (0..classes).map(|index| f32::from(u8::from(index == *class))).collect(),
            Self::Votes(shares) => shares.clone(),
        }
    }
}

/// One labelled picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Path relative to the root of the data set, with `/`; a row of a table is `fer2013.csv#<row>`. Unique to a picture,
    /// not to a sample: FER+ lists some pictures of FER2013 more than once.
    pub name: String,
    /// The picture.
    pub source: Source,
    /// Its label.
    pub label: Label,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What a network is fitted to.
    Train,
    /// What a model is selected on. FER2013, FER+: `PublicTest`.
    Valid,
    /// What is reported. FER2013: `PublicTest` and `PrivateTest` together (the folder form's `test`, 7,178 pictures);
    /// FER+: `PrivateTest`.
    Test,
    /// FER2013, FER+: `PublicTest`.
    Public,
    /// FER2013, FER+: `PrivateTest`.
    Private,
    /// Everything.
    All,
}

impl Split {
    /// The name on the command line and in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
            Self::Public => "public",
            Self::Private => "private",
            Self::All => "all",
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}

impl std::str::FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Ok(match text.trim().to_lowercase().as_str() {
            "train" | "training" => Self::Train,
            "valid" | "val" | "validation" => Self::Valid,
            "test" | "testing" => Self::Test,
            "public" | "publictest" => Self::Public,
            "private" | "privatetest" => Self::Private,
            "all" => Self::All,
            _ => return Err(DataError::UnknownSplit(text.to_owned())),
        })
    }
}

/// Labelled pictures of one split.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Name of the data set: the left side of `NAME=DIR`.
    pub name: String,
    /// Which part of it this is.
    pub split: Split,
    /// What the class indices of the labels mean.
    pub classes: Classes,
    /// The pictures, in an order that depends on the files alone.
    pub samples: Vec<Sample>,
}

impl DataSet {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Decodes the picture of sample `index`.
    pub fn load_image(&self, index: usize) -> Result<RgbImage, DataError> {
        decode::load(&self.samples[index].source, None)
    }

    /// As [`load_image`](Self::load_image), but where the picture is a face cut out by its box, the box changes: by `shift`, a
    /// place in `[0, 1)` between its largest and its smallest size, for columns and rows.
    pub fn load_changed(&self, index: usize, shift: [f64; 2]) -> Result<RgbImage, DataError> {
        decode::load(&self.samples[index].source, Some(shift))
    }

    /// Whether there are faces that are cut out by boxes.
    pub fn has_boxes(&self) -> bool {
        self.samples.iter().any(|sample| sample.source.has_box())
    }

    /// The class of every sample; of votes the largest share.
    pub fn class_indices(&self) -> Vec<usize> {
        self.samples.iter().map(|sample| sample.label.class()).collect()
    }

    /// Number of samples of every class; of votes the largest share counts.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for sample in &self.samples {
            counts[sample.label.class()] += 1;
        }
        counts
    }

    /// SHA-256 (hexadecimal) over the class names and every sample's name and label, whatever the order of the samples.
    ///
    /// It tells whether two runs saw the same labelled files; it does not read the pictures.
    pub fn manifest_hash(&self) -> String {
        let mut lines: Vec<String> = self
            .samples
            .iter()
            .map(|sample| match &sample.label {
                Label::Class(class) => format!("{}\t{class}\n", sample.name),
                Label::Votes(shares) => format!("{}\t{shares:?}\n", sample.name),
            })
            .collect();
        lines.sort_unstable();
        let mut hasher = Sha256::new();
        hasher.update(format!("{}\n", self.classes));
        for line in &lines {
            hasher.update(line);
        }
        format!("{:x}", hasher.finalize())
    }

    /// This set without some classes, such as the 8-to-7 rule's contempt.
    ///
    /// A sample whose class is dropped goes; the votes of the others are renormalised over the classes that stay.
    /// Classes that the set does not have are ignored.
    pub fn without(&self, dropped: &[Expression]) -> Result<Self, DataError> {
        let classes = self.classes.without(dropped)?;
        let place: Vec<Option<usize>> = self.classes.iter().map(|name| classes.index_of(name)).collect();
        let relabel = |label: &Label| {
            let class = place[label.class()]?;
            Some(match label {
                Label::Class(_) => Label::Class(class),
                Label::Votes(shares) => {
                    let kept: Vec<f32> = shares
                        .iter()
                        .zip(&place)
                        .filter(|(_, place)| place.is_some())
                        .map(|(share, _)| *share)
                        .collect();
                    votes::normalised(&kept)
                }
            })
        };
        Ok(self.relabelled(classes, relabel))
    }

    /// This set with its labels in the order of `classes`, which must hold the same names.
    pub fn reordered(&self, classes: &Classes) -> Result<Self, DataError> {
        let place = self.classes.map_to(classes)?;
        let relabel = |label: &Label| {
            Some(match label {
                Label::Class(class) => Label::Class(place[*class]),
                Label::Votes(shares) => {
                    let mut moved = vec![0.0; shares.len()];
                    shares.iter().zip(&place).for_each(|(share, place)| moved[*place] = *share);
                    Label::Votes(moved)
                }
            })
        };
        Ok(self.relabelled(classes.clone(), relabel))
    }

    /// The samples that `relabel` keeps, with their new labels.
    fn relabelled(&self, classes: Classes, relabel: impl Fn(&Label) -> Option<Label>) -> Self {
        let samples = self
            .samples
            .iter()
            .filter_map(|sample| {
                let label = relabel(&sample.label)?;
                Some(Sample { name: sample.name.clone(), source: sample.source.clone(), label })
            })
            .collect();
        Self { name: self.name.clone(), split: self.split, classes, samples }
    }
}

/// Refuses a picture that is not there if it is the first of a list: then the list's root is most likely another.
fn check_first(samples: &[Sample], path: &Path, hint: &'static str) -> Result<(), DataError> {
    if samples.is_empty() && !path.is_file() {
        return Err(DataError::NoPicture { path: path.to_owned(), hint });
    }
    Ok(())
}

/// Index of the largest value, the first of equals; 0 of an empty list.
pub(crate) fn first_largest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best })
}
