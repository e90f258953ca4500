//! Errors in the words of Linux.
//! Owns: the translation. Not here: why a call failed (`stack::socket::error`).

use std::io::ErrorKind;

/// An `errno`.
pub(crate) type Errno = libc::c_int;

/// The `errno` that `std` reads as `kind`.
pub(crate) fn of(kind: ErrorKind) -> Errno {
    match kind {
        ErrorKind::WouldBlock => libc::EAGAIN,
        ErrorKind::NotFound => libc::EBADF,
        ErrorKind::ConnectionRefused => libc::ECONNREFUSED,
        ErrorKind::ConnectionReset => libc::ECONNRESET,
        ErrorKind::ConnectionAborted => libc::ECONNABORTED,
        ErrorKind::HostUnreachable => libc::EHOSTUNREACH,
        ErrorKind::NetworkUnreachable => libc::ENETUNREACH,
        ErrorKind::NotConnected => libc::ENOTCONN,
        ErrorKind::AddrInUse => libc::EADDRINUSE,
        ErrorKind::AddrNotAvailable => libc::EADDRNOTAVAIL,
        ErrorKind::BrokenPipe => libc::EPIPE,
        ErrorKind::TimedOut => libc::ETIMEDOUT,
        ErrorKind::OutOfMemory => libc::ENOMEM,
        ErrorKind::InvalidInput => libc::EINVAL,
        _ => libc::EIO,
    }
}
