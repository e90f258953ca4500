//! epoll: which descriptors are watched for what, and which of them something has happened to.
//! Spec: epoll(7); an edge-triggered item is reported when it was woken and its condition holds, once.
//! Owns: the items. Borrows: the conditions, which are asked of the stack.

use crate::errno::Errno;
use std::os::fd::RawFd;

/// One watched descriptor.
#[derive(Debug, Clone, Copy)]
struct Item {
    fd: RawFd,
    events: u32,
    data: u64,
    woken: bool,
}

/// One set.
#[derive(Debug, Default)]
pub(crate) struct Epoll {
    items: Vec<Item>,
}

/// What is told whether it was asked for or not.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

impl Epoll {
    /// epoll_ctl().
    pub(crate) fn control(
        &mut self,
        op: libc::c_int,
        fd: RawFd,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let known = self.items.iter().position(|item| item.fd == fd);
        let item = Item { fd, events, data, woken: true };
        match (op, known) {
            (libc::EPOLL_CTL_ADD, None) => self.items.push(item),
            (libc::EPOLL_CTL_ADD, Some(_)) => return Err(libc::EEXIST),
            (libc::EPOLL_CTL_MOD, Some(at)) => self.items[at] = item,
            (libc::EPOLL_CTL_DEL, Some(at)) => {
                self.items.remove(at);
            }
            (libc::EPOLL_CTL_MOD | libc::EPOLL_CTL_DEL, None) => return Err(libc::ENOENT),
            _ => return Err(libc::EINVAL),
        }
        Ok(())
    }

    /// The descriptor is closed.
    pub(crate) fn forget(&mut self, fd: RawFd) {
        self.items.retain(|item| item.fd != fd);
    }

    /// Something happened to `fd`.
    pub(crate) fn wake(&mut self, fd: RawFd) {
        for item in self.items.iter_mut().filter(|item| item.fd == fd) {
            item.woken = true;
        }
    }

    /// Who is to be asked for its condition.
    pub(crate) fn woken(&self) -> Vec<RawFd> {
        self.items.iter().filter(|item| item.woken).map(|item| item.fd).collect()
    }

    /// epoll_wait(): what is ready, as events and data. `level` says which conditions of a descriptor hold.
    pub(crate) fn wait(&mut self, max: usize, level: impl Fn(RawFd) -> u32) -> Vec<(u32, u64)> {
        let mut ready = Vec::new();
        for item in self.items.iter_mut().filter(|item| item.woken) {
            if ready.len() == max {
                break;
            }
            let holds = level(item.fd) & (item.events | ALWAYS);
            // A level-triggered item stays woken as long as its condition holds.
            item.woken = holds != 0 && item.events & libc::EPOLLET as u32 == 0;
            if holds != 0 {
                ready.push((holds, item.data));
                if item.events & libc::EPOLLONESHOT as u32 != 0 {
                    item.events = 0;
                }
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::Epoll;

    const IN: u32 = libc::EPOLLIN as u32;
    const OUT: u32 = libc::EPOLLOUT as u32;
    const EDGE: u32 = libc::EPOLLET as u32;

    #[test]
    fn an_edge_is_told_once_and_a_level_as_long_as_it_holds() {
        let mut set = Epoll::default();
        set.control(libc::EPOLL_CTL_ADD, 4, IN | OUT | EDGE, 40).expect("a new item");
        set.control(libc::EPOLL_CTL_ADD, 5, IN, 50).expect("a new item");
        let level = |fd| if fd == 4 { OUT } else { IN };
        assert_eq!(set.wait(8, level), [(OUT, 40), (IN, 50)]);
        assert_eq!(set.wait(8, level), [(IN, 50)], "the edge has been told");
        set.wake(4);
        assert_eq!(set.wait(8, |_| IN | OUT), [(IN | OUT, 40), (IN, 50)], "all that holds, whatever woke it");
        set.wake(4);
        assert_eq!(set.wait(8, |_| 0), [], "woken, but nothing holds");
        assert_eq!(set.wait(8, level), [], "and a level that fell must rise again");
        assert_eq!(set.control(libc::EPOLL_CTL_ADD, 4, IN, 0), Err(libc::EEXIST));
        assert_eq!(set.control(libc::EPOLL_CTL_DEL, 6, 0, 0), Err(libc::ENOENT));
    }
}
