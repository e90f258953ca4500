//! Lexical XML: runs of plain text, names, references, and what escaped text means.
//! Spec: XML 1.0 fifth edition 2.2 (Char), 2.3 (Name), 2.11 (line ends), 3.3.3 (attribute values), 4.1 (references).
//! Invariants: nothing here looks further back than where it is told to start; every function is linear.
//! Not here: which element is open (`scanner`), what a name is bound to.

use std::borrow::Cow;

/// Longest reference in octets, `&` and `;` included. `&#x0010FFFF;` is 12.
pub const REFERENCE_MAX: usize = 12;

/// What a lexical look at some bytes says when it is not a plain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lex {
    /// The bytes end before this can be told.
    Incomplete,
    /// This is no XML.
    Malformed,
    /// This is XML that RFC 6120 11.1 forbids.
    Restricted,
}

const NAME: u8 = 1;
const TEXT: u8 = 2;
const VALUE: u8 = 4;
const SPACE: u8 = 8;

/// What each byte may be without a closer look.
static CLASS: [u8; 256] = {
    let mut table = [0_u8; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_') {
            table[b] |= NAME;
        }
        let char = (c >= 0x20 && c != 0xef) || matches!(c, b'\t' | b'\n' | b'\r');
        if char && !matches!(c, b'&' | b'<' | b']') {
            table[b] |= TEXT;
        }
        if char && !matches!(c, b'&' | b'<' | b'"' | b'\'') {
            table[b] |= VALUE;
        }
        if matches!(c, b' ' | b'\t' | b'\n' | b'\r') {
            table[b] |= SPACE;
        }
        b += 1;
    }
    table
};

/// How many bytes from the start are text that needs no closer look. Sixteen at a time, which the compiler turns into
/// vector compares.
#[inline]
pub(crate) fn text_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + 16) {
        let mut special = false;
        for &c in chunk {
            special |= (c < 0x20) | (c == b'&') | (c == b'<') | (c == b']') | (c == 0xef);
        }
        if special {
            break;
        }
        at += 16;
    }
    at + class_run(&bytes[at..], TEXT)
}

#[inline]
fn class_run(bytes: &[u8], class: u8) -> usize {
    bytes.iter().position(|&b| CLASS[usize::from(b)] & class == 0).unwrap_or(bytes.len())
}

/// How many bytes from the start are an attribute value that needs no closer look.
#[inline]
pub(crate) fn value_run(bytes: &[u8]) -> usize {
    class_run(bytes, VALUE)
}

/// How many bytes from the start are white space.
#[inline]
pub(crate) fn space_run(bytes: &[u8]) -> usize {
    class_run(bytes, SPACE)
}

/// How long the NCName at the start is (Namespaces in XML 4).
#[inline]
pub(crate) fn ncname(bytes: &[u8]) -> Result<usize, Lex> {
    match bytes.first() {
        None => return Err(Lex::Incomplete),
        Some(b'-' | b'.' | b'0'..=b'9') => return Err(Lex::Malformed),
        Some(_) => {}
    }
    let mut at = 0;
    loop {
        at += class_run(&bytes[at..], NAME);
        match bytes.get(at) {
            None => return Err(Lex::Incomplete),
            Some(0x80..) => at += wide_name_char(&bytes[at..], at == 0)?,
            Some(_) if at == 0 => return Err(Lex::Malformed),
            Some(_) => return Ok(at),
        }
    }
}

/// The octets of a name character outside ASCII (XML 1.0 2.3, productions 4 and 4a).
fn wide_name_char(bytes: &[u8], first: bool) -> Result<usize, Lex> {
    let c = decode(bytes)?;
    let start = matches!(u32::from(c),
        0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0x2ff | 0x370..=0x37d | 0x37f..=0x1fff | 0x200c..=0x200d
        | 0x2070..=0x218f | 0x2c00..=0x2fef | 0x3001..=0xd7ff | 0xf900..=0xfdcf | 0xfdf0..=0xfffd
        | 0x10000..=0xeffff);
    let later = matches!(u32::from(c), 0xb7 | 0x300..=0x36f | 0x203f..=0x2040);
    if start || (later && !first) { Ok(c.len_utf8()) } else { Err(Lex::Malformed) }
}

/// The first character.
fn decode(bytes: &[u8]) -> Result<char, Lex> {
    let len = match bytes.first() {
        None => return Err(Lex::Incomplete),
        Some(..0x80) => 1,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        Some(_) => return Err(Lex::Malformed),
    };
    let char = bytes.get(..len).ok_or(Lex::Incomplete)?;
    std::str::from_utf8(char).ok().and_then(|c| c.chars().next()).ok_or(Lex::Malformed)
}

/// A byte 0xEF begins a character; U+FFFE and U+FFFF are none of XML's. Their length when they are allowed.
#[inline]
pub(crate) fn byte_ef(bytes: &[u8]) -> Result<usize, Lex> {
    match bytes {
        [_, 0xbf, 0xbe | 0xbf, ..] => Err(Lex::Malformed),
        [_, _, _, ..] => Ok(3),
        _ => Err(Lex::Incomplete),
    }
}

/// The reference that begins with the `&` at the start: its octets and its character.
pub(crate) fn reference(bytes: &[u8]) -> Result<(usize, char), Lex> {
    let window = &bytes[..bytes.len().min(REFERENCE_MAX)];
    let Some(end) = memchr::memchr(b';', window) else {
        // A reference without an end must still look like one, so that what can be refused early is.
        let looks = window[1..]
            .iter()
            .all(|&b| CLASS[usize::from(b)] & NAME != 0 || matches!(b, b'#' | b':' | 0x80..));
        return Err(match (looks, window.len() < REFERENCE_MAX) {
            (true, true) => Lex::Incomplete,
            (true, false) if window[1] != b'#' => Lex::Restricted,
            _ => Lex::Malformed,
        });
    };
    let c = match &window[1..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"apos" => '\'',
        b"quot" => '"',
        [b'#', b'x', digits @ ..] => char_reference(digits, 16)?,
        [b'#', digits @ ..] => char_reference(digits, 10)?,
        // RFC 6120 11.1: no entity but the predefined five.
        name if ncname(&window[1..]) == Ok(name.len()) => return Err(Lex::Restricted),
        _ => return Err(Lex::Malformed),
    };
    Ok((end + 1, c))
}

fn char_reference(digits: &[u8], radix: u32) -> Result<char, Lex> {
    let value = digits.iter().try_fold(0_u32, |value, &b| {
        let digit = char::from(b).to_digit(radix)?;
        value.checked_mul(radix)?.checked_add(digit)
    });
    let c = value.filter(|_| !digits.is_empty()).and_then(char::from_u32).ok_or(Lex::Malformed)?;
    match c {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => Ok(c),
        _ => Err(Lex::Malformed),
    }
}

/// What a checked attribute value means: references resolved, white space normalised (XML 1.0 3.3.3).
#[must_use]
pub fn attr_value(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|b| b == b'&' || b < 0x20) {
        return Cow::Borrowed(raw);
    }
    let mut value = String::with_capacity(raw.len());
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'&' => at += push_reference(&mut value, &bytes[at..]),
            b'\r' => {
                value.push(' ');
                at += if bytes.get(at + 1) == Some(&b'\n') { 2 } else { 1 };
            }
            b'\t' | b'\n' => {
                value.push(' ');
                at += 1;
            }
            _ => {
                let run = bytes[at..].iter().position(|&b| b == b'&' || b < 0x20).unwrap_or(bytes.len() - at);
                value.push_str(&raw[at..at + run]);
                at += run;
            }
        }
    }
    Cow::Owned(value)
}

/// What checked character data means: references resolved, CDATA sections opened, line ends normalised (XML 1.0
/// 2.11), elements inside it left out with all they hold.
#[must_use]
pub fn text_value(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|b| matches!(b, b'&' | b'<' | b'\r')) {
        return Cow::Borrowed(raw);
    }
    let mut value = String::with_capacity(raw.len());
    let bytes = raw.as_bytes();
    let mut at = 0;
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            b'&' if depth == 0 => at += push_reference(&mut value, &bytes[at..]),
            b'<' if bytes[at..].starts_with(b"<![CDATA[") => {
                let start = at + 9;
                let end = memchr::memmem::find(&bytes[start..], b"]]>").map_or(bytes.len(), |n| start + n);
                if depth == 0 {
                    push_lines(&mut value, &raw[start..end]);
                }
                at = (end + 3).min(bytes.len());
            }
            b'<' => {
                let tag = tag_len(&bytes[at..]);
                if bytes.get(at + 1) == Some(&b'/') {
                    depth = depth.saturating_sub(1);
                } else if bytes.get(at + tag - 2) != Some(&b'/') {
                    depth += 1;
                }
                at += tag;
            }
            _ => {
                let run = memchr::memchr2(b'&', b'<', &bytes[at + 1..]).map_or(bytes.len() - at, |n| n + 1);
                if depth == 0 {
                    push_lines(&mut value, &raw[at..at + run]);
                }
                at += run;
            }
        }
    }
    Cow::Owned(value)
}

fn push_lines(value: &mut String, raw: &str) {
    let mut lines = raw.split('\r');
    value.push_str(lines.next().unwrap_or_default());
    for line in lines {
        value.push('\n');
        value.push_str(line.strip_prefix('\n').unwrap_or(line));
    }
}

/// Appends the character of a checked reference and says how long that was.
fn push_reference(value: &mut String, bytes: &[u8]) -> usize {
    match reference(bytes) {
        Ok((len, c)) => {
            value.push(c);
            len
        }
        // Only unchecked text gets here; it is taken as it stands.
        Err(_) => {
            value.push('&');
            1
        }
    }
}

/// How long the tag at the start of checked bytes is, from `<` to `>`.
#[inline]
pub(crate) fn tag_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &bytes[at..]) else { return bytes.len() };
        at += found + 1;
        let mark = bytes[at - 1];
        if mark == b'>' {
            return at;
        }
        match memchr::memchr(mark, &bytes[at..]) {
            Some(end) => at += end + 1,
            None => return bytes.len(),
        }
    }
}
