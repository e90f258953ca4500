//! The screen: list, conversation, line. Looks at the book and changes nothing.
//!
//! Owns: what stands where. Invariants: whatever others wrote is text, never a control character; it fits 80 by 24 and
//! anything down to [`LEAST`]; without colour nothing is lost, since every colour also has a sign or a weight.
//! Not here: what is shown (`book`), keys (`keys`).

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use unicode_width::UnicodeWidthStr;
use xmpp::time::{Instant, Wallclock};

use crate::book::{Conversation, Presence, Standing};
use crate::talk::{Talk, short};
use crate::{command, keys};

mod messages;
mod wrap;

pub use messages::Scroll;
pub use wrap::tame;

/// Columns and rows below which nothing is drawn but a word about it.
pub const LEAST: (u16, u16) = (24, 6);
/// Below so many columns there is no list beside the conversation.
const TWO_PANES: u16 = 60;
/// The list's columns.
const LIST: u16 = 26;
/// Rows of a line that is being written, at most.
const INPUT_MAX: usize = 5;

/// What stands in front of the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Front {
    /// Nothing.
    #[default]
    Nothing,
    /// The help.
    Help,
    /// A list to pick from by what is typed; which of its rows is chosen.
    Jump {
        /// What is typed.
        typed: String,
        /// The row.
        chosen: usize,
    },
}

/// How the line to the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// It stands.
    Online,
    /// It is being made.
    Connecting,
    /// It is away, for this reason, and is tried again then.
    Away(String, Instant),
}

/// Civil time as people read it: the day, and the time of day.
pub type Civil = fn(Wallclock) -> (String, String);

/// All that a picture needs.
pub struct Picture<'a> {
    /// The book, and what is said besides.
    pub talk: &'a Talk,
    /// Now.
    pub now: Instant,
    /// How times are written.
    pub civil: Civil,
    /// The line that is being written.
    pub line: &'a str,
    /// Where in it the cursor stands, in characters.
    pub cursor: usize,
    /// What is in front.
    pub front: &'a Front,
    /// How the network is.
    pub network: &'a Network,
    /// Whether there may be colour.
    pub colour: bool,
}

/// Where things were drawn, for clicks, and what scrolling found.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Rows of the list: from this row on, these addresses.
    pub list: (Rect, Vec<String>),
    /// The oldest message is in view: older ones may be wanted.
    pub at_top: bool,
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, picture: &Picture<'_>, scroll: &mut Scroll) -> Places {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Paragraph::new("too small"), area);
        return Places::default();
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(area);
    draw_head(frame, head, picture);
    let mut places = Places::default();
    let pane = if area.width >= TWO_PANES {
        let [list, pane] = Layout::horizontal([Constraint::Length(LIST), Constraint::Min(20)]).areas(body);
        places.list = draw_list(frame, list, picture);
        pane
    } else if picture.talk.book.open().is_none() {
        places.list = draw_list(frame, body, picture);
        Rect { height: 0, ..body }
    } else {
        body
    };
    if pane.height > 0 {
        places.at_top = draw_pane(frame, pane, picture, scroll);
    }
    draw_foot(frame, foot, picture);
    match picture.front {
        Front::Nothing => {}
        Front::Help => draw_help(frame, body),
        Front::Jump { typed, chosen } => places.list = draw_jump(frame, body, picture, typed, *chosen),
    }
    places
}

/// The columns of the conversation on a screen of so many.
#[must_use]
pub fn pane_width(width: usize) -> usize {
    if width >= usize::from(TWO_PANES) { width - usize::from(LIST) } else { width }
}

/// How many lines a message of a conversation takes.
#[must_use]
pub fn entry_height(conversation: &Conversation, picture: &Picture<'_>, at: usize, width: usize) -> usize {
    messages::height(conversation, picture, at, width)
}

/// The addresses that what is typed picks from, best first.
#[must_use]
pub fn matches(talk: &Talk, typed: &str) -> Vec<String> {
    let needle = typed.trim().to_lowercase();
    let list = talk.book.list();
    let matching = list.into_iter().filter(|with| {
        let name = talk.book.get(with).and_then(|c| c.name.as_deref()).unwrap_or_default().to_lowercase();
        with.starts_with(&needle) || name.contains(&needle)
    });
    let mut found: Vec<String> = matching.map(str::to_owned).collect();
    // A number that is not on the list can be written to all the same.
    if let Ok(new) = command::address(typed.trim(), talk.domain())
        && !found.contains(&new)
    {
        found.push(new);
    }
    found
}

fn style(picture: &Picture<'_>, colour: Color) -> Style {
    if picture.colour { Style::new().fg(colour) } else { Style::new() }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>) {
    let talk = picture.talk;
    let (sign, how) = match picture.network {
        Network::Online => ("●", "on line".to_owned()),
        Network::Connecting => ("○", "connecting".to_owned()),
        Network::Away(why, until) => {
            let left = until.saturating_since(picture.now).as_secs();
            ("○", format!("trying again in {left} s: {why}"))
        }
    };
    let unread = match talk.book.unread() {
        0 => String::new(),
        count => format!("  {count} unread"),
    };
    let me = short(talk.me(), talk.domain());
    let text = format!(" {sign} {me}  {}{unread}", tame(&how));
    let bar = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_widget(Paragraph::new(text).style(bar), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>) {
    let hint = "Ctrl-K go anywhere   Tab next unread   PageUp older   F1 help   Ctrl-C quit";
    match picture.talk.notice(picture.now) {
        Some(notice) => {
            let strong = style(picture, Color::Yellow).add_modifier(Modifier::BOLD);
            frame.render_widget(Paragraph::new(format!(" {}", tame(notice))).style(strong), area);
        }
        None => {
            let faint = Style::new().add_modifier(Modifier::DIM);
            frame.render_widget(Paragraph::new(format!(" {hint}")).style(faint), area);
        }
    }
}

fn sign(presence: Presence) -> (&'static str, Color) {
    match presence {
        Presence::Online => ("●", Color::Green),
        Presence::Busy => ("◆", Color::Red),
        Presence::Away => ("◐", Color::Yellow),
        Presence::Offline => ("○", Color::DarkGray),
    }
}

/// What someone is called: a name if the roster has one, else the number.
fn called<'a>(with: &'a str, conversation: &'a Conversation, domain: &str) -> &'a str {
    conversation.name.as_deref().unwrap_or_else(|| short(with, domain))
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>) -> (Rect, Vec<String>) {
    let block = Block::new().borders(Borders::RIGHT);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let book = &picture.talk.book;
    let list = book.list();
    let rows = usize::from(inner.height);
    // Two rows each; the open one is always in view.
    let shown = (rows / 2).max(1);
    let open = book.open().and_then(|open| list.iter().position(|with| *with == open)).unwrap_or(0);
    let first = open.saturating_sub(shown - 1);
    let mut lines = Vec::new();
    let mut places = Vec::new();
    if list.is_empty() {
        lines.push(Line::raw(" nobody yet"));
        lines.push(Line::raw(" /add NUMBER"));
    }
    for with in list.iter().skip(first).take(shown) {
        let Some(conversation) = book.get(with) else { continue };
        lines.extend(list_rows(picture, with, conversation, usize::from(inner.width)));
        places.extend([(*with).to_owned(), (*with).to_owned()]);
    }
    frame.render_widget(Paragraph::new(lines), inner);
    (inner, places)
}

fn list_rows<'a>(
    picture: &Picture<'a>,
    with: &'a str,
    conversation: &'a Conversation,
    width: usize,
) -> [Line<'a>; 2] {
    let talk = picture.talk;
    let (mark, colour) = sign(conversation.presence());
    let unread = match conversation.unread {
        0 => String::new(),
        count => format!(" ({count})"),
    };
    let room = width.saturating_sub(4 + unread.width());
    let name = wrap::cut(&tame(called(with, conversation, talk.domain())), room);
    let fill = " ".repeat(room.saturating_sub(name.width()));
    let mut weight = Style::new();
    if conversation.unread > 0 {
        weight = weight.add_modifier(Modifier::BOLD);
    }
    let mut first = Line::from(vec![
        Span::raw(" "),
        Span::styled(mark, style(picture, colour)),
        Span::styled(format!(" {name}{fill}"), weight),
        Span::styled(unread, weight),
        Span::raw(" "),
    ]);
    let last = match (conversation.typing, conversation.entries.last(), conversation.standing) {
        (Some(_), ..) => "is writing ...".to_owned(),
        (None, _, Standing::Asks) => "asks to see you".to_owned(),
        (None, Some(entry), _) if entry.ours => format!("you: {}", entry.body),
        (None, Some(entry), _) => entry.body.clone(),
        (None, None, Standing::Asked) => "was asked".to_owned(),
        (None, None, _) => String::new(),
    };
    let last = wrap::cut(&tame(&last).replace('\n', " "), width.saturating_sub(4));
    let fill = " ".repeat(width.saturating_sub(3 + last.width()));
    let mut second =
        Line::from(vec![Span::styled(format!("   {last}{fill}"), Style::new().add_modifier(Modifier::DIM))]);
    if talk.book.open() == Some(with) {
        first = first.style(Style::new().add_modifier(Modifier::REVERSED));
        second = second.style(Style::new().add_modifier(Modifier::REVERSED));
    }
    [first, second]
}

fn draw_pane(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>, scroll: &mut Scroll) -> bool {
    let talk = picture.talk;
    let width = usize::from(area.width);
    let input = wrap::input(picture.line, picture.cursor, width.saturating_sub(2));
    let input_rows = input.lines.len().clamp(1, INPUT_MAX);
    let [title, messages, rule, line] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(input_rows as u16),
    ])
    .areas(area);
    let Some((with, conversation)) = talk.book.open().and_then(|with| Some((with, talk.book.get(with)?)))
    else {
        let hello =
            ["", " Pick a conversation with Up and Down,", " or go anywhere with Ctrl-K: a number, a name."];
        frame.render_widget(Paragraph::new(hello.map(Line::raw).to_vec()), messages);
        draw_line(frame, line, &input, input_rows);
        return false;
    };
    draw_title(frame, title, picture, with, conversation);
    let at_top = messages::draw(frame, messages, picture, conversation, scroll);
    let below = if scroll.is_at_bottom() { String::new() } else { " newer below: PageDown ".to_owned() };
    let dashes = "─".repeat(width.saturating_sub(below.width()));
    let faint = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(format!("{dashes}{below}")).style(faint), rule);
    draw_line(frame, line, &input, input_rows);
    at_top
}

fn draw_title(
    frame: &mut Frame<'_>,
    area: Rect,
    picture: &Picture<'_>,
    with: &str,
    conversation: &Conversation,
) {
    let domain = picture.talk.domain();
    let (mark, colour) = sign(conversation.presence());
    let name = called(with, conversation, domain);
    let number = short(with, domain);
    let who = if name == number { number.to_owned() } else { format!("{name}  {number}") };
    let how = match (conversation.blocked, conversation.typing.is_some(), conversation.standing) {
        (true, ..) => "  blocked: /unblock",
        (_, true, _) => "  is writing ...",
        (_, _, Standing::Asks) => "  asks to see you: /accept or /refuse",
        (_, _, Standing::Asked) => "  was asked, and has not answered",
        (_, _, Standing::Stranger) => "  not on your list: /add",
        _ => "",
    };
    let number = Span::styled(tame(&who), Style::new().add_modifier(Modifier::BOLD));
    let line = Line::from(vec![
        Span::raw(" "),
        Span::styled(mark, style(picture, colour)),
        Span::raw(" "),
        number,
        Span::raw(how),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_line(frame: &mut Frame<'_>, area: Rect, input: &wrap::Input, rows: usize) {
    let first = (input.row + 1).saturating_sub(rows);
    let lines: Vec<Line<'_>> = input
        .lines
        .iter()
        .enumerate()
        .skip(first)
        .take(rows)
        .map(|(at, line)| Line::raw(format!("{}{line}", if at == 0 { "> " } else { "  " })))
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
    let (x, y) = (area.x + 2 + input.column as u16, area.y + (input.row - first) as u16);
    frame.set_cursor_position(Position::new(x.min(area.right().saturating_sub(1)), y));
}

/// A box in the middle, for what stands in front.
fn front(frame: &mut Frame<'_>, area: Rect, title: &str, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(format!(" {title} "));
    let inner = block.inner(place);
    frame.render_widget(block, place);
    inner
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let rows = keys::HELP.len() + command::HELP.len() + 4;
    let inner = front(frame, area, "Help", 76, rows as u16);
    let row = |(what, does): &(&str, &str)| Line::raw(format!(" {what:<19} {does}"));
    let mut lines: Vec<Line<'_>> = keys::HELP.iter().map(row).collect();
    // What has no room is the keys, which the foot names too: commands are nowhere else.
    let room = usize::from(inner.height);
    let commands: Vec<Line<'_>> = command::HELP.iter().map(row).collect();
    lines.truncate(room.saturating_sub(commands.len() + 1));
    lines.push(Line::raw(" … on its way   - sent   + delivered   * read   ! came back"));
    lines.extend(commands);
    frame.render_widget(Paragraph::new(lines), inner);
}

fn draw_jump(
    frame: &mut Frame<'_>,
    area: Rect,
    picture: &Picture<'_>,
    typed: &str,
    chosen: usize,
) -> (Rect, Vec<String>) {
    let inner = front(frame, area, "Go to", 48, 14);
    let [line, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(inner);
    frame.render_widget(Paragraph::new(format!("> {}", tame(typed))), line);
    frame.set_cursor_position(Position::new(line.x + 2 + typed.width() as u16, line.y));
    let found = matches(picture.talk, typed);
    let rows = usize::from(list.height);
    let first = (chosen + 1).saturating_sub(rows);
    let shown: Vec<String> = found.iter().skip(first).take(rows).cloned().collect();
    let lines: Vec<Line<'_>> = shown
        .iter()
        .enumerate()
        .map(|(at, with)| {
            let number = short(with, picture.talk.domain());
            let text = match picture.talk.book.get(with).and_then(|c| c.name.as_deref()) {
                Some(name) => format!(" {name}  {number}"),
                None => format!(" {number}"),
            };
            let text = format!("{:<width$}", tame(&text), width = usize::from(list.width));
            let weight = if first + at == chosen { Modifier::REVERSED } else { Modifier::empty() };
            Line::styled(text, Style::new().add_modifier(weight))
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), list);
    (list, shown)
}

#[cfg(test)]
mod tests;
