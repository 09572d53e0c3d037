//! What handlers share: the recogniser's thread, the threads that decode, limits and counters.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::available_parallelism;
use std::time::Instant;

use emoxide::recognizer::{Answer, Recognizer, Reply, Request, Worker, WorkerError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout_at;

use crate::about::{About, Program};
use crate::budget::Budget;
use crate::error::ApiError;
use crate::guard::Clients;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder whose files may be read is none.
    #[error("the folder for paths in requests cannot be used")]
    Folder(#[source] std::io::Error),
    /// The recogniser could not be built.
    #[error(transparent)]
    Recognizer(Box<dyn Error + Send + Sync>),
    /// It panicked over a blank picture.
    #[error("the model cannot be used")]
    Model(#[from] WorkerError),
}

/// A recogniser that many requests share, within limits.
#[derive(Debug)]
pub struct Service {
    pub(crate) settings: Settings,
    pub(crate) about: About,
    pub(crate) metrics: Metrics,
    pub(crate) budget: Budget,
    pub(crate) clients: Clients,
    /// Folder in which paths are read, as the file system spells it.
    pub(crate) folder: Option<PathBuf>,
    worker: Worker,
    decoders: Arc<Semaphore>,
    places: Arc<Semaphore>,
    videos: Arc<Semaphore>,
    stopping: AtomicBool,
}

impl Service {
    /// Builds the recogniser on its own thread and asks it what it is.
    pub fn start(
        settings: Settings,
        program: &Program,
        build: impl FnOnce() -> Result<Recognizer, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) -> Result<Arc<Self>, StartError> {
        let folder = settings.allow_paths.as_ref().map(fs_err::canonicalize).transpose().map_err(StartError::Folder)?;
        let metrics = Metrics::new();
        let counters = metrics.clone();
        let batched = move |pictures| counters.batch(pictures);
        let worker = Worker::spawn(settings.batching, batched, build).map_err(StartError::Recognizer)?;
        let (reply, about) = channel();
        let (asked, limits) = (program.clone(), settings.clone());
        worker.run(None, reply, move |recognizer| About::new(recognizer, &asked, &limits))?;
        let about = about.recv().map_err(|_| WorkerError::Stopped)??;
        let cores = available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(Self {
            about,
            metrics,
            budget: Budget::new(settings.limits.memory),
            clients: Clients::default(),
            folder,
            worker,
            decoders: Arc::new(Semaphore::new(cores)),
            places: Arc::new(Semaphore::new(settings.batching.queue)),
            videos: Arc::new(Semaphore::new(settings.limits.videos)),
            stopping: AtomicBool::new(false),
            settings,
        }))
    }

    /// From now on the server is not ready any more; what is asked all the same is answered.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The model's name on its card.
    pub fn model(&self) -> &str {
        &self.about.model
    }

    /// A place among the requests that are decoded or wait for the recogniser; kept until the answer. Nobody waits for one.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Ok(Arc::clone(&self.places).try_acquire_owned().map_err(|_| WorkerError::Busy)?)
    }

    /// A place among the videos that come in or are looked at.
    pub(crate) fn video_place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let most = self.settings.limits.videos;
        Arc::clone(&self.videos).try_acquire_owned().map_err(|_| ApiError::Videos(most))
    }

    /// Requests that wait for the recogniser.
    pub(crate) fn waiting(&self) -> usize {
        self.worker.waiting()
    }

    /// When a request whose upload ends now has to be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.limits.deadline
    }

    /// Work of the processor on a thread where it may take its time, as many at once as there are cores. It is not begun when
    /// the caller has gone.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = timeout_at(deadline.into(), Arc::clone(&self.decoders).acquire_owned());
        let permit = permit.await.map_err(|_| WorkerError::Expired)?.map_err(|_| ApiError::Stopping)?;
        let work = move || {
            let result = work();
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Internal)
    }

    /// What the recogniser finds in these pictures, one entry each.
    pub(crate) async fn see(&self, request: Request) -> Result<Answer, ApiError> {
        let deadline = request.deadline;
        let (reply, answer) = oneshot::channel();
        self.worker.submit(request, Waiting(reply))?;
        received(answer, deadline).await
    }

    /// As [`see`](Self::see), for a thread that may wait; it needs no runtime, which may end before it does.
    pub(crate) fn see_waiting(&self, request: Request, deadline: Instant) -> Result<Answer, ApiError> {
        let (reply, answer) = channel();
        self.worker.submit(request, reply)?;
        let answer = answer.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        Ok(answer.map_err(|error| match error {
            RecvTimeoutError::Timeout => WorkerError::Expired,
            RecvTimeoutError::Disconnected => WorkerError::Stopped,
        })?)
    }

    /// What this work makes of the recogniser, between two batches.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Recognizer) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.worker.run(Some(deadline), Waiting(reply), work)?;
        Ok(received(answer, Some(deadline)).await??)
    }
}

/// The answer, if it comes in time.
async fn received<T>(answer: oneshot::Receiver<T>, deadline: Option<Instant>) -> Result<T, ApiError> {
    let answer = match deadline {
        Some(deadline) => timeout_at(deadline.into(), answer).await.map_err(|_| WorkerError::Expired)?,
        None => answer.await,
    };
    Ok(answer.map_err(|_| WorkerError::Stopped)?)
}

/// A handler that waits; when its client goes, it is dropped, and its pictures are not looked at.
struct Waiting<T>(oneshot::Sender<T>);

impl<T: Send> Reply<T> for Waiting<T> {
    fn wanted(&self) -> bool {
        !self.0.is_closed()
    }

    fn send(self: Box<Self>, answer: T) {
        let _ = self.0.send(answer);
    }
}
