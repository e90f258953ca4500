//! Proving who one is: which mechanism, and what it says.
//!
//! Spec: RFC 6120 6 (SASL in XMPP), RFC 4616 (PLAIN), XEP-0440 (channel-binding types).
//! Owns: the choice. Invariants: PLAIN only where the connection is encrypted; a mechanism with channel binding whenever
//! both sides can, so that nobody in between can relay the log-in.
//! Not here: SCRAM's messages (`scram`), the elements that carry them (`session`).

mod scram;

pub(crate) use scram::Scram;

/// The hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

/// A log-in that is under way.
#[derive(Debug)]
pub(crate) enum Mechanism {
    Plain,
    Scram(Scram),
}

/// What the mechanism knows of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    pub(crate) encrypted: bool,
    /// `tls-exporter` (RFC 9266), where TLS 1.3 gives one.
    pub(crate) exporter: Option<[u8; 32]>,
}

/// SCRAM's gs2-cbind-flag (RFC 5802 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// `n`: this client cannot.
    Unsupported,
    /// `y`: this client can, and the exchange said that it cannot; it will notice if somebody took its offer away.
    NotOffered,
    /// `p=tls-exporter`.
    Exporter([u8; 32]),
}

/// The best of what is offered, with its name.
pub(crate) fn choose(
    offered: &[&str],
    binding_types: &[&str],
    channel: Channel,
) -> Option<(&'static str, Choice)> {
    let offers = |name| offered.contains(&name);
    let plus_offered = offers("SCRAM-SHA-256-PLUS") || offers("SCRAM-SHA-1-PLUS");
    let exporter_offered = binding_types.contains(&"tls-exporter");
    if let Some(exporter) = channel.exporter.filter(|_| exporter_offered) {
        for (name, hash) in [("SCRAM-SHA-256-PLUS", Hash::Sha256), ("SCRAM-SHA-1-PLUS", Hash::Sha1)] {
            if offers(name) {
                return Some((name, Choice::Scram(hash, Binding::Exporter(exporter))));
            }
        }
    }
    // RFC 5802 6: "y" would be a lie where the exchange offers -PLUS but no type that we know.
    let flag = match channel.exporter {
        Some(_) if !plus_offered => Binding::NotOffered,
        _ => Binding::Unsupported,
    };
    for (name, hash) in [("SCRAM-SHA-256", Hash::Sha256), ("SCRAM-SHA-1", Hash::Sha1)] {
        if offers(name) {
            return Some((name, Choice::Scram(hash, flag)));
        }
    }
    (offers("PLAIN") && channel.encrypted).then_some(("PLAIN", Choice::Plain))
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Plain,
    Scram(Hash, Binding),
}

/// RFC 4616 2: no authorization identity, the number, the password.
pub(crate) fn plain(number: &str, password: &str) -> Vec<u8> {
    format!("\0{number}\0{password}").into_bytes()
}

#[cfg(test)]
mod tests;
