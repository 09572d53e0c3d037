//! What DeepFace's clients ask for, and what of it is not done here.

use std::num::NonZeroUsize;

use emoxide::recognizer::Search;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::upload::{Content, Picture};

/// What DeepFace can be asked for.
const ACTIONS: [&str; 4] = ["emotion", "age", "gender", "race"];
/// What may stand around a name where a list was written as text.
const AROUND: [char; 7] = ['[', ']', '(', ')', '"', '\'', ' '];
/// Options that change nothing in an answer.
const SILENT: [&str; 2] = ["img", "silent"];

/// A request, read.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) picture: Picture,
    /// Whether emotions are wanted.
    pub(super) emotion: bool,
    pub(super) search: Search,
    /// Faces to answer at most; `None`: as many as the server allows.
    pub(super) faces: Option<usize>,
    pub(super) warnings: Vec<String>,
}

impl Asking {
    pub(super) fn new(content: &Content, detector: &str) -> Result<Self, ApiError> {
        let (mut options, file) = read(content)?;
        options.retain(|_, value| !value.is_null());
        let picture = match (file, options.get("img")) {
            (Some(file), _) => file,
            (None, Some(Value::String(text))) if !text.is_empty() => Picture::Text(text.clone()),
            (None, None | Some(Value::String(_))) => return Err(ApiError::Missing("img")),
            (None, Some(_)) => return Err(ApiError::invalid("img", "it is no text; write the picture's base64")),
        };
        let mut asking = Self { picture, emotion: true, search: Search::Detector, faces: None, warnings: Vec::new() };
        let mut enforced = true;
        let mut skipped = false;
        for (key, value) in &options {
            match key.as_str() {
                key if SILENT.contains(&key) => {}
                "actions" => asking.actions(value)?,
                "detector_backend" => {
                    let name = value.as_str().ok_or_else(|| ApiError::invalid("detector_backend", "it is no text"))?;
                    skipped = name == "skip";
                    if !skipped && name != detector {
                        let finds = if detector == "none" { "no detector is used" } else { "faces are found by mtcnn" };
                        asking.warnings.push(format!("detector_backend={name} is not here; {finds}"));
                    }
                }
                "enforce_detection" => enforced = truth("enforce_detection", value)?,
                "max_faces" => asking.faces = Some(count(value)?),
                "align" if truth("align", value)? => {}
                "align" => {
                    asking.warnings.push("align=false is ignored: faces are cut out as the model wants them".into());
                }
                "anti_spoofing" if !truth("anti_spoofing", value)? => {}
                "expand_percentage" if ["0", "\"0\""].contains(&value.to_string().as_str()) => {}
                "anti_spoofing" | "expand_percentage" => asking.warnings.push(format!("{key} is not here and ignored")),
                other => asking.warnings.push(format!("`{}` is no option here and ignored", shortened(other))),
            }
        }
        if !options.contains_key("actions") {
            asking.warnings.push("age, gender and race are not here; only emotion is answered".into());
        }
        asking.search = match (skipped, enforced) {
            (true, _) => Search::Whole,
            (false, true) => Search::Detector,
            (false, false) => Search::DetectorOrWhole,
        };
        Ok(asking)
    }

    /// A list of names, or a text with names, whatever brackets and quotes stand around them.
    fn actions(&mut self, value: &Value) -> Result<(), ApiError> {
        let invalid = || ApiError::invalid("actions", &format!("write a list of {}", ACTIONS.join(", ")));
        let names: Vec<String> = match value {
            Value::String(text) => {
                let names = text.split(',').map(|name| name.trim_matches(AROUND.as_slice()));
                names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
            }
            Value::Array(names) => {
                names.iter().map(|name| Some(name.as_str()?.to_owned())).collect::<Option<_>>().ok_or_else(invalid)?
            }
            _ => return Err(invalid()),
        };
        if names.is_empty() || names.iter().any(|name| !ACTIONS.contains(&name.as_str())) {
            return Err(invalid());
        }
        self.emotion = names.iter().any(|name| name == "emotion");
        let lacking: Vec<&str> =
            ACTIONS[1..].iter().copied().filter(|action| names.iter().any(|name| name == action)).collect();
        if !lacking.is_empty() {
            self.warnings.push(format!("not here: {}", lacking.join(", ")));
        }
        Ok(())
    }
}

/// The options of a body, and the picture where it is a file.
fn read(content: &Content) -> Result<(Map<String, Value>, Option<Picture>), ApiError> {
    match content {
        Content::Json(bytes) => match serde_json::from_slice(bytes) {
            Ok(Value::Object(options)) => Ok((options, None)),
            Ok(_) => Err(ApiError::invalid(
                "the JSON body",
                "it is no object; write {\"img\": \"data:image/jpeg;base64,…\"}",
            )),
            Err(error) => Err(ApiError::invalid("the JSON body", &error)),
        },
        Content::Form(bytes) => {
            let pairs: Vec<(String, String)> =
                serde_urlencoded::from_bytes(bytes).map_err(|error| ApiError::invalid("the form", &error))?;
            Ok((pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect(), None))
        }
        Content::Parts(parts) => {
            let mut options = Map::new();
            let mut picture = None;
            for part in parts {
                if part.file.is_some() && part.name == "img" {
                    picture = Some(Picture::File(part.bytes.clone()));
                } else if part.file.is_none() {
                    let text =
                        std::str::from_utf8(&part.bytes).map_err(|error| ApiError::invalid("the form", &error))?;
                    options.insert(part.name.clone(), Value::String(text.to_owned()));
                } else {
                    let reason = format!("it has a file `{}`; the picture's name is `img`", shortened(&part.name));
                    return Err(ApiError::invalid("the form", &reason));
                }
            }
            Ok((options, picture))
        }
        Content::Picture(_) => Err(ApiError::Missing("img")),
    }
}

/// A truth value, or a word or number for one.
fn truth(option: &'static str, value: &Value) -> Result<bool, ApiError> {
    let word = match value {
        Value::Bool(truth) => return Ok(*truth),
        Value::String(word) => word.trim().to_lowercase(),
        other => other.to_string(),
    };
    match word.as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ApiError::invalid(option, "it is neither true nor false")),
    }
}

/// A number of faces, or its digits.
fn count(value: &Value) -> Result<usize, ApiError> {
    let digits = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let count: Result<NonZeroUsize, _> = digits.trim().parse();
    count.map(NonZeroUsize::get).map_err(|_| ApiError::invalid("max_faces", "it is no whole number from 1 on"))
}

/// A name that a client sent, short enough for an answer.
fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(options: &str) -> Result<Asking, ApiError> {
        Asking::new(&Content::Json(options.to_owned().into()), "mtcnn")
    }

    #[test]
    fn words_for_no_are_no() {
        for no in ["false", "\"false\"", "\"False\"", "0", "\"0\"", "\"no\"", "\" off \""] {
            let asked =
                asking(&format!(r#"{{"img": "eA", "actions": "emotion", "enforce_detection": {no}}}"#)).unwrap();
            assert_eq!((asked.search, asked.warnings.len()), (Search::DetectorOrWhole, 0), "{no}");
        }
        for wrong in ["\"maybe\"", "2", "[]", "\"\""] {
            let refused = asking(&format!(r#"{{"img": "eA", "enforce_detection": {wrong}}}"#)).unwrap_err();
            assert!(matches!(refused, ApiError::Invalid { place: "enforce_detection", .. }), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_here_is_named() {
        struct Case {
            options: &'static str,
            emotion: bool,
            said: &'static [&'static str],
        }
        let cases = [
            Case { options: r#""actions": ["emotion"], "silent": true, "align": true"#, emotion: true, said: &[] },
            Case { options: r#""actions": "emotion, age""#, emotion: true, said: &["not here: age"] },
            Case { options: r#""actions": "['age','race']""#, emotion: false, said: &["not here: age, race"] },
            Case { options: r#""actions": null"#, emotion: true, said: &["only emotion"] },
            Case {
                options: r#""actions": ["emotion"], "detector_backend": "opencv", "align": "no", "anti_spoofing": true, "model": 1"#,
                emotion: true,
                said: &["opencv", "align=false", "anti_spoofing", "`model`"],
            },
            Case {
                options: r#""actions": ["emotion"], "detector_backend": "mtcnn", "expand_percentage": 0"#,
                emotion: true,
                said: &[],
            },
        ];
        for Case { options, emotion, said } in cases {
            let asked = asking(&format!(r#"{{"img": "eA", {options}}}"#)).unwrap();
            assert_eq!((asked.emotion, asked.warnings.len()), (emotion, said.len()), "{options}: {:?}", asked.warnings);
            for said in said {
                assert!(asked.warnings.iter().any(|warning| warning.contains(said)), "{options}: {:?}", asked.warnings);
            }
        }
    }

    #[test]
    fn wrong_requests_are_refused() {
        let wrong = [
            r#"{"actions": ["emotion"]}"#,
            r#"{"img": ""}"#,
            r#"{"img": 5}"#,
            r#"{"img": "eA", "actions": ["mood"]}"#,
            r#"{"img": "eA", "actions": []}"#,
            r#"{"img": "eA", "actions": 3}"#,
            r#"{"img": "eA", "max_faces": 0}"#,
            r#"{"img": "eA", "max_faces": "many"}"#,
            r#"{"img": "eA", "detector_backend": 1}"#,
            "[]",
            "{",
        ];
        for options in wrong {
            assert!(asking(options).is_err(), "{options}");
        }
        assert_eq!(asking(r#"{"img": "eA", "max_faces": "3"}"#).unwrap().faces, Some(3));
        assert_eq!(asking(r#"{"img": "eA", "detector_backend": "skip"}"#).unwrap().search, Search::Whole);
    }
}
