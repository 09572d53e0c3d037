//! The least of Matroska (RFC 9559) that carries raw RGB frames with a time each: a pipe of bare pixels could say a rate only.

/// Length of an element that ends with the stream.
const UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
/// Nanoseconds of a tick of the times in the stream.
const TICK: u64 = 1_000;
/// Nanoseconds that a frame lasts which no other one follows.
const LAST: u64 = 40_000_000;
/// Three bytes a pixel, red first; the last one is the bits of a pixel.
const RGB24: &[u8] = b"RGB\x18";

/// What stands before the frames.
pub(super) fn header(width: u32, height: u32) -> Vec<u8> {
    let start = [
        element(&[0x42, 0x82], b"matroska"), // DocType
        number(&[0x42, 0x87], 4),            // DocTypeVersion
        number(&[0x42, 0x85], 2),            // DocTypeReadVersion
    ];
    let info = [
        number(&[0x2A, 0xD7, 0xB1], TICK),  // TimestampScale
        element(&[0x4D, 0x80], b"emoxide"), // MuxingApp
        element(&[0x57, 0x41], b"emoxide"), // WritingApp
    ];
    let video = [
        number(&[0xB0], width.into()),       // PixelWidth
        number(&[0xBA], height.into()),      // PixelHeight
        element(&[0x2E, 0xB5, 0x24], RGB24), // UncompressedFourCC
    ];
    let track = [
        number(&[0xD7], 1),                  // TrackNumber
        number(&[0x73, 0xC5], 1),            // TrackUID
        number(&[0x83], 1),                  // TrackType: video
        element(&[0x86], b"V_UNCOMPRESSED"), // CodecID
        number(&[0x23, 0xE3, 0x83], LAST),   // DefaultDuration
        element(&[0xE0], &video.concat()),   // Video
    ];
    let tracks = element(&[0xAE], &track.concat());
    [
        element(&[0x1A, 0x45, 0xDF, 0xA3], &start.concat()),
        [&[0x18, 0x53, 0x80, 0x67][..], &UNKNOWN].concat(), // Segment
        element(&[0x15, 0x49, 0xA9, 0x66], &info.concat()),
        element(&[0x16, 0x54, 0xAE, 0x6B], &tracks),
    ]
    .concat()
}

/// What stands before the bytes of one frame, shown at this second: a cluster of its own.
pub(super) fn cluster(timestamp: f64, bytes: usize) -> Vec<u8> {
    // Track 1, no time after the cluster's, a frame that needs no other.
    const BLOCK: [u8; 4] = [0x81, 0x00, 0x00, 0x80];
    let ticks = (timestamp.max(0.0) * 1e9 / TICK as f64).round() as u64;
    let time = number(&[0xE7], ticks);
    let block = [&[0xA3][..], &length(BLOCK.len() + bytes), &BLOCK].concat();
    let within = time.len() + block.len() + bytes;
    [&[0x1F, 0x43, 0xB6, 0x75][..], &length(within), &time, &block].concat()
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &length(content.len()), content].concat()
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// A length in eight bytes, of which the first says so.
fn length(bytes: usize) -> [u8; 8] {
    (bytes as u64 | 1 << 56).to_be_bytes()
}
