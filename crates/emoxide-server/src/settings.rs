//! What a server allows and refuses.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use emoxide::image;
use emoxide::recognizer::Batching;
use subtle::ConstantTimeEq;

/// Settings of a server, whatever its model.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How requests become batches.
    pub batching: Batching,
    /// What is refused.
    pub limits: Limits,
    /// What clients must know; `None`: nothing.
    pub token: Option<Token>,
    /// Origins whose pages may ask; none: only pages of this server.
    pub cors_origins: Vec<Origin>,
    /// Folder in which paths of a request are read; `None`: paths are refused.
    pub allow_paths: Option<PathBuf>,
}

/// Scheme and host of pages, such as `https://example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(pub(crate) HeaderValue);

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Browsers would never send it.
    #[error("`{0}` is no origin; write scheme and host alone, such as https://example.org")]
    Form(String),
}

impl Origin {
    /// Takes scheme, host and, where it is not the scheme's own, port.
    pub fn new(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError::Form(text.to_owned());
        let host = text.strip_prefix("https://").or(text.strip_prefix("http://")).ok_or_else(wrong)?;
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)) {
            return Err(wrong());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| wrong())
    }
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: u64,
    /// Bytes of a video.
    pub video_bytes: u64,
    /// Videos at one time.
    pub videos: usize,
    /// Pixels of a picture.
    pub pixels: u64,
    /// Faces that are classified in a picture.
    pub faces: usize,
    /// Pictures of a batch.
    pub batch: usize,
    /// Bytes of all uploads that have come in, and of the pictures decoded from them, at one time.
    pub memory: usize,
    /// Requests of one client address at one time; `None`: any number.
    pub client_requests: Option<usize>,
    /// Connections at one time.
    pub connections: usize,
    /// Time for the head of a request, and between requests.
    pub header_timeout: Duration,
    /// Time for the body of a request.
    pub upload_timeout: Duration,
    /// Time in which a client has to take more of an answer.
    pub write_timeout: Duration,
    /// Time from the end of an upload to its answer.
    pub deadline: Duration,
    /// Time for what is being answered when the server is told to stop.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    /// 32 MiB and 50 megapixels, two videos of 512 MiB, 100 faces, 64 pictures a batch, 1 GiB of memory, 16 384 connections; 10 s
    /// for a head, 30 s for a body, an answer, its reader and the end.
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            video_bytes: 512 << 20,
            videos: 2,
            pixels: 50_000_000,
            faces: 100,
            batch: 64,
            memory: 1 << 30,
            client_requests: None,
            connections: 16_384,
            header_timeout: Duration::from_secs(10),
            upload_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Those of a picture's decoder.
    pub(crate) fn image(&self) -> image::Limits {
        image::Limits { max_bytes: self.body_bytes, max_pixels: self.pixels, ..image::Limits::default() }
    }
}

/// A secret that clients send; it is never shown.
#[derive(Clone)]
pub struct Token(String);

/// Why a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Anybody could guess it, or no client could send it.
    #[error("a token is one or more visible ASCII characters without spaces")]
    Characters,
}

impl Token {
    /// Takes a secret; white space around it, such as the end of a file's line, is no part of it.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether these bytes are the token, in a time that tells nothing about how far they agree.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(bytes).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_host() {
        for origin in ["https://example.org", "http://localhost:3000", "http://[::1]:80"] {
            assert_eq!(Origin::new(origin).unwrap().0, origin);
        }
        for other in ["*", "example.org", "https://", "https://a.org/", "https://a.org b", "file:///a"] {
            assert_eq!(Origin::new(other), Err(OriginError::Form(other.to_owned())));
        }
    }

    #[test]
    fn tokens_are_compared_whole_and_never_shown() {
        let token = Token::new(" open-sesame\n").unwrap();
        assert!(token.is(b"open-sesame"));
        for other in [b"open".as_slice(), b"open-sesame!", b"", b"open-sesamE"] {
            assert!(!token.is(other));
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
        for none in ["", " \n", "two words", "schlüssel"] {
            assert_eq!(Token::new(none).unwrap_err(), TokenError::Characters, "{none:?}");
        }
    }
}
