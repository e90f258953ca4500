//! Features: what the exchange offers beside routing. Each is one file in this folder that can be removed.
//!
//! Spec: one document a feature, named in its file; XEP-0030 for how they are told of.
//! Owns: the list, and the calls that reach each feature on it. Invariants: the router names no feature; a feature names
//! no other. To remove one, delete its file and its line in the list; the rest builds, and disco, capabilities and
//! stream features no longer speak of it.
//! Not here: rosters, presence, routing, which are RFC 6121 itself.

use std::ops::Range;

use smallvec::SmallVec;
use store::{OfflineId, StoreError};
use xmpp::address::AccountNumber;
use xmpp::error::StanzaError;
use xmpp::stanza::{Node, Stanza};

use crate::config::RouterConfig;
use crate::line::{LineId, SessionId};
use crate::parcel::Letter;
use crate::route::Kind;
use crate::router::Router;
use crate::tag::Tag;

/// What a feature may do. All of it is optional: a feature says what it wants to hear of.
pub(crate) trait Feature {
    /// What it remembers of everything that this router has.
    type Router: Default;
    /// What it remembers of an account while that is in memory.
    type Account: Default;
    /// What it remembers of a line.
    type Line: Default;
    /// What it asked the store for.
    type Wait;

    /// What the exchange itself understands (XEP-0030), in its own name.
    const SERVER: &'static [&'static str] = &[];
    /// What it understands in an account's name.
    const ACCOUNT: &'static [&'static str] = &[];
    /// What an account is beside being registered, for its sake: categories and types (XEP-0030).
    const IDENTITIES: &'static [(&'static str, &'static str)] = &[];
    /// What a client may ask it for along with its resource, by its namespace (XEP-0386 2.1).
    const INLINE: &'static [&'static str] = &[];

    /// An iq of type `get` or `set`. `None`: not mine.
    fn on_query(_: &mut Router, _: &Query<'_>, _inner: &mut Vec<u8>) -> Option<Answer> {
        None
    }
    /// A line has just been bound, and this is one of the elements that its client asked for along with that (XEP-0386
    /// 2.2). What is appended stands in the answer; nothing may be delivered before that.
    fn on_inline(_: &mut Router, _: LineId, _: &Node<'_>, _bound: &mut Vec<u8>) {}
    /// A client answered an iq that bore this id.
    fn on_answer(_: &mut Router, _: LineId, _id: &str, _: &Stanza<'_>) {}
    /// A client sent available presence to nobody in particular, and everybody has been told.
    fn on_presence(_: &mut Router, _: LineId, _: &Stanza<'_>) {}
    /// A contact has let an account see its presence.
    fn on_seen(_: &mut Router, _: AccountNumber, _contact: AccountNumber) {}
    /// Whether an event of some account is to go to a line.
    fn wants_event(_: &Router, _: LineId, _: &Stanza<'_>) -> bool {
        false
    }
    /// A line of somebody came, and wants the last of what this account published.
    fn on_wish(_: &mut Router, _: &Letter<'_>) {}
    /// What stands in the stream's features.
    fn write_stream_features(_: &RouterConfig, _: &mut Vec<u8>) {}
    /// How long a message with these children should live.
    fn judge(_inside: &[Node<'_>], _: &mut Judgement) {}
    /// Whether a message that is kept until somebody has it is worth more than that.
    fn is_lasting(_inside: &[Node<'_>]) -> bool {
        true
    }

    /// A line's client is about to write to another account: a message, a question, presence or a request to see it. Why
    /// it may not.
    fn refuse_sent(
        _: &mut Router,
        _: LineId,
        _: Kind,
        _to: AccountNumber,
        _full: &str,
    ) -> Option<StanzaError> {
        None
    }
    /// Something has come for an account that is in memory. How it is turned away.
    fn turn_away(_: &mut Router, _: &Letter<'_>) -> Option<TurnedAway> {
        None
    }
    /// Whether an account's presence is hidden from another that may see it by the roster.
    fn hides(_: &Router, _: AccountNumber, _from: AccountNumber) -> bool {
        false
    }
    /// An account is being read, its roster next: what the feature must know of it is asked for now, and is there before
    /// anything is decided for the account.
    fn on_load(_: &mut Router, _: AccountNumber) {}
    /// A line's client sent a message, like this, which is about to leave. What the sender's own archive calls it goes to
    /// `marks`.
    fn on_sent(_: &mut Router, _: LineId, _: &mut Letter<'_>, _sent: &Stanza<'_>, _marks: &mut Vec<u8>) {}
    /// A message of a kind that is kept came to its recipient, and is about to be given or kept. What goes to `marks` is
    /// put inside.
    fn on_arrived(_: &mut Router, _: &mut Letter<'_>, _marks: &mut Vec<u8>) {}
    /// A message is about to be given to these lines of an account: copies for others of it are written.
    fn copy(_: &mut Router, _: &Letter<'_>, _: &[LineId], _: &mut Copies) {}
    /// What somebody had of a message has come back: the message, where that was a copy written by [`copy`](Self::copy).
    fn original(_: &Stanza<'_>) -> Option<Vec<u8>> {
        None
    }

    /// A message is about to be given to those who are there, or to one. True: it is mine now.
    fn hold(_: &mut Router, _: Letter<'_>, _: Option<LineId>) -> bool {
        false
    }
    /// A message finds nobody. True: it is mine now.
    fn keep(_: &mut Router, _: Letter<'_>) -> bool {
        false
    }
    /// A message has just been given to sessions that confirm, and is to outlive a crash until one has. True: its row is
    /// asked for, by this mark, and its ack waits for that.
    fn record(_: &mut Router, _: Letter<'_>, _mark: u64) -> bool {
        false
    }
    /// A message is for this line, which has too much in hand. True: it is mine now.
    fn put_by(_: &mut Router, _: Letter<'_>, _: LineId) -> bool {
        false
    }
    /// A message that the store has was in sessions' hands and is no more: it was confirmed, or all of them are lost.
    fn on_row_over(_: &mut Router, _: AccountNumber, _: OfflineId, _confirmed: bool) {}
    /// A line takes messages from now on.
    fn on_ready(_: &mut Router, _: LineId) {}
    /// A line takes no more messages, or is about to end.
    fn on_unready(_: &mut Router, _: LineId) {}
    /// A session has ended; what it had not confirmed comes back next.
    fn on_line_lost(_: &mut Router, _: AccountNumber, _: SessionId) {}
    /// And now it has come back.
    fn on_line_gone(_: &mut Router, _: AccountNumber) {}
    /// A line's client says that its user looks at it, or no longer (XEP-0352).
    fn on_client_state(_: &mut Router, _: LineId, _active: bool) {}
    /// A stanza is about to be given to a line's client. True: not now, and it is mine.
    fn hold_back(_: &mut Router, _: LineId, _: &Range<usize>, _: Option<Tag>) -> bool {
        false
    }
    /// A line has gone from one session to another; its client is told once its counts are on record.
    fn on_line_resumed(_: &mut Router, _: LineId) {}
    /// A line has gone from one session to another (XEP-0198 section 5).
    fn on_line_moved(_: &mut Router, _: AccountNumber, _from: SessionId, _to: SessionId) {}
    /// A client confirmed a message that the store has.
    fn on_row_delivered(_: &mut Router, _: AccountNumber, _: SessionId, _: OfflineId) {}
    /// The store answered.
    fn on_reply(_: &mut Router, _: Self::Wait, _: Result<store::Answer, StoreError>) {}
    /// The exchange is about to end: what is held in memory goes to the store.
    fn on_stopping(_: &mut Router, _: AccountNumber) {}
    /// What a line asked for, as the elements that [`Feature::on_inline`] takes.
    fn write_wishes(_: &Router, _: LineId, _: &mut Vec<u8>) {}
    /// A line is there again after a restart, and this is its presence.
    fn on_restored(_: &mut Router, _: LineId, _: &Stanza<'_>) {}
    /// An alarm that was set for this account.
    fn on_alarm(_: &mut Router, _: AccountNumber) {}
    /// This account was noted as unsettled, and the burst is over.
    fn on_settle(_: &mut Router, _: AccountNumber) {}
}

/// An iq that the exchange answers.
pub(crate) struct Query<'a> {
    pub(crate) scope: Scope,
    pub(crate) set: bool,
    pub(crate) payload: Node<'a>,
    /// All of it.
    pub(crate) letter: &'a Letter<'a>,
    /// The asker's line, where the account is its own or the exchange is asked.
    pub(crate) line: Option<LineId>,
}

/// How something that came is turned away.
#[allow(dead_code, reason = "a feature that was removed may have been the only one to do so")]
pub(crate) enum TurnedAway {
    /// The sender hears nothing.
    Silently,
    /// It is told.
    With(StanzaError),
}

/// What somebody gets of a message that another line of the same account got.
pub(crate) struct Copy {
    pub(crate) line: LineId,
    /// In the output buffer.
    pub(crate) stanza: Range<usize>,
}

/// All of them.
pub(crate) type Copies = SmallVec<[Copy; 4]>;

/// In whose name it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The exchange's.
    Server,
    /// The asker's own account's.
    Own,
    /// Another account's.
    Other {
        /// The asker may see that account's presence.
        subscribed: bool,
    },
}

/// The answer.
#[allow(dead_code, reason = "a feature that was removed may have been the only one to refuse")]
pub(crate) enum Answer {
    /// What was written is the result's inside.
    Result,
    /// It is refused.
    Error(StanzaError),
    /// The feature has taken the letter, and answers itself.
    Later,
}

/// How long a message should live.
#[allow(dead_code, reason = "a feature that was removed may have been the only one to judge so")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Until somebody has it.
    Keep,
    /// As long as somebody is there: nobody misses it later.
    Drop,
    /// Not on any disk: if nobody is there, the sender is told.
    Refuse,
}

/// What a message's inside says of it: read once, and carried with the message, so that nobody who decides about it has to
/// look again. What the exchange itself adds on the way, ids and times, changes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gist {
    pub(crate) judgement: Judgement,
    /// It is worth keeping also once somebody has it.
    pub(crate) lasting: bool,
    /// A child of it is called `stanza-id`, so an archive may have it already. The ids that are added on the way count.
    pub(crate) names_stanza_id: bool,
}

macro_rules! features {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// What each feature remembers of everything.
        #[derive(Default)]
        pub(crate) struct RouterStates {
            $(#[allow(dead_code, reason = "not every feature remembers something")]
            pub(crate) $name: <$name::It as Feature>::Router,)*
        }

        /// What each feature remembers of a line.
        #[derive(Default)]
        pub(crate) struct LineStates {
            $(#[allow(dead_code, reason = "not every feature remembers something")]
            pub(crate) $name: <$name::It as Feature>::Line,)*
        }

        /// What each feature remembers of an account.
        #[derive(Default)]
        pub(crate) struct AccountStates {
            $(#[allow(dead_code, reason = "not every feature remembers something")]
            pub(crate) $name: <$name::It as Feature>::Account,)*
        }

        /// What each feature asked the store for.
        #[allow(non_camel_case_types, dead_code, reason = "one variant a feature, by its name")]
        pub(crate) enum Wait {
            $($name(<$name::It as Feature>::Wait),)*
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name),)*];

        /// What the exchange understands in its own name.
        const SERVER: &[&[&str]] = &[$(<$name::It as Feature>::SERVER,)*];
        /// What an account is.
        const IDENTITIES: &[&[(&str, &str)]] = &[$(<$name::It as Feature>::IDENTITIES,)*];
        /// What it understands in an account's name.
        const ACCOUNT: &[&[&str]] = &[$(<$name::It as Feature>::ACCOUNT,)*];

        /// What a client may ask for along with its resource.
        const INLINE: &[&[&str]] = &[$(<$name::It as Feature>::INLINE,)*];

        #[allow(dead_code, reason = "not every build has a feature that can be asked so")]
        pub(crate) fn on_inline(router: &mut Router, line: LineId, asked: &Node<'_>, bound: &mut Vec<u8>) {
            $($name::It::on_inline(router, line, asked, bound);)*
        }

        pub(crate) fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
            $(if let Some(answer) = $name::It::on_query(router, query, inner) {
                return Some(answer);
            })*
            None
        }

        pub(crate) fn on_answer(router: &mut Router, line: LineId, id: &str, stanza: &Stanza<'_>) {
            $($name::It::on_answer(router, line, id, stanza);)*
        }

        pub(crate) fn on_presence(router: &mut Router, line: LineId, stanza: &Stanza<'_>) {
            $($name::It::on_presence(router, line, stanza);)*
        }

        pub(crate) fn on_seen(router: &mut Router, number: AccountNumber, contact: AccountNumber) {
            $($name::It::on_seen(router, number, contact);)*
        }

        pub(crate) fn wants_event(router: &Router, line: LineId, event: &Stanza<'_>) -> bool {
            false $(|| $name::It::wants_event(router, line, event))*
        }

        pub(crate) fn on_wish(router: &mut Router, letter: &Letter<'_>) {
            $($name::It::on_wish(router, letter);)*
        }

        pub(crate) fn write_stream_features(cfg: &RouterConfig, out: &mut Vec<u8>) {
            $($name::It::write_stream_features(cfg, out);)*
        }

        pub(crate) fn refuse_sent(
            router: &mut Router,
            line: LineId,
            kind: Kind,
            to: AccountNumber,
            full: &str,
        ) -> Option<StanzaError> {
            $(if let Some(error) = $name::It::refuse_sent(router, line, kind, to, full) {
                return Some(error);
            })*
            None
        }

        pub(crate) fn turn_away(router: &mut Router, letter: &Letter<'_>) -> Option<TurnedAway> {
            $(if let Some(away) = $name::It::turn_away(router, letter) {
                return Some(away);
            })*
            None
        }

        pub(crate) fn hides(router: &Router, number: AccountNumber, from: AccountNumber) -> bool {
            false $(|| $name::It::hides(router, number, from))*
        }

        pub(crate) fn on_load(router: &mut Router, number: AccountNumber) {
            $($name::It::on_load(router, number);)*
        }

        /// What a message's inside says of it. It lives until somebody has it, unless a feature knows better.
        #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
        pub(crate) fn gist(stanza: &Stanza<'_>) -> Gist {
            // Each is found once, however many features look at them: finding it costs more than that. More than these are
            // as rare as they are bounded by the stanza's size.
            let inside: SmallVec<[Node<'_>; 8]> = stanza.children().collect();
            let mut judgement = Judgement::Keep;
            $($name::It::judge(&inside, &mut judgement);)*
            let lasting = judgement == Judgement::Keep $(&& $name::It::is_lasting(&inside))*;
            Gist { judgement, lasting, names_stanza_id: stanza.names_stanza_id() }
        }

        pub(crate) fn on_sent(router: &mut Router, line: LineId, letter: &mut Letter<'_>, sent: &Stanza<'_>) {
            let mut marks = std::mem::take(&mut router.scratch_marks);
            $($name::It::on_sent(router, line, letter, sent, &mut marks);)*
            marks.clear();
            router.scratch_marks = marks;
        }

        pub(crate) fn on_arrived(router: &mut Router, letter: &mut Letter<'_>, marks: &mut Vec<u8>) {
            $($name::It::on_arrived(router, letter, marks);)*
        }

        pub(crate) fn copies(router: &mut Router, letter: &Letter<'_>, given: &[LineId]) -> Copies {
            let mut copies = Copies::new();
            $($name::It::copy(router, letter, given, &mut copies);)*
            copies
        }

        /// The message, whether this is it or a copy that somebody had of it.
        pub(crate) fn original(stanza: Vec<u8>) -> Vec<u8> {
            let Ok(parsed) = Stanza::parse(&stanza) else { return stanza };
            let mut original = None;
            $(original = original.or_else(|| $name::It::original(&parsed));)*
            original.unwrap_or(stanza)
        }

        pub(crate) fn hold(router: &mut Router, letter: Letter<'_>, line: Option<LineId>) -> bool {
            false $(|| $name::It::hold(router, letter, line))*
        }

        pub(crate) fn keep(router: &mut Router, letter: Letter<'_>) -> bool {
            false $(|| $name::It::keep(router, letter))*
        }

        pub(crate) fn record(router: &mut Router, letter: Letter<'_>, mark: u64) -> bool {
            false $(|| $name::It::record(router, letter, mark))*
        }

        pub(crate) fn put_by(router: &mut Router, letter: Letter<'_>, line: LineId) -> bool {
            false $(|| $name::It::put_by(router, letter, line))*
        }

        pub(crate) fn on_row_over(router: &mut Router, number: AccountNumber, id: OfflineId, confirmed: bool) {
            $($name::It::on_row_over(router, number, id, confirmed);)*
        }

        pub(crate) fn on_ready(router: &mut Router, line: LineId) {
            $($name::It::on_ready(router, line);)*
        }

        pub(crate) fn on_unready(router: &mut Router, line: LineId) {
            $($name::It::on_unready(router, line);)*
        }

        pub(crate) fn on_line_lost(router: &mut Router, number: AccountNumber, session: SessionId) {
            $($name::It::on_line_lost(router, number, session);)*
        }

        pub(crate) fn on_client_state(router: &mut Router, line: LineId, active: bool) {
            $($name::It::on_client_state(router, line, active);)*
        }

        #[inline]
        pub(crate) fn hold_back(
            router: &mut Router,
            line: LineId,
            stanza: &Range<usize>,
            tag: Option<Tag>,
        ) -> bool {
            false $(|| $name::It::hold_back(router, line, stanza, tag))*
        }

        pub(crate) fn on_line_resumed(router: &mut Router, line: LineId) {
            $($name::It::on_line_resumed(router, line);)*
        }

        pub(crate) fn on_line_moved(
            router: &mut Router,
            number: AccountNumber,
            from: SessionId,
            to: SessionId,
        ) {
            $($name::It::on_line_moved(router, number, from, to);)*
        }

        pub(crate) fn on_line_gone(router: &mut Router, number: AccountNumber) {
            $($name::It::on_line_gone(router, number);)*
        }

        pub(crate) fn on_row_delivered(
            router: &mut Router,
            number: AccountNumber,
            session: SessionId,
            row: OfflineId,
        ) {
            $($name::It::on_row_delivered(router, number, session, row);)*
        }

        pub(crate) fn on_reply(router: &mut Router, wait: Wait, answer: Result<store::Answer, StoreError>) {
            match wait {
                $(Wait::$name(wait) => $name::It::on_reply(router, wait, answer),)*
            }
        }

        pub(crate) fn on_stopping(router: &mut Router, number: AccountNumber) {
            $($name::It::on_stopping(router, number);)*
        }

        pub(crate) fn write_wishes(router: &Router, line: LineId, out: &mut Vec<u8>) {
            $($name::It::write_wishes(router, line, out);)*
        }

        pub(crate) fn on_restored(router: &mut Router, line: LineId, presence: &Stanza<'_>) {
            $($name::It::on_restored(router, line, presence);)*
        }

        pub(crate) fn on_alarm(router: &mut Router, number: AccountNumber) {
            $($name::It::on_alarm(router, number);)*
        }

        pub(crate) fn on_settle(router: &mut Router, number: AccountNumber) {
            $($name::It::on_settle(router, number);)*
        }
    };
}

// The list. One line a file; the order is the order in which they are asked.
features! {
    archive,
    blocking,
    caps,
    carbons,
    // Before disco, which it answers for in part.
    pep,
    chat_states,
    client_state,
    disco,
    errands,
    establishment,
    hints,
    offline,
    ping,
    private,
    strangers,
    time,
    vcard,
    version,
}

/// What `disco#info` says of the exchange, sorted, each once.
#[allow(dead_code, reason = "nobody asks when neither disco nor capabilities are in")]
pub(crate) fn server_features() -> Vec<&'static str> {
    sorted(SERVER)
}

/// What an account is, beside being registered.
#[allow(dead_code, reason = "nobody asks when disco is not in")]
pub(crate) fn account_identities() -> Vec<(&'static str, &'static str)> {
    IDENTITIES.concat()
}

/// The same of an account.
#[allow(dead_code, reason = "nobody asks when disco is not in")]
pub(crate) fn account_features() -> Vec<&'static str> {
    sorted(ACCOUNT)
}

/// What a client may ask for along with its resource.
pub(crate) fn inline_features() -> Vec<&'static str> {
    sorted(INLINE)
}

fn sorted(all: &[&[&'static str]]) -> Vec<&'static str> {
    let mut all: Vec<&str> = all.concat();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
