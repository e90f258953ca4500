//! `/metrics`: what has happened, in the words of Prometheus and OpenMetrics.
//!
//! Spec: OpenMetrics 1.0 (text). Owns: the names; `docs/metrics.md` says what each means, and a test holds the two together.
//! Invariants: asking costs each loop one letter; what a loop did not answer is missing from the sums, and
//! `switchboard_loops_silent` says so. Only addresses in `[http] metrics_from` are told, and nobody through a proxy
//! that is not trusted.
//! Not here: counting (`counts`).

use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Client, Site, Way, health};
use crate::counts::{CARRIERS, Facts, LoopCounts};

/// OpenMetrics 1.0, "Content negotiation"; Prometheus reads it since 2.5.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(
    State(site): State<Arc<Site>>,
    ConnectInfo(way): ConnectInfo<Way>,
    headers: HeaderMap,
) -> Response {
    if !may_ask(&site, way, &headers) {
        let reason = "metrics are told to [http] metrics_from only\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    let Some(facts) = health::read(&site).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match write(facts) {
        Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn may_ask(site: &Site, way: Way, headers: &HeaderMap) -> bool {
    let client = Client::of(site, way, headers);
    let through_a_stranger = client.forwarded && client.remote == way.remote;
    !through_a_stranger
        && site.instruments.metrics_from.iter().any(|prefix| prefix.contains(client.remote.ip()))
}

fn write(facts: Facts) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("switchboard");
    registry.register_collector(Box::new(Shown(facts)));
    let mut body = String::new();
    text::encode(&mut body, &registry)?;
    Ok(body)
}

/// Facts as a collector.
#[derive(Debug)]
struct Shown(Facts);

impl prometheus_client::collector::Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let facts = &self.0;
        let mut sum = LoopCounts::default();
        facts.loops.iter().flatten().for_each(|counts| sum.add(counts));
        let silent = facts.loops.iter().filter(|counts| counts.is_none()).count();
        let mut page = Page { encoder: &mut encoder };

        page.info("build", "The version that runs.", &[("version", env!("CARGO_PKG_VERSION"))])?;
        page.gauge_in(
            "uptime",
            "Time since the exchange began.",
            &Unit::Seconds,
            facts.uptime.as_secs_f64(),
        )?;
        page.gauge("loops", "Event loops.", facts.loops.len() as i64)?;
        page.gauge("loops_silent", "Event loops that did not answer this request in time.", silent as i64)?;

        let carriers = || CARRIERS.iter().map(|carrier| carrier.name());
        let open =
            sum.opened.iter().zip(&sum.closed).map(|(opened, closed)| opened.saturating_sub(*closed) as i64);
        page.gauges("connections", "Connections that are open.", "carrier", carriers().zip(open))?;
        let opened = carriers().zip(sum.opened);
        page.counters("connections_opened", "Connections that were taken in.", "carrier", opened)?;
        page.gauge("sessions", "Sessions that have a resource.", sum.bound as i64)?;
        let mut ended = vec![
            ("client".to_owned(), sum.ended_by_client),
            ("connection-lost".to_owned(), sum.ended_by_loss),
            ("exchange".to_owned(), sum.ended_by_exchange),
        ];
        ended.extend(sum.ended_by_error.iter().map(|(kind, count)| (kind.to_string(), *count)));
        page.counters("sessions_ended", "Conversations that ended, and why.", "reason", ended.into_iter())?;
        page.counter(
            "accept_pauses",
            "Times that accepting stopped for want of descriptors or places.",
            sum.accept_pauses,
        )?;
        page.counter("tls_failures", "TLS handshakes and connections that a peer broke.", sum.tls_failures)?;
        page.counter(
            "segments_handed_on",
            "Segments on our own stack that came to a loop which does not hold their connection.",
            sum.segments_handed_on,
        )?;
        page.counter(
            "strays_lost",
            "Packets for other loops that found no room in their mailboxes.",
            sum.strays_lost,
        )?;
        let log_ins = [("succeeded", sum.log_ins), ("failed", sum.log_ins_failed)];
        page.counters("log_ins", "Attempts to log in.", "outcome", log_ins.into_iter())?;

        let kinds = ["message", "presence", "iq"].into_iter().zip(sum.stanzas_in);
        page.counters("stanzas_received", "Stanzas that clients sent.", "kind", kinds)?;
        page.counter("stanzas_delivered", "Stanzas that were given to clients.", sum.stanzas_out)?;
        page.counter_in("received", "Octets read from connections.", &Unit::Bytes, sum.octets_in)?;
        page.counter_in(
            "sent",
            "Octets of streams that went out, before framing and TLS.",
            &Unit::Bytes,
            sum.octets_out,
        )?;

        page.gauge(
            "store_up",
            "Whether the store answered this request in time.",
            i64::from(facts.store_answers),
        )?;
        page.gauge(
            "store_waiting",
            "Requests that the store has not answered yet.",
            sum.store_outstanding as i64,
        )?;
        page.counter("store_requests", "Requests that the store answered.", facts.store_requests)?;
        page.counter("store_commits", "Groups of requests that it committed together.", facts.store_batches)?;
        page.counter(
            "store_failures",
            "Requests that it could not do: its disk is full, or it failed.",
            facts.store_failures,
        )?;
        page.counter_in(
            "store_busy",
            "Time that it spent on them, the disk included.",
            &Unit::Seconds,
            facts.store_busy_seconds,
        )?;

        if let Some(process) = Process::read() {
            page.gauge_in(
                "process_resident_memory",
                "Memory of the process.",
                &Unit::Bytes,
                process.resident as f64,
            )?;
            page.gauge(
                "process_open_descriptors",
                "Descriptors of the process.",
                process.descriptors as i64,
            )?;
            page.gauge("process_descriptors_max", "As many as it may have.", process.descriptors_max as i64)?;
        }
        Ok(())
    }
}

/// The page under way: one call a figure.
struct Page<'p, 'e> {
    encoder: &'p mut DescriptorEncoder<'e>,
}

impl Page<'_, '_> {
    fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, &'static str)]) -> std::fmt::Result {
        let info = prometheus_client::metrics::info::Info::new(labels.to_vec());
        info.encode(self.encoder.encode_descriptor(name, help, None, MetricType::Info)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> std::fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn gauge_in(&mut self, name: &str, help: &str, unit: &Unit, value: f64) -> std::fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.encoder.encode_descriptor(name, help, Some(unit), MetricType::Gauge)?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn counter_in<N>(&mut self, name: &str, help: &str, unit: &Unit, value: N) -> std::fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        let counter = ConstCounter::new(value);
        counter.encode(self.encoder.encode_descriptor(name, help, Some(unit), MetricType::Counter)?)
    }

    fn gauges<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (L, i64)>,
    ) -> std::fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (at, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&[(label, at.as_ref())])?)?;
        }
        Ok(())
    }

    fn counters<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (L, u64)>,
    ) -> std::fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (at, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&[(label, at.as_ref())])?)?;
        }
        Ok(())
    }
}

/// What the system says of this process.
struct Process {
    resident: u64,
    descriptors: usize,
    descriptors_max: u64,
}

impl Process {
    fn read() -> Option<Self> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Some(Self {
            resident: pages * rustix::param::page_size() as u64,
            descriptors,
            descriptors_max: limit.current.unwrap_or(u64::MAX).min(i64::MAX as u64),
        })
    }
}

#[cfg(test)]
mod tests;
