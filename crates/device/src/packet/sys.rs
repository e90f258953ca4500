//! The system calls of AF_PACKET.
//!
//! Spec: packet(7), recvmsg(2), cmsg(3), socket(7) for SO_TIMESTAMPNS.
//! Invariants: each `unsafe` block hands the kernel pointers to live values of the size it expects.
//! Not here: what is read.
#![allow(unsafe_code)]

use super::Passed;
use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// How much the kernel may keep for us: at full speed on loopback, a few hundred milliseconds.
const RECEIVE_BUFFER: libc::c_int = 32 << 20;

fn failed(what: &str) -> io::Error {
    let error = io::Error::last_os_error();
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "; looking at packets needs root or CAP_NET_RAW",
        _ => "",
    };
    io::Error::new(error.kind(), format!("{what}: {error}{hint}"))
}

fn set<T>(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the option's value is a live T of the size that is named.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len) };
    if done == 0 { Ok(()) } else { Err(failed("setting a socket option")) }
}

pub(super) fn open(interface: &str) -> io::Result<OwnedFd> {
    let name = CString::new(interface)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "an interface's name has no zero octet"))?;
    // SAFETY: the name is a live string that ends with zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no interface `{interface}`")));
    }
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes plain numbers. Protocol zero: nothing is received before the socket is bound to the interface.
    let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if socket < 0 {
        return Err(failed("opening a packet socket"));
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: a sockaddr_ll is plain memory for which all zeroes is a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as libc::c_int;
    let on: libc::c_int = 1;
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &on)?;
    // More than an ordinary user may have is cut down by the kernel, which is as well.
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &RECEIVE_BUFFER)?;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is a live sockaddr_ll of the size that is named.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), len) };
    if bound != 0 {
        return Err(failed(&format!("looking at interface `{interface}`")));
    }
    Ok(socket)
}

/// Whether there is something to read within `span`.
pub(super) fn wait(socket: BorrowedFd<'_>, span: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = libc::c_int::try_from(span.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one live pollfd.
    match unsafe { libc::poll(&raw mut poll, 1, millis) } {
        0 => Ok(false),
        n if n > 0 => Ok(true),
        _ => {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
        }
    }
}

pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Passed>> {
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: both are plain memory for which all zeroes is a value.
    let (mut address, mut message): (libc::sockaddr_ll, libc::msghdr) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    // Room for one timespec with its header, aligned as headers must be.
    let mut control = [0_u64; 8];
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message names live memory, each with its size. MSG_TRUNC: the answer is how long the packet was.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_TRUNC) };
    if len < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        };
    }
    // On loopback every packet leaves and arrives: one of the two is enough.
    let is_loopback = address.sll_hatype == libc::ARPHRD_LOOPBACK;
    if is_loopback && address.sll_pkttype == libc::PACKET_OUTGOING {
        return Ok(None);
    }
    let original_len = len as usize;
    Ok(Some(Passed {
        len: original_len.min(buffer.len()),
        original_len,
        time: time_of(&message),
        protocol: u16::from_be(address.sll_protocol),
    }))
}

fn time_of(message: &libc::msghdr) -> Duration {
    // SAFETY: the message was filled by recvmsg; its control data lives as long as this call.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return Duration::ZERO;
    }
    // SAFETY: CMSG_FIRSTHDR gives a header that lies wholly within the control data, or nothing.
    let head = unsafe { *header };
    if head.cmsg_level != libc::SOL_SOCKET || head.cmsg_type != libc::SCM_TIMESTAMPNS {
        return Duration::ZERO;
    }
    // SAFETY: SCM_TIMESTAMPNS carries one timespec, which need not be aligned.
    let time = unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::timespec>()) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

pub(super) fn take_dropped(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: plain memory for which all zeroes is a value.
    let mut stats: libc::tpacket_stats = unsafe { mem::zeroed() };
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: a live tpacket_stats and its size.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    if done == 0 { Ok(stats.tp_drops) } else { Err(failed("asking for dropped packets")) }
}
