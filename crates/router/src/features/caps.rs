//! Entity capabilities of the exchange: a hash of what it understands, so that a client asks once a version.
//!
//! Spec: XEP-0115 sections 5.1 (the hash) and 6.3 (stream features).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use xmpp::{ns, write};

use super::{Feature, server_features};
use crate::config::RouterConfig;

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = ();
    type Line = ();
    type Wait = ();

    const SERVER: &'static [&'static str] = &[ns::CAPS];

    fn write_stream_features(cfg: &RouterConfig, out: &mut Vec<u8>) {
        let ver = hash(&[("server", "im", &cfg.software)], &server_features());
        let caps = write::open(out, "c").ns(ns::CAPS).attr("hash", "sha-1");
        caps.attr("node", &cfg.caps_node).attr("ver", &ver).empty();
    }
}

/// 5.1: identities as `category/type/lang/name`, then features, each sorted and followed by `<`.
pub(super) fn hash(identities: &[(&str, &str, &str)], features: &[&str]) -> String {
    let mut text = String::new();
    for (category, kind, name) in identities {
        text.extend([category, "/", kind, "//", name, "<"]);
    }
    for feature in features {
        text.extend([feature, "<"]);
    }
    STANDARD.encode(Sha1::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    /// The example of XEP-0115 5.2.
    #[test]
    fn the_hash_is_that_of_the_example() {
        let features = [
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
        ];
        let ver = super::hash(&[("client", "pc", "Exodus 0.9.1")], &features);
        assert_eq!(ver, "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
