//! The table in C's words: pointers and lengths in, values for `host` and `turn` out, `errno` set.
//! Spec: packetdrill.h; the calls' arguments are Linux's.
//! Owns: the functions behind `table`, the one world, and with `memory` every unsafe line of this crate.
//! Not here: what a call does (`host`, `turn`), what a pointer leads to (`memory`).
#![allow(unsafe_code)]
#![expect(unreachable_pub, reason = "what C looks up by name is public, though no Rust crate sees it")]

mod memory;
mod table;

use crate::errno::Errno;
use crate::flags::Flags;
use crate::host::{Host, Received, shutdown_of};
use crate::options::{self, Value};
use crate::turn::World;
use libc::{
    c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_void, iovec, msghdr, off_t, pollfd, size_t,
    sockaddr, socklen_t, ssize_t,
};
use memory::{address, gather, octets, octets_mut, put_address, put_inq, put_option, scatter};
use std::ffi::CStr;
use std::sync::OnceLock;
use std::time::Duration;
use table::{Interface, User};

/// There is one world a process: packetdrill runs one script.
static WORLD: OnceLock<World> = OnceLock::new();

/// What packetdrill looks up in the library. There is no way to refuse, so wrong flags end the process with a line that says why.
///
/// # Safety
/// `flags` is NULL or a C string, `interface` points to a table of packetdrill's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(flags: *const c_char, interface: *mut Interface) {
    // SAFETY: packetdrill passes its argument, which outlives the call.
    let text = if flags.is_null() { "" } else { unsafe { CStr::from_ptr(flags) }.to_str().unwrap_or("") };
    let flags = Flags::parse(text).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1);
    });
    let _ = WORLD.set(World::new(flags)); // A second script in one process would find the first one's world; there is none.
    let table = Interface {
        userdata: std::ptr::null_mut(),
        free: Some(free),
        socket: Some(socket),
        bind: Some(bind),
        listen: Some(listen),
        accept: Some(accept),
        connect: Some(connect),
        read: Some(read),
        readv: Some(readv),
        recv: Some(recv),
        recvfrom: Some(recvfrom),
        recvmsg: Some(recvmsg),
        write: Some(write),
        writev: Some(writev),
        send: Some(send),
        sendto: Some(sendto),
        sendmsg: Some(sendmsg),
        fcntl: Some(fcntl),
        ioctl: Some(ioctl),
        close: Some(close),
        shutdown: Some(shutdown),
        getsockopt: Some(table_getsockopt),
        setsockopt: Some(setsockopt),
        poll: Some(poll),
        netdev_send: Some(netdev_send),
        netdev_receive: Some(netdev_receive),
        usleep: Some(usleep),
        gettimeofday: Some(gettimeofday),
        epoll_create: Some(epoll_create),
        epoll_ctl: Some(epoll_ctl),
        epoll_wait: Some(epoll_wait),
        pipe: Some(pipe),
        splice: Some(splice),
    };
    // SAFETY: the table is packetdrill's, zeroed and as large as `Interface`.
    unsafe { interface.write(table) };
}

fn world() -> &'static World {
    WORLD.get().expect("packetdrill calls through the table that init filled")
}

fn set_errno(errno: Errno) {
    // SAFETY: errno of this thread.
    unsafe { *libc::__errno_location() = errno };
}

/// A result in C's words: -1 and errno.
fn answer<T: TryInto<ssize_t>>(result: Result<T, Errno>) -> ssize_t {
    match result {
        Ok(value) => value.try_into().unwrap_or(ssize_t::MAX),
        Err(errno) => {
            set_errno(errno);
            -1
        }
    }
}

fn answer_int<T: TryInto<ssize_t>>(result: Result<T, Errno>) -> c_int {
    c_int::try_from(answer(result)).unwrap_or(c_int::MAX)
}

fn done(result: Result<(), Errno>) -> c_int {
    answer_int(result.map(|()| 0_isize))
}

/// Whether a call on `fd` waits.
fn blocks(fd: c_int, flags: c_int) -> bool {
    let nonblocking =
        |host: &mut Host| host.descriptors.get(fd).is_ok_and(|it| it.flags & libc::O_NONBLOCK != 0);
    flags & libc::MSG_DONTWAIT == 0 && !world().call(nonblocking)
}

/// A span of milliseconds; negative: for ever.
fn span(millis: c_int) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

unsafe extern "C" fn free(_: User) {
    world().call(|host| host.descriptors.abandon());
}

unsafe extern "C" fn socket(_: User, domain: c_int, kind: c_int, _protocol: c_int) -> c_int {
    answer_int(world().call(|host| host.socket(domain, kind)).map(|fd| fd as isize))
}

unsafe extern "C" fn bind(_: User, fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: packetdrill's arguments.
    let addr = unsafe { address(addr, len) };
    done(addr.and_then(|addr| world().call(|host| host.bind(fd, addr))))
}

unsafe extern "C" fn listen(_: User, fd: c_int, backlog: c_int) -> c_int {
    done(world().call(|host| host.listen(fd, backlog)))
}

unsafe extern "C" fn accept(_: User, fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    let accepted = world().wait(blocks(fd, 0), None, |host| {
        let (new, peer) = host.accept(fd)?;
        Ok((new, peer, host.descriptors.get(new)?.domain))
    });
    answer_int(accepted.map(|(new, peer, domain)| {
        // SAFETY: packetdrill's arguments.
        unsafe { put_address(peer, domain, addr, len) };
        new as isize
    }))
}

unsafe extern "C" fn connect(_: User, fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: packetdrill's arguments.
    let addr = unsafe { address(addr, len) };
    let waits = blocks(fd, 0);
    done(addr.and_then(|addr| {
        world().wait(waits, None, |host| match host.connect(fd, addr) {
            Err(libc::EINPROGRESS | libc::EALREADY) if waits => Err(libc::EAGAIN),
            outcome => outcome,
        })
    }))
}

fn receive(fd: c_int, out: &mut [u8], flags: c_int) -> Result<Received, Errno> {
    world().wait(blocks(fd, flags), None, |host| host.recv(fd, out, flags))
}

/// Sends all of it, or if the descriptor does not wait as much as there is room for.
fn transmit(fd: c_int, data: &[u8], flags: c_int) -> Result<usize, Errno> {
    let waits = blocks(fd, flags);
    let mut sent = 0;
    world().wait(waits, None, |host| match host.send(fd, &data[sent..], flags) {
        Ok(taken) => {
            sent += taken;
            if sent < data.len() && waits { Err(libc::EAGAIN) } else { Ok(sent) }
        }
        Err(error) if sent > 0 && error != libc::EAGAIN => Ok(sent),
        Err(error) => Err(error),
    })
}

unsafe extern "C" fn read(_: User, fd: c_int, buf: *mut c_void, len: size_t) -> ssize_t {
    // SAFETY: packetdrill's arguments.
    let out = unsafe { octets_mut(buf, len) };
    answer(out.and_then(|out| receive(fd, out, 0)).map(|got| got.len))
}

unsafe extern "C" fn recv(_: User, fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: packetdrill's arguments.
    let out = unsafe { octets_mut(buf, len) };
    answer(out.and_then(|out| receive(fd, out, flags)).map(|got| got.len))
}

unsafe extern "C" fn recvfrom(
    user: User,
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    _addr: *mut sockaddr,
    _addr_len: *mut socklen_t,
) -> ssize_t {
    // A connection does not tell its peer again (recv(2)).
    // SAFETY: packetdrill's arguments.
    unsafe { recv(user, fd, buf, len, flags) }
}

unsafe extern "C" fn readv(_: User, fd: c_int, vec: *const iovec, count: c_int) -> ssize_t {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: packetdrill's arguments.
    answer(unsafe { scatter(vec, count, |out| receive(fd, out, 0)) }.map(|got| got.len))
}

unsafe extern "C" fn recvmsg(_: User, fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    if message.is_null() {
        return answer(Err::<usize, _>(libc::EFAULT));
    }
    // SAFETY: packetdrill's message, which is ours for the call.
    let message = unsafe { &mut *message };
    // SAFETY: as above.
    let got = unsafe { scatter(message.msg_iov, message.msg_iovlen, |out| receive(fd, out, flags)) };
    message.msg_flags = 0;
    answer(got.map(|got| {
        // SAFETY: the control buffer is as long as the message says.
        message.msg_controllen = unsafe { put_inq(message, got.inq) };
        got.len
    }))
}

unsafe extern "C" fn write(_: User, fd: c_int, buf: *const c_void, len: size_t) -> ssize_t {
    // SAFETY: packetdrill's arguments.
    let data = unsafe { octets(buf, len) };
    answer(data.and_then(|data| transmit(fd, data, 0)))
}

unsafe extern "C" fn writev(_: User, fd: c_int, vec: *const iovec, count: c_int) -> ssize_t {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: packetdrill's arguments.
    answer(unsafe { gather(vec, count) }.and_then(|data| transmit(fd, &data, 0)))
}

unsafe extern "C" fn send(_: User, fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: packetdrill's arguments.
    let data = unsafe { octets(buf, len) };
    answer(data.and_then(|data| transmit(fd, data, flags)))
}

unsafe extern "C" fn sendto(
    user: User,
    fd: c_int,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
    _addr: *const sockaddr,
    _addr_len: socklen_t,
) -> ssize_t {
    // A connection ignores the address (send(2)); TCP Fast Open, which would not, is not in our stack.
    if flags & libc::MSG_FASTOPEN != 0 {
        return answer(Err::<usize, _>(libc::EOPNOTSUPP));
    }
    // SAFETY: packetdrill's arguments.
    unsafe { send(user, fd, buf, len, flags) }
}

unsafe extern "C" fn sendmsg(_: User, fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    if message.is_null() {
        return answer(Err::<usize, _>(libc::EFAULT));
    }
    // SAFETY: packetdrill's message.
    let data = unsafe { gather((*message).msg_iov, (*message).msg_iovlen) };
    answer(data.and_then(|data| transmit(fd, &data, flags)))
}

unsafe extern "C" fn fcntl(_: User, fd: c_int, command: c_int, argument: c_long) -> c_int {
    answer_int(world().call(|host| {
        let descriptor = host.descriptors.get_mut(fd)?;
        match command {
            libc::F_GETFL => Ok((libc::O_RDWR | descriptor.flags) as isize),
            libc::F_SETFL => {
                descriptor.flags = argument as c_int & libc::O_NONBLOCK;
                Ok(0)
            }
            libc::F_GETFD => Ok(0),
            libc::F_SETFD => Ok(0),
            _ => Err(libc::EINVAL),
        }
    }))
}

unsafe extern "C" fn ioctl(_: User, fd: c_int, request: c_ulong, argument: *mut c_int) -> c_int {
    const SIOCOUTQNSD: c_ulong = 0x894b;
    let value = world().call(|host| {
        let handle = host.descriptors.tcp(fd)?;
        let octets = match request {
            libc::FIONREAD => host.readable(fd)?,
            libc::TIOCOUTQ => host.info(handle).map_or(0, |info| (info.unacked + info.not_sent) as usize),
            SIOCOUTQNSD => host.info(handle).map_or(0, |info| info.not_sent as usize),
            _ => return Err(libc::ENOTTY),
        };
        Ok(c_int::try_from(octets).unwrap_or(c_int::MAX))
    });
    done(value.and_then(|value| {
        if argument.is_null() {
            return Err(libc::EFAULT);
        }
        // SAFETY: these requests write one int.
        unsafe { argument.write(value) };
        Ok(())
    }))
}

unsafe extern "C" fn close(_: User, fd: c_int) -> c_int {
    let waits = blocks(fd, 0);
    done(world().call(|host| host.close(fd)).and_then(|lingers| {
        let Some((handle, until)) = lingers.filter(|_| waits) else { return Ok(()) };
        world().wait(true, None, |host| {
            if host.is_closing(handle) && host.now < until { Err(libc::EAGAIN) } else { Ok(()) }
        })
    }))
}

unsafe extern "C" fn shutdown(_: User, fd: c_int, how: c_int) -> c_int {
    done(shutdown_of(how).and_then(|how| world().call(|host| host.shutdown(fd, how))))
}

unsafe extern "C" fn table_getsockopt(
    _: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    let found = world().call(|host| options::get(host, fd, level, name));
    // SAFETY: packetdrill's arguments.
    done(found.and_then(|found| unsafe { put_option(&found, value, len) }))
}

/// What the C library exports under this name: with this file in `LD_PRELOAD` our own descriptors are answered here, and everybody
/// else's by the kernel.
///
/// # Safety
/// As getsockopt(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    let found = WORLD.get().map(|world| {
        world.call(|host| host.descriptors.get(fd).is_ok().then(|| options::get(host, fd, level, name)))
    });
    match found.flatten() {
        // SAFETY: the caller's arguments.
        Some(found) => done(found.and_then(|found| unsafe { put_option(&found, value, len) })),
        // SAFETY: the caller's arguments, passed on. The system call sets errno as the C library's function does.
        None => unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, len) as c_int },
    }
}

unsafe extern "C" fn setsockopt(
    _: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    // SAFETY: packetdrill's arguments.
    let value = unsafe { octets(value, len as usize) };
    done(value.and_then(|value| world().call(|host| options::set(host, fd, level, name, &Value(value)))))
}

unsafe extern "C" fn poll(_: User, fds: *mut pollfd, count: libc::nfds_t, timeout: c_int) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if fds.is_null() && count > 0 {
        return done(Err(libc::EFAULT));
    }
    // SAFETY: packetdrill's array.
    let fds = if count == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(fds, count) } };
    let ready = world().wait(timeout != 0, span(timeout), |host| {
        let mut ready = 0;
        for entry in fds.iter_mut() {
            let asked = entry.events | libc::POLLERR | libc::POLLHUP;
            // The words of poll() and of epoll have the same values.
            entry.revents = host.level(entry.fd) as i16 & asked;
            ready += isize::from(entry.revents != 0);
        }
        if ready == 0 { Err(libc::EAGAIN) } else { Ok(ready) }
    });
    match ready {
        Err(libc::EAGAIN) => 0,
        ready => answer_int(ready),
    }
}

unsafe extern "C" fn netdev_send(_: User, packet: *const c_void, len: size_t) -> c_int {
    // SAFETY: packetdrill's packet.
    let packet = unsafe { octets(packet, len) };
    done(packet.map(|packet| world().call(|host| host.inject(packet))))
}

/// Microseconds since the epoch of virtual time.
fn micros(now: tcp::Instant) -> c_longlong {
    c_longlong::try_from(now.as_micros()).unwrap_or(c_longlong::MAX)
}

unsafe extern "C" fn netdev_receive(
    _: User,
    out: *mut c_void,
    len: *mut size_t,
    time: *mut c_longlong,
) -> c_int {
    // SAFETY: packetdrill's arguments; `*len` is the room at `out`.
    unsafe {
        let Ok(room) = octets_mut(out, *len) else { return done(Err(libc::EFAULT)) };
        match world().emitted() {
            Some((at, packet)) if packet.len() <= room.len() => {
                room[..packet.len()].copy_from_slice(&packet);
                *len = packet.len();
                *time = micros(at);
            }
            // Nothing will ever come: a packet of no octets ends the script with an error, where -1 would be asked again for ever.
            _ => {
                eprintln!("no packet is coming: the stack has nothing to send and no timer runs");
                *len = 0;
                *time = micros(world().time());
            }
        }
    }
    0
}

unsafe extern "C" fn usleep(_: User, micros: c_uint) -> c_int {
    world().pass(Duration::from_micros(u64::from(micros)));
    0
}

unsafe extern "C" fn gettimeofday(_: User, time: *mut libc::timeval, _zone: *mut c_void) -> c_int {
    let now = micros(world().time());
    if time.is_null() {
        return done(Err(libc::EFAULT));
    }
    // SAFETY: packetdrill's argument.
    unsafe { time.write(libc::timeval { tv_sec: now / 1_000_000, tv_usec: now % 1_000_000 }) };
    0
}

unsafe extern "C" fn epoll_create(_: User, size: c_int) -> c_int {
    if size <= 0 {
        return done(Err(libc::EINVAL));
    }
    answer_int(world().call(Host::epoll_create).map(|fd| fd as isize))
}

unsafe extern "C" fn epoll_ctl(
    _: User,
    set: c_int,
    op: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    let (events, data) = if event.is_null() {
        (0, 0)
    } else {
        // SAFETY: packetdrill's argument; the struct may be unaligned.
        let event = unsafe { event.read_unaligned() };
        (event.events, event.u64)
    };
    done(world().call(|host| host.epoll_control(set, op, fd, events, data)))
}

unsafe extern "C" fn epoll_wait(
    _: User,
    set: c_int,
    out: *mut libc::epoll_event,
    max: c_int,
    timeout: c_int,
) -> c_int {
    let Some(max) = usize::try_from(max).ok().filter(|max| *max > 0) else { return done(Err(libc::EINVAL)) };
    let ready = world().wait(timeout != 0, span(timeout), |host| {
        let ready = host.epoll_wait(set, max)?;
        if ready.is_empty() { Err(libc::EAGAIN) } else { Ok(ready) }
    });
    match ready {
        Err(libc::EAGAIN) => 0,
        ready => answer_int(ready.map(|ready| {
            for (index, (events, data)) in ready.iter().enumerate() {
                // SAFETY: there is room for `max` events.
                unsafe { out.add(index).write_unaligned(libc::epoll_event { events: *events, u64: *data }) };
            }
            ready.len()
        })),
    }
}

unsafe extern "C" fn pipe(_: User, _fds: *mut c_int) -> c_int {
    done(Err(libc::EOPNOTSUPP))
}

unsafe extern "C" fn splice(
    _: User,
    _in: c_int,
    _in_offset: *mut off_t,
    _out: c_int,
    _out_offset: *mut off_t,
    _len: size_t,
    _flags: c_uint,
) -> ssize_t {
    answer(Err::<usize, _>(libc::EOPNOTSUPP))
}
