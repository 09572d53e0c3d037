//! The recogniser's thread: batches, limits, panics.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use emoxide::image::RgbImage;
use emoxide::labels::Classes;
use emoxide::recognizer::{Answer, Batching, Face, Reply, Request, Wanted, Worker, WorkerError};
use emoxide::weights::checkpoint;
use emoxide::zoo::Model;

use crate::recognizer::{assert_same, assets, photo, recognizer, whole_pictures};

/// Longer than any test may take.
const LONG: Duration = Duration::from_hours(1);

/// A worker on whole pictures, and the sizes of its batches.
fn worker(batching: Batching) -> (Worker, Receiver<usize>) {
    let (batched, batches) = channel();
    let note = move |pictures| batched.send(pictures).unwrap();
    (Worker::spawn(batching, note, || Ok::<_, Infallible>(whole_pictures())).unwrap(), batches)
}

/// Keeps the worker busy until the sender that it returns is used or dropped.
fn hold(worker: &Worker) -> Sender<()> {
    let (release, held) = channel::<()>();
    let (begun, begin) = channel();
    let (reply, _) = channel();
    let work = move |_: &_| {
        begun.send(()).unwrap();
        let _ = held.recv();
    };
    worker.run(None, reply, work).unwrap();
    begin.recv().unwrap();
    release
}

fn request(images: Vec<RgbImage>) -> Request {
    Request { images, wanted: Wanted::default(), deadline: None }
}

fn submit(worker: &Worker, request: Request) -> Receiver<Answer> {
    let (reply, answer) = channel();
    worker.submit(request, reply).unwrap();
    answer
}

#[test]
fn callers_that_share_a_worker_get_what_they_would_get_alone() {
    let names = ["astronaut.jpg", "cat.jpg", "grey.jpg", "hopper.jpg", "none.jpg", "sideways.jpg"];
    let alone = whole_pictures();
    let expected: Vec<Vec<Face>> = names.iter().map(|name| alone.recognise(&[photo(name)]).remove(0)).collect();
    for pictures in [1, 4] {
        let (worker, _batches) = worker(Batching { pictures, ..Batching::default() });
        std::thread::scope(|scope| {
            let (worker, expected) = (&worker, &expected);
            let ask = |names: &[&str]| {
                let images = names.iter().map(|name| photo(name)).collect();
                worker.recognise(images, Wanted::default()).unwrap()
            };
            for (index, name) in names.iter().enumerate() {
                scope.spawn(move || {
                    let seen = ask(&[name]);
                    assert_eq!(seen.len(), 1);
                    assert_same(&seen[0].faces, &expected[index]);
                });
            }
            // More pictures than a batch may hold, and none at all.
            scope.spawn(move || {
                let seen = ask(&names);
                seen.iter().zip(expected).for_each(|(seen, expected)| assert_same(&seen.faces, expected));
                assert_eq!(ask(&[]), []);
            });
        });
    }
}

#[test]
fn a_full_queue_refuses_and_what_it_holds_is_answered() {
    let (worker, batches) = worker(Batching { queue: 2, ..Batching::default() });
    let release = hold(&worker);
    let waiting = [0, 1].map(|_| submit(&worker, request(vec![photo("hopper.jpg")])));
    assert_eq!(worker.waiting(), 2);
    let (reply, refused) = channel();
    assert_eq!(worker.submit(request(Vec::new()), reply), Err(WorkerError::Busy));
    assert!(refused.recv().is_err(), "a refused reply is dropped");
    let (reply, _refused) = channel();
    assert_eq!(worker.run(None, reply, |_| ()), Err(WorkerError::Busy));
    drop(release);
    for answer in waiting {
        assert_eq!(answer.recv().unwrap()[0].as_ref().unwrap().faces.len(), 1);
    }
    assert_eq!((worker.waiting(), batches.recv().unwrap()), (0, 2));
    // Even when nobody can ask any more, what waits is answered.
    let release = hold(&worker);
    let last = submit(&worker, request(vec![photo("hopper.jpg")]));
    drop(release);
    drop(worker);
    assert!(last.recv().unwrap()[0].is_ok());
}

/// A caller that has gone.
struct Gone;

impl Reply<Answer> for Gone {
    fn wanted(&self) -> bool {
        false
    }

    fn send(self: Box<Self>, answer: Answer) {
        panic!("nobody waits for {answer:?}");
    }
}

#[test]
fn what_comes_too_late_or_nobody_waits_for_is_not_looked_at() {
    let (worker, batches) = worker(Batching::default());
    let release = hold(&worker);
    let past = Some(Instant::now());
    let late = submit(&worker, Request { deadline: past, ..request(vec![photo("hopper.jpg"), photo("cat.jpg")]) });
    worker.submit(request(vec![photo("hopper.jpg")]), Gone).unwrap();
    let (reply, never) = channel();
    worker.run(past, reply, |_| panic!("it is too late")).unwrap();
    let (reply, size) = channel();
    worker.run(Some(Instant::now() + LONG), reply, |recognizer| recognizer.classes().len()).unwrap();
    drop(release);
    assert_eq!(late.recv().unwrap(), [const { Err(WorkerError::Expired) }; 2]);
    assert_eq!(never.recv().unwrap(), Err::<(), _>(WorkerError::Expired));
    assert_eq!(size.recv().unwrap(), Ok(8));
    drop(worker);
    assert!(batches.recv().is_err(), "no picture reached the network");
}

#[test]
fn requests_wait_for_others_only_as_long_as_they_may() {
    // Two come before the hour is over, and fill the batch; a third finds nobody to share with.
    let (full, batches) = worker(Batching { pictures: 2, wait: LONG, queue: 8 });
    let answers = [0, 1].map(|_| submit(&full, request(vec![photo("hopper.jpg")])));
    assert!(answers.iter().all(|answer| answer.recv().unwrap()[0].is_ok()));
    assert_eq!(batches.recv().unwrap(), 2);

    let (short, batches) = worker(Batching { pictures: 2, wait: Duration::from_millis(1), queue: 8 });
    assert!(submit(&short, request(vec![photo("hopper.jpg")])).recv().unwrap()[0].is_ok());
    assert_eq!(batches.recv().unwrap(), 1);
    // A request that fits no more into a batch begins the next one.
    let release = hold(&short);
    let answers = [1, 2, 1].map(|count| submit(&short, request(vec![photo("hopper.jpg"); count])));
    drop(release);
    assert_eq!(answers.map(|answer| answer.recv().unwrap().len()), [1, 2, 1]);
    assert_eq!([0; 3].map(|_| batches.recv().unwrap()), [1, 2, 1]);
}

#[test]
fn a_panic_costs_its_picture_an_answer_and_nobody_else() {
    // A model whose card names too few classes panics over every face, but is never asked about a picture without one.
    let build = || {
        let (network, mut card) = checkpoint::load(&assets().join("default.safetensors"), &Device::flex())?;
        card.classes = Classes::seven();
        Ok::<_, checkpoint::CheckpointError>(recognizer(Model::new(&network, card, Device::flex())))
    };
    let worker = Worker::spawn(Batching::default(), |_| (), build).unwrap();
    let release = hold(&worker);
    let names = ["astronaut.jpg", "none.jpg", "hopper.jpg", "cat.jpg"];
    let alone = names.map(|name| submit(&worker, request(vec![photo(name)])));
    let together = submit(&worker, request(names.map(photo).to_vec()));
    drop(release);
    let alone: Answer = alone.into_iter().flat_map(|answer| answer.recv().unwrap()).collect();
    for answer in [alone, together.recv().unwrap()] {
        for (name, seen) in names.into_iter().zip(answer) {
            match seen {
                Ok(seen) => assert!(["none.jpg", "cat.jpg"].contains(&name) && seen.faces.is_empty(), "{name}"),
                Err(WorkerError::Panicked(text)) => {
                    assert!(["astronaut.jpg", "hopper.jpg"].contains(&name) && text.contains("one a class"), "{text}");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
    let (reply, failed) = channel();
    worker.run(None, reply, |_| -> () { panic!("at work") }).unwrap();
    assert_eq!(failed.recv().unwrap(), Err(WorkerError::Panicked("at work".to_owned())));
}

#[test]
fn a_worker_that_cannot_be_built_says_why() {
    let refused = Worker::spawn(Batching::default(), |_| (), || Err("no model")).unwrap_err();
    assert_eq!(refused, "no model");
}
