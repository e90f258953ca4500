//! Hex: octets as XMPP writes digests and names that are drawn.
//! Spec: XEP-0084 and XEP-0153 (the SHA-1 of a picture, in small letters).
//! Owns: nothing.
//! Not here: which octets (their features), base64 (a library).

/// Two small letters or digits an octet.
#[must_use]
pub fn hex(octets: impl AsRef<[u8]>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = octets.as_ref().iter().flat_map(|o| [o >> 4, o & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn two_digits_an_octet() {
        assert_eq!(hex([0x00, 0x7f, 0xa0, 0xff]), "007fa0ff");
        assert_eq!(hex([]), "");
    }
}
