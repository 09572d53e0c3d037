//! The program as its users meet it: arguments in, exit code, standard output and standard error out.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod bad_inputs;
mod bench;
mod export;
mod models;
mod networks;
mod pictures;
mod predict;
mod protocols;
mod serve;
mod train;
mod tsne;
mod video;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program with its arguments.
fn emoxide(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emoxide"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    emoxide(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn photo(name: &str) -> String {
    root().join("assets/photos").join(name).display().to_string()
}
