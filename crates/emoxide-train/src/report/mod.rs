//! Pictures and tables of a run: the confusion matrix, the training curves and the embeddings on a plane; and of a clip: what
//! its faces show over time.

mod canvas;
mod confusion;
mod curves;
mod embeddings;
mod timeline;
mod tsne;

use std::path::{Path, PathBuf};
use std::sync::Once;

use plotters::style::{FontStyle, RGBColor, register_font};

pub use confusion::{confusion_csv, confusion_png, confusion_svg, write_confusion};
pub use curves::{curves_svg, write_curves};
pub use embeddings::{Embeddings, Group, Panel, Role};
pub use timeline::Timeline;
pub use tsne::{MOST_POINTS, Plane, check_perplexity, tsne};

use crate::snapshot::StateError;

/// Why a report was not drawn or not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file could not be replaced.
    #[error(transparent)]
    Write(#[from] StateError),
    /// The picture could not be encoded.
    #[error("the picture could not be encoded: {0}")]
    Encode(#[from] image::ImageError),
    /// The plotting library gave up.
    #[error("the picture could not be drawn: {0}")]
    Draw(String),
    /// Not a table.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What the reader says, with the line.
        source: csv::Error,
    },
    /// A column that every table of metrics has.
    #[error("{}: there is no column `{column}`; is this the metrics.csv of a run?", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A cell that is no number.
    #[error("{}: line {line}: `{cell}` is not a number", path.display())]
    Number {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What stands there.
        cell: String,
    },
    /// A perplexity that so few points do not have.
    #[error(
        "a perplexity of {perplexity} is asked of {points} pictures: it has to be above 1 and below a third of their number"
    )]
    Perplexity {
        /// The perplexity.
        perplexity: f64,
        /// How many points there are.
        points: usize,
    },
    /// More points than can be laid out.
    #[error(
        "{0} pictures are more than the {MOST_POINTS} that t-SNE takes here: it looks at all pairs; lower the limit"
    )]
    Points(usize),
    /// An embedding that holds infinities or no numbers at all.
    #[error("the network's embeddings are not finite numbers: its training went wrong")]
    NotFinite,
}

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(33, 37, 41);
const FAINT: RGBColor = RGBColor(108, 117, 125);

/// Gives the plotting library its only font; text in SVG is set by the viewer, but measured with this one.
fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        let bytes = include_bytes!("../../../../assets/fonts/DejaVuSans-subset.ttf");
        let loaded = register_font(FONT, FontStyle::Normal, bytes);
        assert!(loaded.is_ok(), "the font in assets/fonts is whole");
    });
}

fn draw_error(error: impl std::fmt::Display) -> ReportError {
    ReportError::Draw(error.to_string())
}

fn table_error(path: &Path) -> impl Fn(csv::Error) -> ReportError + '_ {
    |source| ReportError::Table { path: path.to_owned(), source }
}
