use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::{Face, Recognizer};
use crate::image::RgbImage;

/// Requests that may wait; the next caller waits for room.
const QUEUE: usize = 64;

type Answer = Result<Vec<Vec<Face>>, WorkerError>;

struct Request {
    images: Vec<RgbImage>,
    reply: Sender<Answer>,
}

/// A recogniser on its own long-lived thread.
///
/// GPU backends keep a stream and a memory pool for every thread that calls them, so callers with changing threads (a
/// server, a thread pool) send their pictures here. Requests that wait at the same time share their forward passes.
#[derive(Debug)]
pub struct Worker {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a worker gave no faces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The recogniser panicked over these pictures; it goes on with others.
    #[error("the recogniser failed on these pictures ({0}); report it together with them")]
    Panicked(String),
    /// The worker's thread is gone.
    #[error("the recogniser's thread has stopped; restart the program and report what was asked of it")]
    Stopped,
}

impl Worker {
    /// Starts the thread and builds the recogniser on it. Requests that wait are answered together, up to `pictures` of
    /// them at a time; a request with more is answered alone.
    ///
    /// # Panics
    /// If `build` does.
    pub fn spawn<E: Send + 'static>(
        pictures: usize,
        build: impl FnOnce() -> Result<Recognizer, E> + Send + 'static,
    ) -> Result<Self, E> {
        let (requests, inbox) = sync_channel(QUEUE);
        let (ready, built) = channel();
        let thread = std::thread::spawn(move || match build() {
            Ok(recognizer) => {
                let _ = ready.send(Ok(()));
                serve(&recognizer, &inbox, pictures);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        built.recv().expect("the thread answers before it ends")?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Sends decoded pictures and waits for their faces: what [`Recognizer::recognise`] gives, but for the rounding of
    /// other batches.
    pub fn recognise(&self, images: Vec<RgbImage>) -> Result<Vec<Vec<Face>>, WorkerError> {
        let (reply, answer) = channel();
        let requests = self.requests.as_ref().ok_or(WorkerError::Stopped)?;
        requests.send(Request { images, reply }).map_err(|_| WorkerError::Stopped)?;
        answer.recv().map_err(|_| WorkerError::Stopped)?
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers requests until no caller is left.
fn serve(recognizer: &Recognizer, inbox: &Receiver<Request>, most: usize) {
    let mut next = None;
    while let Some(first) = next.take().or_else(|| inbox.recv().ok()) {
        let mut pictures = first.images.len();
        let mut batch = vec![first];
        while let Ok(request) = inbox.try_recv() {
            pictures += request.images.len();
            if pictures > most {
                next = Some(request);
                break;
            }
            batch.push(request);
        }
        answer(recognizer, batch);
    }
}

/// Answers requests in common; if that panics, each by itself, so that only the one at fault fails.
fn answer(recognizer: &Recognizer, batch: Vec<Request>) {
    let mut images = Vec::new();
    let mut callers = Vec::new();
    for Request { images: asked, reply } in batch {
        let start = images.len();
        images.extend(asked);
        callers.push((start..images.len(), reply));
    }
    let mut shared = recognise(recognizer, &images).map(Vec::into_iter);
    let alone = callers.len() == 1;
    for (asked, reply) in callers {
        let faces = match &mut shared {
            Ok(faces) => Ok(faces.by_ref().take(asked.len()).collect()),
            Err(error) if alone => Err(error.clone()),
            Err(_) => recognise(recognizer, &images[asked]),
        };
        // A caller that no longer waits is no error.
        let _ = reply.send(faces);
    }
}

/// The answer, or what the recogniser said when it panicked. It is not changed by answering, so it can go on.
fn recognise(recognizer: &Recognizer, images: &[RgbImage]) -> Answer {
    catch_unwind(AssertUnwindSafe(|| recognizer.recognise(images)))
        .map_err(|panic| WorkerError::Panicked(text(&*panic)))
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}
