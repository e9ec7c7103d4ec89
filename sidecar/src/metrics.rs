//! Counters for people who watch a sidecar, in the Prometheus text format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use thumbforge_core::job::Ending;
use thumbforge_core::money::Micros;

/// Every counter of a sidecar. Labels never hold a key, a seed or a prompt.
pub struct Metrics {
    registry: Registry,
    accepted: Counter,
    cached: Counter,
    rendered: Counter,
    failed: Counter,
    cancelled: Counter,
    refused: Counter,
    spend_micros_usd: Counter,
    open: Gauge<i64, std::sync::atomic::AtomicI64>,
    render_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("thumbforge");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::<u64, AtomicU64>::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let accepted = counter("jobs_accepted", "Jobs durably accepted");
        let cached = counter("jobs_cached", "Jobs answered from the store");
        let rendered = counter("jobs_rendered", "Jobs drawn");
        let failed = counter("jobs_failed", "Jobs failed");
        let cancelled = counter("jobs_cancelled", "Jobs cancelled");
        let refused = counter("jobs_refused", "Jobs refused at the door");
        let spend_micros_usd = counter("spend_micros_usd", "Money spent, in millionths of a US dollar");
        let open = Gauge::default();
        registry.register("jobs_open", "Jobs accepted and not ended", open.clone());
        // From a cached look-up to a large local model.
        let bounds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
        let render_seconds = Histogram::new(bounds);
        registry.register("render_seconds", "Wall time of one attempt that gave a render", render_seconds.clone());
        Self {
            registry,
            accepted,
            cached,
            rendered,
            failed,
            cancelled,
            refused,
            spend_micros_usd,
            open,
            render_seconds,
        }
    }
}

impl Metrics {
    /// A job became durable.
    pub fn accepted(&self) {
        self.accepted.inc();
    }

    /// A job was turned away.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A job was answered from the store at the door.
    pub fn cached(&self) {
        self.cached.inc();
    }

    /// A call was paid, whether or not a picture came of it.
    pub fn spent(&self, amount: Micros) {
        self.spend_micros_usd.inc_by(amount.0);
    }

    /// A job ended.
    pub fn ended(&self, ending: &Ending) {
        match ending {
            Ending::Done { cached: true, .. } => self.cached.inc(),
            Ending::Done { render, .. } => {
                self.render_seconds.observe(render.latency_ms as f64 / 1000.0);
                self.rendered.inc()
            }
            Ending::Failed(_) => self.failed.inc(),
            Ending::Cancelled => self.cancelled.inc(),
        };
    }

    /// How many jobs are open now.
    pub fn open_jobs(&self, open: usize) {
        self.open.set(open as i64);
    }

    /// Jobs that are open now.
    pub fn open(&self) -> usize {
        usize::try_from(self.open.get()).unwrap_or(0)
    }

    /// Everything in the Prometheus text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
