//! Ports: who holds which, who may share, and which one a socket that asks for none is given.
//! Spec: RFC 6056 3.3.4 (double-hash port selection); RFC 9293 3.9.1.1, MUST-43; sharing as Linux's SO_REUSEADDR and
//! SO_REUSEPORT.
//! Owns: for each port in use, the sockets bound to it and how many connections use it, by local address and way of sharing.
//! Invariants: connections only count; a port without sockets and connections holds no memory of its own. Two listeners on one address and
//! port exist only if both asked for SO_REUSEPORT.
//! Not here: four-tuples (`demux`: connect() may share a port between remotes), which listener gets a SYN (`listener`).

use crate::flow::FlowKey;
use crate::random::{HashKey, Random, Secret};
use std::net::{IpAddr, SocketAddr};

/// The local addresses that a socket speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Any address of either family: bound to `::` without IPV6_V6ONLY.
    Any,
    /// Any IPv4 address.
    AnyV4,
    /// Any IPv6 address.
    AnyV6,
    /// One address.
    One(IpAddr),
}

impl Scope {
    /// What bind() to `addr` means.
    pub(crate) fn of(addr: IpAddr, v6_only: bool) -> Self {
        match addr {
            IpAddr::V4(addr) if addr.is_unspecified() => Scope::AnyV4,
            IpAddr::V6(addr) if addr.is_unspecified() && v6_only => Scope::AnyV6,
            IpAddr::V6(addr) if addr.is_unspecified() => Scope::Any,
            one => Scope::One(one),
        }
    }

    /// Whether packets to `addr` are meant.
    pub(crate) fn covers(self, addr: IpAddr) -> bool {
        match self {
            Scope::Any => true,
            Scope::AnyV4 => addr.is_ipv4(),
            Scope::AnyV6 => addr.is_ipv6(),
            Scope::One(one) => one == addr,
        }
    }

    fn overlaps(self, other: Scope) -> bool {
        match (self, other) {
            (Scope::One(addr), scope) | (scope, Scope::One(addr)) => scope.covers(addr),
            (Scope::AnyV4, Scope::AnyV6) | (Scope::AnyV6, Scope::AnyV4) => false,
            _ => true,
        }
    }
}

/// SO_REUSEADDR and SO_REUSEPORT of a socket; its connections inherit them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sharing {
    pub(crate) address: bool,
    pub(crate) port: bool,
}

/// The port, or all of the range, is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InUse;

/// Who holds a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A socket that was bound and is neither listening nor connected.
    Bound,
    /// A socket that listens.
    Listening,
    /// Connections, TIME-WAIT included, that share alike.
    Connections,
}

/// A port of some addresses is held. Twenty-four octets, so that the many that one kind of connection holds cost no more.
#[derive(Debug, Clone, Copy)]
struct Binding {
    scope: Scope,
    sharing: Sharing,
    holder: Holder,
    /// The place of the socket, or how many connections.
    number: u32,
}

impl Binding {
    fn of_socket(&self) -> bool {
        self.holder != Holder::Connections
    }

    fn is_of(&self, place: u32) -> bool {
        self.of_socket() && self.number == place
    }

    /// Whether these are the connections from `scope` that share as `sharing` says.
    fn counts(&self, scope: Scope, sharing: Sharing) -> bool {
        self.holder == Holder::Connections && self.sharing == sharing && self.scope == scope
    }

    /// Whether a socket that shares as `sharing` says may be bound beside this (Linux's `inet_bind_conflict`).
    fn tolerates(&self, sharing: Sharing) -> bool {
        let listening = self.holder == Holder::Listening;
        (self.sharing.port && sharing.port) || (self.sharing.address && sharing.address && !listening)
    }
}

/// What is held of one port. Most often that is one binding, which takes no memory of its own.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    One(Binding),
    #[allow(clippy::box_collection)] // A Vec in place would widen every port by a third.
    Several(Box<Vec<Binding>>),
}

impl Held {
    fn all(&self) -> &[Binding] {
        match self {
            Held::Nothing => &[],
            Held::One(binding) => std::slice::from_ref(binding),
            Held::Several(bindings) => bindings,
        }
    }

    fn all_mut(&mut self) -> &mut [Binding] {
        match self {
            Held::Nothing => &mut [],
            Held::One(binding) => std::slice::from_mut(binding),
            Held::Several(bindings) => bindings,
        }
    }

    fn push(&mut self, binding: Binding) {
        match self {
            Held::Nothing => *self = Held::One(binding),
            Held::One(first) => *self = Held::Several(Box::new(vec![*first, binding])),
            Held::Several(bindings) => bindings.push(binding),
        }
    }

    fn retain(&mut self, keep: impl Fn(&Binding) -> bool) {
        match self {
            Held::Nothing => {}
            Held::One(binding) if keep(binding) => {}
            Held::One(_) => *self = Held::Nothing,
            Held::Several(bindings) => {
                bindings.retain(keep);
                match bindings[..] {
                    [] => *self = Held::Nothing,
                    [last] => *self = Held::One(last),
                    _ => {}
                }
            }
        }
    }
}

/// Counters of RFC 6056 3.3.4, picked by hash: enough that busy destinations rarely share one.
const COUNTERS: usize = 1024;

/// Ports a page.
const PAGE: usize = 256;

type Page = Box<[Held; PAGE]>;

/// What is held, by port: pages of 6 KiB, made when a port of theirs is first used, so that nothing is ever re-hashed.
#[derive(Debug)]
struct Book {
    pages: Box<[Option<Page>; PAGE]>,
}

impl Book {
    fn new() -> Self {
        Book { pages: Box::new([const { None }; PAGE]) }
    }

    fn get(&self, port: u16) -> &[Binding] {
        match &self.pages[usize::from(port) / PAGE] {
            Some(page) => page[usize::from(port) % PAGE].all(),
            None => &[],
        }
    }

    fn get_mut(&mut self, port: u16) -> &mut Held {
        let page = &mut self.pages[usize::from(port) / PAGE];
        let page = page.get_or_insert_with(|| Box::new([const { Held::Nothing }; PAGE]));
        &mut page[usize::from(port) % PAGE]
    }
}

/// The ports of one transport protocol.
#[derive(Debug)]
pub(crate) struct Ports {
    bindings: Book,
    first: u16,
    count: u16,
    pick: HashKey,
    counters: Box<[u32; COUNTERS]>,
    random: Random,
}

impl Ports {
    /// Ephemeral ports are taken from `first..=last`.
    pub(crate) fn new(secret: &Secret, (first, last): (u16, u16)) -> Self {
        Ports {
            bindings: Book::new(),
            first,
            count: last.saturating_sub(first).saturating_add(1),
            pick: secret.key("tcp port choice"),
            counters: Box::new([0; COUNTERS]),
            random: Random::new(secret, "tcp port"),
        }
    }

    /// Whether nobody holds the port.
    #[cfg(test)]
    pub(crate) fn is_free(&self, port: u16) -> bool {
        self.bindings.get(port).is_empty()
    }

    /// bind() to a port that the caller names.
    pub(crate) fn bind(
        &mut self,
        place: u32,
        scope: Scope,
        port: u16,
        sharing: Sharing,
    ) -> Result<(), InUse> {
        let held = self.bindings.get_mut(port);
        let free = held.all().iter().all(|other| !other.scope.overlaps(scope) || other.tolerates(sharing));
        if !free {
            return Err(InUse);
        }
        held.push(Binding { scope, sharing, holder: Holder::Bound, number: place });
        Ok(())
    }

    /// bind() to port 0: a port that nobody holds in this scope, drawn at random. Odd offsets are tried first, since
    /// connect() prefers even ones (as Linux), so that neither starves the other.
    pub(crate) fn bind_any(&mut self, place: u32, scope: Scope, sharing: Sharing) -> Result<u16, InUse> {
        let start = self.random.below(u64::from(self.count.max(1))) as u16;
        for step in self.steps(start | 1) {
            let port = self.first + step;
            let taken = self.bindings.get(port).iter().any(|other| other.scope.overlaps(scope));
            if !taken && self.bind(place, scope, port, sharing).is_ok() {
                return Ok(port);
            }
        }
        Err(InUse)
    }

    /// Every offset of the range once: those of `start`'s parity first.
    fn steps(&self, start: u16) -> impl Iterator<Item = u16> + use<> {
        let count = u32::from(self.count);
        let start = u32::from(start);
        let evens = move |parity: u32| {
            let size = (count + 1 - parity % 2) / 2;
            (0..size).map(move |i| (2 * ((start / 2 + i) % size.max(1)) + parity) as u16)
        };
        evens(start % 2).chain(evens((start + 1) % 2)).filter(move |step| u32::from(*step) < count)
    }

    /// listen(): the socket's port now refuses other listeners.
    pub(crate) fn listen(&mut self, place: u32, port: u16) -> Result<(), InUse> {
        let bindings = self.bindings.get_mut(port).all_mut();
        let own = bindings.iter().find(|binding| binding.is_of(place));
        let Some(&Binding { scope, sharing: mine, .. }) = own else { return Err(InUse) };
        let rival = bindings.iter().any(|b| {
            b.holder == Holder::Listening
                && b.number != place
                && b.scope.overlaps(scope)
                && !(b.sharing.port && mine.port)
        });
        if rival {
            return Err(InUse);
        }
        for binding in bindings.iter_mut().filter(|binding| binding.is_of(place)) {
            binding.holder = Holder::Listening;
        }
        Ok(())
    }

    /// The socket holds the port no longer.
    pub(crate) fn unbind(&mut self, place: u32, port: u16) {
        self.bindings.get_mut(port).retain(|binding| !binding.is_of(place));
    }

    /// A connection from `local` exists.
    pub(crate) fn add_connection(&mut self, local: SocketAddr, sharing: Sharing) {
        let held = self.bindings.get_mut(local.port());
        let scope = Scope::One(local.ip());
        match held.all_mut().iter_mut().find(|binding| binding.counts(scope, sharing)) {
            Some(binding) => binding.number += 1,
            None => held.push(Binding { scope, sharing, holder: Holder::Connections, number: 1 }),
        }
    }

    /// A connection from `local`, added before, is gone, its TIME-WAIT included.
    pub(crate) fn remove_connection(&mut self, local: SocketAddr, sharing: Sharing) {
        let held = self.bindings.get_mut(local.port());
        let scope = Scope::One(local.ip());
        let Some(binding) = held.all_mut().iter_mut().find(|binding| binding.counts(scope, sharing)) else {
            return;
        };
        binding.number -= 1;
        if binding.number == 0 {
            held.retain(|binding| binding.number > 0 || binding.of_socket());
        }
    }

    /// A port for a connection from `local` to `remote`, whose four-tuple is not `taken`. Ports that sockets are bound to are left
    /// alone; ports of other connections are shared.
    pub(crate) fn pick(
        &mut self,
        local: IpAddr,
        remote: SocketAddr,
        mut taken: impl FnMut(u16) -> bool,
    ) -> Result<u16, InUse> {
        let pair = FlowKey::new(SocketAddr::new(local, 0), remote).bytes();
        // RFC 6056's F and G: two halves of one keyed hash.
        let hash = self.pick.digest(&[&pair]);
        let (offset, slot) = (hash as u32, (hash >> 32) as usize % COUNTERS);
        // Even offsets from `offset` on, then odd ones; the counter says how far earlier connections came, so that a busy
        // destination does not walk over its own ports again.
        let count = u32::from(self.count);
        let evens = count.div_ceil(2);
        let order = |k: u32| {
            let (half, k, size) =
                if k < evens { (0, k, evens) } else { (1, k - evens, (count - evens).max(1)) };
            2 * ((offset % size + k) % size) + half
        };
        for tries in 0..count {
            let step = order(self.counters[slot].wrapping_add(tries) % count);
            let port = self.first + step as u16;
            let by_socket = |b: &Binding| b.of_socket() && b.scope.covers(local);
            let held = self.bindings.get(port).iter().any(by_socket);
            if !held && !taken(port) {
                self.counters[slot] = self.counters[slot].wrapping_add(tries + 1);
                return Ok(port);
            }
        }
        Err(InUse)
    }
}

#[cfg(test)]
mod tests;
