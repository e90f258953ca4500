//! Drives a chat: the terminal, the line to the server, the clock. The only place of this crate that waits or reads clocks.
//!
//! Owns: the terminal's state, the connection or what is left of it, when it is tried again.
//! Invariants: the terminal is as it was before, however this ends; keys are obeyed while the network is away, slow or
//! stuck; a lost line is tried again after `RETRY_FIRST`, then ever later up to `RETRY_MAX`, and takes up the session of the
//! one before where the server still has it (XEP-0198 5); a wrong password is not tried again.
//! Not here: what is said (`talk`), what is seen (`view`).

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::connection::Happening;
use client::error::End;
use client::session::{Kept, Past};
use client::{Connection, Error, Options};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event, EventStream,
};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use ratatui::DefaultTerminal;
use tui_input::{Input, InputRequest};
use xmpp::ns;
use xmpp::time::{Instant, Now, Wallclock};

use crate::command::{self, Command};
use crate::keys::{self, Action};
use crate::talk::{Talk, Wish};
use crate::view::{self, Front, Network, Picture, Places, Scroll};

/// After a line is lost it is tried again so soon.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// And at the latest after this.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// While the network is away the countdown is drawn so often.
const TICK: Duration = Duration::from_secs(1);
/// Pushes that the talk takes care of.
const UNDERSTOOD: &[(&str, &str)] =
    &[("query", ns::ROSTER), ("block", ns::BLOCKING), ("unblock", ns::BLOCKING)];
/// Stanzas heard between two pictures.
const HEARD_MAX: usize = 200;
/// A message being written may have so many characters; the server refuses longer stanzas.
const LINE_MAX: usize = 50_000;

/// How to chat.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who, where, over what.
    pub options: Options,
    /// Whether the terminal may show colours.
    pub colour: bool,
    /// Whether the mouse is listened to; selecting text with it then needs Shift.
    pub mouse: bool,
    /// Randomness that makes message ids unlike those of any other run.
    pub seed: String,
}

/// Chats until the person at the keyboard ends it. An error is why it could not begin, or go on: a wrong password.
pub async fn run(settings: Settings) -> Result<(), ChatError> {
    let jid = format!("{}@{}", settings.options.account.number, settings.options.account.domain);
    // The first log-in happens before the screen is taken, so that its error is a plain line.
    let connection = Connection::open_resumable(settings.options.clone(), None).await?;
    let _screen = Screen::take(settings.mouse).map_err(ChatError::Terminal)?;
    let mut terminal = ratatui::init();
    let mut chat = Chat::new(&jid, settings);
    chat.on_connected(connection);
    let ended = chat.go(&mut terminal).await;
    if let Link::Up(connection) = chat.link {
        let _ = connection.close().await;
    }
    ended
}

/// Why a chat could not begin, or go on.
#[derive(Debug)]
pub enum ChatError {
    /// The server, or the way to it.
    Client(Error),
    /// The terminal.
    Terminal(io::Error),
}

impl From<Error> for ChatError {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Terminal(error) => write!(f, "the terminal cannot be used: {error}"),
        }
    }
}

impl std::error::Error for ChatError {}

/// Whether trying again would end in the same way, or lock somebody out.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Ended { end, .. } => {
            matches!(end, End::LogIn { .. } | End::NoMechanism(_) | End::NotEncrypted | End::Impostor)
        }
        Error::Certificates { .. } | Error::Tls { untrusted: true, .. } | Error::NoAcknowledgements => true,
        _ => false,
    }
}

/// Mouse and paste; given back when it is dropped, together with the screen.
struct Screen;

impl Screen {
    fn take(mouse: bool) -> io::Result<Self> {
        crossterm::execute!(io::stdout(), EnableBracketedPaste)?;
        if mouse {
            crossterm::execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = crossterm::execute!(io::stdout(), DisableMouseCapture, DisableBracketedPaste);
        ratatui::restore();
    }
}

/// The line to the server.
enum Link {
    Up(Box<Connection>),
    Coming(BoxFuture<'static, Result<Connection, Error>>),
    Down { again: Instant },
}

struct Chat {
    settings: Settings,
    talk: Talk,
    link: Link,
    /// The session of the line before, while it is not known what became of it.
    kept: Option<Kept>,
    network: Network,
    retry: Duration,
    input: Input,
    front: Front,
    scroll: Scroll,
    places: Places,
    began: tokio::time::Instant,
}

/// What the loop woke up for.
enum Woke {
    Key(Option<io::Result<Event>>),
    Line(Result<Happening, Error>),
    Came(Box<Result<Connection, Error>>),
    Time,
}

impl Chat {
    fn new(jid: &str, settings: Settings) -> Self {
        let talk = Talk::new(jid, &settings.seed);
        Self {
            settings,
            talk,
            link: Link::Down { again: Instant::ZERO },
            kept: None,
            network: Network::Connecting,
            retry: RETRY_FIRST,
            input: Input::default(),
            front: Front::Nothing,
            scroll: Scroll::default(),
            places: Places::default(),
            began: tokio::time::Instant::now(),
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Wallclock::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Now { mono: Instant::ZERO + self.began.elapsed(), wall }
    }

    async fn go(&mut self, terminal: &mut DefaultTerminal) -> Result<(), ChatError> {
        let mut keys = EventStream::new();
        loop {
            self.talk.handle_timer(self.now().mono);
            if matches!(self.front, Front::Nothing) && self.scroll.is_at_bottom() {
                self.talk.handle_looking();
            }
            self.post();
            self.draw(terminal).map_err(ChatError::Terminal)?;
            match self.wait(&mut keys).await {
                Woke::Key(Some(Ok(event))) => {
                    if let Some(action) = keys::action(&event)
                        && self.act(terminal, action)
                    {
                        return Ok(());
                    }
                }
                // The terminal is gone: so is the person.
                Woke::Key(_) => return Ok(()),
                Woke::Line(happening) => self.hear(happening)?,
                Woke::Came(came) => match *came {
                    Ok(connection) => self.on_connected(connection),
                    Err(error) => self.on_lost(error)?,
                },
                Woke::Time => self.try_again(),
            }
        }
    }

    async fn wait(&mut self, keys: &mut EventStream) -> Woke {
        let now = self.now().mono;
        let mut deadline = self.talk.next_deadline();
        if let Network::Away(_, until) = self.network {
            let tick = (now + TICK).min(until.max(now));
            deadline = Some(deadline.map_or(tick, |at| at.min(tick)));
        }
        let began = self.began;
        let sleep = async move {
            match deadline {
                Some(at) => tokio::time::sleep_until(began + (at - Instant::ZERO)).await,
                None => std::future::pending().await,
            }
        };
        let line = async {
            match &mut self.link {
                Link::Up(connection) => Woke::Line(connection.happening().await),
                Link::Coming(coming) => Woke::Came(Box::new(coming.await)),
                Link::Down { .. } => std::future::pending().await,
            }
        };
        tokio::select! {
            key = keys.next() => Woke::Key(key),
            woke = line => woke,
            () = sleep => Woke::Time,
        }
    }

    /// Gives what is to be said to the line, which keeps it until the network takes it.
    fn post(&mut self) {
        let Link::Up(connection) = &mut self.link else { return };
        while let Some(output) = self.talk.poll_output() {
            let serial = connection.post(output.stanza);
            self.talk.handle_posted(serial, output.message);
        }
    }

    /// Hears what came, and what came with it, before the next picture.
    fn hear(&mut self, first: Result<Happening, Error>) -> Result<(), ChatError> {
        let mut next = Some(first);
        for _ in 0..HEARD_MAX {
            match next {
                Some(Ok(happening)) => self.on_happening(happening),
                Some(Err(error)) => return self.on_lost(error),
                None => return Ok(()),
            }
            let Link::Up(connection) = &mut self.link else { return Ok(()) };
            next = connection.happening().now_or_never();
        }
        match next {
            Some(Ok(happening)) => self.on_happening(happening),
            Some(Err(error)) => return self.on_lost(error),
            None => {}
        }
        Ok(())
    }

    fn on_happening(&mut self, happening: Happening) {
        match happening {
            Happening::Stanza { serial, stanza } => {
                self.talk.handle_stanza(self.now(), &stanza);
                if let Link::Up(connection) = &mut self.link {
                    connection.taken(serial);
                }
            }
            Happening::Acknowledged(serial) => self.talk.handle_acknowledged(serial),
        }
    }

    fn on_connected(&mut self, mut connection: Connection) {
        connection.understand(UNDERSTOOD);
        self.kept = None;
        match connection.past() {
            Past::Resumed => self.talk.handle_resumed(connection.is_framed()),
            Past::Lost { acknowledged: Some(serial) } => {
                self.talk.handle_acknowledged(serial);
                self.talk.handle_ready(connection.is_framed());
            }
            Past::None | Past::Lost { acknowledged: None } => self.talk.handle_ready(connection.is_framed()),
        }
        self.link = Link::Up(Box::new(connection));
        self.network = Network::Online;
        self.retry = RETRY_FIRST;
    }

    /// The line is gone, or did not come about.
    fn on_lost(&mut self, error: Error) -> Result<(), ChatError> {
        if is_final(&error) {
            return Err(ChatError::Client(error));
        }
        self.talk.handle_lost();
        let again = self.now().mono + self.retry;
        self.retry = (self.retry * 2).min(RETRY_MAX);
        if let Link::Up(connection) = std::mem::replace(&mut self.link, Link::Down { again }) {
            self.kept = connection.into_kept();
        }
        // There is one line for it, and where the server is has not changed.
        let why = match &error {
            Error::Ended { end, .. } => end.to_string(),
            error => error.to_string(),
        };
        self.network = Network::Away(why, again);
        Ok(())
    }

    fn try_again(&mut self) {
        if let Link::Down { again } = self.link
            && again <= self.now().mono
        {
            self.network = Network::Connecting;
            let options = self.settings.options.clone();
            self.link = Link::Coming(Connection::open_resumable(options, self.kept.clone()).boxed());
        }
    }

    fn draw(&mut self, terminal: &mut DefaultTerminal) -> io::Result<()> {
        let now = self.now().mono;
        let picture = Picture {
            talk: &self.talk,
            now,
            civil,
            line: self.input.value(),
            cursor: self.input.cursor(),
            front: &self.front,
            network: &self.network,
            colour: self.settings.colour,
        };
        let (scroll, places) = (&mut self.scroll, &mut self.places);
        terminal.draw(|frame| *places = view::draw(frame, &picture, scroll))?;
        if self.places.at_top
            && let Some(with) = self.talk.book.open().map(str::to_owned)
        {
            self.talk.ask_history(&with);
            self.post();
        }
        Ok(())
    }

    /// Does what a key asks for. Whether that is the end.
    fn act(&mut self, terminal: &mut DefaultTerminal, action: Action) -> bool {
        match (action, &mut self.front) {
            (Action::Quit, _) => return true,
            (Action::Redraw, _) => {
                let _ = terminal.clear();
            }
            (Action::Help, _) => self.front = Front::Help,
            (Action::Jump, _) => self.front = Front::Jump { typed: String::new(), chosen: 0 },
            (Action::Escape, Front::Nothing) => self.edit(&Action::Escape),
            (Action::Escape, _) => self.front = Front::Nothing,
            (Action::Click(x, y), _) => self.click(x, y),
            (action, Front::Jump { .. }) => self.act_in_jump(&action),
            (_, Front::Help) => self.front = Front::Nothing,
            (Action::Enter, Front::Nothing) => return self.enter(),
            (Action::Above, _) => self.step(-1),
            (Action::Below, _) => self.step(1),
            (Action::NextUnread, _) => self.next_unread(),
            (Action::Scroll(lines), _) => self.scroll_by(terminal, lines),
            (Action::Bottom, _) => self.scroll.to_bottom(),
            (action, Front::Nothing) => self.edit(&action),
        }
        false
    }

    fn edit(&mut self, action: &Action) {
        match action {
            Action::Edit(request) => {
                if !matches!(request, InputRequest::InsertChar(_)) || self.input.value().len() < LINE_MAX {
                    self.input.handle(*request);
                }
            }
            Action::Paste(text) => {
                let room = LINE_MAX.saturating_sub(self.input.value().len());
                for c in text.chars().take(room) {
                    self.input.handle(InputRequest::InsertChar(c));
                }
            }
            _ => self.input.reset(),
        }
        let (now, empty) = (self.now().mono, self.input.value().is_empty());
        // A command is no text to anyone else.
        if !self.input.value().starts_with('/') {
            self.talk.handle_typing(now, empty);
        }
    }

    fn act_in_jump(&mut self, action: &Action) {
        let Front::Jump { typed, chosen } = &mut self.front else { return };
        let count = view::matches(&self.talk, typed).len();
        match action {
            Action::Edit(InputRequest::InsertChar(c)) if !c.is_control() && typed.len() < 200 => {
                typed.push(*c);
                *chosen = 0;
            }
            Action::Edit(InputRequest::DeletePrevChar) => {
                typed.pop();
                *chosen = 0;
            }
            Action::Above => *chosen = chosen.saturating_sub(1),
            Action::Below => *chosen = (*chosen + 1).min(count.saturating_sub(1)),
            Action::Enter => {
                let picked = view::matches(&self.talk, typed).get(*chosen).cloned();
                self.front = Front::Nothing;
                if let Some(with) = picked {
                    self.open(&with);
                }
            }
            _ => {}
        }
    }

    fn click(&mut self, x: u16, y: u16) {
        let (area, rows) = &self.places.list;
        if !area.contains((x, y).into()) {
            return;
        }
        if let Some(with) = rows.get(usize::from(y - area.y)).cloned() {
            self.front = Front::Nothing;
            self.open(&with);
        }
    }

    /// Opens a conversation; what was being written stays with the one it was for.
    fn open(&mut self, with: &str) {
        if let Some(before) = self.talk.book.open().map(str::to_owned)
            && let Some(conversation) = self.talk.book.get_mut(&before)
        {
            self.input.value().clone_into(&mut conversation.draft);
        }
        let now = self.now().mono;
        self.talk.open(now, with);
        let draft = self.talk.book.get(with).map(|c| c.draft.clone()).unwrap_or_default();
        self.input = Input::new(draft);
        self.scroll.to_bottom();
    }

    fn step(&mut self, by: isize) {
        let list: Vec<String> = self.talk.book.list().into_iter().map(str::to_owned).collect();
        let at = self.talk.book.open().and_then(|open| list.iter().position(|with| with == open));
        let next = match at {
            None => 0,
            Some(at) => at.saturating_add_signed(by).min(list.len().saturating_sub(1)),
        };
        if let Some(with) = list.get(next) {
            self.open(with);
        }
    }

    fn next_unread(&mut self) {
        let list = self.talk.book.list();
        let unread = |with: &&str| self.talk.book.get(with).is_some_and(|c| c.unread > 0);
        match list.into_iter().find(unread).map(str::to_owned) {
            Some(with) => self.open(&with),
            None => {
                let now = self.now().mono;
                self.talk.say(now, "nothing is unread");
            }
        }
    }

    fn scroll_by(&mut self, terminal: &DefaultTerminal, lines: i32) {
        let Some(conversation) = self.talk.book.open().and_then(|with| self.talk.book.get(with)) else {
            return;
        };
        let width = terminal.size().map_or(80, |size| usize::from(size.width));
        let now = self.now().mono;
        let picture = Picture {
            talk: &self.talk,
            now,
            civil,
            line: "",
            cursor: 0,
            front: &Front::Nothing,
            network: &self.network,
            colour: false,
        };
        let width = view::pane_width(width);
        self.scroll.by(lines, conversation.entries.len(), |at| {
            view::entry_height(conversation, &picture, at, width)
        });
    }

    /// Sends or obeys the line. Whether that is the end.
    fn enter(&mut self) -> bool {
        let line = self.input.value().trim_end().to_owned();
        if line.is_empty() {
            return false;
        }
        let now = self.now();
        match command::parse(&line, self.talk.domain()) {
            Err(why) => self.talk.say(now.mono, why),
            Ok(Command::Say(_)) if self.talk.book.open().is_none() => {
                self.talk.say(now.mono, "no conversation is open: Ctrl-K or /to NUMBER opens one");
            }
            Ok(command) => {
                let opens = matches!(command, Command::To(_) | Command::Add(..));
                self.input.reset();
                match self.talk.handle_command(now, command) {
                    Wish::Quit => return true,
                    Wish::Help => self.front = Front::Help,
                    Wish::Show(entry) => {
                        let of = self.talk.book.open().and_then(|with| self.talk.book.get(with));
                        self.scroll.to(entry, of.map_or(0, |c| c.entries.len()));
                    }
                    Wish::None if opens => {
                        let draft = self.talk.book.open().and_then(|with| self.talk.book.get(with));
                        self.input = Input::new(draft.map(|c| c.draft.clone()).unwrap_or_default());
                        self.scroll.to_bottom();
                    }
                    Wish::None => self.scroll.to_bottom(),
                }
            }
        }
        false
    }
}

/// Times of this host.
fn civil(at: Wallclock) -> (String, String) {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    match chrono::DateTime::from_timestamp_millis(millis) {
        Some(utc) => {
            let local = utc.with_timezone(&chrono::Local);
            (local.format("%A, %-d %B %Y").to_string(), local.format("%H:%M").to_string())
        }
        None => (String::new(), String::new()),
    }
}
