//! The archive: how the book is filled when a line begins, and how a conversation grows backwards.
//!
//! Spec: XEP-0313 (paging backwards, 4.2), XEP-0059.
//! Invariants: what came while the line was away is read page by page until something known is met, or [`PAGES_MAX`]; of a
//! conversation one page is asked for at a time; a result is believed only for a page that was asked for.
//! Not here: what a message means (`incoming`).

use client::element::Element;
use xmpp::ns;
use xmpp::time::{Instant, Wallclock};

use super::{Pending, Talk};

/// Pages read of all conversations when a line begins.
const PAGES_MAX: usize = 40;
/// Pages read the first time, when nothing can be known: enough for a list of who wrote lately.
const PAGES_FIRST: usize = 3;

/// A page that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Of one conversation, or of all.
    pub(super) with: Option<String>,
}

/// Reading what came while the line was away.
#[derive(Debug, Default)]
pub(super) struct Sync {
    pages: usize,
    /// The page under way holds something that was known before.
    met: bool,
    /// What is newer than this is news. `None`: the book is new, and nothing is.
    news_after: Option<Wallclock>,
    /// The newest message before the line began.
    newest: Option<Wallclock>,
}

impl Talk {
    pub(super) fn begin_sync(&mut self) {
        let newest = self.book.all().map(|(_, conversation)| conversation.last()).max();
        self.sync = Sync { news_after: newest, newest, ..Sync::default() };
        self.ask_page(None, None);
    }

    /// Asks for older messages of a conversation, unless that is under way or there are none.
    pub fn ask_history(&mut self, with: &str) {
        let Some(conversation) = self.book.get_mut(with) else { return };
        if conversation.history.complete || conversation.history.asked || self.words.is_none() {
            return;
        }
        conversation.history.asked = true;
        let before = conversation.history.oldest.clone();
        self.ask_page(Some(with), before.as_deref());
    }

    fn ask_page(&mut self, with: Option<&str>, before: Option<&str>) {
        let Some(words) = self.words else { return };
        let id = self.ask(Pending::History(Page { with: with.map(str::to_owned) }));
        self.push(words.history(&id, with, before));
    }

    /// A message of a page that was asked for.
    pub(super) fn on_archived(&mut self, now: Instant, result: &Element) {
        let Some(Pending::History(page)) = result
            .attribute("queryid")
            .and_then(|id| self.pending.get(id))
            .map(|(_, pending)| pending.clone())
        else {
            return;
        };
        let Some(forwarded) = result.child("forwarded", ns::FORWARD) else { return };
        let Some(message) = forwarded.child("message", ns::CLIENT) else { return };
        let stamp = forwarded.child("delay", ns::DELAY).and_then(|delay| delay.attribute("stamp"));
        let at = stamp.and_then(|stamp| stamp.parse::<Wallclock>().ok()).unwrap_or_default();
        let news = page.with.is_none() && self.sync.news_after.is_some_and(|last| at > last);
        let new = self.on_message(now, at, message, result.attribute("id"), news);
        if page.with.is_none() && !new && self.sync.newest.is_some_and(|newest| at <= newest) {
            self.sync.met = true;
        }
    }

    /// The end of a page.
    pub(super) fn on_page(&mut self, page: Page, answer: &Element) {
        let fin = answer.child("fin", ns::MAM);
        let complete = fin.is_none_or(|fin| fin.attribute("complete") == Some("true"));
        let set = fin.and_then(|fin| fin.child("set", ns::RSM));
        let first = set.and_then(|set| set.child("first", ns::RSM)).map(|first| first.text.clone());
        match page.with {
            Some(with) => {
                let Some(conversation) = self.book.get_mut(&with) else { return };
                conversation.history.asked = false;
                // A page without messages is the last, whatever it says.
                conversation.history.complete = complete || first.is_none();
                conversation.history.oldest = first.or(conversation.history.oldest.take());
            }
            None => {
                self.sync.pages += 1;
                let max = if self.sync.news_after.is_some() { PAGES_MAX } else { PAGES_FIRST };
                if !complete && !self.sync.met && self.sync.pages < max && first.is_some() {
                    self.ask_page(None, first.as_deref());
                } else {
                    // What is in the archive has been marked as sent by now.
                    self.send_unsent();
                }
            }
        }
    }
}
