//! PLAIN: authorization id, name and password, each ended by NUL.
//!
//! Spec: RFC 4616 section 2.
//! Not here: whether PLAIN may be used (only under TLS: `negotiation`), checking the password (`keys`).

/// The message, read.
pub(crate) struct Message<'a> {
    pub(crate) authzid: &'a str,
    pub(crate) name: &'a str,
    pub(crate) password: &'a str,
}

/// Longest name or password that is read (RFC 4616 sets no limit; RFC 4422 3.4 leaves it to the profile).
const PART_MAX: usize = 1023;

/// Reads the message, if it is one.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut parts = text.split('\0');
    let (authzid, name, password) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = parts.next().is_none() && !name.is_empty() && !password.is_empty();
    (fits && name.len() <= PART_MAX && password.len() <= PART_MAX).then_some(Message {
        authzid,
        name,
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_three_parts_of_utf8_are_a_message() {
        let good = parse(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((good.authzid, good.name, good.password), ("", "tim", "tanstaaftanstaaf"));
        assert_eq!(parse(b"Ursel\0Kurt\0xipj3plmq").unwrap().authzid, "Ursel");
        for bad in [&b""[..], b"tim", b"\0tim", b"\0\0pw", b"\0tim\0", b"\0tim\0pw\0", b"\0t\xff\0pw"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
        assert!(parse(format!("\0tim\0{}", "x".repeat(2000)).as_bytes()).is_none());
    }
}
