//! Published class counts, to tell a complete data set from a damaged one.

use serde::Serialize;

use super::{LabelRule, Layout, Split};

/// A published list of class counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// Which release or copy it describes.
    pub name: &'static str,
    /// Pictures per class in the canonical order; eight classes for FER+, `AffectNet` and CK+, seven else.
    pub counts: &'static [usize],
}

const FER2013: &str = "the release of 2013";
const RAFDB: &str = "the official release";
const EMOTIW: &str = "EmotiW 2015";
const OFFICIAL: &str = "the official export, majority rule";
const FOLDER_COPY: &str = "the votes joined to the folder form of FER2013, majority rule";

/// What is published for a split; empty where nothing is.
pub(super) fn references(layout: Layout, split: Split, rule: LabelRule) -> &'static [Reference] {
    match (layout, split) {
        (Layout::Fer2013, Split::Train) => {
            &[Reference { name: FER2013, counts: &[3995, 436, 4097, 7215, 4830, 3171, 4965] }]
        }
        (Layout::Fer2013, Split::Public | Split::Valid) => {
            &[Reference { name: FER2013, counts: &[467, 56, 496, 895, 653, 415, 607] }]
        }
        (Layout::Fer2013, Split::Private) => {
            &[Reference { name: FER2013, counts: &[491, 55, 528, 879, 594, 416, 626] }]
        }
        (Layout::Fer2013, Split::Test) => {
            &[Reference { name: FER2013, counts: &[958, 111, 1024, 1774, 1247, 831, 1233] }]
        }
        (Layout::RafDb | Layout::RafDbOriginal, Split::Train) => {
            &[Reference { name: RAFDB, counts: &[705, 717, 281, 4772, 1982, 1290, 2524] }]
        }
        (Layout::RafDb | Layout::RafDbOriginal, Split::Test) => {
            &[Reference { name: RAFDB, counts: &[162, 160, 74, 1185, 478, 329, 680] }]
        }
        (Layout::FerPlus, _) if rule != LabelRule::Majority => &[],
        (Layout::FerPlus, Split::Train) => &[
            Reference { name: OFFICIAL, counts: &[2100, 119, 532, 7287, 3014, 3149, 8740, 119] },
            Reference { name: FOLDER_COPY, counts: &[2099, 119, 532, 7287, 3013, 3149, 8739, 119] },
        ],
        (Layout::FerPlus, Split::Valid | Split::Public) => {
            &[Reference { name: OFFICIAL, counts: &[287, 24, 62, 865, 351, 415, 1182, 13] }]
        }
        (Layout::FerPlus, Split::Test | Split::Private) => &[
            Reference { name: OFFICIAL, counts: &[273, 18, 83, 893, 384, 396, 1090, 16] },
            Reference { name: FOLDER_COPY, counts: &[273, 18, 83, 893, 384, 396, 1089, 16] },
        ],
        (Layout::AffectNet, Split::Train) => &[Reference {
            name: "the release of 2021",
            counts: &[24_882, 3803, 6378, 134_415, 25_459, 14_090, 74_874, 3750],
        }],
        (Layout::AffectNet, Split::Valid) => &[
            Reference { name: "the release of 2021", counts: &[500, 500, 500, 500, 500, 500, 500, 499] },
            Reference { name: "the release of 2017", counts: &[500, 500, 500, 500, 500, 500, 500, 500] },
        ],
        (Layout::Sfew, Split::Train) => &[Reference { name: EMOTIW, counts: &[178, 66, 98, 198, 172, 96, 150] }],
        (Layout::Sfew, Split::Valid) => &[Reference { name: EMOTIW, counts: &[77, 23, 47, 73, 73, 57, 86] }],
        (Layout::SfewAligned, Split::Train) => &[Reference { name: EMOTIW, counts: &[178, 52, 78, 184, 161, 94, 144] }],
        (Layout::SfewAligned, Split::Valid) => &[Reference { name: EMOTIW, counts: &[77, 23, 46, 72, 73, 56, 84] }],
        (Layout::Jaffe, Split::Test | Split::All) => {
            &[Reference { name: "the release of 1998", counts: &[30, 29, 32, 31, 31, 30, 30] }]
        }
        (Layout::ExpW, Split::All) => {
            &[Reference { name: "the authors' list", counts: &[3671, 3995, 1088, 30_537, 10_559, 7060, 34_883] }]
        }
        (Layout::CkPlus, Split::Test | Split::All) => {
            &[Reference { name: "the release of 2010", counts: &[45, 59, 25, 69, 28, 83, 0, 18] }]
        }
        _ => &[],
    }
}
