//! Errors as they travel: a stream error ends a stream, a stanza error answers one stanza.
//! Spec: RFC 6120 4.9 (stream errors), 8.3 (stanza errors).
//! Invariants: a condition has exactly the name the RFC gives it; what is written is well-formed.
//! Not here: which error a rule calls for.

use std::borrow::Cow;
use std::fmt;

use crate::ns;
use crate::write::{self, open};

/// A set of conditions with the names they have on the wire.
macro_rules! conditions {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$doc])* $variant,)* }

        impl $type {
            /// Every one of them.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// Its name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }

            /// The one with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<$type> {
                match name { $($name => Some($type::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

conditions! {
    /// Why a stream ended (RFC 6120 4.9.3).
    StreamErrorKind {
        /// XML that cannot be processed (4.9.3.1).
        BadFormat = "bad-format",
        /// A namespace prefix that is unsupported or missing where one is needed (4.9.3.2).
        BadNamespacePrefix = "bad-namespace-prefix",
        /// A new stream of the same entity took the place of this one (4.9.3.3).
        Conflict = "conflict",
        /// The peer was silent for too long (4.9.3.4).
        ConnectionTimeout = "connection-timeout",
        /// The domain is no longer served here (4.9.3.5).
        HostGone = "host-gone",
        /// The domain is not served here (4.9.3.6).
        HostUnknown = "host-unknown",
        /// A stanza between servers lacks an address (4.9.3.7).
        ImproperAddressing = "improper-addressing",
        /// The exchange failed inside (4.9.3.8).
        InternalServerError = "internal-server-error",
        /// The `from` is not the one that was authenticated (4.9.3.9).
        InvalidFrom = "invalid-from",
        /// The stream's or its content's namespace is not one of ours (4.9.3.10).
        InvalidNamespace = "invalid-namespace",
        /// XML that is not valid against its schema (4.9.3.11).
        InvalidXml = "invalid-xml",
        /// Something was tried before it was allowed (4.9.3.12).
        NotAuthorized = "not-authorized",
        /// XML that is not well-formed (4.9.3.13).
        NotWellFormed = "not-well-formed",
        /// A local rule was broken (4.9.3.14).
        PolicyViolation = "policy-violation",
        /// A remote server could not be reached (4.9.3.15).
        RemoteConnectionFailed = "remote-connection-failed",
        /// A mandatory feature was not negotiated, or the stream must start anew (4.9.3.16).
        Reset = "reset",
        /// Not enough of something to serve the stream (4.9.3.17).
        ResourceConstraint = "resource-constraint",
        /// A comment, a processing instruction, a DTD, or an entity that is not predefined (4.9.3.18).
        RestrictedXml = "restricted-xml",
        /// Go elsewhere (4.9.3.19).
        SeeOtherHost = "see-other-host",
        /// The exchange is going down (4.9.3.20).
        SystemShutdown = "system-shutdown",
        /// None of these; an application's own condition says more (4.9.3.21).
        UndefinedCondition = "undefined-condition",
        /// Not UTF-8 (4.9.3.22).
        UnsupportedEncoding = "unsupported-encoding",
        /// A mandatory feature that is not supported (4.9.3.23).
        UnsupportedFeature = "unsupported-feature",
        /// A top-level element that is no stanza and nothing else known (4.9.3.24).
        UnsupportedStanzaType = "unsupported-stanza-type",
        /// Not version 1.0 (4.9.3.25).
        UnsupportedVersion = "unsupported-version",
    }
}

impl StreamErrorKind {
    /// Appends `<stream:error>`, which expects the prefix `stream` to be declared around it; a WebSocket frame
    /// declares it itself (RFC 7395 3.3.3), so `framed` says whether this one does.
    pub fn write(self, out: &mut Vec<u8>, framed: bool, text: Option<&str>, application: Option<&str>) {
        let tag = open(out, "stream:error").attr_opt("xmlns:stream", framed.then_some(ns::STREAMS));
        tag.with(|out| {
            open(out, self.name()).ns(ns::STREAM_ERRORS).empty();
            if let Some(text) = text {
                open(out, "text").ns(ns::STREAM_ERRORS).attr("xml:lang", "en").text(text);
            }
            out.extend_from_slice(application.unwrap_or_default().as_bytes());
        });
    }
}

conditions! {
    /// What a client should do about a stanza error (RFC 6120 8.3.2).
    ErrorType {
        /// Try again after giving credentials.
        Auth = "auth",
        /// Do not try again.
        Cancel = "cancel",
        /// Go on; the condition was only a warning.
        Continue = "continue",
        /// Try again after changing what was sent.
        Modify = "modify",
        /// Try again after a while.
        Wait = "wait",
    }
}

conditions! {
    /// Why a stanza was refused (RFC 6120 8.3.3).
    StanzaCondition {
        /// XML that does not conform to what the namespace says (8.3.3.1).
        BadRequest = "bad-request",
        /// Something by that name exists (8.3.3.2).
        Conflict = "conflict",
        /// The feature is not implemented here (8.3.3.3).
        FeatureNotImplemented = "feature-not-implemented",
        /// The sender may not do this (8.3.3.4).
        Forbidden = "forbidden",
        /// The recipient has left for another address (8.3.3.5).
        Gone = "gone",
        /// The exchange failed inside (8.3.3.6).
        InternalServerError = "internal-server-error",
        /// No such item (8.3.3.7).
        ItemNotFound = "item-not-found",
        /// The address is no JID (8.3.3.8).
        JidMalformed = "jid-malformed",
        /// The recipient does not accept this (8.3.3.9).
        NotAcceptable = "not-acceptable",
        /// Nobody may do this (8.3.3.10).
        NotAllowed = "not-allowed",
        /// Credentials are needed first (8.3.3.11).
        NotAuthorized = "not-authorized",
        /// A local rule was broken (8.3.3.12).
        PolicyViolation = "policy-violation",
        /// The recipient is away (8.3.3.13).
        RecipientUnavailable = "recipient-unavailable",
        /// Send it to another address (8.3.3.14).
        Redirect = "redirect",
        /// Register first (8.3.3.15).
        RegistrationRequired = "registration-required",
        /// The remote domain does not exist (8.3.3.16).
        RemoteServerNotFound = "remote-server-not-found",
        /// The remote domain did not answer (8.3.3.17).
        RemoteServerTimeout = "remote-server-timeout",
        /// Not enough of something (8.3.3.18).
        ResourceConstraint = "resource-constraint",
        /// Nobody here does this (8.3.3.19).
        ServiceUnavailable = "service-unavailable",
        /// Subscribe first (8.3.3.20).
        SubscriptionRequired = "subscription-required",
        /// None of these (8.3.3.21).
        UndefinedCondition = "undefined-condition",
        /// Understood, but not now and not so (8.3.3.22).
        UnexpectedRequest = "unexpected-request",
    }
}

impl StanzaCondition {
    /// The type the RFC associates with it (RFC 6120 8.3.3).
    #[must_use]
    pub const fn usual_type(self) -> ErrorType {
        use StanzaCondition as C;
        match self {
            C::Forbidden | C::NotAuthorized | C::RegistrationRequired | C::SubscriptionRequired => {
                ErrorType::Auth
            }
            C::BadRequest | C::JidMalformed | C::NotAcceptable | C::PolicyViolation | C::Redirect => {
                ErrorType::Modify
            }
            C::RecipientUnavailable
            | C::RemoteServerTimeout
            | C::ResourceConstraint
            | C::UnexpectedRequest => ErrorType::Wait,
            C::Conflict
            | C::FeatureNotImplemented
            | C::Gone
            | C::InternalServerError
            | C::ItemNotFound
            | C::NotAllowed
            | C::RemoteServerNotFound
            | C::ServiceUnavailable
            | C::UndefinedCondition => ErrorType::Cancel,
        }
    }
}

/// The `<error/>` of a stanza of type `error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender should do about it.
    pub kind: ErrorType,
    /// Why.
    pub condition: StanzaCondition,
    /// More, for people, in English.
    pub text: Option<Cow<'static, str>>,
    /// Who found it, where that is not the stanza's `from`.
    pub by: Option<Box<str>>,
    /// An application's own condition: a name and a namespace.
    pub application: Option<(&'static str, &'static str)>,
}

impl StanzaError {
    /// The condition with its usual type and nothing more.
    #[must_use]
    pub const fn new(condition: StanzaCondition) -> StanzaError {
        StanzaError { kind: condition.usual_type(), condition, text: None, by: None, application: None }
    }

    /// The same with a text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> StanzaError {
        self.text = Some(text.into());
        self
    }

    /// The same with another type.
    #[must_use]
    pub const fn with_type(mut self, kind: ErrorType) -> StanzaError {
        self.kind = kind;
        self
    }

    /// The same with an application's own condition.
    #[must_use]
    pub const fn with_application(mut self, name: &'static str, ns: &'static str) -> StanzaError {
        self.application = Some((name, ns));
        self
    }

    /// Appends `<error/>`.
    pub fn write(&self, out: &mut Vec<u8>) {
        open(out, "error").attr("type", self.kind.name()).attr_opt("by", self.by.as_deref()).with(|out| {
            open(out, self.condition.name()).ns(ns::STANZA_ERRORS).empty();
            if let Some(text) = &self.text {
                open(out, "text").ns(ns::STANZA_ERRORS).attr("xml:lang", "en").text(text);
            }
            if let Some((name, ns)) = self.application {
                open(out, name).ns(ns).empty();
            }
        });
    }

    /// Appends the stanza of type `error` that answers a stanza of this name and `id` (RFC 6120 8.3.1).
    pub fn write_reply(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        id: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
    ) {
        open(out, name)
            .attr("type", "error")
            .attr_opt("id", id)
            .attr_opt("from", from)
            .attr_opt("to", to)
            .start();
        self.write(out);
        write::close(out, name);
    }
}

impl From<StanzaCondition> for StanzaError {
    fn from(condition: StanzaCondition) -> StanzaError {
        StanzaError::new(condition)
    }
}

#[cfg(test)]
mod tests;
