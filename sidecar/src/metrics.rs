//! Counters for people who watch a sidecar, in the Prometheus text format.

use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use thumbforge_core::job::Ending;
use thumbforge_core::money::Micros;

use crate::engine::CardMemory;

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
    /// One look at a time: nobody reads half of another's.
    cards: Mutex<Cards>,
}

/// Memory of graphics cards, by card and by what it is held for.
struct Cards {
    cap: Family<Pool, Gauge>,
    reserved: Family<Pool, Gauge>,
    used: Family<Pool, Gauge>,
    peak: Family<Pool, Gauge>,
    fragmentation: Family<Pool, Gauge<f64, AtomicU64>>,
    refused: Family<Pool, Gauge>,
}

/// A share of a card's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    card: u32,
    class: &'static str,
}

impl Cards {
    fn of(registry: &mut Registry) -> Self {
        let mut gauge = |name: &str, help: &str| {
            let gauge = Family::<Pool, Gauge>::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let cap = gauge("gpu_pool_cap_bytes", "The most that may be held of a card for this");
        let reserved = gauge("gpu_pool_reserved_bytes", "What is held of a card for this, used or not");
        let used = gauge("gpu_pool_used_bytes", "What is used of it");
        let peak = gauge("gpu_pool_reserved_peak_bytes", "The most that was held");
        let refused = gauge("gpu_pool_refused", "How often there was not as much as was asked");
        let fragmentation = Family::default();
        let help = "How much of what is held unused does not lie in one piece, from 0 to 1";
        registry.register("gpu_pool_fragmentation", help, fragmentation.clone());
        Self { cap, reserved, used, peak, fragmentation, refused }
    }

    /// Forgets every card.
    fn clear(&self) {
        [&self.cap, &self.reserved, &self.used, &self.peak, &self.refused]
            .into_iter()
            .for_each(|family| family.clear());
        self.fragmentation.clear();
    }

    fn set(&self, memory: &CardMemory) {
        let pool = Pool { card: memory.card, class: memory.class };
        let whole = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        for (family, value) in [
            (&self.cap, memory.cap_bytes),
            (&self.reserved, memory.reserved_bytes),
            (&self.used, memory.used_bytes),
            (&self.peak, memory.peak_bytes),
            (&self.refused, memory.refused),
        ] {
            family.get_or_create(&pool).set(whole(value));
        }
        self.fragmentation.get_or_create(&pool).set(memory.fragmentation);
    }
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
        let cards = Mutex::new(Cards::of(&mut registry));
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
            cards,
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

    /// Everything in the Prometheus text format, with the memory of cards as it is now.
    pub fn text(&self, cards: &[CardMemory]) -> String {
        let gauges = self.cards.lock();
        // A card that was closed holds nothing, and says nothing any more.
        gauges.clear();
        cards.iter().for_each(|memory| gauges.set(memory));
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_cards_is_told_by_card_and_class() {
        let metrics = Metrics::default();
        assert!(!metrics.text(&[]).contains("gpu_pool_used_bytes{"), "a machine without cards says nothing of them");
        let memory = CardMemory {
            card: 1,
            class: "drafts",
            cap_bytes: 100,
            reserved_bytes: 60,
            used_bytes: 40,
            peak_bytes: 80,
            fragmentation: 0.25,
            refused: 3,
        };
        let text = metrics.text(&[memory]);
        for line in [
            "thumbforge_gpu_pool_cap_bytes{card=\"1\",class=\"drafts\"} 100",
            "thumbforge_gpu_pool_reserved_bytes{card=\"1\",class=\"drafts\"} 60",
            "thumbforge_gpu_pool_used_bytes{card=\"1\",class=\"drafts\"} 40",
            "thumbforge_gpu_pool_reserved_peak_bytes{card=\"1\",class=\"drafts\"} 80",
            "thumbforge_gpu_pool_fragmentation{card=\"1\",class=\"drafts\"} 0.25",
            "thumbforge_gpu_pool_refused{card=\"1\",class=\"drafts\"} 3",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
        }
        let text = metrics.text(&[]);
        assert!(!text.contains("card="), "a card that was closed says nothing:\n{text}");
    }
}
