//! HTTP clients: where their TLS comes from.
//!
//! Owns the choice of the cryptography (ring, which MongoDB's driver uses as well) and of the
//! certificates that are trusted (the system's). The HTTP library has no default for either, and
//! panics where neither was chosen: every client of this project is built from here.

use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

/// A client for the world: it speaks HTTP, and HTTPS to whom the system trusts.
///
/// Building it fails where the system has no trusted certificates at all.
pub fn client_builder() -> ClientBuilder {
    if CryptoProvider::get_default().is_none() {
        // Somebody may have been quicker, which is as good.
        let _ = ring::default_provider().install_default();
    }
    unset_client_builder()
}

/// A client for plain HTTP, on this machine for example: it trusts nobody, and needs no certificates.
pub fn plain_client_builder() -> ClientBuilder {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions of the protocol")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    unset_client_builder().tls_backend_preconfigured(config)
}

/// A client whose TLS has been, or is about to be, chosen here.
#[expect(clippy::disallowed_methods, reason = "this is where clients come from")]
fn unset_client_builder() -> ClientBuilder {
    Client::builder()
}
