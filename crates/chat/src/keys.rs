//! Keys and the mouse: what a person does, as actions.
//!
//! Owns: the meaning of each key. Invariants: everything can be done without a mouse, and without Alt or function keys that
//! a terminal may not send.
//! Not here: what an action does (`run`).

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};
use tui_input::InputRequest;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The line being written changes.
    Edit(InputRequest),
    /// Several characters at once.
    Paste(String),
    /// The line is sent, or obeyed.
    Enter,
    /// What is in front is closed; else the line is emptied.
    Escape,
    /// The conversation above or below in the list.
    Above,
    /// The one below.
    Below,
    /// The next with something unread.
    NextUnread,
    /// Anywhere: what is typed picks from the list.
    Jump,
    /// The view goes up by so many lines, or down.
    Scroll(i32),
    /// To the newest.
    Bottom,
    /// Help.
    Help,
    /// A click at this column and row.
    Click(u16, u16),
    /// The screen has another size, or has to be drawn anew.
    Redraw,
    /// The end.
    Quit,
}

/// Lines that a page key moves by.
const PAGE: i32 = 10;
/// And a notch of the wheel.
const NOTCH: i32 = 3;

/// Keys as help shows them.
pub const HELP: &[(&str, &str)] = &[
    ("Enter", "send; Alt-Enter or Ctrl-J begins a new line"),
    ("Up, Down", "conversation above, below (Ctrl-P, Ctrl-N too)"),
    ("Tab", "next conversation with something unread"),
    ("Ctrl-K", "go anywhere: type a number, a name"),
    ("PageUp, PageDown", "older, newer (Ctrl-U, Ctrl-D too); the wheel too"),
    ("Ctrl-A, Ctrl-E", "to the beginning, the end of the line"),
    ("Ctrl-W", "delete a word"),
    ("Esc", "close what is in front, empty the line"),
    ("Ctrl-L", "draw the screen anew"),
    ("F1, /help", "this"),
    ("Ctrl-C, /quit", "the end"),
];

/// What an event of the terminal asks for.
#[must_use]
pub fn action(event: &Event) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_action(key),
        Event::Paste(text) => Some(Action::Paste(text.replace('\r', "\n"))),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Action::Scroll(NOTCH)),
            MouseEventKind::ScrollDown => Some(Action::Scroll(-NOTCH)),
            MouseEventKind::Down(MouseButton::Left) => Some(Action::Click(mouse.column, mouse.row)),
            _ => None,
        },
        Event::Resize(..) => Some(Action::Redraw),
        _ => None,
    }
}

fn key_action(key: &KeyEvent) -> Option<Action> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char(c) if ctrl => match c.to_ascii_lowercase() {
            'c' | 'q' => Action::Quit,
            'k' => Action::Jump,
            'p' => Action::Above,
            'n' => Action::Below,
            'u' => Action::Scroll(PAGE),
            'd' => Action::Scroll(-PAGE),
            'l' => Action::Redraw,
            'a' => Action::Edit(InputRequest::GoToStart),
            'e' => Action::Edit(InputRequest::GoToEnd),
            'w' => Action::Edit(InputRequest::DeletePrevWord),
            'h' => Action::Edit(InputRequest::DeletePrevChar),
            // What a terminal sends for Ctrl-J is a line feed.
            'j' => Action::Edit(InputRequest::InsertChar('\n')),
            _ => return None,
        },
        KeyCode::Enter if alt => Action::Edit(InputRequest::InsertChar('\n')),
        KeyCode::Enter => Action::Enter,
        KeyCode::Esc => Action::Escape,
        KeyCode::Up => Action::Above,
        KeyCode::Down => Action::Below,
        KeyCode::Tab => Action::NextUnread,
        KeyCode::PageUp => Action::Scroll(PAGE),
        KeyCode::PageDown => Action::Scroll(-PAGE),
        KeyCode::F(1) => Action::Help,
        KeyCode::Home => Action::Edit(InputRequest::GoToStart),
        KeyCode::End => Action::Edit(InputRequest::GoToEnd),
        KeyCode::Left if ctrl || alt => Action::Edit(InputRequest::GoToPrevWord),
        KeyCode::Right if ctrl || alt => Action::Edit(InputRequest::GoToNextWord),
        KeyCode::Left => Action::Edit(InputRequest::GoToPrevChar),
        KeyCode::Right => Action::Edit(InputRequest::GoToNextChar),
        KeyCode::Backspace => Action::Edit(InputRequest::DeletePrevChar),
        KeyCode::Delete => Action::Edit(InputRequest::DeleteNextChar),
        KeyCode::Char(c) => Action::Edit(InputRequest::InsertChar(c)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        action(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn what_keys_mean() {
        let (none, ctrl, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        for (code, modifiers, expected) in [
            (KeyCode::Char('x'), none, Some(Action::Edit(InputRequest::InsertChar('x')))),
            (KeyCode::Char('你'), none, Some(Action::Edit(InputRequest::InsertChar('你')))),
            (KeyCode::Enter, none, Some(Action::Enter)),
            (KeyCode::Enter, alt, Some(Action::Edit(InputRequest::InsertChar('\n')))),
            (KeyCode::Char('j'), ctrl, Some(Action::Edit(InputRequest::InsertChar('\n')))),
            (KeyCode::Char('c'), ctrl, Some(Action::Quit)),
            (KeyCode::Char('K'), ctrl, Some(Action::Jump)),
            (KeyCode::F(5), none, None),
        ] {
            assert_eq!(press(code, modifiers), expected, "{code:?}");
        }
        assert_eq!(action(&Event::Paste("a\rb".into())), Some(Action::Paste("a\nb".into())));
    }
}
