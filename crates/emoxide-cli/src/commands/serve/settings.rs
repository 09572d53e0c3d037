//! Where settings come from: flag, then environment, then file, then default.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{ArgAction, ArgMatches, Command};
use toml::{Table, Value};

/// Name of the verb.
const SERVE: &str = "serve";

/// Parses what was typed; `serve` also looks into the environment and its file. Ends the program where clap does.
pub(crate) fn parse(command: Command) -> Result<ArgMatches> {
    let command = command.mut_subcommand(SERVE, with_environment);
    let matches = command.clone().get_matches();
    let file = matches.subcommand_matches(SERVE).and_then(|serve| serve.get_one::<PathBuf>("config"));
    let Some(file) = file else { return Ok(matches) };
    let table = read(file)?;
    let serve = command.find_subcommand(SERVE).context("there is no such verb")?;
    let serve = with_file(serve.clone(), &table).with_context(|| format!("--config {}", file.display()))?;
    Ok(command.mut_subcommand(SERVE, |_| serve).get_matches())
}

/// Gives every flag a variable of its own.
fn with_environment(serve: Command) -> Command {
    serve.mut_args(|argument| match (argument.get_long(), argument.get_action()) {
        (Some(long), ArgAction::Set | ArgAction::Append) => {
            let variable = format!("EMOXIDE_{}", long.to_uppercase().replace('-', "_"));
            argument.env(variable).hide_env(true)
        }
        _ => argument,
    })
}

fn read(file: &Path) -> Result<Table> {
    let text = fs_err::read_to_string(file)?;
    toml::from_str(&text).with_context(|| format!("--config {}", file.display()))
}

/// Makes the file's values the defaults of their flags.
fn with_file(mut serve: Command, table: &Table) -> Result<Command> {
    for (key, value) in table {
        let known = serve.get_arguments().find(|argument| argument.get_long() == Some(key) && key != "config");
        let Some(id) = known.map(|argument| argument.get_id().clone()) else {
            bail!("`{key}` is no setting; `emoxide serve --help` lists them, without the dashes");
        };
        let values = match value {
            Value::Array(values) => values.iter().map(|value| text(key, value)).collect::<Result<Vec<_>>>()?,
            value => vec![text(key, value)?],
        };
        serve = serve.mut_arg(id, |argument| argument.default_values(values).hide_default_value(true));
    }
    Ok(serve)
}

/// A value as it would be typed.
fn text(key: &str, value: &Value) -> Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => bail!("`{key} = {value}` is neither text nor number, nor a list of these"),
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::Cli;

    /// The program's arguments under a configuration.
    fn parsed(file: &str, typed: &[&str]) -> Result<ArgMatches> {
        let serve = with_environment(Cli::command().find_subcommand(SERVE).unwrap().clone());
        let serve = with_file(serve, &toml::from_str(file)?)?;
        Ok(serve.try_get_matches_from([&[SERVE], typed].concat())?)
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let file =
            "max-faces = 7\nhost = \"::1\"\ndeadline = 1.5\ncors-origin = [\"https://a.org\", \"https://b.org\"]";
        let matches = parsed(file, &["--max-faces", "3"]).unwrap();
        assert_eq!(matches.get_one::<u32>("max_faces"), Some(&3));
        assert_eq!(matches.get_one::<String>("host").unwrap(), "::1");
        assert_eq!(matches.get_one::<f64>("deadline"), Some(&1.5));
        assert_eq!(matches.get_one::<u16>("port"), Some(&5005));
        assert_eq!(matches.get_many::<String>("cors_origin").unwrap().count(), 2);
        let arguments = crate::commands::serve::Arguments::from_arg_matches(&matches).unwrap();
        assert_eq!(arguments.max_faces, 3);
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        let said = |file: &str| format!("{:#}", parsed(file, &[]).unwrap_err());
        assert!(said("max_faces = 7").contains("`max_faces` is no setting"));
        assert!(said("config = \"other.toml\"").contains("`config` is no setting"));
        assert!(said("max-faces = true").contains("neither text nor number"));
        assert!(said("max-faces = 0").contains("max-faces"));
        assert!(said("[limits]\nfaces = 3").contains("`limits` is no setting"));
    }
}
