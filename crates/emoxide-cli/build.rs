//! Hands the commit and the version of Burn to the program, for the records of runs and checkpoints.

use std::process::Command;

pub(crate) fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    println!("cargo::rustc-env=EMOXIDE_COMMIT={commit}{}", if dirty { "-dirty" } else { "" });
    let manifest = include_str!("../../Cargo.toml");
    let burn = manifest.lines().find_map(|line| line.strip_prefix("burn = { version = \"="));
    let burn = burn.and_then(|rest| rest.split('"').next()).unwrap_or("unknown");
    println!("cargo::rustc-env=EMOXIDE_BURN={burn}");
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../.git/index");
    println!("cargo::rerun-if-changed=../../Cargo.toml");
    // Whether the tree is as committed depends on all sources.
    println!("cargo::rerun-if-changed=..");
}
