//! Logging in: what the exchange offers, and the exchange of SASL's messages in either of its two frames.
//!
//! Spec: RFC 6120 6 (SASL), XEP-0388 (SASL2), XEP-0386 (what goes along with it), XEP-0440, XEP-0474.
//! Owns: the mechanism under way. Invariants: the frame is chosen once, SASL2 where it is offered, and everything is said in
//! it; no success is believed that does not prove what its mechanism can prove.
//! Not here: what a mechanism says (`sasl`), what follows a log-in (`session`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xmpp::ns;
use xmpp::write::open;

use super::{Account, condition, unexpected, words};
use crate::element::Element;
use crate::error::End;
use crate::sasl::{self, Channel, Choice, Mechanism, Scram};

/// How SASL's messages are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// RFC 6120 6: a new stream follows, then binding.
    First,
    /// XEP-0388: the stream goes on, and binding goes along.
    Second,
}

impl Frame {
    fn ns(self) -> &'static str {
        match self {
            Self::First => ns::SASL,
            Self::Second => ns::SASL2,
        }
    }
}

/// What stream features say of logging in.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) frame: Frame,
    mechanisms: Vec<String>,
    bindings: Vec<String>,
    /// A resource may be asked for along with the log-in (XEP-0386).
    pub(super) binds: bool,
    /// And acknowledgements, and an earlier session (XEP-0198 section 8).
    pub(super) manages: bool,
}

impl Offer {
    /// Reads the features of a stream that nobody has logged in on.
    pub(super) fn read(features: &Element) -> Option<Self> {
        let second = features.child("authentication", ns::SASL2);
        let frame = if second.is_some() { Frame::Second } else { Frame::First };
        let list = second.or_else(|| features.child("mechanisms", ns::SASL))?;
        let named = list.children.iter().filter(|child| child.is("mechanism", frame.ns()));
        let mechanisms = named.map(|child| child.text.trim().to_owned()).collect();
        let types = features.child("sasl-channel-binding", ns::SASL_CB).into_iter();
        let types = types.flat_map(|types| &types.children).filter_map(|child| child.attribute("type"));
        let inline = second.and_then(|second| second.child("inline", ns::SASL2));
        let bind = inline.and_then(|inline| inline.child("bind", ns::BIND2));
        let with_bind = bind.and_then(|bind| bind.child("inline", ns::BIND2)).into_iter();
        let mut with_bind = with_bind.flat_map(|list| &list.children);
        Some(Self {
            frame,
            mechanisms,
            bindings: types.map(str::to_owned).collect(),
            binds: bind.is_some(),
            // Some offer it beside the bind, some with it: where it can be enabled it can be resumed.
            manages: inline.is_some_and(|inline| inline.child("sm", ns::SM).is_some())
                || with_bind.any(|feature| feature.attribute("var") == Some(ns::SM)),
        })
    }

    /// What XEP-0474 5.1 hashes: mechanisms, and types of channel binding if there are any, each in order.
    fn proved(&self) -> String {
        let join = |names: &[String]| {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.sort_unstable();
            names.join("\x1e")
        };
        match self.bindings.is_empty() {
            true => join(&self.mechanisms),
            false => format!("{}\x1f{}", join(&self.mechanisms), join(&self.bindings)),
        }
    }
}

/// A log-in under way.
#[derive(Debug)]
pub(super) struct LogIn {
    frame: Frame,
    mechanism: Mechanism,
}

/// What an answer of the exchange leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// This is to be said, and the log-in goes on.
    Say(LogIn, Vec<u8>),
    /// It has succeeded.
    Done(Frame),
    /// It has not.
    Failed(End),
}

impl LogIn {
    /// Begins: also the bytes that begin it. `along` writes what goes along with SASL2.
    pub(super) fn begin(
        offer: &Offer,
        account: &Account,
        channel: Channel,
        nonce: &str,
        along: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(Self, Vec<u8>), End> {
        let mechanisms: Vec<&str> = offer.mechanisms.iter().map(String::as_str).collect();
        let bindings: Vec<&str> = offer.bindings.iter().map(String::as_str).collect();
        let Some((name, choice)) = sasl::choose(&mechanisms, &bindings, channel) else {
            return Err(End::NoMechanism(mechanisms.join(", ")));
        };
        let number = account.number.to_string();
        let (mechanism, first) = match choice {
            Choice::Plain => (Mechanism::Plain, sasl::plain(&number, &account.password)),
            Choice::Scram(hash, binding) => {
                let scram = Scram::new(hash, binding, &number, &account.password, nonce);
                let first = scram.make_first();
                (Mechanism::Scram(scram.with_offer(offer.proved())), first)
            }
        };
        let first = STANDARD.encode(first);
        let mut out = Vec::new();
        match offer.frame {
            Frame::First => open(&mut out, "auth").ns(ns::SASL).attr("mechanism", name).text(&first),
            Frame::Second => words::authenticate(&mut out, name, &first, along),
        }
        Ok((Self { frame: offer.frame, mechanism }, out))
    }

    /// The exchange has said something.
    pub(super) fn handle(self, element: &Element) -> Step {
        let Self { frame, mechanism } = self;
        if element.is("failure", frame.ns()) {
            // The conditions are RFC 6120's in both frames; the text is of the frame.
            let (condition, text) = condition(element, ns::SASL);
            let text = text.or_else(|| element.child("text", frame.ns()).map(|text| text.text.clone()));
            return Step::Failed(End::LogIn { condition, text });
        }
        let said = match frame {
            Frame::Second if element.is("success", ns::SASL2) => {
                element.child("additional-data", ns::SASL2).map_or("", |data| data.text.as_str())
            }
            _ => element.text.as_str(),
        };
        let Some(said) = decode(said) else {
            return Step::Failed(End::Protocol("SASL that is no base64".to_owned()));
        };
        match mechanism {
            Mechanism::Scram(mut scram) if element.is("challenge", frame.ns()) => {
                match scram.handle_challenge(&said) {
                    Ok(answer) => {
                        let mut out = Vec::new();
                        open(&mut out, "response").ns(frame.ns()).text(&STANDARD.encode(answer));
                        Step::Say(Self { frame, mechanism: Mechanism::Scram(scram) }, out)
                    }
                    Err(what) => Step::Failed(End::Protocol(what)),
                }
            }
            Mechanism::Scram(scram) if element.is("success", frame.ns()) && !scram.is_proved_by(&said) => {
                Step::Failed(End::Impostor)
            }
            _ if element.is("success", frame.ns()) => Step::Done(frame),
            _ => Step::Failed(unexpected(element)),
        }
    }
}

/// RFC 6120 6.4.2: `=` is data of no length.
fn decode(text: &str) -> Option<Vec<u8>> {
    match text.trim() {
        "" | "=" => Some(Vec::new()),
        text => STANDARD.decode(text).ok(),
    }
}
