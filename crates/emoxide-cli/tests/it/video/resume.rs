//! Runs that ended too early and go on.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{crossing, whole};
use crate::{emoxide, err};

#[test]
fn a_run_that_was_killed_goes_on_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    crossing(folder.path(), 48);
    let frames = folder.path().join("f%04d.png").display().to_string();
    for format in ["csv", "ndjson"] {
        let place = |name: &str| folder.path().join(format!("{name}.{format}")).display().to_string();
        let arguments = |output: &str, more: &[&str]| -> Vec<String> {
            whole(&frames, output, format).into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect()
        };
        let facts = |output: &str| fs_err::read_to_string(format!("{output}-summary/f%04d.json")).unwrap();
        let start = |arguments: &[String]| emoxide(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(start(&arguments(&place("whole"), &[])).status().unwrap().success());
        let expected = fs_err::read_to_string(place("whole")).unwrap();

        let mut child = start(&arguments(&place("killed"), &[])).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while fs_err::metadata(place("killed")).map_or(0, |file| file.len()) < 4000 {
            assert!(began.elapsed() < Duration::from_mins(2), "no rows after two minutes");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = fs_err::read(place("killed")).unwrap();
        assert!(left.len() < expected.len(), "it was killed too late");
        // As torn as a crash may leave it: in the middle of a row.
        fs_err::write(place("killed"), &left[..left.len() - 17]).unwrap();

        let mut other = arguments(&place("killed"), &["--resume", "--min-confidence", "0.5"]);
        let output = start(&other).output().unwrap();
        assert!(err(&output).contains("belongs to another run: min-confidence was 0 and is 0.5"), "{}", err(&output));
        other.truncate(other.len() - 2);
        let output = start(&other).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let found = fs_err::read_to_string(place("killed")).unwrap();
        assert_eq!(found, expected, "{format}");
        assert_eq!(facts(&place("killed")), facts(&place("whole")));
        assert!(!Path::new(&format!("{}.job", place("killed"))).exists());
        let output = start(&other).output().unwrap();
        assert!(err(&output).contains("it is complete or of another run"), "{}", err(&output));
    }
}

#[cfg(all(unix, feature = "parquet"))]
#[test]
fn a_parquet_that_was_interrupted_is_completed() {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    crossing(folder.path(), 40);
    let frames = folder.path().join("f%04d.png").display().to_string();
    let place = |name: &str| folder.path().join(format!("{name}.parquet")).display().to_string();
    let start = |output: &str, more: &[&str]| {
        let arguments = whole(&frames, output, "parquet");
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        emoxide(&arguments)
    };
    assert!(start(&place("whole"), &[]).status().unwrap().success());
    let child = start(&place("stopped"), &[]).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !folder.path().join("stopped.parquet.job").exists() {
        assert!(began.elapsed() < Duration::from_mins(2), "not begun after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", err(&output));
    assert!(err(&output).contains("--resume goes on with"), "{}", err(&output));
    assert!(!Path::new(&place("stopped")).exists());
    let output = start(&place("stopped"), &["--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let [expected, found] = ["whole", "stopped"].map(|name| {
        let file = fs_err::File::open(place(name)).unwrap().into_parts().0;
        let reader = SerializedFileReader::new(file).unwrap();
        reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect::<Vec<_>>()
    });
    assert!(expected.len() > 40);
    assert_eq!(found, expected);
}
