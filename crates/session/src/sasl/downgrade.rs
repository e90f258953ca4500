//! Downgrade protection: what the exchange offered, hashed into what a SCRAM proof covers, so that nobody in between can
//! have taken the stronger offers away.
//!
//! Spec: XEP-0474 section 5.1.
//! Not here: what is offered (`negotiation`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::sasl::Mechanism;

/// The value of SCRAM's attribute `h`: the mechanisms and the types of channel binding that were offered in the profile
/// of SASL that is spoken, by the hash of the mechanism that is used.
pub(crate) fn hash(used: Mechanism, mechanisms: &[&str], bindings: &[&str]) -> String {
    let text = text(mechanisms, bindings);
    match used {
        Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => BASE64.encode(Sha1::digest(text)),
        _ => BASE64.encode(Sha256::digest(text)),
    }
}

fn text(mechanisms: &[&str], bindings: &[&str]) -> String {
    let join = |names: &[&str]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.join("\x1e")
    };
    let mut text = join(mechanisms);
    if !bindings.is_empty() {
        text.push('\x1f');
        text.push_str(&join(bindings));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of XEP-0474 section 5.3.
    #[test]
    fn the_example_of_the_document() {
        let mechanisms = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];
        let bindings = ["tls-server-end-point", "tls-exporter"];
        assert_eq!(
            text(&mechanisms, &bindings),
            "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point"
        );
        let hash = |used| hash(used, &mechanisms, &bindings);
        assert_eq!(hash(Mechanism::ScramSha1Plus), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
        assert_ne!(hash(Mechanism::ScramSha256Plus), hash(Mechanism::ScramSha1Plus));
        assert_eq!(text(&["B", "A"], &[]), "A\x1eB");
    }
}
