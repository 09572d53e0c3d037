//! What DeepFace's clients send, for the OpenAPI document; `options` reads it.
#![expect(dead_code, reason = "schemas are made of them, and nothing else")]

use utoipa::ToSchema;

/// A picture and options of DeepFace's service; others are accepted and named among the warnings.
#[derive(ToSchema)]
pub(super) struct AnalyzeBody {
    /// The picture's file in base64, with `data:…;base64,` before it or not.
    #[schema(min_length = 1)]
    img: String,
    #[schema(nullable = false)]
    actions: Option<Actions>,
    /// `skip` takes the picture for a face as a whole.
    #[schema(nullable = false)]
    detector_backend: Option<String>,
    /// Whether a picture without a face is refused; otherwise it is one face as a whole.
    #[schema(nullable = false)]
    enforce_detection: Option<Truth>,
    /// Faces to answer at most.
    #[schema(nullable = false)]
    max_faces: Option<Count>,
}

/// A picture and options of DeepFace's service in a form.
#[derive(ToSchema)]
pub(super) struct AnalyzeForm {
    /// The picture's file.
    #[schema(value_type = String, format = Binary)]
    img: Vec<u8>,
    #[schema(nullable = false)]
    actions: Option<Actions>,
    /// `skip` takes the picture for a face as a whole.
    #[schema(nullable = false)]
    detector_backend: Option<String>,
    /// Whether a picture without a face is refused; otherwise it is one face as a whole.
    #[schema(nullable = false)]
    enforce_detection: Option<Truth>,
    /// Faces to answer at most.
    #[schema(nullable = false)]
    max_faces: Option<Count>,
}

/// What to do; `emotion` is what is done here.
#[derive(ToSchema)]
#[serde(untagged)]
enum Actions {
    /// A list.
    List(List),
    /// A list as text, with commas.
    Text(Text),
}

#[derive(ToSchema)]
#[schema(min_items = 1)]
struct List(Vec<Action>);

/// One of the things that DeepFace does.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Action {
    Emotion,
    Age,
    Gender,
    Race,
}

#[derive(ToSchema)]
#[schema(
    pattern = "^[\\[\\]()\"' ]*(emotion|age|gender|race)?[\\[\\]()\"' ]*(,[\\[\\]()\"' ]*(emotion|age|gender|race)?[\\[\\]()\"' ]*)*$"
)]
struct Text(String);

/// Yes or no.
#[derive(ToSchema)]
#[serde(untagged)]
enum Truth {
    /// As such.
    Value(bool),
    /// 1 or 0.
    Number(Bit),
    /// As a word, whatever its case.
    Word(Word),
}

#[derive(ToSchema)]
#[schema(pattern = "^\\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff]|0|1)\\s*$")]
struct Word(String);

#[derive(ToSchema)]
#[schema(minimum = 0, maximum = 1)]
struct Bit(u8);

/// A number of faces.
#[derive(ToSchema)]
#[serde(untagged)]
enum Count {
    /// As such.
    Number(Number),
    /// Its digits.
    Digits(Digits),
}

#[derive(ToSchema)]
#[schema(pattern = "^\\s*\\+?0*[1-9][0-9]*\\s*$")]
struct Digits(String);

#[derive(ToSchema)]
#[schema(minimum = 1)]
struct Number(u64);
