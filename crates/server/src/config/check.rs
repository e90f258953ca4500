//! The check: what no single value of a configuration shows.
//! Spec: RFC 6120 4.9.3.18 and 13.12 (limits of stanzas), RFC 7677 4 (iterations).
//! Invariants: a reason comes with the field that it is about, by the name that the file has for it.
//! Not here: what each value means (`config`), where it stands in a file (`file`).

use std::fmt;
use std::time::Duration;

use super::{Config, LOOPS_MAX, NETWORKS_MAX, NetworkSpec};

const STANZA_MAX_CEILING: usize = 16 * 1024 * 1024;

/// A value that parses but cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The field, with its table: `limits.stanza_max`.
    pub field: &'static str,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl std::error::Error for Unfit {}

impl Config {
    /// Checks what no single value shows. A field's name comes with the reason.
    pub fn check(&self) -> Result<(), Unfit> {
        let unfit = |field, reason: &str| Err(Unfit { field, reason: reason.to_owned() });
        if self.domain.is_empty() || self.domain.len() > 1023 {
            return unfit("domain", "a domain has 1 to 1023 bytes");
        }
        if self.networks.is_empty() || self.networks.len() > NETWORKS_MAX {
            return unfit(
                "networks",
                "name at least one, `kernel` or `tun:NAME,ADDR/PREFIX`, and at most 16",
            );
        }
        for (index, network) in self.networks.iter().enumerate() {
            let same = |other: &NetworkSpec| match (network, other) {
                (NetworkSpec::Kernel, NetworkSpec::Kernel) => true,
                (NetworkSpec::Tun(a), NetworkSpec::Tun(b)) => {
                    a.name == b.name || a.addresses.iter().any(|(address, _)| b.owns(*address))
                }
                _ => false,
            };
            if self.networks[..index].iter().any(same) {
                return unfit("networks", "two of them are the same, or have the same name or address");
            }
        }
        for (field, listener) in [
            ("listen.tcp", &self.listen.tcp),
            ("listen.tls", &self.listen.tls),
            ("listen.quic", &self.listen.quic),
        ] {
            if listener.iter().any(|address| self.networks_of(address.ip()).is_empty()) {
                return unfit(
                    field,
                    "an address of none of the networks: add the network `kernel`, or take the stack's own address",
                );
            }
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            let missing = if self.tls.cert.is_some() { "tls.cert" } else { "tls.key" };
            return unfit(missing, "`cert` and `key` belong together: name both or neither");
        }
        // RFC 6120 4.9.3.18 and 13.12: no limit below 10,000 bytes.
        if self.limits.stanza_max_unauth < 10_000 {
            return unfit("limits.stanza_max_unauth", "RFC 6120 13.12 asks for at least 10000 bytes");
        }
        if self.limits.stanza_max < self.limits.stanza_max_unauth {
            return unfit("limits.stanza_max", "must not be below `stanza_max_unauth`");
        }
        if self.limits.stanza_max > STANZA_MAX_CEILING {
            return unfit("limits.stanza_max", "at most 16777216 bytes (16 MiB)");
        }
        if self.limits.output_max < self.limits.stanza_max {
            return unfit("limits.output_max", "must hold at least one stanza of `stanza_max`");
        }
        if self.limits.unacked_bytes_max < self.limits.stanza_max {
            return unfit("limits.unacked_bytes_max", "must hold at least one stanza of `stanza_max`");
        }
        // RFC 7677 4: the iteration count SHOULD be at least 4096.
        if !(4096..=10_000_000).contains(&self.security.scram_iterations) {
            return unfit("security.scram_iterations", "between 4096 (RFC 7677) and 10000000");
        }
        if self.security.mechanisms.is_empty() {
            return unfit("security.mechanisms", "with no mechanism nobody can log in: name at least one");
        }
        if let Some(web) = &self.registration.web
            && !(web.starts_with("https://") || web.starts_with("http://"))
        {
            return unfit("registration.web", "an address that begins with https:// or http://");
        }
        if self.engine.loops > LOOPS_MAX {
            return unfit("engine.loops", "at most 64 loops");
        }
        if self.engine.mailbox_max == 0 || self.engine.store_queue_max == 0 {
            return unfit("engine", "a queue must hold at least one entry");
        }
        if self.pep.items_max == 0 {
            return unfit("pep.items_max", "a node holds at least 1 item");
        }
        if self.archive.per_account_max == 0 {
            return unfit(
                "archive.per_account_max",
                "at least 1 message; `default = \"never\"` switches it off",
            );
        }
        // A month; longer waits would outlive what `<failed/>` can tell.
        if self.resume.time > Duration::from_secs(30 * 86_400) {
            return unfit("resume.secs", "at most 2592000 seconds (30 days)");
        }
        if self.quic.streams_max == 0 || self.quic.streams_max > 1000 {
            return unfit("quic.streams_max", "between 1 and 1000 streams");
        }
        Ok(())
    }
}
