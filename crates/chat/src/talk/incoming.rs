//! What the server says: messages, presence, answers and pushes, each to its place in the book.
//!
//! Not here: the archive's pages (`archive`).

use client::element::Element;
use client::message::read_error;
use xmpp::ns;
use xmpp::time::{Instant, Now, Wallclock};

use super::{Pending, TYPING, Talk, is_known};
use crate::book::{Presence, Standing};
use crate::entry::{Entry, Mark};

const CORRECTION: &str = "urn:xmpp:message-correct:0";
const RETRACTION: &str = "urn:xmpp:message-retract:1";
const ENCRYPTION: &str = "urn:xmpp:eme:0";
/// What stands for a text that only other devices can read (XEP-0380).
const ENCRYPTED: &str = "[encrypted: readable on your other devices]";
/// What stands for a text that its sender took back (XEP-0424).
const RETRACTED: &str = "[taken back]";

impl Talk {
    /// A stanza came.
    pub fn handle_stanza(&mut self, now: Now, stanza: &Element) {
        match stanza.name.as_str() {
            "message" => self.on_outer_message(now, stanza),
            "presence" => self.on_presence(now.mono, stanza),
            "iq" => self.on_iq(now.mono, stanza),
            _ => {}
        }
    }

    /// Whether the own account, or the server for it, says so.
    fn is_own(&self, stanza: &Element) -> bool {
        stanza.attribute("from").is_none_or(|from| from == self.me)
    }

    fn on_outer_message(&mut self, now: Now, stanza: &Element) {
        if let Some(result) = stanza.child("result", ns::MAM) {
            if self.is_own(stanza) {
                self.on_archived(now.mono, result);
            }
            return;
        }
        let carbon = stanza.child("sent", ns::CARBONS).or(stanza.child("received", ns::CARBONS));
        if let Some(carbon) = carbon {
            // XEP-0280 11: anybody could make one up.
            let message =
                carbon.child("forwarded", ns::FORWARD).and_then(|it| it.child("message", ns::CLIENT));
            if let (true, Some(message)) = (self.is_own(stanza), message) {
                self.on_live(now, message);
            }
            return;
        }
        self.on_live(now, stanza);
    }

    fn on_live(&mut self, now: Now, message: &Element) {
        let delay = message.child("delay", ns::DELAY).and_then(|delay| delay.attribute("stamp"));
        let at = delay.and_then(|stamp| stamp.parse().ok()).unwrap_or(now.wall);
        let archive_id =
            message.child("stanza-id", ns::STANZA_ID).filter(|it| it.attribute("by") == Some(&self.me));
        let archive_id = archive_id.and_then(|it| it.attribute("id")).map(str::to_owned);
        self.on_message(now.mono, at, message, archive_id.as_deref(), true);
    }

    /// A message, however it came. `news`: it has not been seen on any device, as far as we know. Whether the book did not
    /// know it.
    pub(super) fn on_message(
        &mut self,
        now: Instant,
        at: Wallclock,
        message: &Element,
        archive_id: Option<&str>,
        news: bool,
    ) -> bool {
        let from = bare(message.attribute("from").unwrap_or(&self.me)).to_owned();
        let to = bare(message.attribute("to").unwrap_or(&self.me)).to_owned();
        let ours = from == self.me;
        let with = if ours { to } else { from };
        let id = message.attribute("id").unwrap_or_default();
        match message.attribute("type") {
            Some("error") => {
                if let (Some(why), Some(entry)) =
                    (read_error(message), self.book.get_mut(&with).and_then(|c| c.find(true, id)))
                {
                    entry.advance(Mark::Failed(why));
                }
                return false;
            }
            Some("groupchat" | "headline") => return false,
            _ => {}
        }
        self.on_signs(now, &with, ours, message);
        let encrypted = message.child("encryption", ENCRYPTION).is_some();
        let body = message.child("body", ns::CLIENT).map(|body| body.text.as_str());
        let Some(body) = (if encrypted { Some(ENCRYPTED) } else { body }) else { return false };
        if let Some(replaced) = message.child("replace", CORRECTION).and_then(|it| it.attribute("id"))
            && let Some(entry) = self.book.get_mut(&with).and_then(|c| c.find(ours, replaced))
        {
            body.clone_into(&mut entry.body);
            entry.corrected = true;
            return false;
        }
        let open = self.book.open() == Some(&with);
        let Some(conversation) = self.book.conversation(&with) else { return false };
        let entry = Entry {
            id: id.to_owned(),
            archive_id: archive_id.map(str::to_owned),
            ours,
            body: body.to_owned(),
            at,
            mark: if ours { Mark::Sent } else { Mark::Read },
            corrected: false,
            markable: message.child("markable", ns::MARKERS).is_some(),
        };
        let new = conversation.insert(entry);
        if ours {
            // Written on another device: what stood here has been seen there.
            conversation.unread = if new && news { 0 } else { conversation.unread };
            return new;
        }
        if new && news {
            conversation.unread += 1;
            let wanted = message.child("request", ns::RECEIPTS).is_some() && !id.is_empty();
            if wanted
                && is_known(conversation)
                && let Some(words) = self.words
            {
                self.push(words.received(&with, id));
            }
            if !open {
                self.found = None;
            }
        }
        new
    }

    /// Typing, receipts, markers and retractions: signs without a text of their own.
    fn on_signs(&mut self, now: Instant, with: &str, ours: bool, message: &Element) {
        let Some(conversation) = self.book.get_mut(with) else { return };
        for child in &message.children {
            let id = child.attribute("id").unwrap_or_default();
            match (child.ns.as_str(), child.name.as_str()) {
                (ns::CHAT_STATES, state) if !ours => {
                    conversation.typing = (state == "composing").then(|| now + TYPING);
                }
                (ns::RECEIPTS, "received") if !ours => {
                    if let Some(entry) = conversation.find(true, id) {
                        entry.advance(Mark::Delivered);
                    }
                }
                (ns::MARKERS, "received") if !ours => conversation.advance_to(id, &Mark::Delivered),
                (ns::MARKERS, "displayed" | "acknowledged") if !ours => {
                    conversation.advance_to(id, &Mark::Read);
                }
                // Seen on another device of ours.
                (ns::MARKERS, "displayed") => conversation.unread = 0,
                (RETRACTION, "retract") => {
                    if let Some(entry) = conversation.find(ours, id) {
                        RETRACTED.clone_into(&mut entry.body);
                        entry.corrected = true;
                    }
                }
                _ => {}
            }
        }
    }

    fn on_presence(&mut self, now: Instant, presence: &Element) {
        let Some(from) = presence.attribute("from") else { return };
        let (with, resource) =
            (bare(from).to_owned(), from.split_once('/').map_or("", |(_, resource)| resource));
        if with == self.me {
            return;
        }
        match presence.attribute("type") {
            Some("subscribe") => {
                let domain = self.domain.clone();
                let Some(conversation) = self.book.conversation(&with) else { return };
                if conversation.standing != Standing::Contact {
                    conversation.standing = Standing::Asks;
                    let who = super::short(&with, &domain).to_owned();
                    self.say(
                        now,
                        format!(
                            "{who} asks to see whether you are there: /to {who}, then /accept or /refuse"
                        ),
                    );
                }
            }
            Some("unavailable" | "error") => {
                if let Some(conversation) = self.book.get_mut(&with) {
                    conversation.set_device(resource, Presence::Offline);
                }
            }
            None => {
                let show = presence.child("show", ns::CLIENT).map(|show| show.text.as_str());
                let how = match show {
                    None | Some("chat") => Presence::Online,
                    Some("dnd") => Presence::Busy,
                    Some(_) => Presence::Away,
                };
                if let Some(conversation) = self.book.get_mut(&with) {
                    conversation.set_device(resource, how);
                }
            }
            Some(_) => {}
        }
    }

    fn on_iq(&mut self, now: Instant, iq: &Element) {
        match iq.attribute("type") {
            Some("result" | "error") => {
                let Some((_, pending)) = iq.attribute("id").and_then(|id| self.pending.remove(id)) else {
                    return;
                };
                self.on_answer(now, pending, iq);
            }
            Some("set") if self.is_own(iq) => {
                if let Some(query) = iq.child("query", ns::ROSTER) {
                    self.on_roster(query, false);
                }
                if let Some(block) = iq.child("block", ns::BLOCKING) {
                    items(block).for_each(|with| self.book.set_blocked(with, true));
                }
                if let Some(unblock) = iq.child("unblock", ns::BLOCKING) {
                    let named: Vec<String> = match unblock.children.is_empty() {
                        // XEP-0191 3.6: everyone.
                        true => self.book.blocked().iter().cloned().collect(),
                        false => items(unblock).map(str::to_owned).collect(),
                    };
                    named.iter().for_each(|with| self.book.set_blocked(with, false));
                }
            }
            _ => {}
        }
    }

    fn on_answer(&mut self, now: Instant, pending: Pending, iq: &Element) {
        let why = read_error(iq);
        match pending {
            Pending::Roster => {
                if let Some(query) = iq.child("query", ns::ROSTER) {
                    self.on_roster(query, true);
                }
            }
            Pending::Blocklist => {
                if let Some(list) = iq.child("blocklist", ns::BLOCKING) {
                    items(list).for_each(|with| self.book.set_blocked(with, true));
                }
            }
            // A server without carbons or an archive: what is written elsewhere is not seen here.
            Pending::Carbons => {}
            Pending::History(page) => self.on_page(page, iq),
            Pending::Doing(what) => {
                if let Some(why) = why {
                    self.say(now, format!("{what} failed: {why}"));
                }
            }
        }
    }

    fn on_roster(&mut self, query: &Element, whole: bool) {
        if whole {
            for (_, conversation) in self.book.all() {
                if conversation.standing != Standing::Asks {
                    conversation.standing = Standing::Stranger;
                }
                conversation.name = None;
            }
        }
        for item in query.children.iter().filter(|child| child.is("item", ns::ROSTER)) {
            let Some(with) = item.attribute("jid") else { continue };
            let standing = match (item.attribute("subscription"), item.attribute("ask")) {
                (Some("remove"), _) => Standing::Stranger,
                (Some("both"), _) => Standing::Contact,
                (_, Some("subscribe")) => Standing::Asked,
                _ => Standing::Listed,
            };
            let Some(conversation) = self.book.conversation(with) else { return };
            conversation.name = item.attribute("name").filter(|name| !name.is_empty()).map(str::to_owned);
            if conversation.standing != Standing::Asks || standing == Standing::Contact {
                conversation.standing = standing;
            }
            if standing == Standing::Stranger {
                conversation.name = None;
                self.book.remove_if_empty(with);
            }
        }
    }
}

fn items(list: &Element) -> impl Iterator<Item = &str> {
    list.children.iter().filter_map(|item| item.attribute("jid"))
}

fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}
