//! A look at every instruction of a pickle before anything reads it.
//!
//! The reader of PyTorch files that we use executes nothing, but it passes over objects it does not know. We refuse such a
//! file instead: weights that come with code are not weights. A pickle reaches code only through a global name, so it is
//! enough to know all instructions that name one and to allow the names of tensors and plain containers.

use std::io::{self, BufRead, ErrorKind, Read, Seek};
use std::path::Path;

use super::WeightsError;

/// Module and name of everything that `torch.save` needs for a state dict.
const ALLOWED: &[(&str, &[&str])] = &[
    ("collections", &["OrderedDict"]),
    ("builtins", &["set", "frozenset"]),
    ("__builtin__", &["set", "frozenset"]),
    ("torch._utils", &["_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"]),
    ("torch.storage", &["UntypedStorage"]),
    ("torch", TORCH),
];

#[rustfmt::skip]
const TORCH: &[&str] = &[
    "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage", "ShortStorage",
    "CharStorage", "ByteStorage", "BoolStorage", "Size", "device",
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
];

/// Instructions without an argument that name nothing: marks, containers, the memo, the stack, calls of what a global
/// named, persistent ids of storages.
const BARE: &[u8] = b"(012NRbdltsa)]}euQ\x85\x86\x87\x88\x89\x8f\x90\x91\x94";

/// Longest line of a text instruction.
const LINE_LIMIT: u64 = 4096;

/// The magic number that opens the older PyTorch format, as pickle protocols 2 and up write it, and as 0 and 1 do.
const LEGACY_MAGIC: [&[u8]; 2] =
    [&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19], b"119547037146038801333356"];

/// Fails unless every pickle in the PyTorch file at `path` is of tensors and plain containers only.
pub(super) fn check(path: &Path) -> Result<(), WeightsError> {
    let mut file = io::BufReader::new(fs_err::File::open(path)?);
    let format = |problem: String| WeightsError::Format { path: path.to_owned(), problem };
    let refused = |refusal: Refusal| refusal.of(path, "PyTorch");
    let mut start = Vec::new();
    file.by_ref().take(262).read_to_end(&mut start)?;
    file.rewind()?;
    if start.is_empty() {
        return Err(format("the file is empty".to_owned()));
    }
    if start.starts_with(b"PK") {
        let broken = |error| format(format!("not a whole zip archive: {error}"));
        let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(broken)?;
            if entry.name().map_err(broken)?.ends_with(".pkl") {
                scan(&mut io::BufReader::new(entry)).map_err(refused)?;
            }
        }
        return Ok(());
    }
    if start.get(257..262) == Some(b"ustar".as_slice()) {
        return Err(format("a tar archive of PyTorch before 0.1.10; save it again with a newer PyTorch".to_owned()));
    }
    // Magic number, protocol, system, object, storage keys; then raw data. Anything else is one pickle without tensors.
    let pickles = if is_legacy(&start) { 5 } else { 1 };
    (0..pickles).try_for_each(|_| scan(&mut file)).map_err(refused)
}

/// Why a pickle is not read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It names what no weights need.
    Asks(String),
    /// It is not what it should be.
    Broken(String),
    /// The file cannot be read, or ends too early.
    Read(io::Error),
}

impl Refusal {
    /// The error to report. `kind`: whose file it is not a whole one of.
    pub(super) fn of(self, path: &Path, kind: &str) -> WeightsError {
        let path = path.to_owned();
        match self {
            Self::Asks(what) => WeightsError::Pickle { path, what },
            Self::Broken(problem) => {
                WeightsError::Format { path, problem: format!("not a whole {kind} file: {problem}") }
            }
            Self::Read(error) => WeightsError::Format { path, problem: format!("not a whole {kind} file: {error}") },
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Whether a file that starts like this is of PyTorch's older format.
pub(super) fn is_legacy(start: &[u8]) -> bool {
    let head = &start[..start.len().min(64)];
    LEGACY_MAGIC.iter().any(|magic| head.windows(magic.len()).any(|window| window == *magic))
}

/// Reads one pickle up to its end. Instructions are those of Python's `pickletools`.
fn scan(reader: &mut impl BufRead) -> Result<(), Refusal> {
    loop {
        let [instruction] = bytes(reader)?;
        match instruction {
            b'.' => return Ok(()),
            _ if BARE.contains(&instruction) => {}
            b'I' | b'L' | b'F' | b'V' | b'g' | b'p' => drop(line(reader)?),
            b'K' | b'h' | b'q' | 0x80 => skip(reader, 1)?,
            b'M' => skip(reader, 2)?,
            b'J' | b'j' | b'r' => skip(reader, 4)?,
            b'G' | 0x95 => skip(reader, 8)?,
            b'U' | b'C' | 0x8a | 0x8c => {
                let [length] = bytes(reader)?;
                skip(reader, length.into())?;
            }
            b'T' | b'X' | b'B' | 0x8b => {
                let length = u32::from_le_bytes(bytes(reader)?);
                skip(reader, length.into())?;
            }
            0x8d | 0x8e | 0x96 => {
                let length = u64::from_le_bytes(bytes(reader)?);
                skip(reader, length)?;
            }
            b'c' => {
                let (module, name) = (line(reader)?, line(reader)?);
                let allowed = ALLOWED.iter().any(|(of, names)| *of == module && names.contains(&name.as_str()));
                if !allowed {
                    return Err(Refusal::Asks(format!("`{module}.{name}`")));
                }
            }
            0x93 => return Err(Refusal::Asks("a global in pickle protocol 4 or later (PyTorch writes 2)".to_owned())),
            other => return Err(Refusal::Asks(format!("the instruction 0x{other:02x}"))),
        }
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn skip(reader: &mut impl Read, count: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.take(count), &mut io::sink())?;
    if skipped == count { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = Vec::new();
    reader.take(LINE_LIMIT).read_until(b'\n', &mut text)?;
    if text.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    String::from_utf8(text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::{Refusal, scan};

    fn refusal(pickle: &[u8]) -> Option<String> {
        match scan(&mut &*pickle) {
            Ok(()) => None,
            Err(Refusal::Asks(what)) => Some(what),
            Err(Refusal::Broken(problem)) => Some(problem),
            Err(Refusal::Read(error)) => Some(error.kind().to_string()),
        }
    }

    #[test]
    fn pickles_that_reach_for_code_are_refused_by_name() {
        let cases: [(&[u8], &str); 8] = [
            (b"cos\nsystem\n(S'true'\ntR.", "`os.system`"),
            // Popped off again: nothing of it would be left in the result.
            (b"cposix\nsystem\n0}.", "`posix.system`"),
            (b"(ios\nsystem\n.", "0x69"),
            (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "protocol 4"),
            (b"ctorch\nload\n.", "`torch.load`"),
            (b"\x82\x01.", "0x82"),
            (b"}X\xff\xff\xff\xff", "unexpected end of file"),
            (b"c", "unexpected end of file"),
        ];
        for (pickle, expected) in cases {
            let refused = refusal(pickle).expect("refused");
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn plain_containers_pass() {
        assert_eq!(refusal(b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00aK\x01u."), None);
    }
}
