//! Counts of a data set beside the published ones.

use std::collections::HashSet;
use std::fmt;

use emoxide::labels::Expression;
use serde::Serialize;

use super::published::{Reference, references};
use super::{DataError, DataOptions, DataSet, DataSpec, Layout, Split};

/// Names listed at most for one kind of trouble.
const LISTED: usize = 10;

/// One class of one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub class: Expression,
    /// Pictures found.
    pub found: usize,
    /// Pictures published, if known.
    pub published: Option<usize>,
}

/// One split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitReport {
    /// The split.
    pub split: Split,
    /// Samples found.
    pub total: usize,
    /// Samples published, if known.
    pub published_total: Option<usize>,
    /// Which publication was compared: the nearest of those known.
    pub reference: Option<&'static str>,
    /// The classes in canonical order.
    pub classes: Vec<ClassCount>,
    /// Different pictures; fewer than `total` where samples share one.
    pub pictures: usize,
    /// Pictures that are not there.
    pub missing: usize,
    /// Pictures that cannot be decoded; only after a thorough check.
    pub unreadable: usize,
    /// The first few names of missing and unreadable pictures.
    pub examples: Vec<String>,
    /// SHA-256 over names and labels.
    pub manifest_hash: String,
}

impl SplitReport {
    /// Whether every picture is there and the counts are the published ones, if any are.
    pub fn is_as_published(&self) -> bool {
        let same = self.classes.iter().all(|class| class.published.is_none_or(|published| published == class.found));
        same && self.missing == 0 && self.unreadable == 0
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The data set as it was named.
    pub data: String,
    /// The label rule, for a data set that has votes.
    pub label_rule: Option<&'static str>,
    /// The splits that are there.
    pub splits: Vec<SplitReport>,
    /// Splits that are not there, with the reason.
    pub absent: Vec<String>,
    /// Splits that are there and could not be read, with the reason.
    pub failed: Vec<String>,
}

impl CheckReport {
    /// Whether every split that is there is complete.
    pub fn is_as_published(&self) -> bool {
        self.splits.iter().all(SplitReport::is_as_published)
    }

    /// Whether every split and every picture could be read; counts may differ from the published ones.
    pub fn is_sound(&self) -> bool {
        self.failed.is_empty() && self.splits.iter().all(|split| split.missing + split.unreadable == 0)
    }
}

impl DataSpec {
    /// Counts every split and compares with what is published. A thorough check decodes every picture.
    ///
    /// A split that cannot be read is reported; only where none can is that an error.
    pub fn check(&self, options: &DataOptions, thorough: bool) -> Result<CheckReport, DataError> {
        let mut splits = Vec::new();
        let (mut absent, mut failed) = (Vec::new(), Vec::new());
        let mut first_error = None;
        for split in self.layout.splits() {
            match self.open(*split, options) {
                Ok(data) => splits.push(self.inspect(&data, options, thorough)),
                Err(error) => {
                    let is_absent = matches!(
                        error,
                        DataError::Missing { .. } | DataError::NoSplit { .. } | DataError::Empty { .. }
                    );
                    (if is_absent { &mut absent } else { &mut failed }).push(format!("{split}: {error}"));
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if splits.is_empty() => Err(error),
            _ => {
                let label_rule = (self.layout == Layout::FerPlus).then(|| options.label_rule.name());
                Ok(CheckReport { data: self.to_string(), label_rule, splits, absent, failed })
            }
        }
    }

    fn inspect(&self, data: &DataSet, options: &DataOptions, thorough: bool) -> SplitReport {
        let counts = data.class_counts();
        let reference = nearest(references(self.layout, data.split, options.label_rule), data, &counts);
        let classes: Vec<ClassCount> = data
            .classes
            .iter()
            .zip(&counts)
            .map(|(class, found)| ClassCount { class, found: *found, published: published(reference, class) })
            .collect();
        let mut report = SplitReport {
            split: data.split,
            total: data.len(),
            published_total: classes.iter().map(|class| class.published).sum(),
            reference: reference.map(|reference| reference.name),
            classes,
            pictures: 0,
            missing: 0,
            unreadable: 0,
            examples: Vec::new(),
            manifest_hash: data.manifest_hash(),
        };
        let mut seen = HashSet::new();
        for (index, sample) in data.samples.iter().enumerate() {
            if !seen.insert(&sample.name) {
                continue;
            }
            let missing = sample.source.file().is_some_and(|path| !path.is_file());
            let unreadable = thorough && !missing && data.load_image(index).is_err();
            report.missing += usize::from(missing);
            report.unreadable += usize::from(unreadable);
            if (missing || unreadable) && report.examples.len() < LISTED {
                report.examples.push(sample.name.clone());
            }
        }
        report.pictures = seen.len();
        report
    }
}

fn published(reference: Option<Reference>, class: Expression) -> Option<usize> {
    let index = Expression::ALL.iter().position(|name| *name == class)?;
    reference?.counts.get(index).copied()
}

/// The reference that differs least.
fn nearest(references: &[Reference], data: &DataSet, counts: &[usize]) -> Option<Reference> {
    references.iter().copied().min_by_key(|reference| {
        let pairs = data.classes.iter().zip(counts);
        pairs.map(|(class, found)| found.abs_diff(published(Some(*reference), class).unwrap_or(0))).sum::<usize>()
    })
}

impl fmt::Display for CheckReport {
    /// A table: one line a class, one column a split, published counts where they differ.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.data)?;
        if let Some(rule) = self.label_rule {
            write!(formatter, " (label rule {rule})")?;
        }
        for split in &self.splits {
            let distinct = if split.pictures == split.total {
                String::new()
            } else {
                format!(" of {} different pictures", split.pictures)
            };
            write!(formatter, "\n\n{}: {} samples{distinct}", split.split, split.total)?;
            match (split.published_total, split.reference) {
                (Some(total), Some(name)) => writeln!(formatter, "; published {total} ({name})")?,
                _ => writeln!(formatter, "; no published counts")?,
            }
            for count in &split.classes {
                let verdict = match count.published {
                    None => String::new(),
                    Some(published) if published == count.found => "  as published".into(),
                    Some(published) => {
                        format!("  published {published:>6}, {:+}", count.found as i64 - published as i64)
                    }
                };
                writeln!(formatter, "  {:<10}{:>7}{verdict}", count.class, count.found)?;
            }
            if split.missing + split.unreadable > 0 {
                let examples = split.examples.join(", ");
                writeln!(
                    formatter,
                    "  {} missing, {} unreadable, such as {examples}",
                    split.missing, split.unreadable
                )?;
            }
        }
        for absent in &self.absent {
            write!(formatter, "\nnot there: {absent}")?;
        }
        for failed in &self.failed {
            write!(formatter, "\nnot readable: {failed}")?;
        }
        Ok(())
    }
}
