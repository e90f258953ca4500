//! Messages of an account: those that wait, and those in its archive.
//!
//! Spec: XEP-0227 3.5 and 3.11; XEP-0203 (when), XEP-0313 5.1.
//! Owns: nothing. Invariants: each is written anew, for this account and nobody else's archive; times lie between 1970 and
//! now, since later ids grow from the highest there is.
//! Not here: which messages an exchange keeps.

use store::{ArchiveId, ArchiveOp, Op};
use xmpp::address::Jid;
use xmpp::ns;
use xmpp::relay::{Head, relay};
use xmpp::stanza::{Node, Stanza};
use xmpp::time::Wallclock;

use super::user::is_message;
use super::{ImportError, Reader};

impl Reader<'_> {
    /// A message that waits.
    pub(super) fn waiting(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let (now, stanza_max) = (self.import.now, self.import.quotas.stanza_max);
        let Some(user) = self.user.as_ref() else { return Ok(()) };
        let number = user.number;
        let from = element.from().and_then(|from| Jid::parse(&from).ok());
        let (Some(from), true) = (from, is_message(element)) else {
            self.pass_over("waiting messages from nobody".to_owned());
            return Ok(());
        };
        let to = element.to().and_then(|to| Jid::parse(&to).ok()).filter(|to| to.bare() == user.bare);
        let to = to.as_ref().map_or(&*user.bare, Jid::as_str);
        let mut stanza = Vec::new();
        relay(&mut stanza, element, &Head { from: Some(from.as_str()), to: Some(to), ..Head::default() });
        if stanza.len() > stanza_max {
            self.pass_over("messages that are too long".to_owned());
            return Ok(());
        }
        let stamp = element.children().find_map(|child| delay(&child)).unwrap_or(now).min(now);
        self.ask("its waiting messages", Op::PushOffline { number, stamp, stanza })?;
        self.report.counts.waiting += 1;
        Ok(())
    }

    /// A message in its archive.
    pub(super) fn archived(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let (now, stanza_max) = (self.import.now, self.import.quotas.stanza_max);
        let forwarded = element.child("forwarded", ns::FORWARD).filter(|_| element.is("result", ns::MAM));
        let message = forwarded.as_ref().and_then(|forwarded| forwarded.child("message", ns::CLIENT));
        let stamp = forwarded.iter().flat_map(Node::children).find_map(|child| delay(&child));
        let mut alone = Vec::new();
        if let Some(message) = &message {
            message.write_alone(&mut alone);
        }
        let parsed = Stanza::parse(&alone).ok().filter(is_message);
        let (Some(message), Some(stamp)) = (parsed, stamp) else {
            self.pass_over("archived messages without a time or a message".to_owned());
            return Ok(());
        };
        let Some(user) = self.user.as_mut() else { return Ok(()) };
        let jid = |text: Option<std::borrow::Cow<'_, str>>| text.and_then(|text| Jid::parse(&text).ok());
        let (from, to) = (jid(message.from()), jid(message.to()));
        let with = match (&from, &to) {
            (Some(from), Some(to)) if from.bare() == user.bare => Some(to.bare()),
            (Some(from), _) => Some(from.bare()),
            _ => None,
        };
        let (Some(from), Some(with)) = (&from, with) else {
            self.pass_over("archived messages from nobody".to_owned());
            return Ok(());
        };
        let mut stanza = Vec::new();
        let to = to.as_ref().map_or(&*user.bare, Jid::as_str);
        let own = [&*user.bare];
        let head =
            Head { from: Some(from.as_str()), to: Some(to), without_stanza_id_by: &own, ..Head::default() };
        relay(&mut stanza, &message, &head);
        if stanza.len() > stanza_max {
            self.pass_over("messages that are too long".to_owned());
            return Ok(());
        }
        // An id of our own is kept, since clients remember it; anybody else's is drawn anew at the time it was received.
        let stamp = stamp.min(now);
        let told = element.attr("id").and_then(|id| id.parse::<ArchiveId>().ok());
        let told = told.filter(|id| *id > user.archived && id.received() == stamp && *id <= ArchiveId::MAX);
        let id = told.unwrap_or_else(|| user.archived.next(stamp));
        user.archived = id;
        let op = ArchiveOp::Append { number: user.number, id, with: with.into(), stanza };
        self.ask("its archive", Op::Archive(op))?;
        self.report.counts.archived += 1;
        Ok(())
    }
}

/// When, as an element says that tells of a delay.
fn delay(node: &Node<'_>) -> Option<Wallclock> {
    if !node.is("delay", ns::DELAY) {
        return None;
    }
    node.attr("stamp")?.parse().ok()
}
