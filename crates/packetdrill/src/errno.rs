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

#[cfg(test)]
mod tests {
    use super::of;
    use std::io::{Error, ErrorKind};

    /// There and back: what the kernel calls so, `std` reads as the kind that was meant.
    #[test]
    fn std_reads_each_errno_as_its_kind() {
        for kind in [
            ErrorKind::WouldBlock,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkUnreachable,
            ErrorKind::NotConnected,
            ErrorKind::AddrInUse,
            ErrorKind::AddrNotAvailable,
            ErrorKind::BrokenPipe,
            ErrorKind::TimedOut,
            ErrorKind::OutOfMemory,
            ErrorKind::InvalidInput,
        ] {
            assert_eq!(Error::from_raw_os_error(of(kind)).kind(), kind);
        }
        assert_eq!(of(ErrorKind::NotFound), libc::EBADF, "a handle that is worth nothing");
        assert_eq!(of(ErrorKind::Other), libc::EIO);
    }
}
