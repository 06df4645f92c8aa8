//! Which addresses a webhook may call.
//!
//! Whoever may set a bot's webhook could otherwise make this machine ask its own services, its network's or
//! its cloud's. So a name is judged by what it resolves to, at every connection anew, and the addresses that
//! were judged are the only ones that are connected to: a name that resolves to another address later
//! (DNS rebinding) gains nothing. The ranges are those of the IANA special-purpose registries.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;
use url::{Host, Url};

use crate::driver::ports::BoxFuture;

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Those that everybody on the internet can reach.
    Public,
    /// All of them, this machine's included.
    All,
}

impl Allowed {
    /// Whether an address may be called.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Public => is_public(address),
        }
    }
}

/// Whether an address can be called at all, as far as it can be told without asking anybody.
///
/// # Errors
/// What is wrong with it, in words.
pub fn judge_url(url: &Url, allowed: Allowed) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it begins with https:// or http://");
    }
    let address = match url.host() {
        None => return Err("it names no host"),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
    };
    if allowed.allows(address) {
        return Ok(());
    }
    Err(
        "it is an address of this machine or of a private network; allow_private_addresses permits that",
    )
}

/// Resolves names, and drops the addresses that may not be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    pub allowed: Allowed,
}

/// No address of a name may be called.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} resolves to addresses of this machine or of a private network only; \
     allow_private_addresses permits that"
)]
struct Forbidden(String);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(resolve(name.as_str().to_owned(), self.allowed))
    }
}

async fn resolve(name: String, allowed: Allowed) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let addresses = permitted(found, allowed);
    if addresses.is_empty() {
        return Err(io::Error::other(Forbidden(name)));
    }
    Ok(addresses.into_iter())
}

fn permitted(found: impl Iterator<Item = SocketAddr>, allowed: Allowed) -> Vec<SocketAddr> {
    found.filter(|address| allowed.allows(address.ip())).collect()
}

/// Whether an address is one that the internet routes.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match inner_v4(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let relay = (a, b, c) == (192, 88, 99);
    let benchmark = a == 198 && (18..20).contains(&b);
    let reserved = a >= 240;
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || shared
        || protocols
        || relay
        || benchmark
        || reserved)
}

/// Only what is given out as global unicast is public, less what is special within it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = a & 0xe000 == 0x2000;
    // 2001::/23 are protocols, Teredo among them, which carries an address of version 4.
    let protocols = a == 0x2001 && b < 0x0200;
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    global && !protocols && !documentation
}

/// The address of version 4 that one of version 6 stands for.
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        // Mapped, compatible, and translated (RFC 4291, 2765).
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) => Some(from(g, h)),
        (0, 0, 0, 0, 0, 0) if g != 0 => Some(from(g, h)),
        // NAT64 (RFC 6052).
        (0x0064, 0xff9b, 0, 0, 0, 0) => Some(from(g, h)),
        // 6to4 (RFC 3056).
        (0x2002, ..) => Some(from(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> bool {
        Allowed::Public.allows(address.parse().expect("an address"))
    }

    /// Goal: what is this machine's, its network's, its cloud's or nobody's is not called, in any disguise;
    /// what everybody can reach is.
    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(public(address), "{address}");
        }
    }

    /// Goal: an address in a url is judged when the webhook is set, other schemes are refused, and names
    /// are judged later. Strange spellings are one address.
    #[test]
    fn a_url_is_judged_before_it_is_called() {
        let judged = |url: &str, allowed| judge_url(&url.parse().expect("a url"), allowed).is_ok();
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]:8080/",
            "http://169.254.169.254/latest/meta-data/",
            "ftp://bot.example/",
            "data:text/plain,hello",
        ] {
            assert!(!judged(url, Allowed::Public), "{url}");
        }
        assert!(judged("https://bot.example/hook", Allowed::Public));
        assert!(judged("http://localhost:9/hook", Allowed::Public));
        assert!(judged("http://127.0.0.1:9/hook", Allowed::All));
        assert!(!judged("file:///etc/passwd", Allowed::All));
    }

    /// Goal: of the addresses of a name only those that may be called are left, and a name that has none
    /// is an error that says so. Method: `localhost`, which resolves without a network.
    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let mixed = ["127.0.0.1:0", "8.8.8.8:0", "[fe80::1]:0"].map(|it| it.parse().expect("one"));
        let left = permitted(mixed.into_iter(), Allowed::Public);
        assert_eq!(left, ["8.8.8.8:0".parse().expect("one")]);
        let resolve = |allowed| resolve("localhost".to_owned(), allowed);
        let refused = resolve(Allowed::Public).await.expect_err("it is this machine");
        assert!(refused.to_string().contains("allow_private_addresses"), "{refused}");
        let found = resolve(Allowed::All).await.expect("it resolves");
        assert!(found.count() > 0);
    }
}
