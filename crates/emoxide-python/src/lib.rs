//! emoxide for Python, the native part: `python/emoxide` gives it its types and documents it.
//!
//! Every function here lets go of the interpreter while it computes, and looks for Ctrl-C between two batches.

mod clip;
mod error;
mod evaluation;
mod models;
mod opening;
mod picture;
mod process;
mod recognizer;
mod table;
mod training;

use pyo3::pymodule;

#[pymodule]
mod _emoxide {
    #[pymodule_export]
    use crate::clip::Clip;
    #[pymodule_export]
    use crate::evaluation::evaluate;
    #[pymodule_export]
    use crate::models::{devices, models};
    #[pymodule_export]
    use crate::recognizer::Recognizer;
    #[pymodule_export]
    use crate::table::Table;
    #[pymodule_export]
    use crate::training::{draw_faces, train};

    /// Endings of picture files.
    #[pymodule_export]
    const ENDINGS: [&str; emoxide::image::ENDINGS.len()] = emoxide::image::ENDINGS;

    /// Version of emoxide.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
