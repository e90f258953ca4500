//! All that can go wrong, each as one line that says what, where and what to do.
//!
//! Not here: exit codes (`switchboard`).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::carrier::Over;
use holder::Holder;

/// Why a client could not do what it was asked.
#[derive(Debug)]
pub enum Error {
    /// The server's name has no address.
    Resolve {
        /// The name.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// No address of the server took the connection.
    Connect {
        /// The carrier.
        over: Over,
        /// The last address that was tried.
        to: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The address that the client was to use is taken.
    BindInUse {
        /// It.
        address: SocketAddr,
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// Who has it, where that can be known.
        holder: Option<Holder>,
    },
    /// The address that the client was to use cannot be used.
    Bind {
        /// It.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A file with certificates cannot be used.
    Certificates {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
    /// No encrypted connection came about.
    Tls {
        /// The server.
        to: SocketAddr,
        /// Why.
        reason: String,
        /// Whether it is that nobody known vouches for the certificate.
        untrusted: bool,
    },
    /// The HTTP server did not become a WebSocket.
    WebSocket {
        /// The server.
        to: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The conversation ended.
    Ended {
        /// The server.
        to: SocketAddr,
        /// Why.
        end: End,
    },
    /// Nothing came in time.
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// From whom.
        to: String,
        /// How long.
        after: Duration,
    },
    /// The exchange acknowledges nothing (no XEP-0198), so nothing can be known to have arrived.
    NoAcknowledgements,
    /// The exchange refused a stanza.
    Refused {
        /// To whom it was to go.
        to: String,
        /// The condition, and the text if there is one.
        why: String,
    },
}

/// Why a conversation ended, whoever's doing it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Both sides said good-bye.
    Closed,
    /// The connection ended in the middle.
    Lost(String),
    /// The exchange ended the stream with an error (RFC 6120 4.9.3).
    Stream {
        /// The condition.
        condition: String,
        /// What it says about it.
        text: Option<String>,
    },
    /// The exchange does not believe who we are (RFC 6120 6.5).
    LogIn {
        /// The condition.
        condition: String,
        /// What it says about it.
        text: Option<String>,
    },
    /// No mechanism that both sides know and that is safe here; with those that were offered.
    NoMechanism(String),
    /// The exchange offers no encryption, and the way to it is not this machine's own.
    NotEncrypted,
    /// The exchange did not prove that it knows the password: it may be an impostor.
    Impostor,
    /// The resource was refused.
    Bind(String),
    /// The exchange does not speak XMPP as it should.
    Protocol(String),
    /// Nothing came for too long.
    Silent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, error } => write!(f, "{host} has no address: {error}"),
            Self::Connect { over, to, error } if error.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "nothing answers on {to}/{}: is the exchange running there?", over.protocol())
            }
            Self::Connect { over, to, error } => {
                write!(f, "cannot connect to {to} over {over}: {error}")
            }
            Self::BindInUse { address, protocol, holder } => {
                write!(f, "port {}/{protocol} is in use on {}", address.port(), address.ip())?;
                match holder {
                    Some(holder) => write!(f, " by {holder}: choose another port"),
                    None => f.write_str(": choose another port"),
                }
            }
            Self::Bind { address, error } => write!(f, "cannot use {address} as own address: {error}"),
            Self::Certificates { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Tls { to, reason, untrusted: true } => write!(
                f,
                "{to} shows a certificate that nobody known here vouches for ({reason}): name it with --ca FILE, or \
                 accept any with --insecure"
            ),
            Self::Tls { to, reason, untrusted: false } => write!(f, "no TLS with {to}: {reason}"),
            Self::WebSocket { to, reason } => write!(f, "no WebSocket at {to}/xmpp-websocket: {reason}"),
            Self::Ended { to, end } => write!(f, "{to}: {end}"),
            Self::TimedOut { what, to, after } => {
                write!(
                    f,
                    "no {what} from {to} within {} s: try again, or give it more with --timeout",
                    after.as_secs()
                )
            }
            Self::NoAcknowledgements => f.write_str(
                "the exchange acknowledges nothing (no XEP-0198), so whether the message arrived is unknown",
            ),
            Self::Refused { to, why } => write!(f, "the message to {to} was refused: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, condition: &str, text: &Option<String>| match text {
            Some(text) => write!(f, "{condition} ({text})"),
            None => f.write_str(condition),
        };
        match self {
            Self::Closed => f.write_str("the exchange ended the conversation"),
            Self::Lost(why) => write!(f, "the connection was lost: {why}"),
            Self::Stream { condition, text } => {
                f.write_str("the exchange ended the conversation: ")?;
                with(f, condition, text)
            }
            Self::LogIn { condition, .. } if condition == "not-authorized" => {
                f.write_str("wrong number or password")
            }
            Self::LogIn { condition, text } => {
                f.write_str("the log-in was refused: ")?;
                with(f, condition, text)
            }
            Self::NoMechanism(offered) => {
                write!(f, "no way to log in that is safe here; the exchange offers: {offered}")
            }
            Self::NotEncrypted => {
                f.write_str("the exchange offers no encryption, and it is not on this machine")
            }
            Self::Impostor => {
                f.write_str("the exchange did not prove that it knows the password: it may be an impostor")
            }
            Self::Bind(why) => write!(f, "the exchange gave no resource: {why}"),
            Self::Protocol(what) => write!(f, "that is no XMPP as it should be: {what}"),
            Self::Silent => f.write_str("the exchange has fallen silent"),
        }
    }
}
