//! Why an exchange cannot start: one line for people that says what, where and what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use store::FolderError;
use store::sqlite::{BackupError, OpenError};

use crate::certs::CertError;
use crate::config::{NetworkSpec, Unfit};

/// Why the exchange cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration cannot be meant.
    Config(Unfit),
    /// The data folder cannot be had.
    Folder(FolderError),
    /// It was made from a backup, whose other files cannot be taken out of it.
    Backup(BackupError),
    /// Its database cannot be had.
    Store(OpenError),
    /// There is no certificate to show.
    Certs(CertError),
    /// A network cannot be made.
    Network {
        /// Which.
        spec: NetworkSpec,
        /// Why.
        error: io::Error,
    },
    /// An address cannot be listened at.
    Listen {
        /// Which listener: `tcp`, `tls`, `quic`, `http`, `https`.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// Who holds it, where that is known.
        holder: Option<holder::Holder>,
        /// Why.
        error: io::Error,
    },
    /// Something else that the system would not do.
    Io {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(unfit) => write!(f, "configuration: {unfit}"),
            Self::Folder(error) => error.fmt(f),
            Self::Backup(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Certs(error) => write!(f, "certificate: {error}"),
            Self::Network { spec, error } => {
                write!(f, "cannot make the network {spec}: {error}")?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied => f.write_str(
                        "; run it as root, or give the program the right: setcap cap_net_admin+ep FILE",
                    ),
                    io::ErrorKind::NotFound => f.write_str("; this system has no TUN driver: modprobe tun"),
                    io::ErrorKind::ResourceBusy => {
                        f.write_str("; another program has it: choose another name")
                    }
                    _ => Ok(()),
                }
            }
            Self::Listen { listener, address, holder, error } => {
                write!(f, "cannot listen at {address} ({listener}): ")?;
                match (error.kind(), holder) {
                    (io::ErrorKind::AddrInUse, Some(holder)) => {
                        write!(
                            f,
                            "port {} is held by {holder}; stop it or choose another port",
                            address.port()
                        )
                    }
                    (io::ErrorKind::AddrInUse, None) => {
                        write!(
                            f,
                            "port {} is in use; stop whoever uses it or choose another port",
                            address.port()
                        )
                    }
                    _ => error.fmt(f),
                }
            }
            Self::Io { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
