use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Recognizer, Seen, Wanted};
use crate::image::RgbImage;

/// How requests of many callers become batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Pictures answered together at most; a request with more is answered alone.
    pub pictures: usize,
    /// How long a request may wait for others to share a batch with. What has waited longer in the queue, behind others, goes
    /// on at once with whatever else is there.
    pub wait: Duration,
    /// Requests that may wait; who comes then is refused.
    pub queue: usize,
}

impl Default for Batching {
    /// Batches of up to 8 of those that wait anyway, in a queue of 64.
    fn default() -> Self {
        Self { pictures: 8, wait: Duration::ZERO, queue: 64 }
    }
}

/// Decoded pictures, and what is wanted of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The pictures.
    pub images: Vec<RgbImage>,
    /// What is wanted of each of them.
    pub wanted: Wanted,
    /// When the answer is of no use any more; `None`: never.
    pub deadline: Option<Instant>,
}

/// What was found in each picture of a request, or why nothing was looked for.
pub type Answer = Vec<Result<Seen, WorkerError>>;

/// Where an answer goes. The worker's thread sends it, so neither method may block.
pub trait Reply<T>: Send {
    /// Whether somebody still waits; what nobody waits for is not computed.
    fn wanted(&self) -> bool {
        true
    }

    /// Takes the answer. It is dropped without a call where the worker ends before it comes to the request.
    fn send(self: Box<Self>, answer: T);
}

/// A caller that blocks; one that no longer waits is no error.
impl<T: Send> Reply<T> for Sender<T> {
    fn send(self: Box<Self>, answer: T) {
        let _ = Sender::send(&self, answer);
    }
}

type Work = Box<dyn FnOnce(&Recognizer) + Send>;

enum Job {
    Pictures { request: Request, submitted: Instant, reply: Box<dyn Reply<Answer>> },
    Alone(Work),
}

/// A recogniser on its own long-lived thread.
///
/// GPU backends keep a stream and a memory pool for every thread that calls them, so callers with changing threads (a
/// server, a thread pool) send their pictures here. Requests that wait at the same time share their forward passes.
#[derive(Debug)]
pub struct Worker {
    jobs: Option<SyncSender<Job>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// Why a worker gave no faces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// As many requests wait as may.
    #[error("the recogniser has more to do than its queue holds; try again later")]
    Busy,
    /// The deadline passed while the request waited; the network never saw it.
    #[error("the recogniser did not come to these pictures before their deadline; try again later, or allow more time")]
    Expired,
    /// The recogniser panicked over these pictures; it goes on with others.
    #[error("the recogniser failed on these pictures ({0}); report it together with them")]
    Panicked(String),
    /// The worker's thread is gone.
    #[error("the recogniser's thread has stopped; restart the program and report what was asked of it")]
    Stopped,
}

impl Worker {
    /// Starts the thread and builds the recogniser on it. `batched` is told of every batch how many pictures it had.
    ///
    /// # Panics
    /// If `build` does.
    pub fn spawn<E: Send + 'static>(
        batching: Batching,
        batched: impl Fn(usize) + Send + 'static,
        build: impl FnOnce() -> Result<Recognizer, E> + Send + 'static,
    ) -> Result<Self, E> {
        let (jobs, inbox) = sync_channel(batching.queue.max(1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let (ready, built) = channel();
        let inbox = Inbox { jobs: inbox, waiting: Arc::clone(&waiting) };
        let thread = std::thread::spawn(move || match build() {
            Ok(recognizer) => {
                let _ = ready.send(Ok(()));
                serve(&recognizer, &inbox, batching, batched);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        built.recv().expect("the thread answers before it ends")?;
        Ok(Self { jobs: Some(jobs), waiting, thread: Some(thread) })
    }

    /// Hands over a request without waiting; its answer, one entry a picture, goes to `reply`.
    ///
    /// # Errors
    /// [`WorkerError::Busy`] where the queue is full, and `Stopped`; `reply` is then dropped.
    pub fn submit(&self, request: Request, reply: impl Reply<Answer> + 'static) -> Result<(), WorkerError> {
        self.push(Job::Pictures { request, submitted: Instant::now(), reply: Box::new(reply) })
    }

    /// Hands over work that has the recogniser to itself, between two batches; what it returns, or that it panicked or came
    /// too late, goes to `reply`.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn run<T: 'static>(
        &self,
        deadline: Option<Instant>,
        reply: impl Reply<Result<T, WorkerError>> + 'static,
        work: impl FnOnce(&Recognizer) -> T + Send + 'static,
    ) -> Result<(), WorkerError> {
        let reply = Box::new(reply);
        self.push(Job::Alone(Box::new(move |recognizer| {
            if reply.wanted() {
                reply.send(if expired(deadline) { Err(WorkerError::Expired) } else { guarded(|| work(recognizer)) });
            }
        })))
    }

    /// Sends decoded pictures and waits for what is found in each: what [`Recognizer::see`] gives, but for the rounding of
    /// other batches.
    pub fn recognise(&self, images: Vec<RgbImage>, wanted: Wanted) -> Result<Vec<Seen>, WorkerError> {
        let (reply, answer) = channel();
        self.submit(Request { images, wanted, deadline: None }, reply)?;
        answer.recv().map_err(|_| WorkerError::Stopped)?.into_iter().collect()
    }

    /// Requests that wait, the one that is worked on not counted.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn push(&self, job: Job) -> Result<(), WorkerError> {
        let jobs = self.jobs.as_ref().ok_or(WorkerError::Stopped)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        jobs.try_send(job).map_err(|refused| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(_) => WorkerError::Busy,
                TrySendError::Disconnected(_) => WorkerError::Stopped,
            }
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The receiving end of the queue.
struct Inbox {
    jobs: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
}

impl Inbox {
    /// The next job; `None` once no caller is left.
    fn next(&self) -> Option<Job> {
        self.taken(self.jobs.recv().ok())
    }

    /// The next job that is there or comes until then.
    fn next_until(&self, end: Instant) -> Option<Job> {
        self.taken(self.jobs.recv_timeout(end.saturating_duration_since(Instant::now())).ok())
    }

    fn taken(&self, job: Option<Job>) -> Option<Job> {
        if job.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        job
    }
}

/// Answers requests until no caller is left.
fn serve(recognizer: &Recognizer, inbox: &Inbox, batching: Batching, batched: impl Fn(usize)) {
    let mut next = None;
    while let Some(first) = next.take().or_else(|| inbox.next()) {
        let (request, submitted, reply) = match first {
            Job::Alone(work) => {
                work(recognizer);
                continue;
            }
            Job::Pictures { request, submitted, reply } => (request, submitted, reply),
        };
        let end = submitted + batching.wait;
        let mut pictures = request.images.len();
        let mut batch = vec![(request, reply)];
        while pictures < batching.pictures
            && let Some(job) = inbox.next_until(end)
        {
            match job {
                Job::Pictures { request, reply, .. } if pictures + request.images.len() <= batching.pictures => {
                    pictures += request.images.len();
                    batch.push((request, reply));
                }
                other => {
                    next = Some(other);
                    break;
                }
            }
        }
        answer(recognizer, batch, &batched);
    }
}

/// Answers in common the requests that are still due.
fn answer(recognizer: &Recognizer, batch: Vec<(Request, Box<dyn Reply<Answer>>)>, batched: &impl Fn(usize)) {
    let (mut images, mut wanted, mut callers) = (Vec::new(), Vec::new(), Vec::new());
    for (request, reply) in batch {
        let count = request.images.len();
        if !reply.wanted() {
            continue;
        }
        if expired(request.deadline) {
            reply.send(vec![Err(WorkerError::Expired); count]);
            continue;
        }
        images.extend(request.images);
        wanted.extend(std::iter::repeat_n(request.wanted, count));
        callers.push((count, reply));
    }
    if !images.is_empty() {
        batched(images.len());
    }
    let mut seen = see(recognizer, &images, &wanted).into_iter();
    for (count, reply) in callers {
        reply.send(seen.by_ref().take(count).collect());
    }
}

/// What is in the pictures; if looking at them together panics, each is looked at by itself, so that only those at fault fail.
fn see(recognizer: &Recognizer, images: &[RgbImage], wanted: &[Wanted]) -> Answer {
    match (guarded(|| recognizer.see(images, wanted)), images.len()) {
        (Ok(seen), _) => seen.into_iter().map(Ok).collect(),
        (Err(error), 1) => vec![Err(error)],
        (Err(_), _) => {
            let pairs = images.chunks(1).zip(wanted.chunks(1));
            pairs.flat_map(|(image, wanted)| see(recognizer, image, wanted)).collect()
        }
    }
}

fn expired(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// What the work gives, or what it said when it panicked. It does not change the recogniser, which can go on.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, WorkerError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| WorkerError::Panicked(text(&*panic)))
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}
