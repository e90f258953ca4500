//! The talk with the server: what is made of what it says, and what is said to it.
//!
//! Spec: RFC 6121; XEP-0085, 0184, 0191, 0280, 0308, 0313, 0333, 0380.
//! Owns: the book, requests without an answer, messages without an acknowledgement.
//! Invariants: a carbon, a roster push or a page of the archive is believed only from the own account (XEP-0280 11, RFC 6121
//! 2.1.6, XEP-0313 3.2); a message is handed out to be sent once a connection, with one id for ever, so a server or a reader
//! that knows it does not show it twice; in a new session it is handed out again only once the archive does not know it.
//! Not here: the line (`run`), looks (`view`).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use xmpp::time::{Instant, Now, Wallclock};

use crate::book::{Book, Presence, Standing};
use crate::command::Command;
use crate::entry::{Entry, Mark};
use crate::words::Words;

mod archive;
mod incoming;

/// They are believed to be writing for so long after they said so.
const TYPING: Duration = Duration::from_secs(30);
/// After so long without a key we say that we paused (XEP-0085 5.3 leaves the time open).
const PAUSED_AFTER: Duration = Duration::from_secs(5);
/// A notice stands so long.
const NOTICE: Duration = Duration::from_secs(8);
/// Requests that may wait for their answers; the oldest is given up.
const PENDING_MAX: usize = 256;

/// What a request was for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pending {
    Roster,
    Carbons,
    Blocklist,
    /// A page of the archive; see `archive`.
    History(archive::Page),
    /// Something whose failure is worth a word.
    Doing(&'static str),
}

/// A stanza to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    /// It.
    pub stanza: Vec<u8>,
    /// Which message it is: with whom, and its id.
    pub message: Option<(String, String)>,
}

/// What a command wants of whoever shows things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// The help is to be shown.
    Help,
    /// The view is to go to this message of the open conversation.
    Show(usize),
    /// The end.
    Quit,
}

/// The talk.
#[derive(Debug)]
pub struct Talk {
    /// Everything that is shown.
    pub book: Book,
    me: String,
    domain: String,
    /// Makes ids unlike those of any other run.
    prefix: String,
    last_id: u64,
    words: Option<Words>,
    out: VecDeque<Output>,
    pending: HashMap<String, (u64, Pending)>,
    /// Messages under way: the serial behind which the server has them.
    unacknowledged: VecDeque<(u64, String, String)>,
    /// With whom we are writing, and when a key was last touched.
    composing: Option<(String, Instant)>,
    notice: Option<(String, Instant)>,
    sync: archive::Sync,
    /// What was written and not acknowledged waits until the archive has told whether it is there.
    holding: bool,
    /// Where the last `/find` found something.
    found: Option<(String, usize)>,
}

impl Talk {
    /// A talk in this account's name. `prefix` must be random, for it makes ids unique.
    #[must_use]
    pub fn new(me: &str, prefix: &str) -> Self {
        Self {
            book: Book::default(),
            me: me.to_owned(),
            domain: me.rsplit_once('@').map_or(me, |(_, domain)| domain).to_owned(),
            prefix: prefix.to_owned(),
            last_id: 0,
            words: None,
            out: VecDeque::new(),
            pending: HashMap::new(),
            unacknowledged: VecDeque::new(),
            composing: None,
            notice: None,
            sync: archive::Sync::default(),
            holding: false,
            found: None,
        }
    }

    /// The own bare address.
    #[must_use]
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Where bare numbers are at.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether there is a line to the server.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.words.is_some()
    }

    /// A line to say, while it stands.
    #[must_use]
    pub fn notice(&self, now: Instant) -> Option<&str> {
        self.notice.as_ref().filter(|(_, until)| *until > now).map(|(text, _)| text.as_str())
    }

    /// Says a line.
    pub fn say(&mut self, now: Instant, text: impl Into<String>) {
        self.notice = Some((text.into(), now + NOTICE));
    }

    /// A line to the server stands, logged in, in a new session: everything is asked for anew. Messages that were never
    /// acknowledged go out again, under their old ids, once the archive was asked for them.
    pub fn handle_ready(&mut self, framed: bool) {
        let words = Words { framed };
        self.words = Some(words);
        self.out.clear();
        self.unacknowledged.clear();
        self.pending.clear();
        let id = self.ask(Pending::Roster);
        self.push(words.roster_get(&id));
        let id = self.ask(Pending::Carbons);
        self.push(words.carbons(&id));
        let id = self.ask(Pending::Blocklist);
        self.push(words.blocklist(&id));
        for (_, conversation) in self.book.all() {
            conversation.history.asked = false;
            conversation.forget_devices();
        }
        let holding = self.unsent().next().is_some();
        self.holding = holding;
        self.begin_sync();
        self.push(words.available());
    }

    /// A line to the server stands again, and the session goes on: whatever was given to the line will arrive, and what
    /// was written meanwhile goes out now.
    pub fn handle_resumed(&mut self, framed: bool) {
        self.words = Some(Words { framed });
        for (_, conversation) in self.book.all() {
            conversation.set_reachable(true);
        }
        if !self.holding {
            self.send_unsent();
        }
    }

    /// Messages that were written and neither acknowledged nor given to the line: with whom, their ids and texts.
    fn unsent(&self) -> impl Iterator<Item = (Wallclock, &str, &Entry)> {
        let given = move |with: &str, id: &str| {
            let posted = self.unacknowledged.iter().any(|(_, to, posted)| to == with && posted == id);
            posted
                || self
                    .out
                    .iter()
                    .any(|out| out.message.as_ref().is_some_and(|it| it.0 == with && it.1 == id))
        };
        self.book.iter().flat_map(move |(with, conversation)| {
            let waiting =
                conversation.entries.iter().filter(|entry| entry.ours && entry.mark == Mark::Sending);
            waiting.filter(move |entry| !given(with, &entry.id)).map(move |entry| (entry.at, with, entry))
        })
    }

    /// Hands them out, in the order in which they were written.
    pub(super) fn send_unsent(&mut self) {
        self.holding = false;
        let Some(words) = self.words else { return };
        let mut again: Vec<(Wallclock, String, String, String)> = self
            .unsent()
            .map(|(at, with, entry)| (at, with.to_owned(), entry.id.clone(), entry.body.clone()))
            .collect();
        // Those of one time stay in their order.
        again.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, with, id, body) in again {
            let stanza = words.text(&with, &id, &body, None);
            self.out.push_back(Output { stanza, message: Some((with, id)) });
        }
    }

    /// The line is gone. Whether the session is too is known when there is a line again.
    pub fn handle_lost(&mut self) {
        self.words = None;
        self.composing = None;
        for (_, conversation) in self.book.all() {
            conversation.set_reachable(false);
        }
    }

    /// A stanza to be sent; its serial comes back by [`Talk::handle_posted`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// A message was given to the line under this serial.
    pub fn handle_posted(&mut self, serial: u64, message: Option<(String, String)>) {
        if let Some((with, id)) = message {
            self.unacknowledged.push_back((serial, with, id));
        }
    }

    /// The server has everything up to this serial.
    pub fn handle_acknowledged(&mut self, serial: u64) {
        while let Some((_, with, id)) = self.unacknowledged.pop_front_if(|(at, ..)| *at <= serial) {
            if let Some(entry) = self.book.get_mut(&with).and_then(|c| c.find(true, &id)) {
                entry.advance(Mark::Sent);
            }
        }
    }

    /// When [`Talk::handle_timer`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let paused = self.composing.as_ref().map(|(_, at)| *at + PAUSED_AFTER);
        let notice = self.notice.as_ref().map(|(_, until)| *until);
        let typing = self.book.open().and_then(|with| self.book.get(with)?.typing);
        [paused, notice, typing].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timer(&mut self, now: Instant) {
        if let Some((with, _)) = self.composing.take_if(|(_, at)| *at + PAUSED_AFTER <= now) {
            self.state(&with, "paused");
        }
        self.notice.take_if(|(_, until)| *until <= now);
        for (_, conversation) in self.book.all() {
            conversation.typing.take_if(|until| *until <= now);
        }
    }

    /// A key of the text was touched; `empty` if nothing is left of it.
    pub fn handle_typing(&mut self, now: Instant, empty: bool) {
        let Some(with) = self.book.open().map(str::to_owned) else { return };
        if empty {
            if self.composing.take().is_some() {
                self.state(&with, "active");
            }
            return;
        }
        // XEP-0085 5.1: not to someone who would not see it, nor to whom our presence is unknown.
        let there = self.book.get(&with).is_some_and(|c| c.presence() > Presence::Offline && !c.blocked);
        match &mut self.composing {
            Some((to, at)) if *to == with => *at = now,
            _ if there => {
                self.composing = Some((with.clone(), now));
                self.state(&with, "composing");
            }
            _ => {}
        }
    }

    /// The open conversation is looked at: what was unread is read, and its sender hears of it.
    pub fn handle_looking(&mut self) {
        let Some(with) = self.book.open().map(str::to_owned) else { return };
        let Some(conversation) = self.book.get_mut(&with) else { return };
        if conversation.unread == 0 {
            return;
        }
        conversation.unread = 0;
        let seen = conversation.entries.iter().rev().find(|entry| !entry.ours && entry.markable);
        if let (Some(id), true, Some(words)) =
            (seen.map(|entry| entry.id.clone()), is_known(conversation), self.words)
        {
            self.push(words.displayed(&with, &id));
        }
    }

    /// Opens a conversation, and reads its latest page the first time.
    pub fn open(&mut self, now: Instant, with: &str) {
        if self.book.conversation(with).is_none() {
            self.say(now, "there are too many conversations");
            return;
        }
        if let Some((to, _)) = self.composing.take() {
            self.state(&to, "paused");
        }
        self.book.set_open(Some(with));
        self.found = None;
        if self.book.get(with).is_some_and(|c| c.history.oldest.is_none() && !c.history.complete) {
            self.ask_history(with);
        }
    }

    /// Does what was asked for.
    pub fn handle_command(&mut self, now: Now, command: Command) -> Wish {
        match command {
            Command::Quit => return Wish::Quit,
            Command::Help => return Wish::Help,
            Command::To(with) => self.open(now.mono, &with),
            Command::Blocked => self.tell_blocked(now.mono),
            Command::Add(with, name) => self.add(now.mono, &with, name.as_deref()),
            command => {
                let Some(with) = self.book.open().map(str::to_owned) else {
                    self.say(now.mono, "no conversation is open: /to NUMBER opens one");
                    return Wish::None;
                };
                return self.handle_command_with(now, &with, command);
            }
        }
        Wish::None
    }

    /// Commands that are about the open conversation.
    fn handle_command_with(&mut self, now: Now, with: &str, command: Command) -> Wish {
        match command {
            Command::Say(body) => self.send(now, with, &body),
            Command::Fix(body) => self.fix(now.mono, with, &body),
            Command::Find(text) => return self.find(now.mono, with, &text),
            command => {
                let Some(words) = self.words else {
                    self.say(now.mono, "the exchange cannot be reached now: try again later");
                    return Wish::None;
                };
                self.change_standing(words, with, command);
            }
        }
        Wish::None
    }

    fn change_standing(&mut self, words: Words, with: &str, command: Command) {
        // Whoever asked has been answered.
        self.notice = None;
        match command {
            Command::Accept => {
                self.push(words.presence("subscribed", with));
                self.push(words.presence("subscribe", with));
                self.set_standing(with, Standing::Asked);
            }
            Command::Refuse => {
                self.push(words.presence("unsubscribed", with));
                self.set_standing(with, Standing::Stranger);
                self.book.remove_if_empty(with);
            }
            Command::Remove => {
                let id = self.ask(Pending::Doing("removing them"));
                self.push(words.roster_set(&id, with, None, true));
            }
            Command::Name(name) => {
                let id = self.ask(Pending::Doing("naming them"));
                self.push(words.roster_set(&id, with, Some(&name), false));
            }
            Command::Block | Command::Unblock => {
                let blocked = command == Command::Block;
                let id = self.ask(Pending::Doing(if blocked { "blocking them" } else { "unblocking them" }));
                self.push(words.block(&id, with, blocked));
            }
            _ => {}
        }
    }

    fn add(&mut self, now: Instant, with: &str, name: Option<&str>) {
        let Some(words) = self.words else {
            self.say(now, "the exchange cannot be reached now: try again later");
            return;
        };
        self.open(now, with);
        let id = self.ask(Pending::Doing("adding them"));
        self.push(words.roster_set(&id, with, name, false));
        self.push(words.presence("subscribe", with));
        // Whoever we add may see us too.
        self.push(words.presence("subscribed", with));
    }

    fn send(&mut self, now: Now, with: &str, body: &str) {
        if body.trim().is_empty() {
            return;
        }
        let id = self.id();
        let Some(conversation) = self.book.conversation(with) else { return };
        conversation.draft.clear();
        conversation.insert(Entry {
            id: id.clone(),
            archive_id: None,
            ours: true,
            body: body.to_owned(),
            // Behind what is there, whatever the clocks say.
            at: now.wall.max(conversation.last()),
            mark: Mark::Sending,
            corrected: false,
            markable: false,
        });
        self.composing = None;
        // What was written before it goes first.
        if let Some(words) = self.words.filter(|_| !self.holding) {
            let stanza = words.text(with, &id, body, None);
            self.out.push_back(Output { stanza, message: Some((with.to_owned(), id)) });
        }
    }

    fn fix(&mut self, now: Instant, with: &str, body: &str) {
        let id = self.id();
        let last = self.book.get_mut(with).and_then(|c| c.entries.iter_mut().rev().find(|entry| entry.ours));
        match (last, self.words) {
            (None, _) => self.say(now, "there is no message of yours here"),
            (Some(_), None) => self.say(now, "the exchange cannot be reached now: try again later"),
            (Some(last), Some(words)) => {
                body.clone_into(&mut last.body);
                last.corrected = true;
                let stanza = words.text(with, &id, body, Some(&last.id));
                self.out.push_back(Output { stanza, message: None });
            }
        }
    }

    fn find(&mut self, now: Instant, with: &str, text: &str) -> Wish {
        let Some(conversation) = self.book.get(with) else { return Wish::None };
        let needle = text.to_lowercase();
        let from = match &self.found {
            Some((last, at)) if *last == needle => *at,
            _ => conversation.entries.len(),
        };
        let hit = conversation.entries[..from.min(conversation.entries.len())]
            .iter()
            .rposition(|entry| entry.body.to_lowercase().contains(&needle));
        match hit {
            Some(at) => {
                self.found = Some((needle, at));
                Wish::Show(at)
            }
            None => {
                let more = if conversation.history.complete {
                    ""
                } else {
                    ": scroll up for older ones, and try again"
                };
                self.say(now, format!("no message with {text}{more}"));
                self.found = None;
                Wish::None
            }
        }
    }

    fn tell_blocked(&mut self, now: Instant) {
        let domain = &self.domain;
        let blocked: Vec<&str> = self.book.blocked().iter().map(|with| short(with, domain)).collect();
        let text = match blocked.is_empty() {
            true => "nobody is blocked".to_owned(),
            false => format!("blocked: {}", blocked.join(", ")),
        };
        self.say(now, text);
    }

    fn set_standing(&mut self, with: &str, standing: Standing) {
        if let Some(conversation) = self.book.get_mut(with) {
            conversation.standing = standing;
        }
    }

    fn state(&mut self, with: &str, state: &str) {
        if let Some(words) = self.words {
            self.push(words.chat_state(with, state));
        }
    }

    fn push(&mut self, stanza: Vec<u8>) {
        self.out.push_back(Output { stanza, message: None });
    }

    fn id(&mut self) -> String {
        self.last_id += 1;
        format!("{}-{}", self.prefix, self.last_id)
    }

    /// An id for a request, whose answer is then known by it.
    fn ask(&mut self, pending: Pending) -> String {
        let id = self.id();
        if self.pending.len() >= PENDING_MAX
            && let Some(oldest) = self.pending.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| id.clone())
        {
            self.pending.remove(&oldest);
        }
        self.pending.insert(id.clone(), (self.last_id, pending));
        id
    }
}

/// Someone whom we have added or answered: they may know when we get and see things.
fn is_known(conversation: &crate::book::Conversation) -> bool {
    !matches!(conversation.standing, Standing::Stranger | Standing::Asks)
        || conversation.entries.iter().any(|entry| entry.ours)
}

/// An address as people read it: the number alone where it is at the own domain.
#[must_use]
pub fn short<'a>(with: &'a str, domain: &str) -> &'a str {
    with.strip_suffix(domain).and_then(|rest| rest.strip_suffix('@')).unwrap_or(with)
}

#[cfg(test)]
mod tests;
