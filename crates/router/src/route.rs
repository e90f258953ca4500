//! The rule table: what becomes of a stanza that reached the home of the number it is for.
//!
//! Spec: RFC 6121 section 8.5, its table in 8.5.4; RFC 6120 section 10.5.
//! Owns: nothing; a question goes in, a verdict comes out. Where the RFC leaves a choice, the choice is named here.
//! Not here: carrying the verdict out (`arrive`), stanzas for the server itself (`send`).

/// What kind of stanza it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`.
    Message(MessageType),
    /// `<presence/>`.
    Presence(PresenceType),
    /// `<iq/>`.
    Iq(IqType),
    /// What one account tells those lines of another that want to know (XEP-0163): a `<message/>` that no client sent.
    Event,
    /// What a line that came wants to know of another account, from home to home: no client sees it.
    Wish,
}

/// The `type` of a message (RFC 6121 5.2.2); an unknown one counts as `normal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// No `type`, or `normal`.
    Normal,
    /// `chat`.
    Chat,
    /// `groupchat`.
    Groupchat,
    /// `headline`.
    Headline,
    /// `error`.
    Error,
}

/// The `type` of a presence (RFC 6121 4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// No `type`.
    Available,
    /// `unavailable`.
    Unavailable,
    /// One of the four that manage subscriptions.
    Subscription(crate::subscription::Verb),
    /// `probe`.
    Probe,
    /// `error`.
    Error,
}

/// The `type` of an iq (RFC 6120 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IqType {
    /// `get`.
    Get,
    /// `set`.
    Set,
    /// `result`.
    Result,
    /// `error`.
    Error,
}

/// Which of an account's resources the address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addressed {
    /// None: a bare address.
    Bare,
    /// One that is connected.
    Match,
    /// One that is not.
    NoMatch,
}

/// Who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// No such account.
    Nobody,
    /// No available resource, or only such with a negative priority, which take no messages for the bare address.
    Away,
    /// At least one resource with a non-negative priority.
    Here,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing, silently.
    Ignore,
    /// `service-unavailable` back to the sender.
    Refuse,
    /// To the resource that was named.
    ToMatch,
    /// To the most available resources: those that share the highest non-negative priority.
    ToMostAvailable,
    /// To every resource with a non-negative priority.
    ToNonNegative,
    /// To every available resource, whatever its priority.
    ToAvailable,
    /// Kept until somebody is there.
    Keep,
    /// The server answers on the account's behalf (RFC 6121 8.5.2.1.3).
    Answer,
    /// A step of the subscription state machine (section 3).
    Subscription,
    /// The account's server answers with the presence of its resources (4.3).
    Probe,
    /// To those resources that want it, or to the one that was named if it does.
    ToThoseWhoWant,
    /// The account's features answer.
    Wish,
}

/// The table.
pub fn verdict(kind: Kind, addressed: Addressed, audience: Audience) -> Verdict {
    match kind {
        Kind::Message(kind) => message(kind, addressed, audience),
        Kind::Presence(kind) => presence(kind, addressed, audience),
        Kind::Iq(kind) => iq(kind, addressed, audience),
        Kind::Event => match (addressed, audience) {
            (Addressed::NoMatch, _) | (_, Audience::Nobody) => Verdict::Ignore,
            (Addressed::Bare | Addressed::Match, _) => Verdict::ToThoseWhoWant,
        },
        Kind::Wish if audience == Audience::Nobody => Verdict::Ignore,
        Kind::Wish => Verdict::Wish,
    }
}

fn message(kind: MessageType, addressed: Addressed, audience: Audience) -> Verdict {
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};
    match (addressed, audience, kind) {
        // 8.5.3.1: a resource that is there gets what is for it.
        (Addressed::Match, _, _) => Verdict::ToMatch,
        // 8.1.1.1 and 8.5: an error that finds nobody ends here, or errors would answer errors.
        (_, _, Error) => Verdict::Ignore,
        // 8.5.1: ignore or refuse. We refuse, so that who dialled a wrong number learns of it.
        (_, Audience::Nobody, _) => Verdict::Refuse,
        // 8.5.2.1.1 and 8.5.2.2.1: nobody but a chat room sends these to a bare address.
        (Addressed::Bare, _, Groupchat) => Verdict::Refuse,
        (Addressed::Bare, Audience::Here, Normal | Chat) => Verdict::ToMostAvailable,
        (Addressed::Bare, Audience::Away, Normal | Chat) => Verdict::Keep,
        // A headline is for who is there.
        (Addressed::Bare, Audience::Here, Headline) => Verdict::ToNonNegative,
        (Addressed::Bare, Audience::Away, Headline) => Verdict::Ignore,
        // 8.5.3.2.1: a chat goes on as if for the bare address; of the rest, what somebody may wait for is refused.
        (Addressed::NoMatch, Audience::Here, Chat) => Verdict::ToMostAvailable,
        (Addressed::NoMatch, Audience::Away, Chat) => Verdict::Keep,
        (Addressed::NoMatch, _, Normal | Groupchat) => Verdict::Refuse,
        (Addressed::NoMatch, _, Headline) => Verdict::Ignore,
    }
}

fn presence(kind: PresenceType, addressed: Addressed, audience: Audience) -> Verdict {
    match (kind, addressed, audience) {
        // 8.5.1 and 4.3.2: who asks after a number that is gone learns that there is nothing to see, as with one that is
        // there and does not show itself.
        (PresenceType::Probe, _, _) => Verdict::Probe,
        // 8.5.1: silence, so that presence does not tell which numbers exist.
        (_, _, Audience::Nobody) => Verdict::Ignore,
        // Section 3: subscriptions are between accounts; a resource in the address changes nothing.
        (PresenceType::Subscription(_), _, _) => Verdict::Subscription,
        (_, Addressed::Match, _) => Verdict::ToMatch,
        // 8.5.2.1.2 and 8.5.3.2.2.
        (PresenceType::Available | PresenceType::Unavailable, Addressed::Bare, _) => Verdict::ToAvailable,
        (_, _, _) => Verdict::Ignore,
    }
}

fn iq(kind: IqType, addressed: Addressed, audience: Audience) -> Verdict {
    match (kind, addressed, audience) {
        (_, Addressed::Match, _) => Verdict::ToMatch,
        // RFC 6120 8.2.3: an answer is never answered.
        (IqType::Result | IqType::Error, _, _) => Verdict::Ignore,
        // 8.5.1 and 8.5.3.2.3.
        (_, _, Audience::Nobody) | (_, Addressed::NoMatch, _) => Verdict::Refuse,
        // 8.5.2.1.3 and 8.5.2.2.3.
        (_, Addressed::Bare, _) => Verdict::Answer,
    }
}

#[cfg(test)]
mod tests;
