//! Arrival: a stanza is at the home of the number it is for, and the rule table's verdict is carried out.
//!
//! Spec: RFC 6121 section 8.5; XEP-0203 for the stamp of what comes late.
//! Owns: nothing. Invariants: a letter is processed, refused, kept or put off, one of these.
//! Not here: the table (`route`), who has what and has not confirmed it (`hands`), keeping messages (`features`).

use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::relay::{Head, relay};
use xmpp::stanza::Stanza;
use xmpp::time::Wallclock;
use xmpp::{ns, write};

use crate::account::Pending;
use crate::features::{self, Copy, Gist, Query, Scope, TurnedAway};
use crate::hands::Targets;
use crate::line::LineId;
use crate::parcel::Letter;
use crate::route::{Addressed, Audience, Kind, MessageType, PresenceType, Verdict, verdict};
use crate::router::{Router, busy};
use crate::subscription::Verb;
use crate::waiting::{Effect, Token};

impl Router {
    /// A letter is at its recipient's home.
    pub(crate) fn arrive(&mut self, letter: Letter<'_>) {
        let Some(account) = self.accounts.get_mut(letter.to) else { return self.arrive_absent(letter) };
        if account.loading || account.unread {
            self.reload(letter.to);
            return self.put_off_letter(letter);
        }
        self.carry_out(letter, true);
    }

    /// The same for what had arrived before and was held: a message, which needs no roster, so what came later and waits
    /// for one does not overtake it.
    #[allow(dead_code, reason = "nobody holds messages when no feature keeps them")]
    pub(crate) fn arrive_again(&mut self, letter: Letter<'_>) {
        if self.accounts.get(letter.to).is_some() {
            self.carry_out(letter, false);
        } else {
            self.arrive_absent(letter);
        }
    }

    /// What the table says is done; `new`: features have not seen it yet.
    fn carry_out(&mut self, letter: Letter<'_>, new: bool) {
        let Some(account) = self.accounts.get(letter.to) else { return self.processed(letter.ack) };
        let (lines, last_write) = (account.lines.clone(), account.last_write);
        if new
            && letter.from != letter.to
            && (letter.kind.may_be_refused() || matches!(letter.kind, Kind::Event | Kind::Wish))
            && let Some(away) = features::turn_away(self, &letter)
        {
            return match away {
                TurnedAway::Silently => self.processed(letter.ack),
                TurnedAway::With(error) => self.refuse(letter, &error),
            };
        }
        if let Some(token) = last_write
            && self.waits_for_write(letter, token)
        {
            return;
        }
        let named = letter.resource.map(|resource| {
            let here = |&line: &LineId| !self.lines[line].closing && self.lines[line].resource() == resource;
            lines.iter().copied().find(here)
        });
        let addressed = match named {
            None => Addressed::Bare,
            Some(None) => Addressed::NoMatch,
            Some(Some(_)) => Addressed::Match,
        };
        let here = lines.iter().any(|&line| self.lines[line].takes_messages());
        let audience = if here { Audience::Here } else { Audience::Away };
        let verdict = verdict(letter.kind, addressed, audience);
        if new && is_kept_kind(letter.kind) && verdict != Verdict::Refuse {
            return self.mark(letter, |router, letter| {
                router.carry_out_verdict(letter, verdict, named.flatten(), &lines);
            });
        }
        self.carry_out_verdict(letter, verdict, named.flatten(), &lines);
    }

    /// Features see a message that came, and may add to it what only the recipient's home may say.
    fn mark(&mut self, mut letter: Letter<'_>, then: impl FnOnce(&mut Self, Letter<'_>)) {
        let mut marks = std::mem::take(&mut self.scratch_marks);
        let mut bytes = std::mem::take(&mut self.scratch_arrived);
        features::on_arrived(self, &mut letter, &mut marks);
        if marks.is_empty() {
            then(self, letter);
        } else {
            append(&mut bytes, letter.stanza, &marks);
            // Ids are what is added, and nothing that is asked of a message inside changes by them but that.
            let gist = letter.gist.map(|gist| Gist { names_stanza_id: true, ..gist });
            then(self, Letter { stanza: &bytes, gist, ..letter });
        }
        marks.clear();
        bytes.clear();
        (self.scratch_marks, self.scratch_arrived) = (marks, bytes);
    }

    fn carry_out_verdict(
        &mut self,
        letter: Letter<'_>,
        verdict: Verdict,
        named: Option<LineId>,
        lines: &[LineId],
    ) {
        match verdict {
            Verdict::Ignore => self.processed(letter.ack),
            Verdict::Refuse => self.refuse(letter, &unavailable()),
            Verdict::ToMatch => self.give_to_named(letter, named),
            Verdict::ToMostAvailable => self.give_to_most_available(letter, lines),
            Verdict::ToNonNegative => self.give_to_lines(letter, lines, |line| line.takes_messages()),
            Verdict::ToAvailable => {
                self.give_to_lines(letter, lines, |line| line.is_available() && !line.closing);
            }
            Verdict::Keep => self.keep(letter),
            Verdict::Answer => self.answer_for_account(letter),
            Verdict::Subscription => self.subscription_arrived(letter),
            Verdict::Probe => self.probe_arrived(letter),
            Verdict::ToThoseWhoWant => {
                if let Ok(event) = Stanza::parse(letter.stanza) {
                    let wants = |line: LineId| {
                        self.lines[line].is_available()
                            && !self.lines[line].closing
                            && named.is_none_or(|named| named == line)
                            && features::wants_event(self, line, &event)
                    };
                    let takers: Targets = lines.iter().copied().filter(|&line| wants(line)).collect();
                    let stanza = self.out.put(letter.stanza);
                    for line in takers {
                        self.deliver(line, stanza.clone(), None);
                    }
                }
                self.processed(letter.ack);
            }
            Verdict::Wish => {
                features::on_wish(self, &letter);
                self.processed(letter.ack);
            }
        }
    }

    /// The account is not in memory, so nobody is logged in to it. It is loaded only if it decides what becomes of the
    /// stanza; presence finds nobody.
    fn arrive_absent(&mut self, letter: Letter<'_>) {
        let addressed = if letter.resource.is_some() { Addressed::NoMatch } else { Addressed::Bare };
        match verdict(letter.kind, addressed, Audience::Away) {
            Verdict::Refuse => self.refuse(letter, &unavailable()),
            Verdict::Keep | Verdict::Answer | Verdict::Subscription => {
                if self.store_is_busy() {
                    return self.refuse(letter, &busy());
                }
                self.load(letter.to);
                self.put_off_letter(letter);
            }
            Verdict::Probe | Verdict::Wish if self.waiting.len() < self.cfg.probe_requests_max => {
                self.load(letter.to);
                self.put_off_letter(letter);
            }
            _ => self.processed(letter.ack),
        }
    }

    /// There is no such account (RFC 6121 8.5.1).
    pub(crate) fn arrive_nowhere(&mut self, letter: Letter<'_>) {
        let addressed = if letter.resource.is_some() { Addressed::NoMatch } else { Addressed::Bare };
        match verdict(letter.kind, addressed, Audience::Nobody) {
            Verdict::Refuse => self.refuse(letter, &unavailable()),
            Verdict::Probe => self.send_subscription(letter.to, letter.from, Verb::Unsubscribed, letter.ack),
            _ => self.processed(letter.ack),
        }
    }

    /// Presence that follows a subscription (RFC 6121 3.1.5) is seen after it, so it waits for the same commit.
    fn waits_for_write(&mut self, letter: Letter<'_>, token: Token) -> bool {
        let kind = matches!(letter.kind, Kind::Presence(PresenceType::Available | PresenceType::Unavailable));
        kind && self.follow(token, Effect::Arrive(letter.to_owned())).is_ok()
    }

    fn put_off_letter(&mut self, letter: Letter<'_>) {
        if let Err(Pending::Letter(letter)) = self.put_off(letter.to, Pending::Letter(letter.to_owned())) {
            self.refuse_as_busy(letter.borrow());
        }
    }

    /// Too much is waiting, or the store cannot say what is needed. Presence is not answered: who sent it may not even
    /// be a client (4.3.1), and hears of the next change.
    pub(crate) fn refuse_as_busy(&mut self, letter: Letter<'_>) {
        match letter.kind {
            Kind::Event
            | Kind::Wish
            | Kind::Presence(PresenceType::Probe | PresenceType::Available | PresenceType::Unavailable) => {
                self.processed(letter.ack);
            }
            _ => self.refuse(letter, &busy()),
        }
    }

    fn give_to_named(&mut self, letter: Letter<'_>, line: Option<LineId>) {
        let Some(line) = line else { return self.processed(letter.ack) };
        let kept = is_kept_kind(letter.kind);
        if kept && features::hold(self, letter, Some(line)) {
            return;
        }
        let copies = features::copies(self, &letter, &[line]);
        if kept {
            return self.hand_out(letter, Targets::from_slice(&[line]), copies);
        }
        let stanza = self.out.put(letter.stanza);
        self.deliver(line, stanza, None);
        for Copy { line, stanza } in copies {
            self.deliver(line, stanza, None);
        }
        self.processed(letter.ack);
    }

    fn give_to_most_available(&mut self, letter: Letter<'_>, lines: &[LineId]) {
        if features::hold(self, letter, None) {
            return;
        }
        self.give(letter, lines);
    }

    /// Gives a message to the most available resources, whatever else is on its way to them.
    pub(crate) fn give(&mut self, letter: Letter<'_>, lines: &[LineId]) {
        let takers = || lines.iter().copied().filter(|&line| self.lines[line].takes_messages());
        let highest = takers().map(|line| self.lines[line].priority).max();
        let targets: Targets = takers().filter(|&line| Some(self.lines[line].priority) == highest).collect();
        if targets.is_empty() {
            return self.keep(letter);
        }
        let copies = features::copies(self, &letter, &targets);
        self.hand_out(letter, targets, copies);
    }

    fn give_to_lines(
        &mut self,
        letter: Letter<'_>,
        lines: &[LineId],
        takes: impl Fn(&crate::line::Line) -> bool,
    ) {
        let stanza = self.out.put(letter.stanza);
        for &line in lines {
            if takes(&self.lines[line]) {
                self.deliver(line, stanza.clone(), None);
            }
        }
        self.processed(letter.ack);
    }

    /// Nobody takes it now.
    pub(crate) fn keep(&mut self, letter: Letter<'_>) {
        if !features::keep(self, letter) {
            // RFC 6121 8.5.2.2.1: without offline storage the sender is told.
            self.refuse(letter, &unavailable());
        }
    }

    /// An iq for the account itself.
    fn answer_for_account(&mut self, letter: Letter<'_>) {
        let asker = self.bare(letter.from);
        let subscribed = self.accounts.get(letter.to).is_some_and(|account| account.standing(&asker).from);
        let scope = if letter.from == letter.to { Scope::Own } else { Scope::Other { subscribed } };
        self.query(letter, scope, None);
    }

    /// An iq that the exchange answers, for an account or for itself.
    pub(crate) fn query(&mut self, letter: Letter<'_>, scope: Scope, line: Option<LineId>) {
        let set = letter.kind == Kind::Iq(crate::route::IqType::Set);
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return self.processed(letter.ack) };
        let Some(payload) = stanza.children().next() else {
            return self.refuse(letter, &StanzaError::new(StanzaCondition::BadRequest));
        };
        let query = Query { scope, set, payload, letter: &letter, line };
        let mut inner = Vec::new();
        match features::on_query(self, &query, &mut inner) {
            Some(features::Answer::Result) => self.answer(&letter, &inner),
            Some(features::Answer::Later) => {}
            Some(features::Answer::Error(error)) => self.refuse(letter, &error),
            None => self.refuse(letter, &unavailable()),
        }
    }
}

/// Appends a message with something more inside, which is well-formed.
pub(crate) fn append(out: &mut Vec<u8>, stanza: &[u8], more: &[u8]) {
    const END: &[u8] = b"</message>";
    let open = stanza.strip_suffix(END);
    match (open, stanza.strip_suffix(b"/>")) {
        (Some(open), _) => out.extend_from_slice(open),
        (None, Some(tag)) => {
            out.extend_from_slice(tag);
            out.push(b'>');
        }
        (None, None) => return out.extend_from_slice(stanza),
    }
    out.extend_from_slice(more);
    out.extend_from_slice(END);
}

/// The message with the time at which it was received (XEP-0203), unless it says so already.
pub(crate) fn stamp(stanza: &Stanza<'_>, domain: &str, received: Wallclock) -> Option<Vec<u8>> {
    let ours =
        |node: &xmpp::Node<'_>| node.is("delay", ns::DELAY) && node.attr("from").as_deref() == Some(domain);
    if stanza.children().any(|node| ours(&node)) {
        return None;
    }
    let mut delay = Vec::with_capacity(96);
    write::open(&mut delay, "delay")
        .ns(ns::DELAY)
        .attr("from", domain)
        .attr("stamp", &received.to_string())
        .empty();
    let mut out = Vec::new();
    let from = stanza.from();
    relay(&mut out, stanza, &Head { from: from.as_deref(), append: &delay, ..Head::default() });
    Some(out)
}

/// The `type` of a message; an unknown one counts as `normal` (RFC 6121 5.2.2).
pub(crate) fn message_type(value: Option<&str>) -> MessageType {
    match value {
        Some("chat") => MessageType::Chat,
        Some("groupchat") => MessageType::Groupchat,
        Some("headline") => MessageType::Headline,
        Some("error") => MessageType::Error,
        _ => MessageType::Normal,
    }
}

/// Messages that somebody wrote to somebody: the kinds that survive a lost session.
fn is_kept_kind(kind: Kind) -> bool {
    matches!(kind, Kind::Message(MessageType::Normal | MessageType::Chat))
}

/// Nobody here takes this.
pub(crate) fn unavailable() -> StanzaError {
    StanzaError::new(StanzaCondition::ServiceUnavailable)
}
