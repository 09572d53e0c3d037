//! Scalars for TensorBoard: an event file of framed, checksummed records, each a small protocol buffer.
//!
//! Format: `TFRecord` framing (length, masked CRC-32C of the length, payload, masked CRC-32C of the payload) around
//! `tensorflow.Event` messages with `Summary.Value.simple_value`.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err::{File, OpenOptions};

use crate::snapshot::{self, StateError};

/// TensorBoard takes every file whose name contains `tfevents`.
const FILE: &str = "events.out.tfevents.0.emoxide";

/// An event file that is open for writing. Every event reaches the file at once.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Opens the event file in `folder` to go on at `step`.
    ///
    /// Events from `step` on, and a last event that was torn, are dropped: a resumed run writes them anew. Step 0
    /// starts an empty file.
    pub fn open(folder: &Path, step: u64) -> Result<Self, StateError> {
        let path = folder.join(FILE);
        let mut kept = record(&event(0, &Content::Version));
        if step > 0 && path.exists() {
            let bytes = fs_err::read(&path)?;
            for (payload, whole) in records(&bytes) {
                if step_of(payload).is_some_and(|found| found < step) && !is_version(payload) {
                    kept.extend_from_slice(whole);
                }
            }
        }
        snapshot::write(&path, &kept)?;
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, path })
    }

    /// Writes one event with several scalars, by tag.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), StateError> {
        // One call, so that a kill leaves at most one torn record, which `open` drops.
        Ok(self.file.write_all(&record(&event(step, &Content::Scalars(values))))?)
    }

    /// Where the events are written.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

enum Content<'a> {
    Version,
    Scalars(&'a [(&'a str, f64)]),
}

/// `tensorflow.Event`; its fields: 1 wall time, 2 step, 3 file version, 5 summary.
fn event(step: u64, content: &Content<'_>) -> Vec<u8> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut bytes = vec![1 << 3 | 1];
    bytes.extend(seconds.to_le_bytes());
    bytes.push(2 << 3);
    varint(&mut bytes, step);
    match content {
        Content::Version => field(&mut bytes, 3, b"brain.Event:2"),
        Content::Scalars(values) => {
            let mut summary = Vec::new();
            for (tag, number) in *values {
                // `Summary.Value`; its fields: 1 tag, 2 simple value.
                let mut value = Vec::new();
                field(&mut value, 1, tag.as_bytes());
                value.push(2 << 3 | 5);
                value.extend((*number as f32).to_le_bytes());
                field(&mut summary, 1, &value);
            }
            field(&mut bytes, 5, &summary);
        }
    }
    bytes
}

fn field(bytes: &mut Vec<u8>, number: u8, content: &[u8]) {
    bytes.push(number << 3 | 2);
    varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The checksum of the format: CRC-32C, turned and shifted so that a checksum of checksums is harmless.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked_crc(&length).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.extend(masked_crc(payload).to_le_bytes());
    bytes
}

/// Payload and frame of every whole record up to the first that is torn.
fn records(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let Some((length_crc, rest)) = rest.split_first_chunk::<4>() else { break };
        let size = u64::from_le_bytes(*length);
        if masked_crc(length) != u32::from_le_bytes(*length_crc) || size > rest.len() as u64 {
            break;
        }
        let (payload, rest) = rest.split_at(size as usize);
        let Some((crc, rest)) = rest.split_first_chunk::<4>() else { break };
        if masked_crc(payload) != u32::from_le_bytes(*crc) {
            break;
        }
        found.push((payload, &bytes[..bytes.len() - rest.len()]));
        bytes = rest;
    }
    found
}

/// The step of an event: field 2, which stands right after the time in what [`event`] writes.
fn step_of(payload: &[u8]) -> Option<u64> {
    let rest = payload.get(9..)?.strip_prefix(&[2 << 3])?;
    let mut step = 0_u64;
    for (index, byte) in rest.iter().take(10).enumerate() {
        step |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(step);
        }
    }
    None
}

/// Whether this is the first event of a file: step 0, then field 3.
fn is_version(payload: &[u8]) -> bool {
    payload.get(10..12) == Some(&[0, 3 << 3 | 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn a_record_is_framed_byte_by_byte() {
        let bytes = record(b"abc");
        assert_eq!(&bytes[..8], &[3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[12..15], b"abc");
        assert_eq!(bytes.len(), 8 + 4 + 3 + 4);
        let [(payload, whole)] = records(&bytes)[..] else { panic!("one record") };
        assert_eq!((payload, whole), (&b"abc"[..], &bytes[..]));
        for torn in 0..bytes.len() {
            assert!(records(&bytes[..torn]).is_empty());
        }
        for index in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[index] ^= 1;
            assert!(records(&bent).is_empty(), "byte {index}");
        }
    }

    #[test]
    fn an_event_holds_time_step_and_scalars() {
        let bytes = event(300, &Content::Scalars(&[("loss", 0.5), ("rate", 2.0)]));
        assert_eq!(bytes[0], 0x09);
        let wanted = [
            &[0x10, 0xac, 0x02][..],                            // step = 300
            &[0x2a, 26],                                        // summary, 26 bytes
            &[0x0a, 11, 0x0a, 4, b'l', b'o', b's', b's', 0x15], // value: tag, then a 32-bit float
            &0.5_f32.to_le_bytes(),
            &[0x0a, 11, 0x0a, 4, b'r', b'a', b't', b'e', 0x15],
            &2.0_f32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(&bytes[9..], &wanted[..]);
        assert_eq!(step_of(&bytes), Some(300));
        assert!(is_version(&event(0, &Content::Version)));
        assert!((0..10_000).all(|step| !is_version(&event(step, &Content::Scalars(&[("loss", 0.5)])))));
    }

    #[test]
    fn a_resumed_file_keeps_what_came_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::open(folder.path(), 0).unwrap();
        for step in 1..=5 {
            writer.scalars(step, &[("loss", 1.0 / step as f64)]).unwrap();
        }
        let path = writer.path().to_owned();
        drop(writer);
        let whole = fs_err::read(&path).unwrap();
        fs_err::write(&path, &whole[..whole.len() - 3]).unwrap();

        let mut writer = EventWriter::open(folder.path(), 4).unwrap();
        writer.scalars(4, &[("loss", 0.1)]).unwrap();
        drop(writer);
        let bytes = fs_err::read(&path).unwrap();
        let found = records(&bytes);
        let steps: Vec<_> = found.iter().map(|(payload, _)| step_of(payload).unwrap()).collect();
        assert_eq!(steps, [0, 1, 2, 3, 4]);
        assert_eq!(found.iter().map(|(_, whole)| whole.len()).sum::<usize>(), bytes.len());
        assert!(is_version(found[0].0) && found[1..].iter().all(|(payload, _)| !is_version(payload)));

        let fresh = EventWriter::open(folder.path(), 0).unwrap();
        assert_eq!(records(&fs_err::read(fresh.path()).unwrap()).len(), 1);
    }
}
