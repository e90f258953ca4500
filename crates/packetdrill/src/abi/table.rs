//! The table: one function for each call that a script may make.
//! Spec: `struct packetdrill_interface` of packetdrill.h, in its order. fcntl and ioctl are variadic there; their one further argument
//! comes in the ordinary next register on x86-64 and AArch64, so a function of four takes it.
//! Owns: the layout, which C reads. Not here: the functions (`abi`).

use libc::{
    c_int, c_long, c_longlong, c_uint, c_ulong, c_void, iovec, msghdr, off_t, pollfd, size_t, sockaddr,
    socklen_t, ssize_t,
};

/// What packetdrill passes back to us in each call; nothing.
pub(super) type User = *mut c_void;

/// `struct packetdrill_interface`.
#[repr(C)]
pub struct Interface {
    pub(super) userdata: User,
    pub(super) free: Option<unsafe extern "C" fn(User)>,
    pub(super) socket: Option<unsafe extern "C" fn(User, c_int, c_int, c_int) -> c_int>,
    pub(super) bind: Option<unsafe extern "C" fn(User, c_int, *const sockaddr, socklen_t) -> c_int>,
    pub(super) listen: Option<unsafe extern "C" fn(User, c_int, c_int) -> c_int>,
    pub(super) accept: Option<unsafe extern "C" fn(User, c_int, *mut sockaddr, *mut socklen_t) -> c_int>,
    pub(super) connect: Option<unsafe extern "C" fn(User, c_int, *const sockaddr, socklen_t) -> c_int>,
    pub(super) read: Option<unsafe extern "C" fn(User, c_int, *mut c_void, size_t) -> ssize_t>,
    pub(super) readv: Option<unsafe extern "C" fn(User, c_int, *const iovec, c_int) -> ssize_t>,
    pub(super) recv: Option<unsafe extern "C" fn(User, c_int, *mut c_void, size_t, c_int) -> ssize_t>,
    pub(super) recvfrom: Option<
        unsafe extern "C" fn(
            User,
            c_int,
            *mut c_void,
            size_t,
            c_int,
            *mut sockaddr,
            *mut socklen_t,
        ) -> ssize_t,
    >,
    pub(super) recvmsg: Option<unsafe extern "C" fn(User, c_int, *mut msghdr, c_int) -> ssize_t>,
    pub(super) write: Option<unsafe extern "C" fn(User, c_int, *const c_void, size_t) -> ssize_t>,
    pub(super) writev: Option<unsafe extern "C" fn(User, c_int, *const iovec, c_int) -> ssize_t>,
    pub(super) send: Option<unsafe extern "C" fn(User, c_int, *const c_void, size_t, c_int) -> ssize_t>,
    pub(super) sendto: Option<
        unsafe extern "C" fn(
            User,
            c_int,
            *const c_void,
            size_t,
            c_int,
            *const sockaddr,
            socklen_t,
        ) -> ssize_t,
    >,
    pub(super) sendmsg: Option<unsafe extern "C" fn(User, c_int, *const msghdr, c_int) -> ssize_t>,
    pub(super) fcntl: Option<unsafe extern "C" fn(User, c_int, c_int, c_long) -> c_int>,
    pub(super) ioctl: Option<unsafe extern "C" fn(User, c_int, c_ulong, *mut c_int) -> c_int>,
    pub(super) close: Option<unsafe extern "C" fn(User, c_int) -> c_int>,
    pub(super) shutdown: Option<unsafe extern "C" fn(User, c_int, c_int) -> c_int>,
    pub(super) getsockopt:
        Option<unsafe extern "C" fn(User, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int>,
    pub(super) setsockopt:
        Option<unsafe extern "C" fn(User, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int>,
    pub(super) poll: Option<unsafe extern "C" fn(User, *mut pollfd, libc::nfds_t, c_int) -> c_int>,
    pub(super) netdev_send: Option<unsafe extern "C" fn(User, *const c_void, size_t) -> c_int>,
    pub(super) netdev_receive:
        Option<unsafe extern "C" fn(User, *mut c_void, *mut size_t, *mut c_longlong) -> c_int>,
    pub(super) usleep: Option<unsafe extern "C" fn(User, c_uint) -> c_int>,
    pub(super) gettimeofday: Option<unsafe extern "C" fn(User, *mut libc::timeval, *mut c_void) -> c_int>,
    pub(super) epoll_create: Option<unsafe extern "C" fn(User, c_int) -> c_int>,
    pub(super) epoll_ctl:
        Option<unsafe extern "C" fn(User, c_int, c_int, c_int, *mut libc::epoll_event) -> c_int>,
    pub(super) epoll_wait:
        Option<unsafe extern "C" fn(User, c_int, *mut libc::epoll_event, c_int, c_int) -> c_int>,
    pub(super) pipe: Option<unsafe extern "C" fn(User, *mut c_int) -> c_int>,
    pub(super) splice:
        Option<unsafe extern "C" fn(User, c_int, *mut off_t, c_int, *mut off_t, size_t, c_uint) -> ssize_t>,
}
