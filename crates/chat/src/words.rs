//! What is said to the server, word for word.
//!
//! Spec: RFC 6121; XEP-0085, 0184, 0191, 0280, 0313, 0333.
//! Owns: nothing. Invariants: with frames each stanza declares its namespace (RFC 7395 3.3.3).
//! Not here: when it is said (`talk`).

use xmpp::ns;
use xmpp::write::{Tag, open};

/// Messages asked from the archive at a time.
pub const PAGE: u64 = 50;

/// Writes stanzas for one kind of line.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Each stanza is a document of its own.
    pub framed: bool,
}

impl Words {
    fn stanza(
        self,
        name: &'static str,
        attributes: &[(&str, &str)],
        inner: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let mut tag: Tag<'_, '_> = open(&mut out, name);
        if self.framed {
            tag = tag.ns(ns::CLIENT);
        }
        for (name, value) in attributes {
            tag = tag.attr(name, value);
        }
        tag.with(inner);
        out
    }

    /// We are here.
    #[must_use]
    pub fn available(self) -> Vec<u8> {
        self.stanza("presence", &[], |_| {})
    }

    /// A presence of this type to one address: `subscribe`, `subscribed`, `unsubscribe`, `unsubscribed`.
    #[must_use]
    pub fn presence(self, kind: &str, to: &str) -> Vec<u8> {
        self.stanza("presence", &[("type", kind), ("to", to)], |_| {})
    }

    /// The roster is asked for.
    #[must_use]
    pub fn roster_get(self, id: &str) -> Vec<u8> {
        self.stanza("iq", &[("type", "get"), ("id", id)], |out| open(out, "query").ns(ns::ROSTER).empty())
    }

    /// Someone is put into the roster, under a name, or taken from it.
    #[must_use]
    pub fn roster_set(self, id: &str, with: &str, name: Option<&str>, remove: bool) -> Vec<u8> {
        self.stanza("iq", &[("type", "set"), ("id", id)], |out| {
            open(out, "query").ns(ns::ROSTER).with(|out| {
                let item = open(out, "item").attr("jid", with).attr_opt("name", name);
                item.attr_opt("subscription", remove.then_some("remove")).empty();
            });
        })
    }

    /// What other devices send and get is wanted here too.
    #[must_use]
    pub fn carbons(self, id: &str) -> Vec<u8> {
        self.stanza("iq", &[("type", "set"), ("id", id)], |out| open(out, "enable").ns(ns::CARBONS).empty())
    }

    /// Who is blocked is asked for.
    #[must_use]
    pub fn blocklist(self, id: &str) -> Vec<u8> {
        self.stanza("iq", &[("type", "get"), ("id", id)], |out| {
            open(out, "blocklist").ns(ns::BLOCKING).empty();
        })
    }

    /// Someone is blocked, or no longer.
    #[must_use]
    pub fn block(self, id: &str, with: &str, blocked: bool) -> Vec<u8> {
        let name = if blocked { "block" } else { "unblock" };
        self.stanza("iq", &[("type", "set"), ("id", id)], |out| {
            open(out, name).ns(ns::BLOCKING).with(|out| open(out, "item").attr("jid", with).empty());
        })
    }

    /// A page of the archive: of one conversation or of all, before a mark or the newest.
    #[must_use]
    pub fn history(self, id: &str, with: Option<&str>, before: Option<&str>) -> Vec<u8> {
        self.stanza("iq", &[("type", "set"), ("id", id)], |out| {
            open(out, "query").ns(ns::MAM).attr("queryid", id).with(|out| {
                open(out, "x").ns(ns::DATA_FORMS).attr("type", "submit").with(|out| {
                    field(out, "FORM_TYPE", Some("hidden"), ns::MAM);
                    if let Some(with) = with {
                        field(out, "with", None, with);
                    }
                });
                open(out, "set").ns(ns::RSM).with(|out| {
                    open(out, "max").text(&PAGE.to_string());
                    open(out, "before").text(before.unwrap_or_default());
                });
            });
        })
    }

    /// A text, with the wish to hear how far it comes.
    #[must_use]
    pub fn text(self, to: &str, id: &str, body: &str, replaces: Option<&str>) -> Vec<u8> {
        self.stanza("message", &[("to", to), ("type", "chat"), ("id", id)], |out| {
            open(out, "body").text(body);
            if let Some(replaced) = replaces {
                open(out, "replace").ns("urn:xmpp:message-correct:0").attr("id", replaced).empty();
            }
            open(out, "active").ns(ns::CHAT_STATES).empty();
            open(out, "request").ns(ns::RECEIPTS).empty();
            open(out, "markable").ns(ns::MARKERS).empty();
        })
    }

    /// `composing`, `paused` or `active`: nobody misses it later.
    #[must_use]
    pub fn chat_state(self, to: &str, state: &str) -> Vec<u8> {
        self.stanza("message", &[("to", to), ("type", "chat")], |out| {
            open(out, state).ns(ns::CHAT_STATES).empty();
            open(out, "no-store").ns(ns::HINTS).empty();
        })
    }

    /// A message has come (XEP-0184).
    #[must_use]
    pub fn received(self, to: &str, id: &str) -> Vec<u8> {
        self.stanza("message", &[("to", to), ("type", "chat")], |out| {
            open(out, "received").ns(ns::RECEIPTS).attr("id", id).empty();
            open(out, "store").ns(ns::HINTS).empty();
        })
    }

    /// A message has been seen, and all before it (XEP-0333).
    #[must_use]
    pub fn displayed(self, to: &str, id: &str) -> Vec<u8> {
        self.stanza("message", &[("to", to), ("type", "chat")], |out| {
            open(out, "displayed").ns(ns::MARKERS).attr("id", id).empty();
            open(out, "store").ns(ns::HINTS).empty();
        })
    }
}

fn field(out: &mut Vec<u8>, var: &str, kind: Option<&str>, value: &str) {
    open(out, "field").attr("var", var).attr_opt("type", kind).with(|out| open(out, "value").text(value));
}
