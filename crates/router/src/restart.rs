//! Restart: sessions that may be resumed outlive the exchange that they were with.
//!
//! Spec: XEP-0198 section 5.
//! Owns: what is left of parked sessions while the exchange ends. Invariants: what is saved is all that the session had: its
//! line, its counts, what its client had not confirmed, what came while it was being saved; a message that the store has is
//! saved as the name of its row, so it is there once.
//! Not here: a crash, after which messages are given anew and sessions are not (`hands`, `resume`); when each step may be
//! taken (the server).
//!
//! ```text
//!  every stream is closed:        all is at rest:                   all is at rest:
//!  handle_stopping                handle_stowed                     handle_stopped
//!  what is held goes to the  -->  a parked session goes to its  --> home and session in one row
//!  store                          home
//! ```

use store::{Op, SavedSession, SessionOp};
use xmpp::stanza::Stanza;
use xmpp::time::{Now, Wallclock};

use crate::features;
use crate::line::{Line, LineId, SessionId};
use crate::parcel::{Freight, Undelivered};
use crate::resume::{Handover, Resumable, Resumption};
use crate::router::Router;
use crate::tag::Tag;
use crate::waiting::Waiting;

/// A parked session whose exchange is about to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stowed {
    /// All that it knew.
    pub handover: Handover,
    /// Until when it may be resumed.
    pub until: Wallclock,
    /// What the driver wants to know of it when it is back.
    pub about: Box<str>,
}

impl Router {
    /// The exchange is about to end, and nobody is connected: what is held for sessions in memory goes to the store.
    pub fn handle_stopping(&mut self, now: Now) {
        self.begin(now);
        for number in self.accounts.numbers() {
            features::on_stopping(self, number);
        }
    }

    /// The exchange is about to end: a parked session of this loop goes to its home.
    pub fn handle_stowed(&mut self, now: Now, session: SessionId, stowed: Stowed) {
        self.begin(now);
        let stowed = Box::new(stowed);
        match self.guests.remove(&session) {
            None => self.stowed(session, stowed),
            Some(number) => {
                self.post(Self::home(number, self.loops), Freight::Stowed { session, stowed });
            }
        }
    }

    pub(crate) fn stowed(&mut self, session: SessionId, stowed: Box<Stowed>) {
        let Some(line) = self.lines.find(session) else { return };
        if let Some(resumable) = &mut self.lines[line].resumable {
            resumable.stowed = Some(stowed);
        }
    }

    /// Every parked session is at its home: they are saved, each by an [`Output::Store`](crate::Output::Store).
    pub fn handle_stopped(&mut self, now: Now) {
        self.begin(now);
        for line in self.lines.ids() {
            if let Some(saved) = self.make_saved(line) {
                self.ask(Op::Session(SessionOp::Save(Box::new(saved))), Waiting::Nobody);
            }
        }
    }

    fn make_saved(&mut self, line: LineId) -> Option<SavedSession> {
        let closing = self.lines[line].closing;
        let resumable = self.lines[line].resumable.as_mut()?;
        let stowed = resumable.stowed.take()?;
        let held = std::mem::take(&mut resumable.held);
        if closing {
            return None;
        }
        let Stowed { handover, until, about } = *stowed;
        let Handover { key, counts, unacked, max_secs } = handover;
        let mut wishes = Vec::new();
        features::write_wishes(self, line, &mut wishes);
        let number = self.lines[line].number;
        let all = unacked.into_iter().chain(held);
        let unacked = all.map(|(stanza, tag)| (stanza, tag.and_then(|tag| self.lasting_tag(number, tag))));
        let unacked = unacked.map(|(stanza, tag)| (stanza, tag.map(Tag::to_bits))).collect();
        let line = &self.lines[line];
        Some(SavedSession {
            key,
            number,
            resource: line.resource().into(),
            until,
            max_secs,
            counts,
            unacked,
            interested: line.interested,
            priority: line.priority,
            presence: line.presence.clone(),
            says_photo: line.says_photo,
            directed: line.directed.to_vec(),
            wishes,
            about,
        })
    }

    /// A session that was saved is parked here again, and its line is as it was. Answered is what the session knew; none
    /// if it cannot be.
    pub fn handle_restored(&mut self, now: Now, session: SessionId, saved: SavedSession) -> Option<Handover> {
        self.begin(now);
        let SavedSession { key, number, resource, max_secs, counts, unacked, .. } = saved;
        let (jid, bare_len) = self.make_jid(session, number, Some(&resource)).ok()?;
        if self.accounts.get(number).is_none_or(|account| account.unread) {
            self.load(number);
        }
        let mut line = Line::new(session, number, jid, bare_len);
        line.acknowledging = true;
        line.resumable = Some(Box::new(Resumable::new(Resumption { key, base: counts.base })));
        line.interested = saved.interested;
        line.priority = saved.priority;
        line.presence = saved.presence;
        line.says_photo = saved.says_photo;
        line.directed = saved.directed.into();
        let line = self.lines.insert(line);
        self.accounts.get_mut(number)?.lines.push(line);
        let asked = [&b"<bind xmlns='urn:xmpp:bind:0'>"[..], &saved.wishes, b"</bind>"].concat();
        if let Ok(asked) = Stanza::parse(&asked) {
            let mut unsaid = Vec::new();
            asked.children().for_each(|asked| features::on_inline(self, line, &asked, &mut unsaid));
        }
        if let Some(presence) = self.own_presence(line)
            && let Ok(presence) = Stanza::parse(&presence)
        {
            features::on_restored(self, line, &presence);
        }
        let unacked: Undelivered = unacked
            .into_iter()
            .map(|(stanza, tag)| {
                (stanza, tag.map(|tag| self.given_again(number, session, Tag::from_bits(tag))))
            })
            .collect();
        if self.lines[line].takes_messages() {
            features::on_ready(self, line);
        }
        Some(Handover { key, counts, unacked, max_secs })
    }
}
