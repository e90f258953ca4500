//! The channel binding `tls-server-end-point`: a hash of the certificate that a client was shown.
//!
//! Spec: RFC 5929 section 4.1: the hash function of the certificate's own signature, SHA-256 where that is MD5 or SHA-1.
//! Not here: certificates themselves (`certs`), what the binding is for (`session`).

use sha2::{Digest, Sha256, Sha384, Sha512};

/// DER's tags for a sequence and an object identifier.
const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;

/// The binding of a certificate; none where the RFC defines none (EdDSA, RSA-PSS), or for what is no certificate.
pub(super) fn of(certificate: &[u8]) -> Option<Box<[u8]>> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { algorithm OBJECT, .. }, .. }
    let (inside, _) = take(certificate, SEQUENCE)?;
    let (_, behind) = take(inside, SEQUENCE)?;
    let (algorithm, _) = take(behind, SEQUENCE)?;
    let (object, _) = take(algorithm, OBJECT)?;
    match object {
        // RSA (RFC 8017 A.2.4) with MD5, SHA-1, SHA-256; ECDSA (RFC 5758 3.2) with SHA-1, SHA-256.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04 | 0x05 | 0x0b]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02] => {
            Some(Sha256::digest(certificate).to_vec().into())
        }
        // The same with SHA-384.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] => {
            Some(Sha384::digest(certificate).to_vec().into())
        }
        // And with SHA-512.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] => {
            Some(Sha512::digest(certificate).to_vec().into())
        }
        _ => None,
    }
}

/// Takes one value with this tag from the front: what is in it, and what stands behind it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, short], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        // X.690 8.1.3.5: so many octets of length follow. A certificate is shorter than 16 MiB.
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(len)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_has_its_hash() {
        let signed = |algorithm| {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.self_signed(&pair).unwrap().der().to_vec()
        };
        let p256 = signed(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(of(&p256).as_deref(), Some(&Sha256::digest(&p256)[..]));
        let p384 = signed(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(of(&p384).as_deref(), Some(&Sha384::digest(&p384)[..]));
        assert_eq!(of(&signed(&rcgen::PKCS_ED25519)), None);
        for cut in 0..40 {
            of(&p256[..cut]);
        }
        assert_eq!(of(b"no certificate"), None);
    }
}
