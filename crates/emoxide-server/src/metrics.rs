//! What `/metrics` says.

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Counters of one server.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    batches: Histogram,
    pub(crate) faces: IntCounter,
    pub(crate) pictures: IntCounter,
    pub(crate) connections: IntGauge,
    queue: IntGauge,
    memory: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self::registered().expect("names of metrics are valid and differ")
    }

    fn registered() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("emoxide_requests_total", "Answers by route and status; route `other` is none of the server's."),
            &["route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("emoxide_request_seconds", "Time from a request's head to its answer, upload included.")
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            &["route"],
        )?;
        let batches = Histogram::with_opts(
            HistogramOpts::new("emoxide_batch_pictures", "Pictures that the recogniser saw together.")
                .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
        )?;
        let metrics = Self {
            requests,
            seconds,
            batches,
            faces: IntCounter::new("emoxide_faces_total", "Faces in answers.")?,
            pictures: IntCounter::new("emoxide_pictures_total", "Pictures in answers.")?,
            connections: IntGauge::new("emoxide_connections", "Open connections.")?,
            queue: IntGauge::new("emoxide_queue_depth", "Requests that wait for the recogniser.")?,
            memory: IntGauge::new(
                "emoxide_upload_bytes",
                "Bytes of uploads, and of pictures decoded from them, in memory.",
            )?,
            registry,
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 8] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.batches.clone()),
            Box::new(metrics.faces.clone()),
            Box::new(metrics.pictures.clone()),
            Box::new(metrics.connections.clone()),
            Box::new(metrics.queue.clone()),
            Box::new(metrics.memory.clone()),
        ];
        for collector in collectors {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// One answer more.
    pub(crate) fn answered(&self, route: &str, status: u16, time: Duration) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
        self.seconds.with_label_values(&[route]).observe(time.as_secs_f64());
    }

    /// One batch more.
    pub(crate) fn batch(&self, pictures: usize) {
        self.batches.observe(pictures as f64);
    }

    /// All of it in Prometheus' text format, and what only now is known.
    pub(crate) fn text(&self, queue: usize, memory: usize) -> Result<Vec<u8>, prometheus::Error> {
        self.queue.set(queue as i64);
        self.memory.set(memory as i64);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
