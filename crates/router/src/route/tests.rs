//! Every row of RFC 6121 8.5.4 and of the sections it sums up.

use super::{Addressed, Audience, IqType, Kind, MessageType, PresenceType, Verdict, verdict};
use crate::subscription::Verb;

use Addressed::{Bare, Match, NoMatch};
use Audience::{Away, Here, Nobody};
use Verdict::{
    Answer, Ignore, Keep, Probe, Refuse, Subscription, ToAvailable, ToMatch, ToMostAvailable, ToNonNegative,
};

/// Audience, address, then normal, chat, groupchat, headline, error: the table of 8.5.4, where `S` (ignored or refused)
/// is resolved. `Match` without an available resource is one that is connected only.
#[rustfmt::skip]
const MESSAGES: [(Audience, Addressed, [Verdict; 5]); 8] = [
    (Nobody, Bare,    [Refuse,          Refuse,          Refuse,  Refuse,        Ignore]),
    (Nobody, NoMatch, [Refuse,          Refuse,          Refuse,  Refuse,        Ignore]),
    (Away,   Bare,    [Keep,            Keep,            Refuse,  Ignore,        Ignore]),
    (Away,   Match,   [ToMatch,         ToMatch,         ToMatch, ToMatch,       ToMatch]),
    (Away,   NoMatch, [Refuse,          Keep,            Refuse,  Ignore,        Ignore]),
    (Here,   Bare,    [ToMostAvailable, ToMostAvailable, Refuse,  ToNonNegative, Ignore]),
    (Here,   Match,   [ToMatch,         ToMatch,         ToMatch, ToMatch,       ToMatch]),
    (Here,   NoMatch, [Refuse,          ToMostAvailable, Refuse,  Ignore,        Ignore]),
];

#[test]
fn messages() {
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};
    for (audience, addressed, expected) in MESSAGES {
        for (kind, expected) in [Normal, Chat, Groupchat, Headline, Error].into_iter().zip(expected) {
            let got = verdict(Kind::Message(kind), addressed, audience);
            assert_eq!(got, expected, "{kind:?} to {addressed:?} with {audience:?}");
        }
    }
}

/// Audience, address, then available, unavailable, subscription, probe, error (4.3.2, 8.5.1, 8.5.2.1.2,
/// 8.5.2.2.2, 8.5.3.1, 8.5.3.2.2).
#[rustfmt::skip]
const PRESENCES: [(Audience, Addressed, [Verdict; 5]); 8] = [
    (Nobody, Bare,    [Ignore,      Ignore,      Ignore,       Probe,  Ignore]),
    (Nobody, NoMatch, [Ignore,      Ignore,      Ignore,       Probe,  Ignore]),
    (Away,   Bare,    [ToAvailable, ToAvailable, Subscription, Probe,  Ignore]),
    (Away,   Match,   [ToMatch,     ToMatch,     Subscription, Probe,  ToMatch]),
    (Away,   NoMatch, [Ignore,      Ignore,      Subscription, Probe,  Ignore]),
    (Here,   Bare,    [ToAvailable, ToAvailable, Subscription, Probe,  Ignore]),
    (Here,   Match,   [ToMatch,     ToMatch,     Subscription, Probe,  ToMatch]),
    (Here,   NoMatch, [Ignore,      Ignore,      Subscription, Probe,  Ignore]),
];

#[test]
fn presences() {
    for (audience, addressed, [available, unavailable, subscription, probe, error]) in PRESENCES {
        let check = |kind: PresenceType, expected: Verdict| {
            let got = verdict(Kind::Presence(kind), addressed, audience);
            assert_eq!(got, expected, "{kind:?} to {addressed:?} with {audience:?}");
        };
        check(PresenceType::Available, available);
        check(PresenceType::Unavailable, unavailable);
        for verb in [Verb::Subscribe, Verb::Subscribed, Verb::Unsubscribe, Verb::Unsubscribed] {
            check(PresenceType::Subscription(verb), subscription);
        }
        check(PresenceType::Probe, probe);
        check(PresenceType::Error, error);
    }
}

/// Audience, address, then get, set, result, error (8.5.1, 8.5.2.1.3, 8.5.2.2.3, 8.5.3.1, 8.5.3.2.3).
#[rustfmt::skip]
const IQS: [(Audience, Addressed, [Verdict; 4]); 8] = [
    (Nobody, Bare,    [Refuse,  Refuse,  Ignore,  Ignore]),
    (Nobody, NoMatch, [Refuse,  Refuse,  Ignore,  Ignore]),
    (Away,   Bare,    [Answer,  Answer,  Ignore,  Ignore]),
    (Away,   Match,   [ToMatch, ToMatch, ToMatch, ToMatch]),
    (Away,   NoMatch, [Refuse,  Refuse,  Ignore,  Ignore]),
    (Here,   Bare,    [Answer,  Answer,  Ignore,  Ignore]),
    (Here,   Match,   [ToMatch, ToMatch, ToMatch, ToMatch]),
    (Here,   NoMatch, [Refuse,  Refuse,  Ignore,  Ignore]),
];

#[test]
fn iqs() {
    use IqType::{Error, Get, Result, Set};
    for (audience, addressed, expected) in IQS {
        for (kind, expected) in [Get, Set, Result, Error].into_iter().zip(expected) {
            let got = verdict(Kind::Iq(kind), addressed, audience);
            assert_eq!(got, expected, "{kind:?} to {addressed:?} with {audience:?}");
        }
    }
}
