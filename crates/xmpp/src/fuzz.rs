//! Entry points for fuzzers: each takes any bytes and checks what must hold for all of them.
//! Not here: the fuzzer; `fuzz/` has one target for each of these.

use crate::relay::{Head, relay};
use crate::scanner::{Limits, Scanner, Token};
use crate::stanza::Stanza;
use crate::{JidRef, StreamErrorKind};

/// A stream's bytes: cut anywhere they say the same, and every stanza parses alone once it was relayed.
///
/// # Panics
/// When that does not hold.
pub fn tokenizer(data: &[u8]) {
    let limits = Limits::of(10_000);
    let whole = run(data, data.len().max(1), limits);
    let bytewise = run(data, 1, limits);
    assert_eq!(whole.0, bytewise.0, "the cut changes what is found");
    // A tag that comes in pieces is judged when its `>` has come, so its fault may not be known yet, or its length be
    // what is refused. Octets that are no UTF-8 are found when all of a token is there, if its form has no fault before,
    // and may be taken for part of a name meanwhile: of several faults of form the cut decides which is told.
    let of_form = |kind| {
        use StreamErrorKind::{NotWellFormed, RestrictedXml, UnsupportedEncoding};
        matches!(kind, Some(NotWellFormed | RestrictedXml | UnsupportedEncoding))
    };
    let later = matches!(bytewise.1, None | Some(StreamErrorKind::PolicyViolation))
        || of_form(whole.1) && of_form(bytewise.1);
    assert!(whole.1 == bytewise.1 || (whole.1.is_some() && later), "{:?} {:?}", whole.1, bytewise.1);
}

/// Any text as an address.
///
/// # Panics
/// When a normalised address is not its own normal form.
pub fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(jid) = JidRef::parse(text) {
        let again = JidRef::parse(jid.as_str());
        assert_eq!(again.as_ref().map(JidRef::as_str), Ok(jid.as_str()));
    }
}

/// What a stream says when it comes in pieces of this size.
fn run(data: &[u8], piece: usize, limits: Limits) -> (Vec<String>, Option<StreamErrorKind>) {
    let mut scanner = Scanner::new(limits);
    let mut said = Vec::new();
    for mut input in data.chunks(piece) {
        loop {
            match scanner.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Token::Open(header))) => {
                    said.push(format!("{:?} {:?}", header.to(), header.version()));
                }
                Ok(Some(Token::Close)) => said.push("close".into()),
                Ok(Some(Token::Stanza(stanza))) => {
                    check(&stanza);
                    said.push(stanza.raw().into());
                }
                Err(kind) => return (said, Some(kind)),
            }
        }
    }
    (said, None)
}

fn check(stanza: &Stanza<'_>) {
    let mut count = 0;
    for child in stanza.children() {
        count += child.text().len() + child.children().count();
        let mut alone = Vec::new();
        child.write_alone(&mut alone);
        // What it leans on may pass the limits when it is said again, so only its form is asserted.
        let again = crate::scanner::document(&alone, Limits::of(u32::MAX));
        assert!(!matches!(again, Err(StreamErrorKind::NotWellFormed | StreamErrorKind::BadNamespacePrefix)));
    }
    assert!(count <= stanza.raw().len());
    if stanza.kind() != crate::StanzaKind::Other {
        let mut out = Vec::new();
        let head = Head { from: Some("a@b/c"), without_stanza_id_by: &["b"], ..Head::default() };
        relay(&mut out, stanza, &head);
        let again = Stanza::parse(&out);
        assert_eq!(
            again.as_ref().map(Stanza::kind),
            Ok(stanza.kind()),
            "{:?}",
            String::from_utf8_lossy(&out)
        );
        assert_eq!(again.ok().and_then(|s| s.from().map(|f| f.into_owned())).as_deref(), Some("a@b/c"));
    }
}

#[cfg(test)]
mod tests {
    /// Found by the fuzzer: a tag with octets that are no text in a value and in a name, and a quote too many.
    #[test]
    fn octets_that_are_no_text_are_refused_however_they_are_cut() {
        super::tokenizer(b"<G  T='\r\xff\xff\xff\xff\xff\xff\xff\xff \xef1'>T5 \xef<G  '>T=");
        super::tokenizer(b"<G  T='\r \xef1'>x &\xbdambodyp\xff\xff\xff\xffR");
    }
}
