//! Rules for names, read backwards.

use regex::Regex;
use regex_syntax::hir::{Capture, Hir, HirKind, Look};

use crate::weights::keys::{Joined, Stages};

/// A rule that takes a name to one that the original rule takes to it.
#[derive(Debug)]
pub(super) struct Inverse {
    pattern: Regex,
    replacement: String,
    /// What the original rule takes away, of one that puts nothing in its place.
    pub(super) restores: Option<String>,
}

/// A piece of a rule's expression.
enum Piece {
    Start,
    End,
    Text(String),
    /// A group: its number and name, and its own expression.
    Group(u32, Option<String>, String),
}

impl Inverse {
    /// The inverse of "`from` becomes `to`", or why it has none. Groups of `fixed` stand for their texts.
    pub(super) fn new(from: &str, to: &str, fixed: &[(&str, &str)]) -> Result<Self, String> {
        let pieces = pieces(from)?;
        let mut pattern = String::new();
        let mut placed: Vec<u32> = Vec::new();
        if matches!(pieces.first(), Some(Piece::Start)) {
            pattern.push('^');
        }
        for part in template(to) {
            match part {
                Part::Text(text) => pattern.push_str(&regex::escape(&text)),
                Part::Group(wanted) => {
                    let found = pieces.iter().find_map(|piece| match piece {
                        Piece::Group(index, name, inner)
                            if wanted == index.to_string() || name.as_ref() == Some(&wanted) =>
                        {
                            Some((*index, inner))
                        }
                        _ => None,
                    });
                    let (index, inner) = found.ok_or_else(|| format!("`{from}` has no group `{wanted}`"))?;
                    pattern.extend(["(", inner.as_str(), ")"]);
                    placed.push(index);
                }
            }
        }
        if matches!(pieces.last(), Some(Piece::End)) {
            pattern.push('$');
        }
        if pattern.is_empty() {
            return Err(format!("`{from}` is taken away, and nothing says from where"));
        }
        let mut replacement = String::new();
        for piece in &pieces {
            match piece {
                Piece::Start | Piece::End => (),
                Piece::Text(text) => replacement.push_str(&text.replace('$', "$$")),
                Piece::Group(index, name, inner) => {
                    let name = name.as_deref().unwrap_or_default();
                    if let Some((_, text)) = fixed.iter().find(|(group, _)| *group == name) {
                        replacement.push_str(text);
                    } else if let Some(place) = placed.iter().position(|placed| placed == index) {
                        replacement.extend(["${", &(place + 1).to_string(), "}"]);
                    } else {
                        return Err(format!("`{from}` becomes `{to}`, which does not say what `{inner}` was"));
                    }
                }
            }
        }
        let restores = to.is_empty().then(|| replacement.clone());
        let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
        Ok(Self { pattern, replacement, restores })
    }

    /// The names of a joined tensor's parts: an inverse for each.
    pub(super) fn of_parts(joined: &Joined) -> Result<Vec<Self>, String> {
        joined.parts.iter().map(|part| Self::new(joined.pattern, joined.name, &[("part", part)])).collect()
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.pattern.is_match(name)
    }

    pub(super) fn apply(&self, name: &str) -> String {
        self.pattern.replace(name, self.replacement.as_str()).into_owned()
    }
}

/// The pieces of an expression that is a row of texts and groups; what may be absent is left out.
fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    let odd = || format!("`{pattern}` stands for more than one text");
    let parsed = regex_syntax::parse(pattern).map_err(|error| error.to_string())?;
    let parts = match parsed.into_kind() {
        HirKind::Concat(parts) => parts.into_iter().map(Hir::into_kind).collect(),
        other => vec![other],
    };
    let mut pieces = Vec::new();
    for part in parts {
        match part {
            HirKind::Empty => (),
            HirKind::Look(Look::Start) => pieces.push(Piece::Start),
            HirKind::Look(Look::End) => pieces.push(Piece::End),
            HirKind::Literal(text) => pieces.push(Piece::Text(String::from_utf8_lossy(&text.0).into_owned())),
            HirKind::Capture(Capture { index, name, sub }) => {
                pieces.push(Piece::Group(index, name.map(|name| name.to_string()), sub.to_string()));
            }
            HirKind::Repetition(repetition) if repetition.min == 0 => (),
            _ => return Err(odd()),
        }
    }
    Ok(pieces)
}

/// A piece of a replacement.
enum Part {
    Text(String),
    Group(String),
}

/// `${1}.qkv` → group 1, `.qkv`
fn template(replacement: &str) -> Vec<Part> {
    let group = Regex::new(r"\$(?:\{(\w+)\}|(\d+))").expect("a valid expression");
    let mut parts = Vec::new();
    let mut end = 0;
    for found in group.captures_iter(replacement) {
        let whole = found.get(0).map_or(end..end, |whole| whole.range());
        if whole.start > end {
            parts.push(Part::Text(replacement[end..whole.start].to_owned()));
        }
        let name = found.get(1).or_else(|| found.get(2)).map_or("", |name| name.as_str());
        parts.push(Part::Group(name.to_owned()));
        end = whole.end;
    }
    if end < replacement.len() {
        parts.push(Part::Text(replacement[end..].to_owned()));
    }
    parts
}

/// Numbers units within their stages again: `body.5.x` → `layer2.1.x`.
pub(super) fn unnumbered(stages: &Stages, units: &[usize], name: &str) -> Option<String> {
    let (number, rest) = name.strip_prefix(stages.list)?.split_once('.')?;
    let mut index: usize = number.parse().ok()?;
    for (stage, &count) in units.iter().enumerate() {
        if index < count {
            return Some(format!("{}{}.{index}.{rest}", stages.prefix, stages.first + stage));
        }
        index -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Inverse, unnumbered};
    use crate::weights::keys::Stages;

    fn back(from: &str, to: &str, name: &str) -> Result<String, String> {
        Inverse::new(from, to, &[]).map(|inverse| inverse.apply(name))
    }

    #[test]
    fn rules_are_read_backwards() {
        let cases = [
            (r"^features\.4\.", "mask.layer1.", "mask.layer1.0.conv1.weight", "features.4.0.conv1.weight"),
            (r"\.layer_norm([12])\.", ".ln_$1.", "blocks.3.ln_2.bias", "blocks.3.layer_norm2.bias"),
            (r"^(conv1|layer[1-4])\.", "base.$1.", "base.layer3.0.weight", "layer3.0.weight"),
            (r"^visual_projection\.weight$", "proj", "proj", "visual_projection.weight"),
            (r"^visual_projection\.weight$", "proj", "blocks.proj", "blocks.proj"),
            (r"^backbone\.", "", "conv1.weight", "backbone.conv1.weight"),
            (r"^head\.(fc\.)?", "fc.", "fc.bias", "head.bias"),
            (r"^(decoder\.(?:a|b))\.conv\.0\.", "$1.conv.", "decoder.a.conv.weight", "decoder.a.conv.0.weight"),
            (r"\.LA_conv", ".la_conv", "las.0.la_conv1.weight", "las.0.LA_conv1.weight"),
        ];
        for (from, to, name, expected) in cases {
            assert_eq!(back(from, to, name).as_deref(), Ok(expected), "{from} -> {to}");
        }
    }

    #[test]
    fn what_says_too_little_has_no_inverse() {
        let lost = back(r"\.(kernel|scale)$", ".weight", "norm.weight").unwrap_err();
        assert!(lost.contains("does not say what"), "{lost}");
        assert!(back(r"[a-z]+\.", "x.", "x.y").unwrap_err().contains("more than one text"));
        assert!(back(r"inner\.", "", "x.y").unwrap_err().contains("nothing says from where"));
    }

    #[test]
    fn units_are_counted_by_stage_again() {
        let stages = Stages { prefix: "layer", first: 1, list: "body." };
        let back = |name| unnumbered(&stages, &[3, 4, 14, 3], name);
        assert_eq!(back("body.2.x").as_deref(), Some("layer1.2.x"));
        assert_eq!(back("body.7.x.y").as_deref(), Some("layer3.0.x.y"));
        assert_eq!(back("body.23.x").as_deref(), Some("layer4.2.x"));
        assert_eq!(back("body.24.x"), None);
        assert_eq!(back("input_layer.0.weight"), None);
    }
}
