//! The system calls of tun and tap.
//!
//! Spec: Linux `linux/if_tun.h`, `linux/if.h`, `linux/sockios.h`, `linux/ipv6.h`; netdevice(7).
//! Invariants: each `unsafe` block hands the kernel pointers to live values of the size it expects.
//! Not here: what is read and written.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// What frames start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IP header.
    Tun,
    /// An Ethernet header.
    Tap,
}

// linux/if_tun.h; the first three are in libc too, as c_int, and the last two are not.
/// Only an interface that is made by this call will do.
const IFF_TUN_EXCL: libc::c_int = 0x8000;
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const TUN_F_CSUM: libc::c_ulong = 0x01;
const TUN_F_TSO4: libc::c_ulong = 0x02;
const TUN_F_TSO6: libc::c_ulong = 0x04;
const TUN_F_TSO_ECN: libc::c_ulong = 0x08;
const TUN_F_USO4: libc::c_ulong = 0x20;
const TUN_F_USO6: libc::c_ulong = 0x40;

/// `struct in6_ifreq` of linux/ipv6.h.
#[repr(C)]
struct In6Ifreq {
    address: libc::in6_addr,
    prefix_len: u32,
    index: libc::c_int,
}

fn failed(what: &str) -> io::Error {
    let error = io::Error::last_os_error();
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq is plain memory for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains('\0') {
        let reason =
            format!("`{name}` is no interface name: it has 1 to {} octets", request.ifr_name.len() - 1);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// Opens one queue of an interface: the first makes it, and fails where there is one of that name, even if that has room for more
/// queues: another program's packets would be dealt to both. Returns the name it has.
pub(super) fn open(
    name: &str,
    kind: Kind,
    many_queues: bool,
    headers: bool,
    first: bool,
) -> io::Result<(String, OwnedFd)> {
    let mut request = request(name)?;
    let descriptor: OwnedFd = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .map_err(|error| io::Error::new(error.kind(), format!("opening /dev/net/tun: {error}")))?
        .into();
    let mut flags = libc::IFF_NO_PI | if kind == Kind::Tun { libc::IFF_TUN } else { libc::IFF_TAP };
    flags |= if many_queues { libc::IFF_MULTI_QUEUE } else { 0 };
    flags |= if headers { libc::IFF_VNET_HDR } else { 0 };
    flags |= if first { IFF_TUN_EXCL } else { 0 };
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives here.
    if unsafe { libc::ioctl(descriptor.as_raw_fd(), TUNSETIFF as _, &mut request) } < 0 {
        return Err(failed(&format!("making the interface {name} (this needs CAP_NET_ADMIN)")));
    }
    let name: Vec<u8> = request.ifr_name.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    Ok((String::from_utf8_lossy(&name).into_owned(), descriptor))
}

/// Tells the kernel that super-packets and unfinished checksums are welcome; returns whether UDP's are too (Linux 6.2).
pub(super) fn set_offload(descriptor: &OwnedFd) -> io::Result<bool> {
    let tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    for (flags, udp) in [(tcp | TUN_F_USO4 | TUN_F_USO6, true), (tcp, false)] {
        // SAFETY: TUNSETOFFLOAD takes its argument by value.
        if unsafe { libc::ioctl(descriptor.as_raw_fd(), TUNSETOFFLOAD as _, flags) } == 0 {
            return Ok(udp);
        }
    }
    Err(failed("turning on offload"))
}

fn control(family: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket takes no pointers, and the descriptor it returns is ours alone.
    unsafe {
        match libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) {
            -1 => Err(failed("opening a control socket")),
            descriptor => Ok(OwnedFd::from_raw_fd(descriptor)),
        }
    }
}

fn configure<T>(family: libc::c_int, call: libc::c_ulong, argument: &mut T, what: &str) -> io::Result<()> {
    let socket = control(family)?;
    // SAFETY: each caller pairs the call with the struct that it reads and writes, which lives for the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), call as _, argument as *mut T) } < 0 {
        return Err(failed(what));
    }
    Ok(())
}

/// Sets the largest IP packet.
pub(super) fn set_mtu(name: &str, mtu: u32) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_mtu = mtu as libc::c_int;
    configure(
        libc::AF_INET,
        libc::SIOCSIFMTU as _,
        &mut request,
        &format!("setting the MTU of {name} to {mtu}"),
    )
}

/// Brings the interface up.
pub(super) fn set_up(name: &str) -> io::Result<()> {
    let mut request = request(name)?;
    let what = format!("bringing {name} up");
    configure(libc::AF_INET, libc::SIOCGIFFLAGS as _, &mut request, &what)?;
    // SAFETY: SIOCGIFFLAGS has just filled this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    configure(libc::AF_INET, libc::SIOCSIFFLAGS as _, &mut request, &what)
}

/// Gives the kernel an address on the link.
pub(super) fn add_address(name: &str, address: IpAddr, prefix_len: u8) -> io::Result<()> {
    let what = format!("giving {name} the address {address}/{prefix_len}");
    let mut request = request(name)?;
    match address {
        IpAddr::V4(v4) => {
            request.ifr_ifru.ifru_addr = socket_address(v4);
            configure(libc::AF_INET, libc::SIOCSIFADDR as _, &mut request, &what)?;
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32))).unwrap_or(0);
            request.ifr_ifru.ifru_netmask = socket_address(mask.into());
            configure(libc::AF_INET, libc::SIOCSIFNETMASK as _, &mut request, &what)
        }
        IpAddr::V6(v6) => {
            configure(libc::AF_INET, libc::SIOCGIFINDEX as _, &mut request, &what)?;
            // SAFETY: SIOCGIFINDEX has just filled this member of the union.
            let index = unsafe { request.ifr_ifru.ifru_ifindex };
            let address = libc::in6_addr { s6_addr: v6.octets() };
            let mut argument = In6Ifreq { address, prefix_len: u32::from(prefix_len), index };
            configure(libc::AF_INET6, libc::SIOCSIFADDR as _, &mut argument, &what)
        }
    }
}

fn socket_address(address: std::net::Ipv4Addr) -> libc::sockaddr {
    let typed = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: both are 16 octets that start with the family, as the sockets API asks; any octets are a sockaddr.
    unsafe { mem::transmute::<libc::sockaddr_in, libc::sockaddr>(typed) }
}

/// The interface's Ethernet address.
pub(super) fn hardware_address(name: &str) -> io::Result<[u8; 6]> {
    let mut request = request(name)?;
    configure(
        libc::AF_INET,
        libc::SIOCGIFHWADDR as _,
        &mut request,
        &format!("asking {name} for its address"),
    )?;
    // SAFETY: SIOCGIFHWADDR has just filled this member of the union.
    let data = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
    Ok(std::array::from_fn(|at| data[at] as u8))
}

/// Reads one frame.
pub(super) fn read(descriptor: &OwnedFd, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `into.len()` octets into a buffer that is ours for the call.
    let count = unsafe { libc::read(descriptor.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes one frame.
pub(super) fn write(descriptor: &OwnedFd, frame: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads `frame.len()` octets of a buffer that lives for the call.
    let count = unsafe { libc::write(descriptor.as_raw_fd(), frame.as_ptr().cast(), frame.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
