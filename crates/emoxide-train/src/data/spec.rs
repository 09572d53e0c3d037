//! `NAME=PATH[@IMAGES]`: which reader, and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use emoxide::labels::Expression;
use serde::{Deserialize, Serialize};

use super::{
    DataError, DataSet, LabelRule, Source, Split, afed, affectnet, ckplus, expw, fer2013, ferplus, folder, jaffe,
    manifest, mma, rafdb, sfew,
};

/// The layouts that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// FER2013: `fer2013.csv`, or `train/<class>/*` and `test/<class>/*`.
    Fer2013,
    /// FER+: `ferplus.csv` with a column `file`, or the official `fer2013new.csv` and exported folders or `fer2013.csv`.
    FerPlus,
    /// RAF-DB, basic expressions: `basic/EmoLabel/list_patition_label.txt` and `basic/Image/aligned`.
    RafDb,
    /// RAF-DB, the faces in the original pictures: `basic/Image/original` and `basic/Annotation/boundingbox`.
    #[serde(rename = "rafdb-original")]
    RafDbOriginal,
    /// `AffectNet`: the tables of 2017, or the folders of 2021.
    AffectNet,
    /// SFEW 2.0, frames: `Train|Val/<class>/*`.
    Sfew,
    /// SFEW 2.0, aligned faces: `Train|Val_Aligned_Faces/<class>/*`.
    #[serde(rename = "sfew-aligned")]
    SfewAligned,
    /// JAFFE: pictures whose names say their expression.
    Jaffe,
    /// `ExpW`: `label/label.lst` and `image/origin`.
    ExpW,
    /// AFED as in the CD-FER benchmark: `list/*_list.txt` and `images`.
    Afed,
    /// MMAFEDB: class folders in train, valid and test.
    Mma,
    /// CK+: `Emotion` and `cohn-kanade-images`.
    CkPlus,
    /// One folder a class, in folders of splits or without.
    Folder,
    /// A CSV table with columns `path`, `label` and perhaps `split`.
    Manifest,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 14] = [
        Self::Fer2013,
        Self::FerPlus,
        Self::RafDb,
        Self::RafDbOriginal,
        Self::AffectNet,
        Self::Sfew,
        Self::SfewAligned,
        Self::Jaffe,
        Self::ExpW,
        Self::Afed,
        Self::Mma,
        Self::CkPlus,
        Self::Folder,
        Self::Manifest,
    ];

    /// The name before `=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fer2013 => "fer2013",
            Self::FerPlus => "ferplus",
            Self::RafDb => "rafdb",
            Self::RafDbOriginal => "rafdb-original",
            Self::AffectNet => "affectnet",
            Self::Sfew => "sfew",
            Self::SfewAligned => "sfew-aligned",
            Self::Jaffe => "jaffe",
            Self::ExpW => "expw",
            Self::Afed => "afed",
            Self::Mma => "mma",
            Self::CkPlus => "ckplus",
            Self::Folder => "folder",
            Self::Manifest => "manifest",
        }
    }

    /// The disjoint splits that the layout can hold.
    pub fn splits(self) -> &'static [Split] {
        match self {
            Self::Fer2013 => &[Split::Train, Split::Public, Split::Private],
            Self::FerPlus | Self::ExpW | Self::Mma | Self::Folder | Self::Manifest => {
                &[Split::Train, Split::Valid, Split::Test]
            }
            Self::RafDb | Self::RafDbOriginal => &[Split::Train, Split::Test],
            Self::AffectNet | Self::Sfew | Self::SfewAligned | Self::Afed => &[Split::Train, Split::Valid],
            Self::Jaffe | Self::CkPlus => &[Split::Test],
        }
    }

    /// The parts of a collection of pictures that a split holds, for layouts of which several are of the same pictures:
    /// FER2013 and FER+ with labels of their own, RAF-DB's and SFEW's original pictures and the faces cut out of them.
    pub(crate) fn pictures(self, split: Split) -> Vec<&'static str> {
        let fer2013 = |holds: fn(&str, Split) -> Option<bool>| {
            let parts = [
                ("Training", "the Training pictures of FER2013"),
                ("PublicTest", "the PublicTest pictures of FER2013"),
                ("PrivateTest", "the PrivateTest pictures of FER2013"),
            ];
            parts.into_iter().filter(|(part, _)| holds(part, split) == Some(true)).map(|(_, words)| words).collect()
        };
        let by_split = |parts: [(Split, &'static str); 2]| {
            parts
                .into_iter()
                .filter(|(part, _)| split == *part || split == Split::All)
                .map(|(_, words)| words)
                .collect()
        };
        match self {
            Self::Fer2013 => fer2013(fer2013::usage_in_split),
            Self::FerPlus => fer2013(ferplus::fer2013_part),
            Self::RafDb | Self::RafDbOriginal => by_split([
                (Split::Train, "the training pictures of RAF-DB"),
                (Split::Test, "the test pictures of RAF-DB"),
            ]),
            Self::Sfew | Self::SfewAligned => by_split([
                (Split::Train, "the training pictures of SFEW"),
                (Split::Valid, "the validation pictures of SFEW"),
            ]),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Layout {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let plain: String =
            text.to_lowercase().replace('+', "plus").chars().filter(char::is_ascii_alphanumeric).collect();
        Self::ALL
            .into_iter()
            .find(|layout| layout.name().replace('-', "") == plain)
            .ok_or_else(|| DataError::UnknownLayout(text.to_owned()))
    }
}

/// A data set on disk: what stands behind `--data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSpec {
    /// The reader.
    pub layout: Layout,
    /// The folder or table.
    pub path: PathBuf,
    /// Where the pictures are, if not beside the table.
    pub images: Option<PathBuf>,
}

impl DataSpec {
    /// A data set whose pictures stand where its layout puts them.
    pub fn new(layout: Layout, path: impl Into<PathBuf>) -> Self {
        Self { layout, path: path.into(), images: None }
    }

    /// Reads several `NAME=PATH[@IMAGES]`, each of another data set.
    pub fn all(texts: &[String]) -> Result<Vec<Self>, DataError> {
        let specs = texts.iter().map(|text| text.parse()).collect::<Result<Vec<Self>, _>>()?;
        match specs
            .iter()
            .enumerate()
            .find(|(index, spec)| specs[..*index].iter().any(|other| other.layout == spec.layout))
        {
            Some((_, spec)) => Err(DataError::Twice { spec: spec.clone() }),
            None => Ok(specs),
        }
    }

    /// Takes the pictures from another folder.
    #[must_use]
    pub fn with_images(mut self, root: impl Into<PathBuf>) -> Self {
        self.images = Some(root.into());
        self
    }

    /// Reads the labels of one split; pictures are read later, one by one.
    pub fn open(&self, split: Split, options: &DataOptions) -> Result<DataSet, DataError> {
        let data = match self.layout {
            Layout::Fer2013 => fer2013::read(&self.path, split)?,
            Layout::FerPlus => ferplus::read(&self.path, self.images.as_deref(), split, options.label_rule)?,
            Layout::RafDb => rafdb::read(&self.path, split, false)?,
            Layout::RafDbOriginal => rafdb::read(&self.path, split, true)?,
            Layout::AffectNet => affectnet::read(&self.path, split)?,
            Layout::Sfew => sfew::read(&self.path, split, false)?,
            Layout::SfewAligned => sfew::read(&self.path, split, true)?,
            Layout::Jaffe => jaffe::read(&self.path, split)?,
            Layout::ExpW => expw::read(&self.path, split)?,
            Layout::Afed => afed::read(&self.path, split)?,
            Layout::Mma => mma::read(&self.path, split)?,
            Layout::CkPlus => ckplus::read(&self.path, split)?,
            Layout::Folder => folder::read(&self.path, split)?,
            Layout::Manifest => manifest::read(&self.path, self.images.as_deref(), split)?,
        };
        let mut data = if options.drop.is_empty() { data } else { data.without(&options.drop)? };
        if options.bgr {
            for sample in &mut data.samples {
                sample.source = Source::Bgr(Box::new(sample.source.clone()));
            }
        }
        if data.is_empty() {
            return Err(DataError::Empty { data: data.name, path: self.path.clone(), split });
        }
        Ok(data)
    }
}

impl FromStr for DataSpec {
    type Err = DataError;

    /// Reads `NAME=PATH` or, for layouts whose pictures may lie apart, `NAME=PATH@IMAGES`; a path that exists with its
    /// `@` is taken whole.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let (name, path) = text.split_once('=').ok_or_else(|| DataError::Spec(text.to_owned()))?;
        if name.trim().is_empty() || path.is_empty() {
            return Err(DataError::Spec(text.to_owned()));
        }
        let spec = Self::new(name.trim().parse()?, path);
        let apart = matches!(spec.layout, Layout::FerPlus | Layout::Manifest) && !Path::new(path).exists();
        match path.rsplit_once('@') {
            Some((table, images)) if apart && !table.is_empty() && !images.is_empty() => {
                Ok(Self::new(spec.layout, table).with_images(images))
            }
            _ => Ok(spec),
        }
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.layout, self.path.display())?;
        match &self.images {
            Some(images) => write!(formatter, "@{}", images.display()),
            None => Ok(()),
        }
    }
}

/// What to make of the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataOptions {
    /// How the votes of FER+ become labels; other data sets have none.
    pub label_rule: LabelRule,
    /// Classes to leave out, such as `contempt` to make seven classes of eight.
    pub drop: Vec<Expression>,
    /// Whether red and blue change places in every picture.
    pub bgr: bool,
}

#[cfg(test)]
mod tests {
    use super::{Layout, Split};

    #[test]
    fn layouts_of_the_same_pictures_are_known() {
        let shared = |one: (Layout, Split), other: (Layout, Split)| {
            let held = other.0.pictures(other.1);
            one.0.pictures(one.1).iter().any(|part| held.contains(part))
        };
        assert!(shared((Layout::Sfew, Split::Train), (Layout::SfewAligned, Split::Train)));
        assert!(shared((Layout::RafDbOriginal, Split::All), (Layout::RafDb, Split::Test)));
        assert!(shared((Layout::FerPlus, Split::Test), (Layout::Fer2013, Split::Test)));
        assert!(!shared((Layout::Sfew, Split::Train), (Layout::SfewAligned, Split::Valid)));
        assert!(!shared((Layout::FerPlus, Split::Train), (Layout::Fer2013, Split::Test)));
        assert!(!shared((Layout::Jaffe, Split::All), (Layout::Jaffe, Split::All)), "of one set the names tell");
    }
}
