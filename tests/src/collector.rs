//! A collector of OpenTelemetry: it takes spans over HTTP, and tells of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span as SentSpan;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::observed::Observed;

/// Where spans are sent to.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    heard: Arc<Observed<Heard>>,
    _serving: AbortOnDropHandle<()>,
}

/// What a collector was told.
#[derive(Debug, Default)]
pub struct Heard {
    /// How many requests came.
    pub requests: usize,
    /// All of them, as they were sent.
    pub bytes: Vec<u8>,
    /// The spans in them, in the order in which they came.
    pub spans: Vec<Span>,
}

/// A span as it was sent.
#[derive(Debug, Clone)]
pub struct Span {
    /// What it is a span of.
    pub name: String,
    /// The service that sent it.
    pub service: String,
    /// Its attributes, as texts.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts one on a free port that takes all it is sent.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When the address is taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::answering(address, true).await
    }

    /// Starts one that hears everything, and never answers.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start_silent() -> Self {
        Self::answering(SocketAddr::from(([127, 0, 0, 1], 0)), false).await
    }

    async fn answering(address: SocketAddr, answers: bool) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("it is bound");
        let heard = Arc::new(Observed::new(Heard::default()));
        let takes = async move |State(heard): State<Arc<Observed<Heard>>>, body: Bytes| {
            heard.update(|heard| heard.hear(&body));
            if !answers {
                std::future::pending::<()>().await;
            }
        };
        let app = Router::new().route("/v1/traces", post(takes)).with_state(Arc::clone(&heard));
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("a listener goes on listening");
        });
        Self { address, heard, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Where it is, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was told.
    pub fn heard(&self) -> &Observed<Heard> {
        &self.heard
    }
}

impl Heard {
    fn hear(&mut self, body: &[u8]) {
        self.requests += 1;
        self.bytes.extend_from_slice(body);
        let request = ExportTraceServiceRequest::decode(body).expect("it is a request of OTLP");
        for of_resource in request.resource_spans {
            let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
            let service = resource.get("service.name").cloned().unwrap_or_default();
            let sent = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            self.spans.extend(sent.map(|span| Span::read(span, &service)));
        }
    }

    /// The spans of a name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }
}

impl Span {
    fn read(span: SentSpan, service: &str) -> Self {
        let attributes = attributes(span.attributes);
        Self { name: span.name, service: service.to_owned(), attributes }
    }

    /// An attribute; nothing where it has none of this name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

fn attributes(sent: Vec<KeyValue>) -> BTreeMap<String, String> {
    sent.into_iter().map(|KeyValue { key, value, .. }| (key, text(value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
