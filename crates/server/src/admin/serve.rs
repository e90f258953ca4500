//! The exchange's side of the admin socket: one thread that listens, one a connection, few at once.
//! Owns: the socket file, for as long as the exchange runs.
//! Invariants: a stale socket is removed only by whoever holds the data folder's lock; a request that cannot be read is
//! answered with its reason; a password goes from the line to the key derivation and nowhere else.
//! Not here: the protocol's types (`admin`).

use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use router::{AccountChange, SessionId};
use store::{AccountState, Answer, Hold, Op, StoreError};
use xmpp::address::AccountNumber;

use super::{
    Account, ErrorCode, Invite, Item, Request, SOCKET_NAME, TraceOf, open_folder, read_line, socket_path,
};
use crate::counts::LoopCounts;
use crate::letter::{Letter, StoreLetter};
use crate::mailbox::Outbound;
use crate::{clock, invite};

/// Commands at once; more are turned away.
const CONNECTIONS_MAX: usize = 16;
/// How long a command may take between its lines.
const IDLE: Duration = Duration::from_secs(60);
/// How long loops and store may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Accounts asked for at a time.
const ACCOUNTS_PAGE: u32 = 500;

/// The way from other threads to the loops and the store.
#[derive(Clone)]
pub(crate) struct Control {
    inner: Arc<Mutex<ControlInner>>,
}

struct ControlInner {
    loops: Vec<Outbound<Letter>>,
    store: Outbound<StoreLetter>,
}

impl Control {
    pub(crate) fn new(loops: Vec<Outbound<Letter>>, store: Outbound<StoreLetter>) -> Self {
        Self { inner: Arc::new(Mutex::new(ControlInner { loops, store })) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ControlInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to one loop. `false`: it is gone or has no room.
    pub(crate) fn to_loop(&self, to: usize, letter: Letter) -> bool {
        let mut inner = self.lock();
        let Some(outbound) = inner.loops.get_mut(to) else { return false };
        if outbound.is_closed() || outbound.flush() {
            return false;
        }
        outbound.stage(letter);
        outbound.flush();
        true
    }

    /// Writes to every loop.
    pub(crate) fn to_all(&self, make: impl Fn() -> Letter) {
        for outbound in &mut self.lock().loops {
            outbound.stage(make());
            outbound.flush();
        }
    }

    pub(crate) fn to_store(&self, letter: StoreLetter) {
        let mut inner = self.lock();
        inner.store.stage(letter);
        inner.store.flush();
    }

    /// What every loop has counted, or `None` where one does not answer in time.
    pub(crate) fn counts(&self, within: Duration) -> Vec<Option<Box<LoopCounts>>> {
        let deadline = std::time::Instant::now() + within;
        let asked: Vec<_> = (0..self.loops())
            .map(|to| {
                let (sender, counts) = channel();
                self.to_loop(to, Letter::Counts(sender)).then_some(counts)
            })
            .collect();
        let left = || deadline.saturating_duration_since(std::time::Instant::now());
        asked.into_iter().map(|counts| counts.and_then(|counts| counts.recv_timeout(left()).ok())).collect()
    }

    /// Whether the store's thread answers in time, and can read what it keeps.
    pub(crate) fn store_answers(&self, within: Duration) -> bool {
        let (sender, answer) = channel();
        let op = Op::ListAccounts { after: None, limit: 1 };
        self.to_store(StoreLetter::Admin { op, answer: sender });
        matches!(answer.recv_timeout(within), Ok(Ok(_)))
    }

    pub(crate) fn loops(&self) -> usize {
        self.lock().loops.len()
    }
}

/// What commands need to know of the exchange.
pub(crate) struct Settings {
    /// PBKDF2 rounds for new passwords.
    pub(crate) iterations: u32,
    pub(crate) domain: String,
    /// Where the web client is, if anywhere.
    pub(crate) web: Option<String>,
}

/// What the admin threads share.
struct Desk {
    control: Control,
    settings: Settings,
    leave: Box<dyn Fn() + Send + Sync>,
    open: AtomicUsize,
}

/// The listening socket.
pub(crate) struct AdminSocket {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
    listener: UnixListener,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Listens in the data folder, whose lock the caller holds.
pub(crate) fn start(
    data: &Path,
    control: Control,
    settings: Settings,
    leave: Box<dyn Fn() + Send + Sync>,
) -> io::Result<AdminSocket> {
    let folder = open_folder(data)?;
    let path = socket_path(data, &folder);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    drop(folder);
    let stopping = Arc::new(AtomicBool::new(false));
    let desk = Arc::new(Desk { control, settings, leave, open: AtomicUsize::new(0) });
    let stop = Arc::clone(&stopping);
    let waking = listener.try_clone()?;
    let thread = std::thread::Builder::new().name("admin".into()).spawn(move || {
        for stream in listener.incoming() {
            if stop.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else { continue };
            if desk.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                desk.open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let serving = Arc::clone(&desk);
            let spawned = std::thread::Builder::new().name("admin-line".into()).spawn(move || {
                // A command that goes away in the middle concerns nobody else.
                let _ = serve(&serving, &stream);
                serving.open.fetch_sub(1, Ordering::Relaxed);
            });
            if spawned.is_err() {
                desk.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok(AdminSocket { path: data.to_owned(), stopping, listener: waking, thread: Some(thread) })
}

impl AdminSocket {
    /// Stops listening and removes the socket.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // The listening thread looks up: on Linux by this, whatever became of the socket's name; elsewhere when someone connects.
        let _ = socket2::SockRef::from(&self.listener).shutdown(Shutdown::Both);
        if let Ok(folder) = open_folder(&self.path) {
            let _ = UnixStream::connect(socket_path(&self.path, &folder));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(self.path.join(SOCKET_NAME));
    }
}

fn serve(desk: &Desk, stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if read_line(&mut reader, &mut line)? == 0 {
            return Ok(());
        }
        let mut items = Vec::new();
        let end = match serde_json::from_slice(&line) {
            Ok(request) => match answer(desk, request, &mut |item| items.push(item)) {
                Ok(()) => Item::Done,
                Err((code, reason)) => Item::Error { code, reason },
            },
            Err(error) => Item::Error { code: ErrorCode::BadRequest, reason: error.to_string() },
        };
        items.push(end);
        let mut text = Vec::new();
        for item in items {
            serde_json::to_writer(&mut text, &item)?;
            text.push(b'\n');
        }
        let mut writer = stream;
        writer.write_all(&text)?;
    }
}

type Refusal = (ErrorCode, String);

fn answer(desk: &Desk, request: Request, each: &mut dyn FnMut(Item)) -> Result<(), Refusal> {
    match request {
        Request::Who => who(desk, each),
        Request::Trace { number, of } => trace(desk, known_number(number)?, of.as_ref(), each),
        Request::InviteCreate { number, any, expires_secs } => {
            let hold = match number {
                Some(number) => Hold::This(known_number(number)?),
                None if any => Hold::Later,
                None => Hold::First,
            };
            let token = invite::draw_token().map_err(|error| (ErrorCode::Unavailable, error.to_string()))?;
            let life = expires_secs.map_or(invite::LIFE, Duration::from_secs);
            let op = invite::create(&token, hold, clock::wall(), life, None);
            let Answer::Invite(made) = ask(desk, op)? else { return Err(confused()) };
            let Settings { domain, web, .. } = &desk.settings;
            each(Item::Invite(Invite {
                uri: Some(invite::uri(domain, made.number, &token)),
                link: web.as_deref().map(|web| invite::link(web, &token)),
                ..Invite::of(&made)
            }));
            Ok(())
        }
        Request::InviteList => {
            let Answer::Invites(invites) = ask(desk, Op::ListInvites)? else { return Err(confused()) };
            invites.iter().for_each(|invite| each(Item::Invite(Invite::of(invite))));
            Ok(())
        }
        Request::InviteRevoke { number } => {
            ask(desk, Op::RevokeInvite { number: known_number(number)? })?;
            Ok(())
        }
        Request::AccountAdmin { number, admin } => {
            ask(desk, Op::SetAdmin { number: known_number(number)?, admin })?;
            Ok(())
        }
        Request::AccountLogOut { number } => {
            let number = known_number(number)?;
            ask(desk, Op::RevokeTokens { number })?;
            tell(desk, number, AccountChange::Password);
            Ok(())
        }
        Request::AccountCreate { number, name, password, admin } => {
            let number = number.map(known_number).transpose()?;
            let credentials = Box::new(credentials(desk, &password)?);
            let op = Op::CreateAccount { number, name: name.clone(), credentials };
            let Answer::Created(number) = ask(desk, op)? else { return Err(confused()) };
            if admin {
                ask(desk, Op::SetAdmin { number, admin })?;
            }
            each(Item::Account(Account { number: number.get(), name, enabled: true, admin }));
            Ok(())
        }
        Request::AccountList => list(desk, each),
        Request::AccountPassword { number, password } => {
            let number = known_number(number)?;
            let credentials = Box::new(credentials(desk, &password)?);
            ask(desk, Op::SetCredentials { number, credentials })?;
            tell(desk, number, AccountChange::Password);
            Ok(())
        }
        Request::AccountDisable { number } => {
            let number = known_number(number)?;
            ask(desk, Op::SetEnabled { number, enabled: false })?;
            tell(desk, number, AccountChange::Disabled);
            Ok(())
        }
        Request::AccountEnable { number } => {
            ask(desk, Op::SetEnabled { number: known_number(number)?, enabled: true })?;
            Ok(())
        }
        Request::AccountDelete { number } => {
            let number = known_number(number)?;
            // Its contacts hear of it at once, so who they are is read before it is forgotten.
            let Answer::Roster(roster) = ask(desk, Op::LoadRoster { number })? else {
                return Err(confused());
            };
            ask(desk, Op::DeleteAccount { number })?;
            let home = router::Router::home(number, desk.control.loops() as u16);
            desk.control.to_loop(usize::from(home), Letter::Deleted { number, roster });
            Ok(())
        }
        Request::Shutdown => {
            (desk.leave)();
            Ok(())
        }
    }
}

fn who(desk: &Desk, each: &mut dyn FnMut(Item)) -> Result<(), Refusal> {
    let (sender, lines) = channel();
    let loops = desk.control.loops();
    for to in 0..loops {
        if !desk.control.to_loop(to, Letter::Who(Sender::clone(&sender))) {
            return Err(unavailable());
        }
    }
    let mut all = Vec::new();
    for _ in 0..loops {
        all.append(&mut lines.recv_timeout(ANSWER_WITHIN).map_err(|_| unavailable())?);
    }
    all.sort_by_key(|line| (line.number.is_none(), line.number, line.since));
    all.into_iter().for_each(|line| each(Item::Line(line)));
    Ok(())
}

fn trace(
    desk: &Desk,
    number: AccountNumber,
    of: Option<&TraceOf>,
    each: &mut dyn FnMut(Item),
) -> Result<(), Refusal> {
    let (answer, lines) = channel();
    // A line that is named has one loop; the others are left alone.
    let loops = 0..desk.control.loops();
    let asked = match of.map(|of| usize::from(SessionId::from_bits(of.name).of_loop())) {
        Some(its) if !loops.contains(&its) => return Ok(()),
        Some(its) => its..its + 1,
        None => loops,
    };
    for to in asked.clone() {
        let letter = Letter::Trace { number, of: of.cloned(), answer: Sender::clone(&answer) };
        if !desk.control.to_loop(to, letter) {
            return Err(unavailable());
        }
    }
    for _ in asked {
        for trace in lines.recv_timeout(ANSWER_WITHIN).map_err(|_| unavailable())? {
            each(Item::Trace(trace.about));
            trace.frames.into_iter().for_each(|frame| each(Item::Frame(frame)));
        }
    }
    Ok(())
}

fn list(desk: &Desk, each: &mut dyn FnMut(Item)) -> Result<(), Refusal> {
    let mut after = None;
    loop {
        let Answer::Accounts { accounts, more } =
            ask(desk, Op::ListAccounts { after, limit: ACCOUNTS_PAGE })?
        else {
            return Err(confused());
        };
        after = accounts.last().map(|account| account.number);
        for account in accounts {
            each(Item::Account(Account {
                number: account.number.get(),
                name: account.name,
                enabled: account.state == AccountState::Enabled,
                admin: account.admin,
            }));
        }
        if !more {
            return Ok(());
        }
    }
}

/// Tells the account's home, which ends its sessions.
fn tell(desk: &Desk, number: AccountNumber, change: AccountChange) {
    let home = router::Router::home(number, desk.control.loops() as u16);
    desk.control.to_loop(usize::from(home), Letter::Account { number, change });
}

fn ask(desk: &Desk, op: Op) -> Result<Answer, Refusal> {
    let (sender, answer) = channel();
    desk.control.to_store(StoreLetter::Admin { op, answer: sender });
    match answer.recv_timeout(ANSWER_WITHIN) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let code = match error {
                StoreError::NoSuchAccount => ErrorCode::NoSuchAccount,
                StoreError::NumberTaken => ErrorCode::NumberTaken,
                StoreError::NoSuchItem => ErrorCode::NoSuchInvite,
                _ => ErrorCode::Store,
            };
            Err((code, error.to_string()))
        }
        Err(_) => Err(unavailable()),
    }
}

fn credentials(desk: &Desk, password: &str) -> Result<store::Credentials, Refusal> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| (ErrorCode::Unavailable, error.to_string()))?;
    session::sasl::keys::derive_keys(password, salt, desk.settings.iterations)
        .map_err(|error| (ErrorCode::BadRequest, error.to_string()))
}

fn known_number(number: u64) -> Result<AccountNumber, Refusal> {
    AccountNumber::new(number).ok_or_else(|| {
        (ErrorCode::BadRequest, format!("{number} is no number: 1 to 15 digits without a leading zero"))
    })
}

fn unavailable() -> Refusal {
    (ErrorCode::Unavailable, "the exchange did not answer: it is leaving or overloaded".to_owned())
}

fn confused() -> Refusal {
    (ErrorCode::Store, "the store answered something else".to_owned())
}
