//! Descriptors: what packetdrill holds of our sockets.
//! Owns: one eventfd of the kernel for each, so that the number is the kernel's and its close() works on it.
//! Not here: what the calls do (`host`).

use crate::chrono::Chrono;
use crate::epoll::Epoll;
use crate::errno::Errno;
use stack::{Instant, TcpHandle};
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What a descriptor stands for.
#[derive(Debug)]
pub(crate) enum Object {
    Tcp(TcpHandle),
    Epoll(Epoll),
}

/// One descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    file: OwnedFd,
    pub(crate) object: Object,
    /// AF_INET or AF_INET6, as socket() was told.
    pub(crate) domain: libc::c_int,
    /// O_NONBLOCK, as fcntl() sees it.
    pub(crate) flags: libc::c_int,
    /// TCP_INQ is on.
    pub(crate) inq: bool,
    /// connect() was called and its outcome has not been told.
    pub(crate) connecting: bool,
    /// SO_SNDBUF and SO_RCVBUF as Linux shows them, doubled.
    pub(crate) buffers: (Option<u32>, Option<u32>),
    /// TCP_NOTSENT_LOWAT as it was set; zero: as the sysctl says.
    pub(crate) not_sent_low_water: u32,
    /// What its time was spent on.
    pub(crate) chrono: Chrono,
}

/// All descriptors.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    all: HashMap<RawFd, Descriptor>,
}

impl Descriptors {
    /// A new descriptor; `flags`: O_NONBLOCK or nothing.
    pub(crate) fn add(
        &mut self,
        object: Object,
        domain: libc::c_int,
        flags: libc::c_int,
    ) -> Result<RawFd, Errno> {
        let file = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)
            .map_err(|error| error.raw_os_error())?;
        let fd = file.as_raw_fd();
        let new = Descriptor {
            file,
            object,
            domain,
            flags,
            inq: false,
            connecting: false,
            buffers: (None, None),
            not_sent_low_water: 0,
            chrono: Chrono::new(Instant::ZERO),
        };
        // The kernel gave the number anew: whoever had it before was closed by packetdrill, behind our back.
        if let Some(old) = self.all.insert(fd, new) {
            std::mem::forget(old.file);
        }
        Ok(fd)
    }

    pub(crate) fn get(&self, fd: RawFd) -> Result<&Descriptor, Errno> {
        self.all.get(&fd).ok_or(libc::EBADF)
    }

    pub(crate) fn get_mut(&mut self, fd: RawFd) -> Result<&mut Descriptor, Errno> {
        self.all.get_mut(&fd).ok_or(libc::EBADF)
    }

    pub(crate) fn tcp(&self, fd: RawFd) -> Result<TcpHandle, Errno> {
        match self.get(fd)?.object {
            Object::Tcp(handle) => Ok(handle),
            Object::Epoll(_) => Err(libc::ENOTSOCK),
        }
    }

    /// Closes the kernel's descriptor too.
    pub(crate) fn remove(&mut self, fd: RawFd) -> Result<Object, Errno> {
        let gone = self.all.remove(&fd).ok_or(libc::EBADF)?;
        for other in self.all.values_mut() {
            if let Object::Epoll(epoll) = &mut other.object {
                epoll.forget(fd);
            }
        }
        Ok(gone.object)
    }

    /// The descriptor of a TCP socket.
    pub(crate) fn of_tcp(&self, handle: TcpHandle) -> Option<RawFd> {
        self.all
            .iter()
            .find(|(_, it)| matches!(it.object, Object::Tcp(other) if other == handle))
            .map(|(fd, _)| *fd)
    }

    /// Something happened to a descriptor: every epoll set that watches it hears.
    pub(crate) fn wake(&mut self, fd: RawFd) {
        for other in self.all.values_mut() {
            if let Object::Epoll(epoll) = &mut other.object {
                epoll.wake(fd);
            }
        }
    }

    /// Every TCP socket, and its clock.
    pub(crate) fn chronos(&mut self) -> impl Iterator<Item = (TcpHandle, &mut Chrono)> {
        self.all.values_mut().filter_map(|it| match it.object {
            Object::Tcp(handle) => Some((handle, &mut it.chrono)),
            Object::Epoll(_) => None,
        })
    }

    /// packetdrill has closed, or will close, the kernel's descriptors itself.
    pub(crate) fn abandon(&mut self) {
        for (_, descriptor) in self.all.drain() {
            std::mem::forget(descriptor.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Descriptors, Object};
    use crate::epoll::Epoll;
    use stack::TcpHandle;

    fn tcp(index: u32) -> Object {
        Object::Tcp(TcpHandle { index, generation: 0 })
    }

    #[test]
    fn a_descriptor_is_the_kernels_and_stands_for_a_socket_until_it_is_closed() {
        let mut all = Descriptors::default();
        let (a, b) = (
            all.add(tcp(1), libc::AF_INET, 0).expect("one"),
            all.add(tcp(2), libc::AF_INET, 0).expect("two"),
        );
        assert_ne!(a, b);
        assert!(std::path::Path::new(&format!("/proc/self/fd/{a}")).exists(), "the kernel knows it");
        assert_eq!(all.tcp(b).map(|handle| handle.index), Ok(2));
        assert_eq!(all.of_tcp(TcpHandle { index: 1, generation: 0 }), Some(a));
        assert_eq!(all.of_tcp(TcpHandle { index: 1, generation: 1 }), None, "another socket at that place");
        assert!(all.remove(a).is_ok());
        assert_eq!(all.tcp(a).err(), Some(libc::EBADF));
        assert_eq!(all.remove(a).err(), Some(libc::EBADF));
    }

    #[test]
    fn an_epoll_set_is_no_socket_and_forgets_what_is_closed() {
        let mut all = Descriptors::default();
        let set = all.add(Object::Epoll(Epoll::default()), 0, 0).expect("a set");
        let socket = all.add(tcp(1), libc::AF_INET, 0).expect("a socket");
        assert_eq!(all.tcp(set).err(), Some(libc::ENOTSOCK));
        let Ok(Object::Epoll(epoll)) = all.get_mut(set).map(|it| &mut it.object) else { panic!("a set") };
        epoll.control(libc::EPOLL_CTL_ADD, socket, libc::EPOLLIN as u32, 7).expect("a new item");
        let ready = |all: &mut Descriptors| match all.get_mut(set).map(|it| &mut it.object) {
            Ok(Object::Epoll(epoll)) => epoll.wait(8, |_| 0).len() + epoll.woken().len(),
            _ => 0,
        };
        assert_eq!(ready(&mut all), 0, "looked at, and nothing held");
        all.wake(socket);
        let Ok(Object::Epoll(epoll)) = all.get(set).map(|it| &it.object) else { panic!("a set") };
        assert_eq!(epoll.woken(), [socket]);
        all.remove(socket).expect("it is open");
        let Ok(Object::Epoll(epoll)) = all.get(set).map(|it| &it.object) else { panic!("a set") };
        assert_eq!(epoll.woken(), [], "gone from every set");
    }
}
