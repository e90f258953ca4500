//! Writing XML: builders that append to a byte buffer and cannot leave a value unescaped.
//! Spec: XML 1.0 2.4 (what to escape), 3.3.3 (white space in attributes would be normalised away, so it is written as
//!   character references).
//! Invariants: what is written parses to exactly the values given, except characters XML cannot carry at all, which
//!   become U+FFFD.
//! Not here: which elements to write.

/// Appends `text` as character data.
pub fn text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |b| match b {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'\r' => "&#13;",
        _ => "",
    });
}

/// Appends ` name='value'`.
pub fn attr(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    attr_value(out, value);
    out.push(b'\'');
}

/// Appends `value` as it must stand between single or double quotes.
pub fn attr_value(out: &mut Vec<u8>, value: &str) {
    escape(out, value, |b| match b {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'\'' => "&apos;",
        b'"' => "&quot;",
        b'\t' => "&#9;",
        b'\n' => "&#10;",
        b'\r' => "&#13;",
        _ => "",
    });
}

/// Appends `</name>`.
pub fn close(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// Begins `<name`; attributes follow, then one of the endings.
pub fn open<'o, 'n>(out: &'o mut Vec<u8>, name: &'n str) -> Tag<'o, 'n> {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    Tag { out, name }
}

/// A start tag that is being written. Dropping it leaves the tag unfinished, so an ending must be called.
#[must_use = "a start tag needs one of its endings: empty, text, start or with"]
pub struct Tag<'o, 'n> {
    out: &'o mut Vec<u8>,
    name: &'n str,
}

impl<'o> Tag<'o, '_> {
    /// Declares the default namespace.
    pub fn ns(self, ns: &str) -> Self {
        self.attr("xmlns", ns)
    }

    /// Adds an attribute.
    pub fn attr(self, name: &str, value: &str) -> Self {
        attr(self.out, name, value);
        self
    }

    /// Adds an attribute if there is a value for it.
    pub fn attr_opt(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds an attribute whose value is a decimal number.
    pub fn attr_number(self, name: &str, value: u64) -> Self {
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"='");
        number(self.out, value);
        self.out.push(b'\'');
        self
    }

    /// Ends it as `/>`.
    pub fn empty(self) {
        self.out.extend_from_slice(b"/>");
    }

    /// Ends it with character data and the closing tag.
    pub fn text(self, value: &str) {
        self.out.push(b'>');
        text(self.out, value);
        close(self.out, self.name);
    }

    /// Ends it with bytes that are well-formed XML already, and the closing tag.
    pub fn raw(self, inner: &[u8]) {
        self.out.push(b'>');
        self.out.extend_from_slice(inner);
        close(self.out, self.name);
    }

    /// Ends it with what `inner` appends, and the closing tag.
    pub fn with(self, inner: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'>');
        inner(self.out);
        close(self.out, self.name);
    }

    /// Ends the start tag only; the caller writes [`close`] later.
    pub fn start(self) -> &'o mut Vec<u8> {
        self.out.push(b'>');
        self.out
    }
}

/// Appends a decimal number without allocating.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn escape(out: &mut Vec<u8>, text: &str, replacement: impl Fn(u8) -> &'static str) {
    let bytes = text.as_bytes();
    let mut kept = 0;
    for (at, &b) in bytes.iter().enumerate() {
        let replaced = match b {
            // Most text is letters; they leave here.
            b'('..=b';' | b'?'..=0xee | b' ' => continue,
            // U+FFFE and U+FFFF are no XML characters (XML 1.0 2.2).
            0xef if matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])) => {
                out.extend_from_slice(&bytes[kept..at]);
                out.extend_from_slice("\u{fffd}".as_bytes());
                kept = at + 3;
                continue;
            }
            0..=8 | 11 | 12 | 14..=31 => "\u{fffd}",
            _ => replacement(b),
        };
        if !replaced.is_empty() {
            out.extend_from_slice(&bytes[kept..at]);
            out.extend_from_slice(replaced.as_bytes());
            kept = at + 1;
        }
    }
    out.extend_from_slice(&bytes[kept..]);
}

#[cfg(test)]
mod tests;
