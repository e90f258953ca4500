//! The neighbour table: link addresses, how sure we are of them, and the packets that wait for one.
//! Spec: RFC 4861 7.2.2 (resolution), 7.2.5 (advertisements), 7.3.2-7.3.3 (unreachability); constants of its section 10.
//! Owns: the entries, their timers, the waiting packets.
//! Invariants: an unresolved neighbour delays only packets to itself; entries and waiting bytes are bounded; an entry has a timer
//! if and only if it is incomplete, delayed or probed.
//! Not here: the messages themselves (`arp`, `ndisc`).
//!
//! ```text
//!            packet to send                 advertisement, solicited
//!  (none) ------------------> INCOMPLETE ---------------------------> REACHABLE <---+
//!                                 |  3 tries                          |  time over  | confirmation
//!                                 v                                   v             |
//!                              removed <--- PROBE <--- DELAY <----- STALE           |
//!                               3 tries      |  5 s          packet to send         |
//!                                            +--------------------------------------+
//! ```

use crate::config::NeighborConfig;
use crate::frame::InterfaceId;
use crate::random::{HashKey, Random};
use hashbrown::HashMap;
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use tcp::Instant;
use wire::ethernet::MacAddr;

/// How sure we are of a neighbour's link address (RFC 4861 7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeighborState {
    /// Asked for, not yet told.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, not confirmed lately.
    Stale,
    /// Used while stale: traffic may confirm it before it is probed.
    Delay,
    /// Being asked whether it is still there.
    Probe,
}

/// What the table wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NeighborAction {
    /// Ask: everyone, or the neighbour itself when its address is known.
    Solicit { interface: InterfaceId, target: IpAddr, unicast: Option<MacAddr> },
    /// It did not answer: these packets (without link headers) cannot be delivered.
    Unreachable { interface: InterfaceId, target: IpAddr, packets: VecDeque<Vec<u8>> },
}

/// What an advertisement (or ARP packet) says about a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) mac: Option<MacAddr>,
    /// It answers a question of ours, so the neighbour hears us.
    pub(crate) solicited: bool,
    /// It may replace what we know.
    pub(crate) overriding: bool,
    /// The neighbour is a router; `None` if the message does not say.
    pub(crate) router: Option<bool>,
}

/// What a packet that waits was met with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It waits; ask for the neighbour now.
    Solicit,
    /// It waits for an answer already asked for.
    Queued,
    /// It waits, and the one that waited longest was dropped for it.
    Displaced,
    /// No room for it.
    Refused,
}

type Key = (InterfaceId, IpAddr);

#[derive(Debug)]
struct Entry {
    state: NeighborState,
    mac: MacAddr,
    is_router: bool,
    /// Reachable until then; lazily turned stale.
    reachable_until: Instant,
    used: Instant,
    solicits: u8,
    deadline: Option<Instant>,
    waiting: VecDeque<Vec<u8>>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct NeighborTable {
    entries: HashMap<Key, Entry, HashKey>,
    timers: BTreeSet<(Instant, Key)>,
    waiting_bytes: usize,
    config: NeighborConfig,
}

impl NeighborTable {
    pub(crate) fn new(config: NeighborConfig, key: HashKey) -> Self {
        Self { entries: HashMap::with_hasher(key), timers: BTreeSet::new(), waiting_bytes: 0, config }
    }

    /// Whether no neighbour is known, or asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The link address of a neighbour that a packet is about to be sent to, if it is known.
    pub(crate) fn resolve(&mut self, now: Instant, interface: InterfaceId, addr: IpAddr) -> Option<MacAddr> {
        let key = (interface, addr);
        let entry = self.entries.get_mut(&key)?;
        entry.used = now;
        match entry.state {
            NeighborState::Incomplete => return None,
            NeighborState::Reachable if now < entry.reachable_until => {}
            // RFC 4861 7.3.3: the first packet to a stale neighbour starts the delay.
            NeighborState::Reachable | NeighborState::Stale => {
                entry.state = NeighborState::Delay;
                let deadline = now + self.config.delay_first_probe;
                set_timer(&mut self.timers, entry, key, Some(deadline));
            }
            NeighborState::Delay | NeighborState::Probe => {}
        }
        Some(entry.mac)
    }

    /// Keeps a packet until the neighbour answers.
    pub(crate) fn wait(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        addr: IpAddr,
        packet: Vec<u8>,
    ) -> Waiting {
        let key = (interface, addr);
        if self.waiting_bytes + packet.len() > self.config.pending_bytes_max {
            return Waiting::Refused;
        }
        let is_new = !self.entries.contains_key(&key);
        if is_new && !self.make_room() {
            return Waiting::Refused;
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            state: NeighborState::Incomplete,
            mac: MacAddr::UNSPECIFIED,
            is_router: false,
            reachable_until: now,
            used: now,
            solicits: 1,
            deadline: None,
            waiting: VecDeque::new(),
        });
        self.waiting_bytes += packet.len();
        entry.waiting.push_back(packet);
        entry.used = now;
        if is_new {
            set_timer(&mut self.timers, entry, key, Some(now + self.config.retrans_timer));
            return Waiting::Solicit;
        }
        if entry.waiting.len() > self.config.pending_max {
            // RFC 4861 7.2.2: when a queue overflows, the new arrival replaces the oldest entry.
            let oldest = entry.waiting.pop_front().expect("it holds more than the bound");
            self.waiting_bytes -= oldest.len();
            return Waiting::Displaced;
        }
        Waiting::Queued
    }

    /// A neighbour told of itself. Returns the packets that waited for it, and its state if that changed.
    pub(crate) fn on_advertised(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        addr: IpAddr,
        said: Advertised,
        random: &mut Random,
    ) -> Learnt {
        let key = (interface, addr);
        let reachable_for = self.config.reachable_time;
        let Some(entry) = self.entries.get_mut(&key) else { return Learnt::default() };
        let was = (entry.state, entry.mac);
        match said.mac {
            None if entry.state == NeighborState::Incomplete => return Learnt::default(), // 7.2.5: nothing learnt
            _ => {}
        }
        let mac = said.mac.unwrap_or(entry.mac);
        let differs = mac != entry.mac;
        let confirm = |entry: &mut Entry, random: &mut Random| {
            // RFC 4861 6.3.2: between half and one and a half of the base time.
            let base = u64::try_from(reachable_for.as_nanos()).unwrap_or(u64::MAX / 2);
            let nanos = base / 2 + random.below(base);
            entry.state = NeighborState::Reachable;
            entry.reachable_until = now + std::time::Duration::from_nanos(nanos);
        };
        if entry.state == NeighborState::Incomplete {
            entry.mac = mac;
            entry.is_router = said.router.unwrap_or(false);
            if said.solicited { confirm(entry, random) } else { entry.state = NeighborState::Stale }
        } else if !said.overriding && differs {
            // 7.2.5 I: do not touch the address, but doubt it.
            if entry.state == NeighborState::Reachable {
                entry.state = NeighborState::Stale;
            }
        } else {
            // 7.2.5 II.
            entry.mac = mac;
            if said.solicited {
                confirm(entry, random);
            } else if differs {
                entry.state = NeighborState::Stale;
            }
        }
        // 7.2.5: the R flag counts whatever the rest said, unless the answer was refused as a stranger's.
        let was_router = entry.is_router;
        if (said.overriding || !differs)
            && let Some(router) = said.router
        {
            entry.is_router = router;
        }
        if matches!(entry.state, NeighborState::Reachable | NeighborState::Stale) {
            set_timer(&mut self.timers, entry, key, None);
            entry.solicits = 0;
        }
        let packets = std::mem::take(&mut entry.waiting);
        self.waiting_bytes -= packets.iter().map(Vec::len).sum::<usize>();
        Learnt {
            mac: Some(entry.mac),
            packets,
            changed: ((entry.state, entry.mac) != was).then_some(entry.state),
            stopped_routing: was_router && !entry.is_router,
        }
    }

    /// A neighbour told its address without being asked, in a message that asks us something (a solicitation, an ARP request):
    /// learnt as stale (RFC 4861 7.2.3, RFC 826).
    pub(crate) fn on_heard(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        addr: IpAddr,
        mac: MacAddr,
        is_router: Option<bool>,
    ) -> Learnt {
        let key = (interface, addr);
        if !self.entries.contains_key(&key) {
            if !self.make_room() {
                return Learnt::default();
            }
            self.entries.insert(
                key,
                Entry {
                    state: NeighborState::Stale,
                    mac,
                    is_router: is_router.unwrap_or(false),
                    reachable_until: now,
                    used: now,
                    solicits: 0,
                    deadline: None,
                    waiting: VecDeque::new(),
                },
            );
            return Learnt { mac: Some(mac), changed: Some(NeighborState::Stale), ..Learnt::default() };
        }
        let entry = self.entries.get_mut(&key).expect("it was just found");
        if let Some(is_router) = is_router {
            entry.is_router = is_router;
        }
        if entry.state != NeighborState::Incomplete && entry.mac == mac {
            return Learnt { mac: Some(mac), ..Learnt::default() };
        }
        entry.mac = mac;
        entry.state = NeighborState::Stale;
        entry.solicits = 0;
        set_timer(&mut self.timers, entry, key, None);
        let packets = std::mem::take(&mut entry.waiting);
        self.waiting_bytes -= packets.iter().map(Vec::len).sum::<usize>();
        Learnt { mac: Some(mac), packets, changed: Some(NeighborState::Stale), stopped_routing: false }
    }

    /// A transport made progress with a peer behind this neighbour (RFC 4861 7.3.1): it need not be probed.
    pub(crate) fn on_progress(&mut self, now: Instant, interface: InterfaceId, addr: IpAddr) {
        let key = (interface, addr);
        let reachable_time = self.config.reachable_time;
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.state != NeighborState::Incomplete
        {
            entry.state = NeighborState::Reachable;
            entry.reachable_until = now + reachable_time;
            set_timer(&mut self.timers, entry, key, None);
        }
    }

    /// The next thing whose time has come; call until it returns nothing.
    pub(crate) fn poll_deadline(&mut self, now: Instant) -> Option<NeighborAction> {
        let &(deadline, key) = self.timers.first()?;
        if deadline > now {
            return None;
        }
        let (interface, target) = key;
        let entry = self.entries.get_mut(&key).expect("every timer has its entry");
        if entry.state == NeighborState::Delay {
            entry.state = NeighborState::Probe;
            entry.solicits = 0;
        }
        if entry.solicits >= self.config.solicits_max {
            set_timer(&mut self.timers, entry, key, None);
            let packets = self.remove(key);
            return Some(NeighborAction::Unreachable { interface, target, packets });
        }
        entry.solicits += 1;
        set_timer(&mut self.timers, entry, key, Some(now + self.config.retrans_timer));
        let unicast = (entry.state == NeighborState::Probe).then_some(entry.mac);
        Some(NeighborAction::Solicit { interface, target, unicast })
    }

    /// When the next timer runs out.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(deadline, _)| deadline)
    }

    /// A router's advertisement set the link's parameters (RFC 4861 6.3.4).
    pub(crate) fn set_times(
        &mut self,
        reachable_time: Option<std::time::Duration>,
        retrans_timer: Option<std::time::Duration>,
    ) {
        use std::time::Duration;
        // A router on the link could otherwise make us flood it, or never notice that a neighbour went.
        let sane = |d: Duration| d.clamp(Duration::from_millis(100), Duration::from_secs(3_600));
        self.config.reachable_time = reachable_time.map_or(self.config.reachable_time, sane);
        self.config.retrans_timer = retrans_timer.map_or(self.config.retrans_timer, sane);
    }

    /// Every entry: where, whose, its link address and state.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (InterfaceId, IpAddr, MacAddr, NeighborState)> + '_ {
        self.entries.iter().map(|(&(interface, addr), entry)| (interface, addr, entry.mac, entry.state))
    }

    /// Packets' bytes that wait.
    #[cfg(test)]
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Makes room for one more entry by removing the one used longest ago that nobody waits for.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.config.entries_max {
            return true;
        }
        let oldest = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state != NeighborState::Incomplete)
            .min_by_key(|(key, entry)| (entry.used, **key))
            .map(|(&key, _)| key);
        let Some(key) = oldest else { return false };
        self.remove(key);
        true
    }

    fn remove(&mut self, key: Key) -> VecDeque<Vec<u8>> {
        let Some(mut entry) = self.entries.remove(&key) else { return VecDeque::new() };
        set_timer(&mut self.timers, &mut entry, key, None);
        self.waiting_bytes -= entry.waiting.iter().map(Vec::len).sum::<usize>();
        entry.waiting
    }
}

/// What a message taught.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    pub(crate) mac: Option<MacAddr>,
    /// The packets that waited, oldest first.
    pub(crate) packets: VecDeque<Vec<u8>>,
    /// The entry's state, if it changed.
    pub(crate) changed: Option<NeighborState>,
    /// It was a router and no longer is: routes through it end (RFC 4861 7.2.5).
    pub(crate) stopped_routing: bool,
}

fn set_timer(timers: &mut BTreeSet<(Instant, Key)>, entry: &mut Entry, key: Key, at: Option<Instant>) {
    if let Some(old) = entry.deadline.take() {
        timers.remove(&(old, key));
    }
    if let Some(at) = at {
        timers.insert((at, key));
        entry.deadline = Some(at);
    }
}

#[cfg(test)]
mod tests;
