//! Spans on their way to a collector, by OTLP over HTTP.
//!
//! Owns the exporter. Where it sends to is said by the variables that OpenTelemetry itself names
//! (`OTEL_EXPORTER_OTLP_ENDPOINT` and the others); without an endpoint nothing is sent. A thread of its own sends in batches;
//! what a collector does not take in time is dropped, and the node does not wait for it.

use std::env;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// How long the last spans may take to be sent when the node ends.
const END_MAX: Duration = Duration::from_secs(3);

/// Where to send is said by one of these.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Spans are being sent.
#[derive(Debug)]
pub(super) struct Sending(SdkTracerProvider);

/// Begins to send, where there is an endpoint.
///
/// # Errors
/// When the endpoint makes no sense.
pub(super) fn start<S>()
-> Result<Option<(OpenTelemetryLayer<S, SdkTracer>, Sending)>, ExporterBuildError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !ENDPOINTS.into_iter().any(is_set) {
        return Ok(None);
    }
    // The exporter's own client needs to know whose cryptography to use.
    drop(crate::tls::client_builder());
    let exporter = SpanExporter::builder().with_http().build()?;
    let resource = Resource::builder().with_service_name("anteroom").build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("anteroom"));
    Ok(Some((layer, Sending(provider))))
}

impl Sending {
    /// Sends what is left, for a while.
    pub(super) fn finish(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_MAX) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
