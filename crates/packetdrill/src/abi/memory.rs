//! Memory of packetdrill's: what its pointers lead to, as slices and values.
//! Spec: `sockaddr`, `iovec`, `msghdr` as Linux's C library lays them out.
//! Owns: nothing; each function says what its caller promises. Invariants: a pointer is read or written only within the length that
//! came with it; NULL, which scripts pass on purpose, is EFAULT.
//! Not here: the calls (`abi`).

use crate::errno::Errno;
use crate::host::Received;
use libc::{c_int, c_uint, c_void, iovec, msghdr, sockaddr, socklen_t};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// # Safety
/// `at` is NULL or points to `len` octets that nobody writes.
pub(super) unsafe fn octets<'a>(at: *const c_void, len: usize) -> Result<&'a [u8], Errno> {
    match (at.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(libc::EFAULT),
        // SAFETY: as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(at.cast(), len) }),
    }
}

/// # Safety
/// `at` is NULL or points to `len` octets that are the caller's alone.
pub(super) unsafe fn octets_mut<'a>(at: *mut c_void, len: usize) -> Result<&'a mut [u8], Errno> {
    match (at.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(libc::EFAULT),
        // SAFETY: as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(at.cast(), len) }),
    }
}

/// # Safety
/// `at` is NULL or points to a socket address of `len` octets.
pub(super) unsafe fn address(at: *const sockaddr, len: socklen_t) -> Result<SocketAddr, Errno> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { octets(at.cast(), len as usize) }?;
    let port = |bytes: &[u8]| u16::from_be_bytes([bytes[2], bytes[3]]);
    let family = bytes.first_chunk().map(|family| c_int::from(u16::from_ne_bytes(*family)));
    match (family, bytes.len()) {
        (Some(libc::AF_INET), 16..) => {
            let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            Ok(SocketAddr::new(ip.into(), port(bytes)))
        }
        (Some(libc::AF_INET6), 24..) => {
            let ip: [u8; 16] = bytes[8..24].try_into().map_err(|_| libc::EINVAL)?;
            Ok(SocketAddr::new(Ipv6Addr::from(ip).into(), port(bytes)))
        }
        (Some(libc::AF_INET | libc::AF_INET6) | None, _) => Err(libc::EINVAL),
        _ => Err(libc::EAFNOSUPPORT),
    }
}

/// Writes `addr` as sockets of `domain` see it, cut to the length that is there.
///
/// # Safety
/// `at` and `len` are NULL, or `at` points to `*len` octets.
pub(super) unsafe fn put_address(addr: SocketAddr, domain: c_int, at: *mut sockaddr, len: *mut socklen_t) {
    if at.is_null() || len.is_null() {
        return;
    }
    let mut bytes = [0_u8; 28];
    let full = match (addr.ip(), domain) {
        (IpAddr::V4(ip), libc::AF_INET) => {
            bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            bytes[4..8].copy_from_slice(&ip.octets());
            16
        }
        (ip, _) => {
            let ip = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            bytes[8..24].copy_from_slice(&ip.octets());
            28
        }
    };
    bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
    // SAFETY: as the caller promises; no more than `*len` octets are written.
    unsafe {
        let room = (*len as usize).min(full);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), room);
        *len = full as socklen_t;
    }
}

/// # Safety
/// `vec` is NULL or points to `count` pieces.
unsafe fn pieces<'a>(vec: *const iovec, count: usize) -> Result<&'a [iovec], Errno> {
    match (vec.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(libc::EFAULT),
        // SAFETY: as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(vec, count) }),
    }
}

/// # Safety
/// As `pieces`, and each piece points to its octets.
pub(super) unsafe fn gather(vec: *const iovec, count: usize) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    // SAFETY: as the caller promises.
    for piece in unsafe { pieces(vec, count) }? {
        // SAFETY: as the caller promises.
        all.extend_from_slice(unsafe { octets(piece.iov_base, piece.iov_len) }?);
    }
    Ok(all)
}

/// # Safety
/// As `gather`.
pub(super) unsafe fn scatter(
    vec: *const iovec,
    count: usize,
    get: impl FnOnce(&mut [u8]) -> Result<Received, Errno>,
) -> Result<Received, Errno> {
    // SAFETY: as the caller promises.
    let pieces = unsafe { pieces(vec, count) }?;
    let mut all = vec![0; pieces.iter().map(|piece| piece.iov_len).sum()];
    let got = get(&mut all)?;
    let mut left = &all[..got.len];
    for piece in pieces {
        let (now, rest) = left.split_at(piece.iov_len.min(left.len()));
        // SAFETY: as the caller promises.
        unsafe { octets_mut(piece.iov_base, now.len()) }?.copy_from_slice(now);
        left = rest;
    }
    Ok(got)
}

/// TCP_CM_INQ into the control buffer; its length then.
///
/// # Safety
/// The message's control buffer is as long as it says.
pub(super) unsafe fn put_inq(message: &mut msghdr, inq: Option<c_int>) -> usize {
    const TCP_CM_INQ: c_int = 36;
    let Some(inq) = inq else { return 0 };
    // SAFETY: CMSG_* compute within the buffer, whose length is compared before anything is written.
    unsafe {
        let needs = libc::CMSG_SPACE(size_of::<c_int>() as c_uint) as usize;
        if message.msg_control.is_null() || message.msg_controllen < needs {
            message.msg_flags |= libc::MSG_CTRUNC;
            return 0;
        }
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = libc::SOL_TCP;
        (*header).cmsg_type = TCP_CM_INQ;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as c_uint) as usize;
        libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(inq);
        needs
    }
}

/// # Safety
/// `len` points to the room at `value`.
pub(super) unsafe fn put_option(found: &[u8], value: *mut c_void, len: *mut socklen_t) -> Result<(), Errno> {
    if len.is_null() {
        return Err(libc::EFAULT);
    }
    // SAFETY: as the caller promises.
    unsafe {
        let room = found.len().min(*len as usize);
        octets_mut(value, room)?.copy_from_slice(&found[..room]);
        *len = room as socklen_t;
    }
    Ok(())
}
