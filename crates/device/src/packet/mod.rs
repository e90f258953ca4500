//! Packet: what passes an interface of the host, to look at (Linux, AF_PACKET).
//!
//! Spec: packet(7), "cooked" sockets: frames come without their link header, so they begin with what they carry.
//! Owns: the socket. Invariants: nothing is sent; of the loopback interface, where every packet passes twice, one of the two is told.
//! Not here: what a packet is (`ladder`), pcap files (`pcap`).

mod sys;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A packet that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Octets in the buffer.
    pub len: usize,
    /// How long it was.
    pub original_len: usize,
    /// When the kernel saw it, since 1970; zero if it does not say.
    pub time: Duration,
    /// What it is: an EtherType.
    pub protocol: u16,
}

/// A socket that sees what passes an interface.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

impl PacketSocket {
    /// Looks at an interface.
    ///
    /// # Errors
    /// There is no such interface, or the right (CAP_NET_RAW) is missing; the error says which.
    pub fn open(interface: &str) -> io::Result<PacketSocket> {
        Ok(PacketSocket { socket: sys::open(interface)? })
    }

    /// The next packet; `None` when none came within `wait`.
    ///
    /// # Errors
    /// The interface is gone or down.
    pub fn receive(&self, buffer: &mut [u8], wait: Duration) -> io::Result<Option<Passed>> {
        if !sys::wait(self.socket.as_fd(), wait)? {
            return Ok(None);
        }
        sys::receive(self.socket.as_fd(), buffer)
    }

    /// Packets that the kernel had no room for since this was last asked.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take_dropped(&self) -> io::Result<u32> {
        sys::take_dropped(self.socket.as_fd())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
