//! Slowing down guesses: a failed log-in makes the next from the same address on the same number wait.
//!
//! Owns: a bounded table of (address, number) pairs that failed, and of pairs that once logged in.
//! Invariants: an address is never locked out of a number it has logged in to; a stranger never slows anybody but itself;
//! the table never holds more than its bound, and forgets the least recent first.
//! Not here: keeping the pairs that logged in across a restart; who waits (whoever answers `Credentials`).

use std::collections::{BTreeMap, HashMap};
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
    known: bool,
    last: Instant,
    /// Its place in the order of forgetting.
    order: u64,
}

/// The table.
#[derive(Debug)]
pub struct LoginThrottle {
    records: HashMap<Pair, Record>,
    by_age: BTreeMap<u64, Pair>,
    next_order: u64,
    entries_max: usize,
}

impl LoginThrottle {
    /// Entries that an exchange keeps by default, about 150 octets each.
    pub const ENTRIES_MAX: usize = 65_536;

    /// An empty table with a bound.
    #[must_use]
    pub fn new(entries_max: usize) -> LoginThrottle {
        LoginThrottle {
            records: HashMap::new(),
            by_age: BTreeMap::new(),
            next_order: 0,
            entries_max: entries_max.max(1),
        }
    }

    /// How long an attempt that comes now has to wait before it is answered.
    #[must_use]
    pub fn delay(&self, now: Instant, from: IpAddr, number: Option<AccountNumber>) -> Duration {
        let Some(record) = self.records.get(&(network(from), number)) else { return Duration::ZERO };
        let age = now.saturating_since(record.last);
        if record.failures <= FREE_FAILURES || age >= FORGET_AFTER {
            return Duration::ZERO;
        }
        let doublings = (record.failures - FREE_FAILURES - 1).min(16);
        let cap = if record.known { DELAY_MAX_KNOWN } else { DELAY_MAX };
        (DELAY_FIRST * 2_u32.pow(doublings)).min(cap)
    }

    /// An attempt failed.
    pub fn on_failure(&mut self, now: Instant, from: IpAddr, number: Option<AccountNumber>) {
        self.touch(now, from, number, |record| {
            let forgiven = now.saturating_since(record.last) >= FORGET_AFTER;
            record.failures = if forgiven { 1 } else { record.failures.saturating_add(1) };
        });
    }

    /// An attempt succeeded: this address knows the password, whatever it mistypes later.
    pub fn on_success(&mut self, now: Instant, from: IpAddr, number: AccountNumber) {
        self.touch(now, from, Some(number), |record| {
            record.failures = 0;
            record.known = true;
        });
    }

    /// How many pairs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn touch(
        &mut self,
        now: Instant,
        from: IpAddr,
        number: Option<AccountNumber>,
        change: impl FnOnce(&mut Record),
    ) {
        let pair = (network(from), number);
        self.next_order += 1;
        let order = self.next_order;
        let record =
            self.records.entry(pair).or_insert(Record { failures: 0, known: false, last: now, order });
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
