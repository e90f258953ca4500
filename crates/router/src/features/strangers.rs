//! Strangers: numbers can be guessed, so how many unknown ones somebody may write to in an hour is limited, and everybody's
//! exchange says what strangers may do.
//!
//! Spec: none; XEP-0159 and RFC 6121 13.4 name the problem.
//! Owns: whom an account in memory wrote to lately, and who wrote to it. Invariants: nobody is a stranger who may see, or be
//! seen by, the account, or has written to it; what a stranger is refused does not tell whether the number exists.
//! Not here: blocking one number (`blocking`), disabling one (the account).

use std::collections::VecDeque;
use std::time::Duration;

use smallvec::SmallVec;
use xmpp::address::AccountNumber;
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::time::Instant;

use super::{Feature, TurnedAway};
use crate::arrive::unavailable;
use crate::config::StrangerPolicy;
use crate::line::LineId;
use crate::parcel::Letter;
use crate::route::{IqType, Kind, MessageType, PresenceType};
use crate::router::Router;
use crate::subscription::Verb;

/// How long somebody who was written to counts.
const HOUR: Duration = Duration::from_secs(3_600);
/// Numbers remembered that wrote, or were written to, and so are strangers no more.
const MET_MAX: usize = 1_000;

/// What is remembered of an account.
#[derive(Default)]
pub(crate) struct Met {
    /// Strangers that it wrote to within the last hour, each once, the latest last.
    tried: VecDeque<(Instant, AccountNumber)>,
    /// Those who wrote to it, and those that it wrote to: they may answer.
    met: VecDeque<AccountNumber>,
}

impl Met {
    fn meet(&mut self, other: AccountNumber) {
        if !self.met.contains(&other) {
            if self.met.len() >= MET_MAX {
                self.met.pop_front();
            }
            self.met.push_back(other);
        }
    }
}

pub(crate) struct It;

impl Feature for It {
    type Router = ();
    type Account = Option<Box<Met>>;
    type Line = ();
    type Wait = ();

    fn refuse_sent(router: &mut Router, line: LineId, kind: Kind, to: AccountNumber, _: &str) -> Option<StanzaError> {
        let number = router.lines[line].number;
        if !approaches(kind) || number == to || router.knows(number, to) {
            return None;
        }
        let (now, max) = (router.now.mono, router.cfg.strangers_per_hour);
        let met = router.accounts.get_mut(number)?.features.strangers.get_or_insert_default();
        if !met.met.contains(&to) {
            let old = |(at, _): &(Instant, AccountNumber)| now.saturating_since(*at) >= HOUR;
            while met.tried.front().is_some_and(old) {
                met.tried.pop_front();
            }
            if !met.tried.iter().any(|(_, other)| *other == to) {
                if met.tried.len() >= max {
                    let error = StanzaError::new(StanzaCondition::PolicyViolation).with_type(ErrorType::Wait);
                    return Some(error.with_text("too many strangers within an hour"));
                }
                met.tried.push_back((now, to));
            }
        }
        None
    }

    fn turn_away(router: &mut Router, letter: &Letter<'_>) -> Option<TurnedAway> {
        let (number, from) = (letter.to, letter.from);
        if !approaches(letter.kind) || number == from || router.knows(number, from) {
            return None;
        }
        let tried = |met: &Met| met.met.contains(&from) || met.tried.iter().any(|(_, other)| *other == from);
        let met = router.accounts.get(number)?.features.strangers.as_deref().is_some_and(tried);
        let subscribes = matches!(letter.kind, Kind::Presence(_));
        match router.cfg.strangers {
            _ if met => {}
            StrangerPolicy::Allow => {}
            StrangerPolicy::Ask if subscribes => return None,
            StrangerPolicy::Ask => {
                return Some(TurnedAway::With(StanzaError::new(StanzaCondition::SubscriptionRequired)));
            }
            StrangerPolicy::Refuse if subscribes => return Some(TurnedAway::Silently),
            StrangerPolicy::Refuse => return Some(TurnedAway::With(unavailable())),
        }
        // Whoever wrote may be answered, by however many.
        router.accounts.get_mut(number)?.features.strangers.get_or_insert_default().meet(from);
        None
    }
}

/// What strangers do to become acquainted, or worse.
fn approaches(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Message(MessageType::Normal | MessageType::Chat | MessageType::Headline | MessageType::Groupchat)
            | Kind::Presence(PresenceType::Subscription(Verb::Subscribe))
            | Kind::Iq(IqType::Get | IqType::Set)
    )
}

impl Router {
    /// Whether one account has agreed to see another, or to be seen by it.
    fn knows(&self, number: AccountNumber, other: AccountNumber) -> bool {
        let Some(account) = self.accounts.get(number) else { return false };
        // Every message asks, so this is not the place for a `String`.
        let mut bare: SmallVec<[u8; 128]> = SmallVec::new();
        let (mut digits, mut at, mut rest) = ([0; 20], 20, other.get());
        while rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        bare.extend_from_slice(&digits[at..]);
        bare.push(b'@');
        bare.extend_from_slice(self.cfg.domain.as_bytes());
        let standing = account.standing(std::str::from_utf8(&bare).unwrap_or_default());
        standing.to || standing.from
    }
}
