//! The messages of a conversation: newest at the bottom, days apart, marks beside ours.
//!
//! Owns: how far the view is scrolled. Invariants: only what is in view is laid out, so ten thousand messages cost what one
//! screen does; the view stays at a message while others come in below it.
//! Not here: which messages there are (`book`).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{Picture, style, tame, wrap};
use crate::book::Conversation;
use crate::entry::{Entry, Mark};

/// How far the view is from the newest message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scroll {
    /// Messages below the view.
    below: usize,
    /// Lines of the lowest message in view that are below it too.
    lines: usize,
    /// How many messages there were: those that come in do not move the view.
    of: usize,
}

impl Scroll {
    /// Whether the newest message is in view.
    #[must_use]
    pub fn is_at_bottom(&self) -> bool {
        self.below == 0 && self.lines == 0
    }

    /// Shows the newest.
    pub fn to_bottom(&mut self) {
        *self = Self::default();
    }

    /// Shows this message at the bottom.
    pub fn to(&mut self, entry: usize, of: usize) {
        *self = Self { below: of.saturating_sub(entry + 1), lines: 0, of };
    }

    /// Shows the oldest message at the top of so many rows.
    fn reach_top(&mut self, of: usize, rows: usize, height: impl Fn(usize) -> usize) {
        let mut lines = 0;
        for at in 0..of {
            lines += height(at);
            if lines >= rows {
                *self = Self { below: of - 1 - at, lines: lines - rows, of };
                return;
            }
        }
        self.to_bottom();
    }

    /// Moves by so many lines; up is positive. `height` tells how many lines a message has.
    pub fn by(&mut self, lines: i32, of: usize, height: impl Fn(usize) -> usize) {
        self.keep(of);
        if of == 0 {
            return;
        }
        for _ in 0..lines.max(0) {
            let at = of - 1 - self.below.min(of - 1);
            if self.lines + 1 < height(at) {
                self.lines += 1;
            } else if at > 0 {
                self.below += 1;
                self.lines = 0;
            }
        }
        for _ in 0..(-lines).max(0) {
            if self.lines > 0 {
                self.lines -= 1;
            } else if self.below > 0 {
                self.below -= 1;
                self.lines = height(of - 1 - self.below).saturating_sub(1);
            }
        }
    }

    /// What came in below a view that is not at the bottom stays below it.
    fn keep(&mut self, of: usize) {
        if !self.is_at_bottom() {
            self.below += of.saturating_sub(self.of);
        }
        self.of = of;
        self.below = self.below.min(of.saturating_sub(1));
    }
}

/// Columns beside a message: time, mark, sender.
const MARGIN: usize = 9;

/// How many lines a message takes.
pub(crate) fn height(conversation: &Conversation, picture: &Picture<'_>, at: usize, width: usize) -> usize {
    let own = wrap::lines(&text(&conversation.entries[at]), width.saturating_sub(MARGIN)).len();
    own + usize::from(begins_day(conversation, picture, at))
}

fn begins_day(conversation: &Conversation, picture: &Picture<'_>, at: usize) -> bool {
    let day = |at: usize| (picture.civil)(conversation.entries[at].at).0;
    at == 0 || day(at) != day(at - 1)
}

fn text(entry: &Entry) -> String {
    let mut text = tame(&entry.body);
    if entry.corrected {
        text.push_str(" (changed)");
    }
    if let Mark::Failed(why) = &entry.mark {
        text.push_str(&format!("\n! not delivered: {}", tame(why)));
    }
    text
}

/// Draws what is in view. Whether that reaches the oldest message.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    picture: &Picture<'_>,
    conversation: &Conversation,
    scroll: &mut Scroll,
) -> bool {
    let count = conversation.entries.len();
    scroll.keep(count);
    let (width, rows) = (usize::from(area.width), usize::from(area.height));
    let (mut lines, mut reaches_top) = above(picture, conversation, scroll, width, rows);
    if reaches_top && lines.len() < rows && !scroll.is_at_bottom() {
        // The beginning stands at the top, and is not scrolled beyond.
        scroll.reach_top(count, rows - 1, |at| height(conversation, picture, at, width));
        (lines, reaches_top) = above(picture, conversation, scroll, width, rows);
    }
    if reaches_top && lines.len() < rows {
        let word = match (&conversation.history, count) {
            (history, _) if history.asked => " reading older messages ...",
            (history, 0) if history.complete => " no messages yet: write the first",
            (history, _) if history.complete => " the beginning",
            _ => "",
        };
        lines.push(Line::styled(word, Style::new().add_modifier(Modifier::DIM)));
    }
    lines.truncate(rows);
    lines.reverse();
    let empty = rows - lines.len();
    let place = Rect { y: area.y + empty as u16, height: (rows - empty) as u16, ..area };
    frame.render_widget(Paragraph::new(lines), place);
    reaches_top
}

/// The lines in view, from the bottom up, until it is full; and whether that reaches the oldest message.
fn above<'a>(
    picture: &Picture<'_>,
    conversation: &Conversation,
    scroll: &Scroll,
    width: usize,
    rows: usize,
) -> (Vec<Line<'a>>, bool) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut at = conversation.entries.len().saturating_sub(scroll.below);
    let mut skip = scroll.lines;
    while at > 0 && lines.len() < rows {
        at -= 1;
        let mut own = entry_lines(picture, conversation, at, width);
        own.truncate(own.len().saturating_sub(std::mem::take(&mut skip)));
        lines.extend(own.into_iter().rev());
    }
    let reaches_top = at == 0 && lines.len() <= rows;
    (lines, reaches_top)
}

fn entry_lines<'a>(
    picture: &Picture<'_>,
    conversation: &Conversation,
    at: usize,
    width: usize,
) -> Vec<Line<'a>> {
    let entry = &conversation.entries[at];
    let (day, time) = (picture.civil)(entry.at);
    let faint = Style::new().add_modifier(Modifier::DIM);
    let mut lines = Vec::new();
    if begins_day(conversation, picture, at) {
        let side = "─".repeat(width.saturating_sub(day.len() + 2) / 2);
        lines.push(Line::styled(format!("{side} {day} {side}"), faint));
    }
    let (mark, colour) = match &entry.mark {
        _ if !entry.ours => (" ", Color::Reset),
        Mark::Sending => ("…", Color::DarkGray),
        Mark::Sent => ("-", Color::DarkGray),
        Mark::Delivered => ("+", Color::Gray),
        Mark::Read => ("*", Color::Green),
        Mark::Failed(_) => ("!", Color::Red),
    };
    let body =
        if entry.ours { style(picture, Color::Cyan) } else { Style::new().add_modifier(Modifier::BOLD) };
    for (row, line) in wrap::lines(&text(entry), width.saturating_sub(MARGIN)).into_iter().enumerate() {
        let (time, mark) = if row == 0 { (time.as_str(), mark) } else { ("", " ") };
        lines.push(Line::from(vec![
            Span::styled(format!(" {time:>5} "), faint),
            Span::styled(format!("{mark} "), style(picture, colour)),
            Span::styled(line, body),
        ]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolling_goes_line_by_line_and_stays_where_it_is() {
        let heights = [1, 3, 2, 1];
        let height = |at: usize| heights[at];
        let mut scroll = Scroll::default();
        let mut seen = Vec::new();
        for _ in 0..8 {
            scroll.by(1, 4, height);
            seen.push((scroll.below, scroll.lines));
        }
        assert_eq!(seen, [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (3, 0), (3, 0)]);
        scroll.by(-3, 4, height);
        assert_eq!((scroll.below, scroll.lines), (2, 0));
        // Two more come in below; the view stays.
        let heights = [1, 3, 2, 1, 1, 1];
        scroll.by(0, 6, |at| heights[at]);
        assert_eq!((scroll.below, scroll.lines), (4, 0));
        scroll.reach_top(4, 4, height);
        assert_eq!((scroll.below, scroll.lines), (2, 0), "a line and three are four");
        scroll.reach_top(4, 5, height);
        assert_eq!((scroll.below, scroll.lines), (1, 1));
        scroll.reach_top(4, 8, height);
        assert!(scroll.is_at_bottom(), "all of it fits");
        scroll.to_bottom();
        scroll.by(0, 7, |_| 1);
        assert!(scroll.is_at_bottom());
        scroll.by(5, 0, |_| 1);
        assert!(scroll.is_at_bottom());
    }
}
