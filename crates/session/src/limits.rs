//! Slowing down guesses: a failed log-in makes the next from the same address on the same number wait.
//!
//! Owns: a bounded table of (address, number) pairs that failed, and of pairs that once logged in.
//! Invariants: an address is never locked out of a number it has logged in to; a stranger never slows anybody but itself,
//! nor makes the exchange forget who has logged in, since the two have tables of their own; no table holds more than its
//! bound, and each forgets the least recent first.
//! Owns too: how many accounts an address has made of late.
//! Not here: keeping the pairs that logged in across a restart; who waits (whoever answers `Credentials`).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use xmpp::address::AccountNumber;
use xmpp::time::Instant;

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 3;
/// What the first failure beyond those costs; each further one doubles it.
const DELAY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait for an address that never logged in to this number.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// The longest wait for one that did.
const DELAY_MAX_KNOWN: Duration = Duration::from_millis(500);
/// After this long without a failure all is forgiven.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// Who tries what. A name that is no number counts as number `None`. IPv6 hosts own whole /64 networks, so one counts
/// as one address.
type Pair = (IpAddr, Option<AccountNumber>);

#[derive(Debug, Clone, Copy)]
struct Record {
    failures: u32,
    last: Instant,
    /// Its place in the order of forgetting.
    order: u64,
}

/// Pairs that failed, strangers and known ones apart.
#[derive(Debug)]
pub struct LoginThrottle {
    strangers: Table,
    known: Table,
}

impl LoginThrottle {
    /// Entries that an exchange keeps by default, half of them for pairs that logged in; about 150 octets each.
    pub const ENTRIES_MAX: usize = 65_536;

    /// An empty throttle with a bound.
    #[must_use]
    pub fn new(entries_max: usize) -> LoginThrottle {
        LoginThrottle { strangers: Table::new(entries_max / 2), known: Table::new(entries_max / 2) }
    }

    /// How long an attempt that comes now has to wait before it is answered.
    #[must_use]
    pub fn delay(&self, now: Instant, from: IpAddr, number: Option<AccountNumber>) -> Duration {
        let pair = (network(from), number);
        let (record, cap) = match (self.known.records.get(&pair), self.strangers.records.get(&pair)) {
            (Some(record), _) => (record, DELAY_MAX_KNOWN),
            (None, Some(record)) => (record, DELAY_MAX),
            (None, None) => return Duration::ZERO,
        };
        let age = now.saturating_since(record.last);
        if record.failures <= FREE_FAILURES || age >= FORGET_AFTER {
            return Duration::ZERO;
        }
        let doublings = (record.failures - FREE_FAILURES - 1).min(16);
        (DELAY_FIRST * 2_u32.pow(doublings)).min(cap)
    }

    /// An attempt failed.
    pub fn on_failure(&mut self, now: Instant, from: IpAddr, number: Option<AccountNumber>) {
        let pair = (network(from), number);
        let table =
            if self.known.records.contains_key(&pair) { &mut self.known } else { &mut self.strangers };
        table.touch(now, pair, |record| {
            let forgiven = now.saturating_since(record.last) >= FORGET_AFTER;
            record.failures = if forgiven { 1 } else { record.failures.saturating_add(1) };
        });
    }

    /// An attempt succeeded: this address knows the password, whatever it mistypes later.
    pub fn on_success(&mut self, now: Instant, from: IpAddr, number: AccountNumber) {
        let pair = (network(from), Some(number));
        self.strangers.remove(&pair);
        self.known.touch(now, pair, |record| record.failures = 0);
    }

    /// How many pairs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.strangers.records.len() + self.known.records.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How often an address may make an account without an invite, in `REGISTRATIONS_WITHIN`.
#[derive(Debug)]
pub struct RegisterThrottle {
    per_address: u32,
    counts: HashMap<IpAddr, u32>,
    by_age: VecDeque<(Instant, IpAddr)>,
}

/// The span over which accounts of an address are counted.
const REGISTRATIONS_WITHIN: Duration = Duration::from_secs(3600);
/// Accounts of all addresses together in that span: who owns many addresses is slowed by this. About 60 octets each.
const REGISTRATIONS_MAX: usize = 10_000;

impl RegisterThrottle {
    /// So many accounts for an address.
    #[must_use]
    pub fn new(per_address: u32) -> RegisterThrottle {
        RegisterThrottle { per_address, counts: HashMap::new(), by_age: VecDeque::new() }
    }

    /// Whether this address may make one more now; if so, it counts as made.
    pub fn allows(&mut self, now: Instant, from: IpAddr) -> bool {
        while let Some(&(at, address)) = self.by_age.front()
            && now.saturating_since(at) >= REGISTRATIONS_WITHIN
        {
            self.by_age.pop_front();
            if let Some(count) = self.counts.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&address);
                }
            }
        }
        let from = network(from);
        let count = self.counts.get(&from).copied().unwrap_or(0);
        if count >= self.per_address || self.by_age.len() >= REGISTRATIONS_MAX {
            return false;
        }
        self.counts.insert(from, count + 1);
        self.by_age.push_back((now, from));
        true
    }
}

/// Pairs in the order in which they are forgotten.
#[derive(Debug)]
struct Table {
    records: HashMap<Pair, Record>,
    by_age: BTreeMap<u64, Pair>,
    next_order: u64,
    entries_max: usize,
}

impl Table {
    fn new(entries_max: usize) -> Table {
        Table {
            records: HashMap::new(),
            by_age: BTreeMap::new(),
            next_order: 0,
            entries_max: entries_max.max(1),
        }
    }

    fn touch(&mut self, now: Instant, pair: Pair, change: impl FnOnce(&mut Record)) {
        self.next_order += 1;
        let order = self.next_order;
        let record = self.records.entry(pair).or_insert(Record { failures: 0, last: now, order });
        self.by_age.remove(&record.order);
        change(record);
        record.last = now;
        record.order = order;
        self.by_age.insert(order, pair);
        if self.records.len() > self.entries_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.records.remove(&oldest);
        }
    }

    fn remove(&mut self, pair: &Pair) {
        if let Some(record) = self.records.remove(pair) {
            self.by_age.remove(&record.order);
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests;
