//! Videos written through ffmpeg.

use emoxide::image::{Limits, RgbImage};
use emoxide::video::{Frame, Frames, Selection, Source, VideoError, VideoWriter};
use emoxide_testing::has_ffmpeg;
use image::Rgb;

fn frame(index: usize, timestamp: f64, size: (u32, u32)) -> Frame {
    Frame { index, timestamp, image: RgbImage::from_pixel(size.0, size.1, Rgb([(index * 20) as u8, 90, 60])) }
}

#[test]
fn frames_come_back_at_their_times() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    // Odd sides and uneven times.
    let times = [0.0, 0.04, 0.120_12, 0.5, 0.533_333, 2.0];
    let mut writer = VideoWriter::new(&path);
    for (index, timestamp) in times.into_iter().enumerate() {
        writer.write(&frame(index, timestamp, (65, 49))).unwrap();
        assert!(!path.exists(), "nothing is seen before it is whole");
    }
    writer.finish().unwrap();
    let read = Frames::open(&Source::File(path), Selection::default(), Limits::default()).unwrap();
    let read: Vec<Frame> = read.collect::<Result<_, _>>().unwrap();
    assert_eq!(read.len(), times.len());
    for (frame, time) in read.iter().zip(times) {
        assert!((frame.timestamp - time).abs() < 1e-4, "{} {time}", frame.timestamp);
        assert_eq!(frame.image.dimensions(), (66, 50));
        let red = frame.image.get_pixel(20, 20).0[0];
        assert!(red.abs_diff((frame.index * 20) as u8) < 8, "{red} in frame {}", frame.index);
    }
}

#[test]
fn what_cannot_be_written_is_an_error_and_leaves_nothing() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut writer = VideoWriter::new(&folder.path().join("out.mp4"));
    writer.write(&frame(0, 0.0, (64, 48))).unwrap();
    let refused = writer.write(&frame(1, 0.1, (32, 48))).unwrap_err();
    assert!(matches!(refused, VideoError::SizeChanged { frame: 1, .. }), "{refused}");
    drop(writer);
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);

    let mut nowhere = VideoWriter::new(&folder.path().join("missing/out.mp4"));
    let mut result = Ok(());
    for index in 0..50 {
        result = result.and_then(|()| nowhere.write(&frame(index, index as f64, (640, 480))));
    }
    let error = result.and_then(|()| nowhere.finish()).unwrap_err();
    println!("{error}");
    assert!(matches!(error, VideoError::Unwritten { .. }), "{error}");
}
