//! The wish: what a client asks for along with a log-in, and what it is told of that.
//!
//! Spec: XEP-0388 2.3 (initiation), 2.6 (outcome); XEP-0386 2 (binding); XEP-0484 3 (tokens); XEP-0198 section 8 (inline).
//! Owns: the request, from `<authenticate/>` to `<success/>`.
//! Invariants: nothing of it is done before the log-in has succeeded; the client's own id is in no output.
//! Not here: the exchange of challenges (`negotiation`), proving (`sasl`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xmpp::address::{AccountNumber, Jid};
use xmpp::error::StanzaCondition;
use xmpp::ns;
use xmpp::stanza::{Node, Stanza};
use xmpp::time::Wallclock;
use xmpp::write;

use crate::config::SessionConfig;
use crate::sasl::LogInName;
use crate::sasl::token::{AgentKey, TokenMechanism, is_secret};

/// Longest id that a client may have; a UUID has 36 octets.
const AGENT_MAX: usize = 128;
/// Longest tag that becomes part of a resource, in octets.
const TAG_MAX: usize = 64;

/// What a client asks for along with its log-in.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// The client's own id. Whoever knows it and the data folder knows the client's tokens.
    agent: Option<Secret>,
    pub(crate) bind: Option<Bind>,
    pub(crate) resume: Option<Resume>,
    /// A token for this mechanism (XEP-0484 3.2).
    pub(crate) token: Option<TokenMechanism>,
    pub(crate) fast: Option<Fast>,
    /// What the mechanism says with its success.
    pub(crate) additional: Option<Vec<u8>>,
    /// The token that the client is given.
    pub(crate) issued: Option<Issued>,
    /// A stream was to be resumed, and was not: what the client is told of it.
    pub(crate) not_resumed: Option<Vec<u8>>,
}

/// A text that is printed nowhere.
pub(super) struct Secret(pub(super) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// XEP-0386: a resource, and what is to be on for it.
#[derive(Debug)]
pub(crate) struct Bind {
    tag: Option<String>,
    /// XEP-0198, as it was asked for.
    pub(crate) enable: Option<Enable>,
    /// What else was asked for: a `<bind/>` with the router's features' elements.
    inline: Option<Box<str>>,
}

/// XEP-0198's request to count, wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Enable {
    /// The client would like to resume this stream later.
    pub(crate) resume: bool,
}

impl Enable {
    pub(crate) fn read(attr: impl Fn(&str) -> Option<String>) -> Enable {
        Enable { resume: is_true(attr("resume").as_deref()) }
    }
}

/// XEP-0198's request to go on with an earlier stream.
#[derive(Debug)]
pub(crate) struct Resume;

/// XEP-0484: how a token is used.
#[derive(Debug)]
pub(crate) struct Fast {
    pub(crate) count: Option<u32>,
    pub(crate) invalidate: bool,
}

/// A token that is given out. It is printed nowhere.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires: Wallclock,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Wish {
    /// Reads `<authenticate/>`. `offered` are the token mechanisms that this client was offered.
    pub(crate) fn read(element: &Stanza<'_>, offered: &[TokenMechanism]) -> Wish {
        let agent = element.child("user-agent", ns::SASL2).and_then(|agent| agent.attr("id"));
        let agent = agent.filter(|id| !id.is_empty() && id.len() <= AGENT_MAX);
        let token = element.child("request-token", ns::FAST).and_then(|asked| asked.attr("mechanism"));
        let token = token.and_then(|name| offered.iter().copied().find(|known| known.name() == name));
        Wish {
            agent: agent.map(|id| Secret(id.into_owned())),
            bind: element.child("bind", ns::BIND2).map(|bind| Bind::read(&bind)),
            resume: element.child("resume", ns::SM).map(|_| Resume),
            token,
            fast: element.child("fast", ns::FAST).map(|fast| Fast {
                count: fast.attr("count").and_then(|count| count.trim().parse().ok()),
                invalidate: is_true(fast.attr("invalidate").as_deref()),
            }),
            ..Wish::default()
        }
    }

    /// What the client's tokens and its resource are derived from.
    pub(crate) fn agent_key(&self, config: &SessionConfig, name: &LogInName) -> Option<AgentKey> {
        self.agent.as_ref().map(|id| AgentKey::new(config, name, &id.0))
    }

    /// Whether the client's id is one that tokens can lean on.
    pub(crate) fn may_have_tokens(&self) -> bool {
        self.agent.as_ref().is_some_and(|id| is_secret(&id.0))
    }

    /// The resource for `<bind/>`, and what is asked for along with it.
    pub(crate) fn take_bind(
        &mut self,
        number: AccountNumber,
        config: &SessionConfig,
        randomness: &[u8; 32],
    ) -> Option<(String, bool, Option<Box<str>>)> {
        let name = LogInName::new(&number.to_string());
        let key = self.agent_key(config, &name);
        let bind = self.bind.as_mut()?;
        let tag = bind.tag.take();
        let own = |tag: &str| match &key {
            Some(key) => key.resource(tag),
            // Nobody to be the same as: a new one each time.
            None => AgentKey::new(config, &name, &BASE64.encode(randomness)).resource(tag),
        };
        // A tag that can stand in no resource is as good as none (XEP-0386 2.2.1, RFC 7622 3.4).
        let tagged = tag.map(|tag| format!("{tag}/{}", own(&tag)));
        let tagged = tagged.filter(|text| Jid::of_number(number, &config.domain, Some(text)).is_ok());
        Some((tagged.unwrap_or_else(|| own("")), bind.enable.is_some(), bind.inline.take()))
    }

    /// Appends `<success/>`. `bound` is what stands in `<bound/>`, where a resource was bound.
    pub(crate) fn write_success(&self, address: &str, bound: Option<&[u8]>, out: &mut Vec<u8>) {
        write::open(out, "success").ns(ns::SASL2).with(|out| {
            if let Some(additional) = &self.additional {
                write::open(out, "additional-data").text(&BASE64.encode(additional));
            }
            write::open(out, "authorization-identifier").text(address);
            if let Some(failed) = &self.not_resumed {
                out.extend_from_slice(failed);
            }
            if let Some(bound) = bound {
                write::open(out, "bound").ns(ns::BIND2).raw(bound);
            }
            if let Some(Issued { token, expires }) = &self.issued {
                let tag = write::open(out, "token").ns(ns::FAST);
                tag.attr("expiry", &expires.to_string()).attr("token", token).empty();
            }
        });
    }
}

impl Bind {
    fn read(bind: &Node<'_>) -> Bind {
        let tag = bind.child("tag", ns::BIND2).map(|tag| tag.text().trim().to_owned());
        let enable = bind.child("enable", ns::SM);
        let enable = enable.map(|node| Enable::read(|name| node.attr(name).map(|value| value.into_owned())));
        let mut inline = Vec::new();
        for child in bind.children().filter(|child| !matches!(&*child.ns(), ns::BIND2 | ns::SM)) {
            child.write_alone(&mut inline);
        }
        let inline = (!inline.is_empty()).then(|| {
            let mut whole = Vec::new();
            write::open(&mut whole, "bind").ns(ns::BIND2).raw(&inline);
            String::from_utf8(whole).expect("pieces of a text are text").into()
        });
        Bind { tag: tag.filter(|tag| !tag.is_empty() && tag.len() <= TAG_MAX), enable, inline }
    }
}

/// What is told of a stream that is not resumed.
pub(crate) fn write_not_resumed(condition: StanzaCondition, out: &mut Vec<u8>) {
    write::open(out, "failed").ns(ns::SM).with(|out| {
        write::open(out, condition.name()).ns(ns::STANZA_ERRORS).empty();
    });
}

/// XML Schema's boolean.
fn is_true(value: Option<&str>) -> bool {
    matches!(value.map(str::trim), Some("1" | "true"))
}
