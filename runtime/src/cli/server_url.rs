//! The address of a server, and of what it offers.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// A server's address: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUrl(Url);

/// Why a text is no server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidServerUrl {
    #[error("not an address: {0} (expected http://host:port)")]
    NoUrl(url::ParseError),
    #[error("{0}:// is not spoken here; use http:// (through a tunnel, if the way is not safe)")]
    Scheme(String),
    #[error("it has no host (expected http://host:port)")]
    NoHost,
}

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut url = Url::parse(text).map_err(InvalidServerUrl::NoUrl)?;
        if url.scheme() != "http" {
            return Err(InvalidServerUrl::Scheme(url.scheme().to_owned()));
        }
        if url.host().is_none() {
            return Err(InvalidServerUrl::NoHost);
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl ServerUrl {
    /// The address of what lies under these path segments, each of which may be any text.
    pub(super) fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The address of an absolute path that the server named, with one more segment.
    pub(super) fn at_path(&self, path: &str, segment: &str) -> Url {
        let mut segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        segments.push(segment);
        self.at(&segments)
    }

    /// The address of the provider connection.
    pub(super) fn provider_socket(&self) -> String {
        let url = self.at(&["v1", "provider"]);
        format!("ws{}", url.as_str().trim_start_matches("http"))
    }

    /// Whether the server runs on this machine, as far as its address tells.
    pub(super) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            None => false,
        }
    }

    /// What to tell people when nothing answers there.
    pub(super) fn unreachable(&self) -> String {
        format!("no server at {self} — start one with: anteroom serve")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an address leads to its endpoints, whatever a bot is called.
    #[test]
    fn endpoints_are_addressed() {
        let server: ServerUrl = "http://127.0.0.1:8787/".parse().expect("an address");
        assert_eq!(server.to_string(), "http://127.0.0.1:8787");
        assert_eq!(server.provider_socket(), "ws://127.0.0.1:8787/v1/provider");
        assert_eq!(
            server.at(&["v1", "bots", "a/b ?#é", "callbacks"]).as_str(),
            "http://127.0.0.1:8787/v1/bots/a%2Fb%20%3F%23%C3%A9/callbacks"
        );
        assert_eq!(server.at_path("/v1/media", "x").as_str(), "http://127.0.0.1:8787/v1/media/x");
        let below: ServerUrl = "http://host/below/".parse().expect("an address");
        assert_eq!(below.provider_socket(), "ws://host/below/v1/provider");
        assert!(server.is_loopback() && !below.is_loopback());
    }
}
