//! The roster: its queries, its pushes, its versions, and the one way in which an item changes.
//!
//! Spec: RFC 6121 section 2; versions are 2.6.
//! Owns: nothing; an account holds the roster, the store keeps it. Invariants: a change is in memory at once, so the
//! next one builds on it, and is seen by nobody before it is committed; the version that a client is told is the
//! store's.
//! Not here: the subscription state machine (`subscription`).

use store::{Answer, Op, Roster, RosterItem, StoreError};
use xmpp::address::{AccountNumber, BareJid};
use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::stanza::{Node, Stanza};
use xmpp::{ns, write};

use crate::account::{Pending, standing_of};
use crate::features;
use crate::line::LineId;
use crate::parcel::{Letter, Receipt};
use crate::reply::{head_of, make_result};
use crate::route::{IqType, Kind, PresenceType};
use crate::router::{Router, busy};
use crate::subscription::Verb;
use crate::waiting::{Effect, Token, Waiting, Write};

/// Longest name of a contact or a group, in bytes; 2.3.3 leaves it to the server, and RFC 7622 gives the measure.
const NAME_BYTES_MAX: usize = 1023;

/// Most groups one contact is in.
const GROUPS_MAX: usize = 64;

/// Roster versioning (2.6.1) and pre-approval (3.4.1) are announced before the first query.
pub(crate) fn write_stream_features(out: &mut Vec<u8>) {
    write::open(out, "ver").ns(ns::ROSTER_VERSIONING).empty();
    write::open(out, "sub").ns(ns::PRE_APPROVAL).empty();
}

impl Router {
    /// Answers a roster query; false if it is none.
    pub(crate) fn roster_query(&mut self, line: LineId, letter: Letter<'_>) -> bool {
        let Ok(stanza) = Stanza::parse(letter.stanza) else { return false };
        let Some(query) = stanza.child("query", ns::ROSTER) else { return false };
        if letter.kind == Kind::Iq(IqType::Get) {
            self.roster_get(line, letter, query.attr("ver").as_deref());
        } else if let Err(error) = self.roster_set(letter, &query) {
            self.refuse(letter, &error);
        }
        true
    }

    /// 2.1.4, and 2.6.2 for who has a version already: the same, or all of it.
    fn roster_get(&mut self, line: LineId, letter: Letter<'_>, has: Option<&str>) {
        let Some(account) = self.accounts.get(letter.to) else { return self.processed(letter.ack) };
        if let (Some(token), Some(Receipt { session, seq, .. })) = (account.last_write, letter.ack) {
            // What memory holds may yet fail to be kept, and must not be seen under the version before it.
            let input = Pending::Sent { session, place: seq.into(), stanza: letter.stanza.into() };
            if self.follow(token, Effect::Resume(input)).is_err() {
                self.refuse(letter, &busy());
            }
            return;
        }
        self.lines[line].interested = true;
        let version = account.roster.version.to_string();
        let mut inner = Vec::new();
        if has != Some(&version) {
            let query = write::open(&mut inner, "query").ns(ns::ROSTER).attr("ver", &version);
            query.with(|out| {
                for item in account.roster.items.iter().filter(|item| item.listed) {
                    write_item(out, item);
                }
            });
        }
        self.answer(&letter, &inner);
    }

    /// 2.3 (add), 2.4 (update), 2.5 (remove).
    fn roster_set(&mut self, letter: Letter<'_>, query: &Node<'_>) -> Result<(), StanzaError> {
        let bad_request = || StanzaError::new(StanzaCondition::BadRequest);
        let mut items = query.children();
        // 2.3.3: exactly one item.
        let (Some(item), None) = (items.next(), items.next()) else { return Err(bad_request()) };
        if !item.is("item", ns::ROSTER) {
            return Err(bad_request());
        }
        let jid = item.attr("jid").ok_or_else(bad_request)?;
        let contact = BareJid::parse(&jid).map_err(|_| bad_request())?;
        if self.store_is_busy() {
            return Err(busy());
        }
        let Some(account) = self.accounts.get(letter.to) else { return Err(busy()) };
        let known = account.item(contact.as_str());
        let before = known.cloned().unwrap_or_else(|| RosterItem::new(contact.clone()));
        let mut effects: Vec<Effect> = make_result(&letter, &[]).map(Effect::Send).into_iter().collect();
        effects.push(Effect::Processed(letter.ack));

        if item.attr("subscription").as_deref() == Some("remove") {
            if !before.listed {
                return Err(StanzaError::new(StanzaCondition::ItemNotFound));
            }
            self.end_subscriptions(letter.to, &before, &mut effects);
            // A request that waits for an answer is the contact's, and stays.
            let mut after = RosterItem::new(contact);
            after.pending_in.clone_from(&before.pending_in);
            self.change_item(letter.to, &before, after, effects, Some(letter));
            return Ok(());
        }
        let mut after = before.clone();
        after.listed = true;
        after.name = item.attr("name").filter(|name| !name.is_empty()).map(std::borrow::Cow::into_owned);
        after.groups = read_groups(&item)?;
        if after.name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return Err(StanzaError::new(StanzaCondition::NotAcceptable));
        }
        self.change_item(letter.to, &before, after, effects, Some(letter));
        Ok(())
    }

    /// 2.5.2: whoever is removed no longer sees the user, and is no longer seen.
    fn end_subscriptions(&mut self, number: AccountNumber, item: &RosterItem, effects: &mut Vec<Effect>) {
        let ours = item.contact.domain() == self.cfg.domain;
        let Some(contact) = item.contact.number().filter(|_| ours) else { return };
        let standing = standing_of(item);
        if standing.to || standing.ask {
            let stanza = self.make_subscription(number, item.contact.as_str(), contact, Verb::Unsubscribe);
            effects.push(Effect::Send(stanza));
        }
        if standing.from {
            effects.push(Effect::Unavailable(contact));
            let stanza = self.make_subscription(number, item.contact.as_str(), contact, Verb::Unsubscribed);
            effects.push(Effect::Send(stanza));
        }
    }

    /// The account is gone: its contacts are parted from it, by the roster that it had, or by what is known of it here.
    pub(crate) fn part_from_all(&mut self, number: AccountNumber, roster: Option<Roster>) {
        let known = || self.accounts.get_mut(number).map(|account| std::mem::take(&mut account.roster));
        let Some(Roster { items, .. }) = roster.or_else(known) else { return };
        let mut effects = Vec::new();
        for item in &items {
            self.end_subscriptions(number, item, &mut effects);
            if item.pending_in.is_some()
                && let Some(contact) = item.contact.number()
            {
                let refusal =
                    self.make_subscription(number, item.contact.as_str(), contact, Verb::Unsubscribed);
                effects.push(Effect::Send(refusal));
            }
        }
        self.take_effect(number, effects, None);
    }

    /// Changes an item and has `effects` follow once that is committed, or at once if nothing changes. If it fails,
    /// `request` is refused instead.
    pub(crate) fn change_item(
        &mut self,
        number: AccountNumber,
        before: &RosterItem,
        after: RosterItem,
        mut effects: Vec<Effect>,
        request: Option<Letter<'_>>,
    ) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        let exists = account.item(after.contact.as_str()).is_some();
        if after == *before && (exists || !after.listed) {
            // What was said before must be heard before, as long as that is bounded.
            let max = self.cfg.loading_queue_max;
            let earlier = account.last_write.and_then(|token| self.waiting.write_mut(token));
            return match earlier.filter(|write| write.effects.len() < max) {
                Some(write) => write.effects.append(&mut effects),
                None => self.take_effect(number, effects, None),
            };
        }
        // 2.1.6: those who follow the roster see what changed, but never an item that only waits (3.1.3).
        if after.listed {
            let seen = |item: &RosterItem| RosterItem { pending_in: None, ..item.clone() };
            if seen(&after) != seen(before) {
                effects.push(Effect::Push(Box::new(after.clone())));
            }
        } else if before.listed {
            effects.push(Effect::PushRemoval(after.contact.clone()));
        }
        let blank = after == RosterItem::new(after.contact.clone());
        let contact = after.contact.clone();
        let op = if blank {
            account.remove_item(contact.as_str());
            Op::RemoveRosterItem { number, contact }
        } else {
            account.put_item(after.clone());
            Op::PutRosterItem { number, item: Box::new(after) }
        };
        let request = request.as_ref().map(head_of);
        let token = self.ask(op, Waiting::Write(Box::new(Write { number, effects, request })));
        if let Some(account) = self.accounts.get_mut(number) {
            account.last_write = Some(token);
        }
    }

    /// Has something follow a write that is under way, as long as that is bounded.
    pub(crate) fn follow(&mut self, token: Token, effect: Effect) -> Result<(), Effect> {
        let max = self.cfg.loading_queue_max;
        match self.waiting.write_mut(token).filter(|write| write.effects.len() < max) {
            Some(write) => write.effects.push(effect),
            None => return Err(effect),
        }
        Ok(())
    }

    /// The store answered a change.
    pub(crate) fn written(&mut self, token: u64, write: Write, answer: &Result<Answer, StoreError>) {
        let Write { number, effects, request } = write;
        if let Some(account) = self.accounts.get_mut(number)
            && account.last_write.is_some_and(|last| last as u64 == token)
        {
            account.last_write = None;
        }
        match answer {
            &Ok(Answer::RosterVersion(version)) => {
                if let Some(account) = self.accounts.get_mut(number) {
                    account.roster.version = version;
                }
                self.take_effect(number, effects, Some(version));
            }
            // Memory is ahead of the disk now: the disk is right.
            _ => {
                self.reload(number);
                let refused = request.is_some();
                if let Some(request) = request {
                    self.refuse(request.borrow(), &busy());
                }
                // Nothing follows, but whoever waits is told: of the failed request the refusal did so.
                let waits = effects.iter().filter_map(|effect| match effect {
                    Effect::Processed(ack) => *ack,
                    Effect::Send(letter) => letter.ack,
                    _ => None,
                });
                for ack in waits.skip(usize::from(refused)) {
                    self.processed(Some(ack));
                }
                for effect in effects {
                    match effect {
                        Effect::Arrive(letter) => self.arrive(letter.borrow()),
                        Effect::Resume(input) => self.resume(number, input),
                        _ => {}
                    }
                }
            }
        }
        let settled = |account: &crate::account::Account| !account.loading && account.last_write.is_none();
        if self.accounts.get(number).is_some_and(settled) {
            self.show_due_requests(number);
        }
        self.accounts.settle(number);
    }

    fn take_effect(&mut self, number: AccountNumber, effects: Vec<Effect>, version: Option<u64>) {
        for effect in effects {
            match effect {
                Effect::Push(item) => self.push(number, version, |out| write_item(out, &item)),
                Effect::PushRemoval(contact) => self.push(number, version, |out| {
                    let item = write::open(out, "item").attr("jid", contact.as_str());
                    item.attr("subscription", "remove").empty();
                }),
                Effect::Arrive(letter) => self.arrive(letter.borrow()),
                Effect::Resume(input) => self.resume(number, input),
                Effect::Send(letter) => self.route(letter.borrow()),
                // Who came meanwhile is shown everything that waits, this too.
                Effect::ToAvailable(stanza) => {
                    self.give_to_own(number, &stanza, |line| line.is_available() && !line.requests_due);
                }
                Effect::ToInterested(stanza) => self.give_to_own(number, &stanza, |line| line.interested),
                Effect::Presence(contact) => self.show_all(number, contact, PresenceType::Available),
                Effect::Unavailable(contact) => self.show_all(number, contact, PresenceType::Unavailable),
                Effect::Sees(contact) => features::on_seen(self, number, contact),
                Effect::Processed(ack) => self.processed(ack),
            }
        }
    }

    fn give_to_own(
        &mut self,
        number: AccountNumber,
        stanza: &[u8],
        takes: impl Fn(&crate::line::Line) -> bool,
    ) {
        let stanza = self.out.put(stanza);
        for line in self.lines_of(number) {
            if takes(&self.lines[line]) {
                self.deliver(line, stanza.clone(), None);
            }
        }
    }

    /// A roster push (2.1.6), with the version after the change (2.6.3).
    fn push(&mut self, number: AccountNumber, version: Option<u64>, item: impl Fn(&mut Vec<u8>)) {
        for line in self.lines_of(number) {
            if !self.lines[line].interested {
                continue;
            }
            self.last_number += 1;
            let (id, to) = (self.last_number, self.lines[line].jid());
            let version = version.map(|version| version.to_string());
            let stanza = self.out.write(|out| {
                let iq = write::open(out, "iq").attr("type", "set").attr("to", to);
                iq.attr("id", &format!("push-{id}")).with(|out| {
                    let query = write::open(out, "query").ns(ns::ROSTER);
                    query.attr_opt("ver", version.as_deref()).with(&item);
                });
            });
            self.deliver(line, stanza, None);
        }
    }
}

/// 2.1.2: an item as a client sees it.
fn write_item(out: &mut Vec<u8>, item: &RosterItem) {
    let tag = write::open(out, "item")
        .attr("jid", item.contact.as_str())
        .attr_opt("name", item.name.as_deref())
        .attr("subscription", item.subscription.as_str())
        .attr_opt("ask", item.ask.then_some("subscribe"))
        .attr_opt("approved", item.approved.then_some("true"));
    if item.groups.is_empty() {
        return tag.empty();
    }
    tag.with(|out| {
        for group in &item.groups {
            write::open(out, "group").text(group);
        }
    });
}

/// 2.3.3: no group twice, none empty, none too long.
fn read_groups(item: &Node<'_>) -> Result<Vec<String>, StanzaError> {
    let mut groups: Vec<String> = Vec::new();
    for group in item.children().filter(|child| child.is("group", ns::ROSTER)) {
        let name = group.text().into_owned();
        if groups.contains(&name) {
            return Err(StanzaError::new(StanzaCondition::BadRequest));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || groups.len() >= GROUPS_MAX {
            return Err(StanzaError::new(StanzaCondition::NotAcceptable));
        }
        groups.push(name);
    }
    Ok(groups)
}
