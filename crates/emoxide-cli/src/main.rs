//! The command line `emoxide`. One file a verb under `commands/`; `main` parses, runs and picks the exit code.

mod annotate;
mod commands;
mod figures;
mod gallery;
mod inputs;
mod output;
mod progress;
mod sheet;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use emoxide::recognizer::NOTICES;

/// Facial expressions: recognise, train, evaluate.
#[derive(Debug, Parser)]
#[command(name = "emoxide", version, max_term_width = 110, propagate_version = true)]
#[command(long_about = format!("Facial expressions: recognise, train, evaluate.\n\n{}", NOTICES.join(" ")))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find faces in pictures and say what they express
    Predict(commands::predict::Arguments),
    /// Show where a network looks in faces
    Explain(commands::explain::Arguments),
    /// Train a recipe
    Train(commands::train::Arguments),
    /// Measure a model on a data set
    Eval(commands::eval::Arguments),
    /// List, check and make data sets
    Data(commands::data::Arguments),
    /// List, describe and verify models
    Models(commands::models::Arguments),
    /// Draw what models make of source and target pictures, by t-SNE
    Tsne(commands::tsne::Arguments),
    /// Time a model on this machine
    Bench(commands::bench::Arguments),
    /// Answer pictures over HTTP
    Serve(commands::serve::Arguments),
}

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    /// Everything was done.
    Done,
    /// Done, but some inputs were skipped, each named on standard error.
    Skipped,
    /// Stopped by the user; what was done is safe.
    Interrupted,
}

/// What was typed, and for `serve` what environment and file add to it.
fn parse() -> anyhow::Result<Cli> {
    let matches = commands::serve::parse(Cli::command())?;
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let finish = match cli.command {
        Command::Predict(arguments) => commands::predict::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Eval(arguments) => commands::eval::run(&arguments),
        Command::Data(arguments) => commands::data::run(&arguments),
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Tsne(arguments) => commands::tsne::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(arguments),
    };
    match finish {
        Ok(Finish::Done) => ExitCode::SUCCESS,
        Ok(Finish::Skipped) => ExitCode::from(3),
        // 128 + SIGINT, as shells count.
        Ok(Finish::Interrupted) => ExitCode::from(130),
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
