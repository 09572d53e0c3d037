//! What ffmpeg's `showinfo` filters say of every frame.

use std::collections::VecDeque;

use super::super::VideoError;

/// Place of the filter that sees all frames, in the chain that the decoder asks for.
pub(super) const ALL: usize = 0;
/// Place of the filter that sees the frames that are used.
pub(super) const USED: usize = 3;

/// A frame that is about to come out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Announced {
    /// Number within the whole stream.
    pub(super) index: usize,
    /// Seconds from the beginning.
    pub(super) timestamp: f64,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Numbers the frames. One filter counts them all, another says which of them are used; they are joined by their times.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Seconds of a tick, as a fraction.
    tick: Option<(u32, u32)>,
    seen: usize,
    /// Frames that may be used yet: number and ticks.
    waiting: VecDeque<(usize, i64)>,
}

impl Report {
    /// Reads a line; `None` where it announces no frame.
    pub(super) fn read(&mut self, line: &str) -> Option<Result<Announced, VideoError>> {
        let (filter, said) = line.strip_prefix("[Parsed_showinfo_")?.split_once(' ')?;
        let said = said.split_once("] [info] ")?.1;
        let odd = || Some(Err(VideoError::Report { line: line.to_owned() }));
        if let Some(base) = said.strip_prefix("config in time_base: ") {
            let fraction = base.split(',').next().and_then(|base| base.split_once('/'));
            self.tick = fraction.and_then(|(top, bottom)| Some((top.parse().ok()?, bottom.parse().ok()?)));
            return if self.tick.is_none_or(|(_, bottom)| bottom == 0) { odd() } else { None };
        }
        if !said.starts_with("n:") {
            return None;
        }
        let Some(ticks) = field(said, "pts:") else { return odd() };
        if filter == ALL.to_string() {
            let index = self.seen;
            self.seen += 1;
            let Ok(ticks) = ticks.parse() else { return Some(Err(VideoError::Untimed { frame: index })) };
            self.waiting.push_back((index, ticks));
            return None;
        }
        if filter != USED.to_string() {
            return None;
        }
        let size = field(said, "s:").and_then(|size| size.split_once('x'));
        let size = size.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let (Ok(ticks), Some((width, height)), Some((top, bottom))) = (ticks.parse::<i64>(), size, self.tick) else {
            return odd();
        };
        while let Some((index, waiting)) = self.waiting.pop_front() {
            if waiting == ticks {
                let timestamp = ticks as f64 * f64::from(top) / f64::from(bottom);
                return Some(Ok(Announced { index, timestamp, width, height }));
            }
        }
        odd()
    }
}

/// The word behind a name that stands behind a space: `n:   0 pts:    512 pts_time:0.03 …`.
fn field<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let at = said.match_indices(name).find(|(at, _)| *at > 0 && said.as_bytes()[at - 1] == b' ')?.0;
    said[at + name.len()..].split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(filter: usize, said: &str) -> String {
        format!("[Parsed_showinfo_{filter} @ 0x563d1014f700] [info] {said}")
    }

    #[test]
    fn frames_that_are_used_keep_their_numbers_and_exact_times() {
        let mut report = Report::default();
        assert!(report.read(&line(0, "config in time_base: 1/15360, frame_rate: 30/1")).is_none());
        assert!(report.read(&line(0, "config out time_base: 0/0, frame_rate: 0/0")).is_none());
        let frame = |n: usize, pts: i64| {
            format!("n:   {n} pts: {pts} pts_time:0.0333333 pos: 48 fmt:rgb24 sar:1/1 s:320x240 i:P")
        };
        for (n, pts) in [(0, 0), (1, 512), (2, 2048)] {
            assert!(report.read(&line(0, &frame(n, pts))).is_none());
        }
        assert!(report.read(&line(3, "color_range:pc color_space:gbr")).is_none());
        let announced = report.read(&line(3, &frame(0, 2048))).unwrap().unwrap();
        assert_eq!(announced, Announced { index: 2, timestamp: 2048.0 / 15360.0, width: 320, height: 240 });
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let mut report = Report::default();
        assert!(report.read("[info]     title : [Parsed_showinfo_0 @ 0x0] [info] n: 0 pts: 1").is_none());
        assert!(matches!(
            report.read(&line(0, "n: 0 pts: NOPTS pts_time:NOPTS")),
            Some(Err(VideoError::Untimed { frame: 0 }))
        ));
        assert!(matches!(report.read(&line(0, "n: 1 stamp: 7")), Some(Err(VideoError::Report { .. }))));
        assert!(matches!(report.read(&line(3, "n: 0 pts: 1 s:3x4")), Some(Err(VideoError::Report { .. }))));
    }
}
