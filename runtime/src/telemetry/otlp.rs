//! Spans on their way to a collector, by OTLP over HTTP.
//!
//! Owns the exporter, and what the log says of it. Where it sends to is said by the variables that OpenTelemetry
//! itself names (`OTEL_EXPORTER_OTLP_ENDPOINT` and the others); without an endpoint nothing is sent. A thread of its own
//! sends in batches; what a collector does not take in time is dropped, and the node does not wait for it.
//! **Invariant:** nothing that may hold contents is sent: of our own spans and of no others, with no more of the
//! events in them than `info` logs.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter as OtlpExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::{Level, Metadata, Subscriber, info, warn};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// How long the last spans may take to be sent when the node ends.
const END_MAX: Duration = Duration::from_secs(3);

/// Where to send is said by one of these.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Spans are being sent.
#[derive(Debug)]
pub(super) struct Sending {
    provider: SdkTracerProvider,
    collector: String,
}

/// Begins to send, where there is an endpoint.
///
/// # Errors
/// When the endpoint makes no sense.
pub(super) fn start<S>() -> Result<Option<(impl Layer<S>, Sending)>, ExporterBuildError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let set = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let Some(endpoint) = ENDPOINTS.into_iter().find_map(set) else { return Ok(None) };
    let collector = without_secrets(&endpoint);
    // The exporter's own client needs to know whose cryptography to use.
    drop(crate::tls::client_builder());
    let exporter = Exporter {
        otlp: OtlpExporter::builder().with_http().build()?,
        collector: collector.clone(),
        is_failing: AtomicBool::new(false),
    };
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(named()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("anteroom"));
    let filter = filter_fn(is_sent).with_max_level_hint(LevelFilter::DEBUG);
    Ok(Some((layer.with_filter(filter), Sending { provider, collector })))
}

/// The node as spans name it: as the environment says, else `anteroom`.
fn named() -> Resource {
    let resource = Resource::builder();
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.with_service_name("anteroom").build(),
    }
}

/// Our own spans, of whatever level, and of the events in them those that `info` logs.
fn is_sent(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().starts_with("anteroom");
    is_ours && (metadata.is_span() || *metadata.level() <= Level::INFO)
}

/// An endpoint as the log may name it: without the user and the path that it may have.
fn without_secrets(endpoint: &str) -> String {
    match Url::parse(endpoint.trim()) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "an endpoint that is no address".to_owned(),
    }
}

impl Sending {
    /// Logs where spans go.
    pub(super) fn announce(&self) {
        info!(collector = self.collector, "spans are sent");
    }

    /// Sends what is left, for a while.
    pub(super) fn finish(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(END_MAX) {
            warn!(collector = self.collector, %error, "the last spans were not sent");
        }
    }
}

/// An exporter that logs, once each time, that spans are not taken, and that they are again.
#[derive(Debug)]
struct Exporter {
    otlp: OtlpExporter,
    collector: String,
    is_failing: AtomicBool,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.otlp.export(batch).await;
        let collector = self.collector.as_str();
        match (&sent, self.is_failing.swap(sent.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => warn!(
                collector,
                %error,
                "the collector does not take spans: until it does they are dropped, and nothing waits for it"
            ),
            (Ok(()), true) => info!(collector, "the collector takes spans again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.otlp.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what the log names is the collector, and nothing that opens it.
    #[test]
    fn a_collector_is_named_without_what_opens_it() {
        for (endpoint, named) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            (" https://user:secret@collector.example/key/secret ", "https://collector.example"),
            ("collector", "an endpoint that is no address"),
        ] {
            assert_eq!(without_secrets(endpoint), named, "{endpoint}");
        }
    }
}
