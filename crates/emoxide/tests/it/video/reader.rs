//! Frames of real files, written by ffmpeg.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use emoxide::image::Limits;
use emoxide::video::{Frame, Frames, Selection, Source, VideoError};
use emoxide_testing::{ffmpeg, has_ffmpeg};

fn open(path: &Path, selection: Selection) -> Result<Frames, VideoError> {
    Frames::open(&Source::File(path.to_owned()), selection, Limits::default())
}

fn frames(path: &Path, selection: Selection) -> Vec<Frame> {
    open(path, selection).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Two seconds of a picture that changes, at 30 frames a second.
fn clip(folder: &Path) -> PathBuf {
    ffmpeg(folder, "-f lavfi -i testsrc=size=160x120:rate=30 -t 2 -pix_fmt yuv420p clip.mp4");
    folder.join("clip.mp4")
}

#[test]
fn frames_have_numbers_and_times() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut reader = open(&clip(folder.path()), Selection::default()).unwrap();
    let first = reader.next().unwrap().unwrap();
    assert_eq!((first.index, first.timestamp, first.image.dimensions()), (0, 0.0, (160, 120)));
    assert!((reader.duration().unwrap() - 2.0).abs() < 0.05);
    let rest: Vec<Frame> = reader.collect::<Result<_, _>>().unwrap();
    assert_eq!(rest.len(), 59);
    for (frame, number) in rest.iter().zip(1..) {
        assert_eq!(frame.index, number);
        assert!((frame.timestamp - number as f64 / 30.0).abs() < 1e-9, "{}", frame.timestamp);
    }
}

#[test]
fn parts_of_a_clip_keep_their_numbers_times_and_pixels() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path());
    let all = frames(&path, Selection::default());
    let cases = [
        Selection { start: 0.5, end: Some(1.0), ..Selection::default() },
        Selection { start: 0.51, end: Some(0.99), skip: 3, first: 0 },
        Selection { skip: 6, ..Selection::default() },
        Selection { first: 57, ..Selection::default() },
        Selection { start: 5.0, ..Selection::default() },
    ];
    for selection in cases {
        let end = selection.end.unwrap_or(f64::INFINITY);
        let wanted = |frame: &&Frame| {
            frame.timestamp >= selection.start
                && frame.timestamp < end
                && frame.index >= selection.first
                && frame.index.is_multiple_of(selection.skip + 1)
        };
        let expected: Vec<&Frame> = all.iter().filter(wanted).collect();
        let found = frames(&path, selection);
        assert!(found.iter().eq(expected.iter().copied()), "{selection:?}: {} frames", found.len());
    }
    let refused = open(&path, Selection { start: 2.0, end: Some(1.0), ..Selection::default() }).unwrap_err();
    assert!(matches!(refused, VideoError::Range { .. }));
}

/// ffmpeg and its report compute times a bit apart, in the last bit.
#[test]
fn a_clip_begins_and_ends_at_the_times_of_its_frames() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i testsrc=size=32x24:rate=24 -t 1 -pix_fmt yuv420p clip.mp4");
    let path = folder.path().join("clip.mp4");
    let all = frames(&path, Selection::default());
    assert_eq!(all.len(), 24);
    let numbers = |selection| -> Vec<usize> { frames(&path, selection).iter().map(|frame| frame.index).collect() };
    for frame in &all {
        let start = Selection { start: frame.timestamp, ..Selection::default() };
        assert!(numbers(start).into_iter().eq(frame.index..24), "from {}", frame.timestamp);
        if frame.index > 0 {
            let end = Selection { end: Some(frame.timestamp), ..Selection::default() };
            assert!(numbers(end).into_iter().eq(0..frame.index), "to {}", frame.timestamp);
        }
    }
    for end in [f64::INFINITY, 1e300] {
        assert_eq!(numbers(Selection { end: Some(end), ..Selection::default() }).len(), 24);
    }
    assert_eq!(numbers(Selection { end: Some(1e-9), ..Selection::default() }), [0]);
    assert_eq!(numbers(Selection { skip: usize::MAX, ..Selection::default() }), [0]);
}

#[test]
fn variable_rates_keep_their_times_and_no_frame_is_made_up() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        "-f lavfi -i testsrc=size=64x48:rate=30 -t 2 -vf select=not(eq(mod(n\\,5)\\,3)) -fps_mode vfr vfr.mkv";
    ffmpeg(folder.path(), arguments);
    let found = frames(&folder.path().join("vfr.mkv"), Selection::default());
    let times: Vec<f64> = (0..60).filter(|number| number % 5 != 3).map(|number| f64::from(number) / 30.0).collect();
    assert_eq!(found.len(), times.len());
    for (frame, time) in found.iter().zip(times) {
        // Matroska counts milliseconds.
        assert!((frame.timestamp - time).abs() < 0.0011, "{} {time}", frame.timestamp);
    }
}

#[test]
fn frames_may_change_their_size() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for (name, colour, size) in [("a.ts", "red", "64x48"), ("b.ts", "blue", "128x96")] {
        ffmpeg(folder.path(), &format!("-f lavfi -i color={colour}:size={size}:rate=10 -t 0.5 {name}"));
        bytes.extend(fs_err::read(folder.path().join(name)).unwrap());
    }
    let path = folder.path().join("both.ts");
    fs_err::write(&path, bytes).unwrap();
    let found = frames(&path, Selection::default());
    let of_size = |size| found.iter().filter(|frame| frame.image.dimensions() == size).collect::<Vec<_>>();
    let (small, large) = (of_size((64, 48)), of_size((128, 96)));
    assert!(small.len() >= 4 && large.len() >= 4 && small.len() + large.len() == found.len());
    assert!(small.iter().all(|frame| frame.image.pixels().all(|pixel| pixel.0[0] > 200)));
    assert!(large.iter().all(|frame| frame.image.pixels().all(|pixel| pixel.0[2] > 200)));
}

#[test]
fn turned_videos_are_set_upright() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let graph = "color=red:size=64x48:rate=10[a];color=blue:size=64x48:rate=10[b];[a][b]hstack";
    ffmpeg(folder.path(), &format!("-f lavfi -i {graph} -t 0.5 -pix_fmt yuv420p flat.mp4"));
    let path = folder.path().join("flat.mp4");
    let mut bytes = fs_err::read(&path).unwrap();
    // The matrix of the track's header, as phones write it: shown a quarter turn clockwise.
    let matrix = bytes.windows(4).position(|word| word == b"tkhd").unwrap() + 44;
    let turned = [0_i32, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000];
    for (place, value) in bytes[matrix..].chunks_mut(4).zip(turned) {
        place.copy_from_slice(&value.to_be_bytes());
    }
    fs_err::write(&path, bytes).unwrap();
    let found = frames(&path, Selection::default());
    assert_eq!(found.len(), 5);
    let image = &found[0].image;
    assert_eq!(image.dimensions(), (48, 128));
    let [top, bottom] = [image.get_pixel(24, 10).0, image.get_pixel(24, 118).0];
    assert!(top[0] > 200 && top[2] < 60 && bottom[2] > 200 && bottom[0] < 60, "{top:?} {bottom:?}");
}

#[test]
fn broken_files_say_what_is_wrong_and_give_what_they_hold() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let whole = clip(folder.path());
    ffmpeg(folder.path(), "-i clip.mp4 -c copy -movflags +faststart fast.mp4");
    ffmpeg(folder.path(), "-f lavfi -i sine=duration=1 tone.wav");
    let cut = |from: &Path, to: &str| {
        let bytes = fs_err::read(from).unwrap();
        fs_err::write(path(to), &bytes[..bytes.len() * 2 / 3]).unwrap();
    };
    cut(&whole, "headless.mp4");
    cut(&path("fast.mp4"), "cut.mp4");
    fs_err::write(path("text.mp4"), "this is no video").unwrap();
    fs_err::write(path("empty.mp4"), "").unwrap();
    // Lists that name other files are not opened, whatever their names end in.
    fs_err::write(path("list.mp4"), "ffconcat version 1.0\nfile 'clip.mp4'\n").unwrap();
    fs_err::write(path("hls.mp4"), "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nclip.mp4\n#EXT-X-ENDLIST\n").unwrap();
    let last = |name: &str| {
        let found: Vec<_> = open(&path(name), Selection::default()).unwrap().collect();
        let good = found.iter().filter(|item| item.is_ok()).count();
        (good, found.into_iter().last().unwrap().unwrap_err())
    };
    for name in ["headless.mp4", "text.mp4", "empty.mp4", "list.mp4", "hls.mp4"] {
        let (good, error) = last(name);
        println!("{name}: {error}");
        assert!(good == 0 && matches!(error, VideoError::Unreadable { .. }), "{name}: {error}");
    }
    let (good, error) = last("cut.mp4");
    println!("cut.mp4: {error}");
    assert!((1..60).contains(&good));
    assert!(matches!(error, VideoError::Damaged { frames, .. } if frames == good), "{error}");
    assert!(matches!(last("tone.wav"), (0, VideoError::NoVideoStream)));
    let missing = open(&path("missing.mp4"), Selection::default()).unwrap_err();
    assert!(missing.to_string().contains("missing.mp4"), "{missing}");
    let small = Limits { max_side: 100, ..Limits::default() };
    let mut refused = Frames::open(&Source::File(whole), Selection::default(), small).unwrap();
    assert!(matches!(refused.next(), Some(Err(VideoError::TooLarge { frame: 0, .. }))));
    assert!(refused.next().is_none());
}

#[test]
fn who_has_seen_enough_need_not_wait_for_the_end() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i color=gray:size=320x240:rate=30 -t 600 -g 300 -preset ultrafast long.mp4");
    let began = Instant::now();
    let mut reader = open(&folder.path().join("long.mp4"), Selection::default()).unwrap();
    assert!(reader.next().unwrap().is_ok());
    drop(reader);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn pictures_in_order_are_a_clip_and_a_bad_one_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=9_u8 {
        let image = image::RgbImage::from_pixel(8, 6, image::Rgb([number, 0, 0]));
        image.save(folder.path().join(format!("f{number:03}.png"))).unwrap();
    }
    fs_err::write(folder.path().join("f005.png"), "no picture").unwrap();
    let source = Source::sequence(&folder.path().join("f%03d.png"), 10.0).unwrap();
    let selection = Selection { start: 0.2, end: Some(0.85), skip: 1, first: 0 };
    let mut reader = Frames::open(&source, selection, Limits::default()).unwrap();
    assert!((reader.duration().unwrap() - 0.9).abs() < 1e-9);
    let item = reader.next().unwrap().unwrap();
    assert_eq!((item.index, item.timestamp, item.image.get_pixel(0, 0).0[0]), (2, 0.2, 3));
    let error = reader.next().unwrap().unwrap_err();
    assert!(matches!(error, VideoError::Picture { frame: 4, .. }) && error.to_string().contains("f005.png"), "{error}");
    let rest: Vec<usize> = reader.map(|item| item.unwrap().index).collect();
    assert_eq!(rest, [6, 8]);
    let gone = Source::pictures(vec![folder.path().join("gone.png")], 10.0).unwrap();
    let error = Frames::open(&gone, Selection::default(), Limits::default()).unwrap().next().unwrap().unwrap_err();
    assert!(error.frame() == Some(0) && error.to_string().contains("gone.png"), "{error}");
}
