//! `emoxide serve`: pictures over HTTP in, expressions out.

mod settings;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use emoxide::labels::Classes;
use emoxide::recognizer::{Batching, Options, Recognizer};
use emoxide_server::listen::{self, Ended};
use emoxide_server::logging;
use emoxide_server::{Limits, Origin, Program, Service, Settings, Token};
use tokio::net::TcpListener;

use crate::commands::computing::Computing;
use crate::commands::detecting::Detecting;
use crate::{Finish, output};

pub(crate) use settings::parse;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// What stands below the list of flags.
const PRECEDENCE: &str = "Every flag is a variable of the environment too, --max-faces for instance EMOXIDE_MAX_FACES, and a key of the file \
                          that --config names. A flag goes before the environment, and that before the file.";

#[derive(Debug, Args)]
#[command(after_help = PRECEDENCE)]
pub(crate) struct Arguments {
    /// TOML file with settings, named as the flags are: max-faces = 10
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 for any that is free
    #[arg(long, default_value_t = 5005)]
    port: u16,
    #[command(flatten)]
    computing: Computing,
    #[command(flatten)]
    detecting: Detecting,
    /// Answer with these classes only: 7, or a list such as happiness,neutral; the others' probability is shared out
    #[arg(long)]
    classes: Option<String>,

    /// Pictures answered together at most
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch_size: u16,
    /// Milliseconds that a picture may wait for others to be answered with
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=10_000))]
    batch_wait: u64,
    /// Requests that may be decoded or wait; more are refused with 503
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    queue: u32,
    /// Seconds from the end of an upload to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    deadline: f64,

    /// MiB of a body
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_body: u32,
    /// MiB of a video
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    max_video: u32,
    /// Videos that come in or are looked at, at one time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    max_videos: u32,
    /// Megapixels of a picture or a video's frame
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_pixels: u32,
    /// Faces answered in a picture
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    max_faces: u32,
    /// Pictures of a batch
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_batch: u32,
    /// MiB of uploads that have come in, and of pictures decoded from them, at one time
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_memory: u32,
    /// Requests of one client address at one time; by default any number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    max_client_requests: Option<u32>,
    /// Connections at one time, if the system allows as many open files
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// Seconds for the head of a request, and between requests of a connection
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    header_timeout: f64,
    /// Seconds for the body of a request
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    upload_timeout: f64,
    /// Seconds in which a client has to take more of its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    write_timeout: f64,
    /// Seconds for what is being answered when the server is told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    shutdown_timeout: f64,

    /// What clients send as `Authorization: Bearer …`; better in its variable or a file than in a list of processes
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// File that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Origin whose pages may ask, such as `https://example.org`; repeat it for more
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<String>,
    /// Folder in which a request may name pictures by path; by default no path is read, and addresses never are
    #[arg(long, value_name = "DIR")]
    allow_paths: Option<PathBuf>,

    /// Form of the log
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug
    #[arg(long, default_value = "info")]
    log_level: String,
}

/// A time above zero that a clock can hold.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if seconds > 0.0 && seconds <= 86_400.0 { Ok(seconds) } else { Err("above 0 and at most a day".to_owned()) }
}

impl Arguments {
    fn token(&self) -> Result<Option<Token>> {
        let text = match (&self.token, &self.token_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => fs_err::read_to_string(path)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Token::new(&text).context("--token")?))
    }

    fn settings(&self) -> Result<Settings> {
        let time = Duration::from_secs_f64;
        Ok(Settings {
            batching: Batching {
                pictures: usize::from(self.batch_size),
                wait: Duration::from_millis(self.batch_wait),
                queue: self.queue as usize,
            },
            limits: Limits {
                body_bytes: u64::from(self.max_body) << 20,
                video_bytes: u64::from(self.max_video) << 20,
                videos: self.max_videos as usize,
                pixels: u64::from(self.max_pixels) * 1_000_000,
                faces: self.max_faces as usize,
                batch: self.max_batch as usize,
                memory: (self.max_memory as usize) << 20,
                client_requests: self.max_client_requests.map(|most| most as usize),
                connections: listen::connections(self.max_connections as usize)?,
                header_timeout: time(self.header_timeout),
                upload_timeout: time(self.upload_timeout),
                write_timeout: time(self.write_timeout),
                deadline: time(self.deadline),
                shutdown_timeout: time(self.shutdown_timeout),
            },
            token: self.token()?,
            cors_origins: self
                .cors_origin
                .iter()
                .map(|text| Origin::new(text))
                .collect::<Result<_, _>>()
                .context("--cors-origin")?,
            allow_paths: self.allow_paths.clone(),
        })
    }

    /// The recogniser on its thread.
    fn start(self: &Arc<Self>, settings: Settings) -> Result<Arc<Service>> {
        let classes = self.classes.as_deref().map(Classes::from_list).transpose().context("--classes")?;
        let version = format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("EMOXIDE_COMMIT"));
        let program = Program { device: self.computing.device.clone(), version };
        let arguments = Arc::clone(self);
        let build = move || -> Result<Recognizer> {
            let model = arguments.computing.open()?;
            let detector = arguments.detecting.open(&model)?;
            Ok(Recognizer::new(detector, model, Options { min_confidence: 0.0, classes })?)
        };
        Ok(Service::start(settings, &program, || Ok(build()?))?)
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<Finish> {
    let format = match arguments.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    };
    logging::start(format, &arguments.log_level)?;
    let arguments = Arc::new(arguments);
    let settings = arguments.settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (host, port) = (arguments.host.as_str(), arguments.port);
        let listener = TcpListener::bind((host, port)).await.with_context(|| format!("--host {host} --port {port}"))?;
        let address = listener.local_addr()?;
        let stop = signalled()?;
        let open = settings.token.is_none() && !is_loopback(address.ip());
        let batching = settings.batching;
        let service = arguments.start(settings)?;
        if open {
            output::say(&format!("warning: everybody who reaches {address} can ask; set a token (--token-file)"));
        }
        announce(address, &service, &arguments, batching)?;
        match listen::serve(service, listener, stop).await {
            Ended::Answered => Ok(Finish::Done),
            Ended::Cut(count) => bail!(
                "{count} connections were cut after {} s; --shutdown-timeout allows more",
                arguments.shutdown_timeout
            ),
        }
    })
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// One line: address, model, device, batching.
fn announce(address: SocketAddr, service: &Service, arguments: &Arguments, batching: Batching) -> Result<()> {
    let Batching { pictures, wait, .. } = batching;
    let (model, device) = (service.model(), &arguments.computing.device);
    let mut sink = output::open(None)?;
    writeln!(
        sink,
        "http://{address}  {model} on {device}, batches of up to {pictures} within {} ms",
        wait.as_millis()
    )?;
    Ok(sink.flush()?)
}

/// Done when the user or the system wants the program to end.
fn signalled() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
