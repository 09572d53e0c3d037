//! The same record of commit and Burn as the command line's, and what macOS needs to link a library whose symbols Python brings.

#[path = "../emoxide-cli/build.rs"]
mod record;

fn main() {
    record::main();
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos") {
        println!("cargo::rustc-cdylib-link-arg=-undefined");
        println!("cargo::rustc-cdylib-link-arg=dynamic_lookup");
    }
}
