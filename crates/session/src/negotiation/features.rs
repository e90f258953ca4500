//! What a client is offered: `<stream:features/>` for each step.
//!
//! Spec: RFC 6120 4.3; XEP-0388 2.1, XEP-0386 2.1, XEP-0484 3.1, XEP-0198 6 (SASL2 and what
//! goes with it); XEP-0077, XEP-0445, XEP-0440,
//! XEP-0478.
//! Invariants: what is offered here is what `negotiation` takes, and nothing else.
//! Not here: what the router's features offer (their bytes come with the settings).

use xmpp::ns;
use xmpp::write;

use crate::config::{CarrierFacts, ChannelBindings, SessionConfig};
use crate::register::Registration;
use crate::sasl::Mechanism;
use crate::sasl::token::TokenMechanism;

/// What may be offered to one client before it has logged in.
pub(crate) struct Offer<'a> {
    pub(crate) config: &'a SessionConfig,
    pub(crate) facts: &'a CarrierFacts,
    pub(crate) bindings: &'a ChannelBindings,
}

impl Offer<'_> {
    /// The mechanisms that this carrier may use.
    pub(crate) fn mechanisms(&self) -> Vec<Mechanism> {
        let facts = self.facts;
        let usable = |mechanism: &&Mechanism| match mechanism {
            mechanism if mechanism.is_plus() => facts.encrypted && !self.bindings.is_empty(),
            // RFC 6120 6.3.8 and 13.8: a password travels only under TLS, on loopback too.
            Mechanism::Plain => facts.encrypted,
            _ => facts.encrypted || facts.clear_text_allowed,
        };
        self.config.mechanisms.iter().filter(usable).copied().collect()
    }

    /// The types of channel binding that go with them (XEP-0440).
    pub(crate) fn binding_types(&self) -> Vec<&'static str> {
        let any_plus = self.mechanisms().iter().any(|mechanism| mechanism.is_plus());
        if any_plus { self.bindings.types() } else { Vec::new() }
    }

    /// The mechanisms that take a token. It is as good as a password while it lasts, so it leaves a machine only
    /// encrypted.
    pub(crate) fn token_mechanisms(&self) -> Vec<TokenMechanism> {
        if !self.config.tokens || !(self.facts.encrypted || self.facts.local) {
            return Vec::new();
        }
        let usable = |mechanism: &TokenMechanism| mechanism.binding(self.bindings).is_some();
        TokenMechanism::ALL.iter().copied().filter(usable).collect()
    }

    /// Whether accounts can be made here: a password travels there.
    pub(crate) fn may_register(&self) -> bool {
        let safe = self.facts.encrypted || self.facts.local && self.facts.clear_text_allowed;
        safe && self.config.registration != Registration::Closed
    }

    /// Before a number is proved.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (config, facts) = (self.config, self.facts);
        let mechanisms = self.mechanisms();
        if facts.can_starttls && !facts.encrypted {
            write::open(out, "starttls").ns(ns::TLS).with(|out| {
                if mechanisms.is_empty() {
                    write::open(out, "required").empty();
                }
            });
        }
        if !mechanisms.is_empty() {
            let names = |out: &mut Vec<u8>| {
                mechanisms.iter().for_each(|mechanism| write::open(out, "mechanism").text(mechanism.name()));
            };
            write::open(out, "mechanisms").ns(ns::SASL).with(names);
            write::open(out, "authentication").ns(ns::SASL2).with(|out| {
                names(out);
                write::open(out, "inline").with(|out| self.write_inline(out));
            });
        }
        if self.may_register() {
            write::open(out, "register").ns(ns::REGISTER_FEATURE).empty();
            write::open(out, "register").ns(ns::IBR_TOKEN).empty();
        }
        let types = self.binding_types();
        if !types.is_empty() {
            write::open(out, "sasl-channel-binding").ns(ns::SASL_CB).with(|out| {
                types.iter().for_each(|name| write::open(out, "channel-binding").attr("type", name).empty());
            });
        }
        write_limits(out, config.stanza_max_unauth, None);
    }

    fn write_inline(&self, out: &mut Vec<u8>) {
        // XEP-0198 section 6.2: who can be taken up again can be so in one message.
        if !self.config.resume_max.is_zero() {
            write::open(out, "sm").ns(ns::SM).empty();
        }
        write::open(out, "bind").ns(ns::BIND2).with(|out| {
            write::open(out, "inline").with(|out| {
                let features = self.config.inline_features.iter().map(String::as_str);
                features.chain([ns::SM]).for_each(|var| write::open(out, "feature").attr("var", var).empty());
            });
        });
        let tokens = self.token_mechanisms();
        if !tokens.is_empty() {
            write::open(out, "fast").ns(ns::FAST).with(|out| {
                tokens.iter().for_each(|mechanism| write::open(out, "mechanism").text(mechanism.name()));
            });
        }
    }
}

/// After a number is proved. Who has a resource is not offered one.
pub(crate) fn write_logged_in(config: &SessionConfig, bound: bool, out: &mut Vec<u8>) {
    if !bound {
        write::open(out, "bind").ns(ns::BIND).empty();
        write::open(out, "session").ns(ns::SESSION).with(|out| write::open(out, "optional").empty());
    }
    write::open(out, "sm").ns(ns::SM).empty();
    out.extend_from_slice(config.stream_features.as_bytes());
    write_limits(out, config.stanza_max, Some(config.idle_max.as_secs()));
}

/// XEP-0478.
fn write_limits(out: &mut Vec<u8>, octets: u32, idle_secs: Option<u64>) {
    write::open(out, "limits").ns(ns::STREAM_LIMITS).with(|out| {
        write::open(out, "max-bytes").text(&octets.to_string());
        if let Some(secs) = idle_secs {
            write::open(out, "idle-seconds").text(&secs.to_string());
        }
    });
}
