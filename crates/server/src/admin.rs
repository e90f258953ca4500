//! The admin socket: `who` and account commands, one JSON object a line, over a unix socket in the data folder.
//! A request is one line; its answer is any number of item lines and then exactly one `done` or `error` line.
//! Owns: the protocol's types, the socket's place, the client's side. The exchange's side is `serve`.
//! Invariants: the folder is 0700, so whoever can connect may do everything; no answer holds a key or a password.
//! Not here: what the store or the loops do with a request (`store_thread`, `event_loop`).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xmpp::time::Now;

use crate::network::trace::Answer;

pub(crate) mod serve;
#[cfg(test)]
mod tests;

/// The socket's name inside the data folder.
pub const SOCKET_NAME: &str = "admin.sock";
/// Longest line either side reads: a request holds a password and a name at most.
pub const LINE_MAX: usize = 64 * 1024;
/// How long a client waits for one line. Deriving keys at ten million rounds takes seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// Every line: one [`Item::Line`] each.
    Who,
    /// A number's lines, one [`Item::Trace`] each; with `of`, that line alone, and the [`Item::Frame`]s that the asker has not had.
    /// Asking for frames begins to watch; not asking for ten seconds ends it. Several may ask of one line.
    Trace {
        /// Whose.
        number: u64,
        /// The line whose frames are wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<TraceOf>,
    },
    /// A new account: one [`Item::Account`].
    AccountCreate {
        /// The number asked for; the first free one without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// A name for people to read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The password. The exchange keeps SCRAM keys only, made with its own iteration count.
        password: String,
        /// It may do what an operator may.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        admin: bool,
    },
    /// Every account: one [`Item::Account`] each, numbers ascending.
    AccountList,
    /// A new password; ends the account's live sessions.
    AccountPassword {
        /// Whose.
        number: u64,
        /// The new password.
        password: String,
    },
    /// No log-in from now on; ends the account's live sessions.
    AccountDisable {
        /// Whose.
        number: u64,
    },
    /// Log-in again.
    AccountEnable {
        /// Whose.
        number: u64,
    },
    /// Deletes the account and all it holds; the number is never given again.
    AccountDelete {
        /// Whose.
        number: u64,
    },
    /// What an operator may is its to do, or no longer.
    AccountAdmin {
        /// Whose.
        number: u64,
        /// Whether.
        admin: bool,
    },
    /// Ends the account's live sessions, and the tokens that would log in without the password (XEP-0484).
    AccountLogOut {
        /// Whose.
        number: u64,
    },
    /// A new invite: one [`Item::Invite`], with its URI and link, which are told this once.
    InviteCreate {
        /// The number that is held back; the first free one without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Hold no number back until the invite is shown.
        #[serde(default)]
        any: bool,
        /// For how long; a week without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_secs: Option<u64>,
    },
    /// Every invite that is good: one [`Item::Invite`] each, those that expire first in front.
    InviteList,
    /// Takes an invite back; its number is free again.
    InviteRevoke {
        /// The number that it holds.
        number: u64,
    },
    /// Asks the exchange to leave, as SIGTERM does.
    Shutdown,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "kebab-case")]
pub enum Item {
    /// One session.
    Line(Line),
    /// One line that is traced; its frames follow.
    Trace(Traced),
    /// One frame of the line before.
    Frame(Frame),
    /// One account.
    Account(Account),
    /// One invite.
    Invite(Invite),
    /// The end of the answer: all done.
    Done,
    /// The end of the answer: it could not be done.
    Error {
        /// What kind of failure, for programs.
        code: ErrorCode,
        /// What, where and what to do, for people.
        reason: String,
    },
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// No such account.
    NoSuchAccount,
    /// No such invite.
    NoSuchInvite,
    /// The number is taken, or was once.
    NumberTaken,
    /// The request cannot be meant.
    BadRequest,
    /// The disk is full or the store failed.
    Store,
    /// The exchange is leaving or overloaded.
    Unavailable,
}

/// What `switchboard who` prints: one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The number, once logged in.
    pub number: Option<u64>,
    /// The resource, once bound.
    pub resource: Option<String>,
    /// `tcp`, `tls`, `ws`, `wss` or `quic`.
    pub carrier: String,
    /// Who implements TCP or UDP below: `kernel`, `stack`, `sim`.
    pub network: String,
    /// The client's address and port, as the exchange sees it (or as a trusted proxy said).
    pub remote: SocketAddr,
    /// `connecting`, `logging-in`, `bound`, `closing`, or `parked`: its connection is lost, and its client may come back.
    pub state: String,
    /// Whether the bytes are encrypted on their way.
    pub encrypted: bool,
    /// Since when, in seconds since 1970-01-01T00:00:00Z.
    pub since: u64,
}

/// A line whose frames are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceOf {
    /// [`Traced::name`] of the line: so its own loop finds it without looking at any other.
    pub name: u64,
    /// [`Traced::next`] of the last answer; 0 at first.
    pub after: u64,
}

/// A line that is traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// The line.
    pub line: Line,
    /// What to ask after it by: no other line has this name, nor gets it while the exchange runs on.
    pub name: u64,
    /// Whether its network shows frames: our own stack does, the kernel does not.
    pub shown: bool,
    /// As many lines are watched as can be, and this is not one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// What to ask after the next time.
    #[serde(default)]
    pub next: u64,
    /// Frames that the asker will never have, since it did not take them in time.
    pub lost: u64,
}

/// A frame of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// When, in nanoseconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// The exchange sent it.
    pub sent: bool,
    /// The exchange's state in TCP once it was sent or dealt with, in the RFC's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// How long it was.
    pub len: u32,
    /// Its first octets, from the IP header on, in hexadecimal.
    pub octets: String,
}

/// What a loop answers to `trace`, for one line.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) about: Traced,
    pub(crate) frames: Vec<Frame>,
}

impl Trace {
    /// A line of which nothing is asked but whether it can be shown.
    pub(crate) fn of_line(line: Line, name: u64, shown: bool) -> Self {
        let about = Traced { line, name, shown, full: false, next: 0, lost: 0 };
        Self { about, frames: Vec::new() }
    }

    /// `now` is when it is told: the frames' times are on the loop's clock, and go out as civil time.
    pub(crate) fn new(line: Line, name: u64, now: Now, answer: Answer) -> Self {
        let traced = match answer {
            Answer::Hidden => return Self::of_line(line, name, false),
            Answer::Full => {
                let about = Traced { full: true, ..Self::of_line(line, name, true).about };
                return Self { about, frames: Vec::new() };
            }
            Answer::Watched(traced) => traced,
        };
        let wall = now.wall.as_millis() * 1_000_000;
        let frames = traced.frames.into_iter().map(|frame| Frame {
            at: wall.saturating_sub(now.mono.as_nanos().saturating_sub(frame.at.as_nanos())),
            sent: frame.sent,
            state: frame.state.map(|state| ladder::state::State::from(state).name().to_owned()),
            len: frame.len,
            octets: xmpp::hex(&frame.octets),
        });
        let about = Traced { line, name, shown: true, full: false, next: traced.next, lost: traced.lost };
        Self { about, frames: frames.collect() }
    }
}

/// One account, without its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The number.
    pub number: u64,
    /// The name for people to read.
    pub name: Option<String>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Whether it may do what an operator may.
    #[serde(default)]
    pub admin: bool,
}

/// One invite. Its token is told once, to who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The number that it holds back, if it does yet.
    pub number: Option<u64>,
    /// Good until then, in seconds since 1970-01-01T00:00:00Z.
    pub expires: u64,
    /// Who invites, if it was an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inviter: Option<u64>,
    /// What an XMPP client opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What a browser opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl Invite {
    /// What can be told of an invite at any time.
    pub fn of(invite: &store::Invite) -> Self {
        Self {
            number: invite.number.map(|number| number.get()),
            expires: invite.expires.as_millis() / 1000,
            inviter: invite.inviter.map(|number| number.get()),
            uri: None,
            link: None,
        }
    }
}

/// The admin socket of a running exchange, seen from a command.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the exchange that runs on `data`. `Ok(None)`: none runs there.
    pub fn connect(data: &Path) -> io::Result<Option<Self>> {
        let folder = match open_folder(data) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let stream = match UnixStream::connect(socket_path(data, &folder)) {
            Ok(stream) => stream,
            // Nobody listens: no socket yet, or a stale one. Removing it is the next exchange's, under its lock.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        Ok(Some(Self { stream: BufReader::new(stream) }))
    }

    /// Asks, hands each item to `each`, and returns how it ended: `Ok(Ok(()))` for done.
    pub fn ask(
        &mut self,
        request: &Request,
        mut each: impl FnMut(Item),
    ) -> io::Result<Result<(), (ErrorCode, String)>> {
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        self.stream.get_mut().write_all(&text)?;
        loop {
            text.clear();
            if read_line(&mut self.stream, &mut text)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the exchange closed its admin socket before it had answered",
                ));
            }
            match serde_json::from_slice(&text)? {
                Item::Done => return Ok(Ok(())),
                Item::Error { code, reason } => return Ok(Err((code, reason))),
                item => each(item),
            }
        }
    }
}

/// Reads one line, without its end, refusing those past [`LINE_MAX`]. 0 is the end of the stream.
pub(crate) fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let read = io::Read::take(&mut *from, LINE_MAX as u64).read_until(b'\n', line)?;
    match line.last() {
        Some(b'\n') => {
            line.pop();
        }
        Some(_) if read == LINE_MAX => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the admin socket is too long"));
        }
        Some(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
        None => {}
    }
    Ok(read)
}

/// Opens the data folder itself, so that the socket can be named through the descriptor.
pub(crate) fn open_folder(data: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::DIRECTORY.bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(data)
}

/// The socket's path. `sun_path` holds 108 bytes and a data folder may lie deeper, so on Linux the folder is named
/// by its descriptor.
pub(crate) fn socket_path(data: &Path, folder: &File) -> PathBuf {
    if cfg!(target_os = "linux") {
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd()))
    } else {
        data.join(SOCKET_NAME)
    }
}
