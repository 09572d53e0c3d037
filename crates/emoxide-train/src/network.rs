//! The `[network]` section of a recipe: a network's own settings, and files that its weights start from.

use emoxide::models::NetworkConfig;
use emoxide::weights::start::Start;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// A network and where its weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct NetworkSection {
    /// The network.
    pub config: NetworkConfig,
    /// The key `weights`, beside those of the network: files that its weights start from, each for a part of it or for
    /// all. A file's name alone is one file with the default of every other setting. Empty: random weights.
    pub weights: Vec<Start>,
}

impl NetworkSection {
    /// Parts that training leaves alone and that none of the files fills: they stay as they are drawn.
    pub fn left_random(&self) -> Vec<&'static str> {
        let fills = |part: &str| {
            let holds = |of: &str| part == of || part.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
            self.weights.iter().any(|start| start.part.as_deref().is_none_or(holds))
        };
        self.config.frozen().iter().copied().filter(|part| !fills(part)).collect()
    }
}

const WEIGHTS: &str = "weights";

impl TryFrom<Table> for NetworkSection {
    type Error = String;

    fn try_from(mut table: Table) -> Result<Self, String> {
        let weights = match table.remove(WEIGHTS) {
            None => Vec::new(),
            Some(Value::Array(files)) => files.into_iter().map(start).collect::<Result<_, _>>()?,
            Some(Value::String(file)) => vec![Start::new(file)],
            Some(other) => return Err(unusable(&other)),
        };
        let config = Value::Table(table).try_into().map_err(|error: toml::de::Error| error.to_string())?;
        Ok(Self { config, weights })
    }
}

fn start(file: Value) -> Result<Start, String> {
    match file {
        Value::String(file) => Ok(Start::new(file)),
        Value::Table(_) => file.try_into().map_err(|error: toml::de::Error| format!("network.weights: {error}")),
        other => Err(unusable(&other)),
    }
}

fn unusable(value: &Value) -> String {
    format!("network.weights: is {value}; it may be a file's name, or a list of {{ file, keys, part, stem_weights }}")
}

impl From<NetworkSection> for Table {
    fn from(section: NetworkSection) -> Self {
        let NetworkSection { config, weights } = section;
        let mut table = Self::try_from(config).expect("a network holds only what TOML can say");
        if !weights.is_empty() {
            let weights = Value::try_from(weights).expect("files' names and words");
            table.insert(WEIGHTS.to_owned(), weights);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emoxide::models::IrConfig;
    use emoxide::weights::start::StemWeights;

    fn parse(text: &str) -> Result<NetworkSection, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn files_stand_beside_the_settings_of_the_network() {
        let ir = |weights| NetworkSection { config: NetworkConfig::Ir(IrConfig::ir18()), weights };
        let network = "kind = 'ir'\nunits = [2, 2, 2, 2]\n";
        assert_eq!(parse(network), Ok(ir(Vec::new())));
        let short = ir(vec![Start::new("a.pth")]);
        for text in ["weights = 'a.pth'", "weights = ['a.pth']", "[[weights]]\nfile = 'a.pth'"] {
            assert_eq!(parse(&format!("{network}{text}")), Ok(short.clone()), "{text}");
        }
        let long = Start {
            keys: Some("agra".to_owned()),
            part: Some("body".to_owned()),
            stem_weights: StemWeights::SumRgb,
            ..Start::new("b.pth")
        };
        let text = "[[weights]]\nfile = 'b.pth'\nkeys = 'agra'\npart = 'body'\nstem_weights = 'sum-rgb'";
        assert_eq!(parse(&format!("{network}{text}")), Ok(ir(vec![long.clone()])));
        for section in [ir(Vec::new()), short, ir(vec![Start::new("a.pth"), long])] {
            assert_eq!(parse(&toml::to_string(&section).unwrap()), Ok(section));
        }
    }

    #[test]
    fn a_frozen_part_without_a_file_is_told() {
        let left = |text: &str| parse(&format!("kind = 'cafe'\n{text}")).unwrap().left_random();
        assert_eq!(left(""), ["clip"]);
        assert_eq!(left("weights = [{ file = 'a.pth', part = 'mask' }, { file = 'b.pth', part = 'fc' }]"), ["clip"]);
        for text in
            ["weights = 'a.safetensors'", "weights = [{ file = 'a.pt', part = 'clip' }]", "clip.trainable = true"]
        {
            assert!(left(text).is_empty(), "{text}");
        }
        assert!(left("mask = 'none'").is_empty() && parse("kind = 'ir'").unwrap().left_random().is_empty());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let cases = [
            ("weights = 3", "network.weights: is 3; it may be a file's name"),
            ("weights = [3]", "network.weights: is 3; it may be a file's name"),
            ("[[weights]]\npath = 'a.pth'", "unknown field `path`"),
            ("[[weights]]\nkeys = 'agra'", "missing field `file`"),
            ("[[weights]]\nfile = 'a.pth'\nstem_weights = 'mean'", "unknown variant `mean`"),
            ("depth = 3", "unknown field `depth`"),
        ];
        for (text, expected) in cases {
            let error = parse(&format!("kind = 'ir'\n{text}")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
