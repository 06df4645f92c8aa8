//! A server that speaks HTTPS, under an authority of its own that no system trusts by itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::mpsc;

use crate::PATIENCE;

/// A server that gives every request the same answer, and tells of those that it understood.
#[derive(Debug)]
pub struct HttpsServer {
    url: String,
    authority: String,
    requests: mpsc::UnboundedReceiver<String>,
}

impl HttpsServer {
    /// Starts a server whose certificate is for `localhost`; it answers with this JSON, and lives as long as the
    /// test.
    ///
    /// # Panics
    /// When no certificate can be made, or no port is free.
    pub fn start(answer: &'static str) -> Self {
        let (authority, config) = certified();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (tells, requests) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever does not trust the certificate ends the connection; that is what is tested.
                let _ = serve(stream, &config, answer, &tells);
            }
        });
        Self { url: format!("https://localhost:{port}"), authority, requests }
    }

    /// Where it is, such as `https://localhost:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes the certificate of its authority, for whoever is to trust it.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_authority(&self, path: &Path) {
        std::fs::write(path, &self.authority).expect("the file can be written");
    }

    /// The head of the next request that it understood.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn next_request(&mut self) -> String {
        let next = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
        next.expect("a request comes in time").expect("the server lives")
    }

    /// Whether there is no request that was not taken.
    pub fn has_heard_nothing(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

/// A new authority's certificate as text, and what serves under one that it issued.
fn certified() -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().expect("keys can be made");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, key);
    let issuer = issuer.expect("an authority vouches for itself");
    let key = KeyPair::generate().expect("keys can be made");
    let server = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let issued = server.signed_by(&key, &issuer).expect("an authority issues certificates");
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions of the protocol")
        .with_no_client_auth()
        .with_single_cert(vec![issued.der().clone()], private)
        .expect("the key belongs to the certificate");
    (issuer.as_ref().pem(), Arc::new(config))
}

/// Answers one request.
fn serve(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    answer: &str,
    tells: &mpsc::UnboundedSender<String>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(bytes) = lower.strip_prefix("content-length:") {
            length = bytes.trim().parse().map_err(io::Error::other)?;
        }
        head.push_str(&line);
    }
    stream.read_exact(&mut vec![0; length])?;
    let _ = tells.send(head);
    let stream = stream.get_mut();
    let length = answer.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{answer}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
