//! `serve` as a process: start, settings, load, hostile clients, end.
#![cfg(unix)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{emoxide, err, photo, run};

/// A running server; it is killed when it is dropped.
struct Served {
    child: Child,
    /// Where it listens, as it says.
    address: String,
    /// The line that it printed.
    line: String,
    folder: TempDir,
}

impl Served {
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = fs_err::File::create(folder.path().join("log")).unwrap();
        let mut command = emoxide(&[&["serve", "--port", "0"], arguments].concat());
        let mut child =
            command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(log.into_parts().0).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().next().and_then(|url| url.strip_prefix("http://"));
        let address = address.unwrap_or_else(|| panic!("{line:?}: {}", read(&folder))).to_owned();
        Self { child, address, line, folder }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        Ok(stream)
    }

    fn exchange(&self, request: &[u8]) -> std::io::Result<(u16, String)> {
        let mut stream = self.connect()?;
        stream.write_all(request)?;
        answer(&mut stream)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (status, body) = self.exchange(head.as_bytes()).unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// How the program ended, and what it said.
    fn ended(&mut self) -> (ExitStatus, String) {
        (self.child.wait().unwrap(), read(&self.folder))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(folder: &TempDir) -> String {
    fs_err::read_to_string(folder.path().join("log")).unwrap()
}

/// Status and body of an answer; an error where the connection ends before the body does.
fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, String)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).unwrap();
    let cut = || std::io::Error::new(ErrorKind::UnexpectedEof, text.clone());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err(cut());
    }
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

/// A request with a picture, whole.
fn picture(name: &str) -> Vec<u8> {
    let bytes = fs_err::read(photo(name)).unwrap();
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    [head.as_bytes(), &bytes].concat()
}

#[test]
fn a_picture_is_answered_and_a_signal_ends_the_server() {
    for (signal, logs) in [("TERM", "text"), ("INT", "json")] {
        let mut served = Served::start(&["--log-format", logs], &[("EMOXIDE_TOKEN", "open-sesame")]);
        assert!(served.line.contains(" on cpu, batches of up to 8 within 0 ms"), "{}", served.line);
        assert_eq!(served.exchange(&picture("astronaut.jpg")).unwrap().0, 401);
        let headers = "Authorization: Bearer open-sesame\r\nX-Request-Id: from-a-test\r\nHost: x";
        let bytes = picture("astronaut.jpg");
        let at = bytes.windows(7).position(|part| part == b"Host: x").unwrap();
        let (status, body) = served.exchange(&[&bytes[..at], headers.as_bytes(), &bytes[at + 7..]].concat()).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["faces"][0]["dominant_emotion"]), (200, &json!("happiness")));
        served.signal(signal);
        let (status, log) = served.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("from-a-test") && !log.contains("open-sesame"), "{log}");
        if logs == "json" {
            let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let line = lines.iter().find(|line| line["id"] == "from-a-test").unwrap();
            assert_eq!((&line["route"], &line["status"]), (&json!("/v1/predict"), &json!(200)), "{line}");
        }
    }
}

#[test]
fn a_signal_under_load_loses_no_answer() {
    let mut served = Served::start(&["--log-level", "warn", "--queue", "1000"], &[]);
    let (signalled, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let request = picture("none.jpg");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Ok(mut stream) = served.connect() else { return };
                    // What is connected before the signal has to be answered; afterwards the door may close at any moment.
                    let before = !signalled.load(Ordering::SeqCst);
                    match stream.write_all(&request).and_then(|()| answer(&mut stream)) {
                        Ok((status, body)) => assert_eq!(status, 200, "{body}"),
                        Err(error) => assert!(!before, "{error}"),
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while answered.load(Ordering::SeqCst) < 16 {
            std::thread::sleep(Duration::from_millis(1));
        }
        signalled.store(true, Ordering::SeqCst);
        served.signal("TERM");
    });
    let (status, log) = served.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn clients_that_never_finish_do_not_stop_others() {
    let served = Served::start(&["--log-level", "warn"], &[]);
    let whole = picture("none.jpg");
    let mut open = Vec::new();
    for index in 0..300 {
        let mut stream = served.connect().unwrap();
        // A part of the head, or the head and a part of the body.
        stream.write_all(&whole[..if index % 3 == 0 { 40 } else { 1000 }]).unwrap();
        open.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(served.exchange(&whole).unwrap().0, 200);
    }
    let (_, metrics) = served.get("/metrics");
    let metrics = metrics.as_str().unwrap();
    let connections = metrics.lines().find_map(|line| line.strip_prefix("emoxide_connections ")).unwrap();
    assert!(connections.parse::<u32>().unwrap() > 300, "{connections}");
    // A half upload that goes on is answered all the same.
    let mut stream = open.pop().unwrap();
    stream.write_all(&whole[1000..]).unwrap();
    assert_eq!(answer(&mut stream).unwrap().0, 200);
}

#[test]
fn slow_heads_and_bodies_and_idle_clients_are_cut() {
    let arguments = ["--log-level", "warn", "--header-timeout", "0.3", "--upload-timeout", "0.3"];
    let served = Served::start(&arguments, &[]);
    let whole = picture("none.jpg");
    for begun in [&whole[..0], &whole[..40]] {
        let mut stream = served.connect().unwrap();
        stream.write_all(begun).unwrap();
        let mut rest = Vec::new();
        // Closed, in whatever way, long before the test's own limit.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
    let mut stream = served.connect().unwrap();
    stream.write_all(&whole[..5000]).unwrap();
    let (status, body) = answer(&mut stream).unwrap();
    assert!(status == 400 && body.contains("upload_timeout"), "{body}");
}

#[test]
fn clients_that_do_not_take_their_answers_are_cut() {
    let served = Served::start(&["--log-level", "warn", "--write-timeout", "0.3"], &[]);
    let open = || {
        let (_, metrics) = served.get("/metrics");
        let metrics = metrics.as_str().unwrap().to_owned();
        metrics.lines().find_map(|line| line.strip_prefix("emoxide_connections ")?.parse::<u32>().ok()).unwrap()
    };
    let mut stream = served.connect().unwrap();
    // Far more than the system keeps for a client.
    let head = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    let asked = 2000;
    stream.write_all(head.repeat(asked).as_bytes()).unwrap();
    while open() > 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (mut taken, (_, answer)) = (Vec::new(), served.get("/openapi.json"));
    let cut = stream.read_to_end(&mut taken);
    assert!(cut.is_err() || taken.len() < asked * serde_json::to_string(&answer).unwrap().len(), "{}", taken.len());
}

#[test]
fn a_server_that_cannot_finish_in_time_says_what_it_cut() {
    let mut served = Served::start(&["--log-level", "warn", "--shutdown-timeout", "0.2"], &[]);
    let mut stream = served.connect().unwrap();
    stream.write_all(&picture("none.jpg")[..5000]).unwrap();
    while served.get("/metrics").1.as_str().unwrap().contains("emoxide_upload_bytes 0\n") {}
    served.signal("TERM");
    let (status, log) = served.ended();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("1 connections were cut after 0.2 s; --shutdown-timeout"), "{log}");
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let served = Served::start(&["--log-level", "warn", "--max-connections", "1"], &[]);
    let mut first = served.connect().unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).unwrap();
    let mut second = served.connect().unwrap();
    let (status, body) = answer(&mut second).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]["code"]), (503, &json!("connections")));
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    fs_err::write(place("token"), "from-a-file\n").unwrap();
    let file = format!(
        "max-faces = 5\nmax-batch = 5\nqueue = 5\ndetector = \"none\"\nlog-level = \"warn\"\ntoken-file = \"{}\"\ncors-origin = [\"https://a.org\"]",
        place("token")
    );
    fs_err::write(place("emoxide.toml"), file).unwrap();
    let variables = [("EMOXIDE_MAX_FACES", "6"), ("EMOXIDE_QUEUE", "6"), ("EMOXIDE_CONFIG", &place("emoxide.toml"))];
    let served = Served::start(&["--max-faces", "7"], &variables);
    assert_eq!(served.get("/v1/info").0, 401);
    let head = "GET /v1/info HTTP/1.1\r\nHost: x\r\nOrigin: https://a.org\r\nAuthorization: Bearer from-a-file\r\nConnection: close\r\n\r\n";
    let (status, body) = served.exchange(head.as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
    let info: Value = serde_json::from_str(&body).unwrap();
    let chosen =
        [&info["limits"]["faces"], &info["limits"]["batch"], &info["batching"]["queue"], &info["detector"]["kind"]];
    assert_eq!(chosen, [&json!(7), &json!(5), &json!(6), &json!("whole-image")]);

    fs_err::write(place("wrong.toml"), "max_faces = 5").unwrap();
    fs_err::write(place("broken.toml"), "max-faces = ").unwrap();
    fs_err::write(place("range.toml"), "port = 70000").unwrap();
    for (file, code, said) in [
        ("wrong.toml", 1, "`max_faces` is no setting"),
        ("broken.toml", 1, "broken.toml"),
        ("range.toml", 2, "70000"),
        ("none.toml", 1, "none.toml"),
    ] {
        let output = run(&["serve", "--config", &place(file)]);
        assert_eq!(output.status.code(), Some(code), "{file}: {}", err(&output));
        assert!(err(&output).contains(said), "{file}: {}", err(&output));
    }
}

#[test]
fn an_open_door_is_warned_of_and_wrong_settings_are_refused() {
    let open = Served::start(&["--host", "0.0.0.0", "--log-level", "warn"], &[]);
    assert!(read(&open.folder).contains("warning: everybody who reaches 0.0.0.0:"), "{}", read(&open.folder));
    let guarded = Served::start(&["--host", "0.0.0.0", "--token", "open-sesame", "--log-level", "warn"], &[]);
    assert_eq!(read(&guarded.folder), "");
    let port = open.address.rsplit(':').next().unwrap().to_owned();
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--port", &port], 1, "--port"),
        (&["--host", "no.such.host.invalid"], 1, "--host no.such.host.invalid"),
        (&["--model", "nowhere.safetensors"], 1, "there is no model"),
        (&["--allow-paths", "nowhere"], 1, "folder for paths"),
        (&["--cors-origin", "example.org"], 1, "`example.org` is no origin"),
        (&["--token", "two words"], 1, "--token"),
        (&["--token", "a", "--token-file", "b"], 2, "cannot be used with"),
        (&["--token-file", "nowhere"], 1, "nowhere"),
        (&["--deadline", "0"], 2, "above 0"),
        (&["--log-level", "loud"], 1, "`loud`"),
        (&["--classes", "glee"], 1, "`glee` is not an expression"),
    ];
    for (arguments, code, said) in cases {
        // Whoever else listens on the usual port is no part of the test.
        let free: &[&str] = if arguments[0] == "--port" { &[] } else { &["--port", "0"] };
        let output = run(&[&["serve"], free, arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
}
