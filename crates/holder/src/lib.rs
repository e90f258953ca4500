//! Who holds a port: for the error that a taken one brings.
//!
//! Spec: proc(5), `/proc/net/tcp` and its siblings, `/proc/PID/fd`.
//! Owns: nothing. Invariants: where the answer cannot be known (another user's process, another system) there is none;
//! reading stops at `PROCESSES_MAX`, and after `LOOKS`.
//! Not here: trying to bind.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Processes that are looked at.
const PROCESSES_MAX: usize = 100_000;

/// How often is looked before nobody is found. The kernel hands its tables out in pieces of a page, and what ends between two
/// of them moves the rest up, past who reads: among sockets that come and go one look in twenty misses a line that is there.
const LOOKS: usize = 8;

/// `st` of a listening TCP socket (include/net/tcp_states.h); a bound UDP socket is always 07.
const TCP_LISTEN: &str = "0A";

/// `st` of one that waits out 2MSL.
const TCP_TIME_WAIT: &str = "06";

/// Who or what is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A process.
    Process {
        /// Its id.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// Nobody any more: a connection was closed from this port first, and its TIME_WAIT (RFC 9293 3.6.1) lasts.
    TimeWait,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "{name} (process {pid})"),
            Self::TimeWait => f.write_str("a connection that ended less than a minute ago (TIME_WAIT)"),
        }
    }
}

/// Who holds a TCP port so that `address` cannot have it. A listener is named before a mere connection.
pub fn tcp(address: SocketAddr) -> Option<Holder> {
    find(&["/proc/net/tcp", "/proc/net/tcp6"], address)
}

/// Who listens at a TCP port, for who would listen there too. With SO_REUSEADDR a mere connection is not in the way of that, nor
/// one that waits out 2MSL.
pub fn listener(address: SocketAddr) -> Option<Holder> {
    again(|| {
        let all = sockets(&["/proc/net/tcp", "/proc/net/tcp6"], address);
        all.iter().filter(|entry| entry.listens).find_map(|entry| owner(entry.inode))
    })
}

/// Who holds a UDP port so that `address` cannot have it.
pub fn udp(address: SocketAddr) -> Option<Holder> {
    find(&["/proc/net/udp", "/proc/net/udp6"], address)
}

fn sockets(tables: &[&str], address: SocketAddr) -> Vec<Entry> {
    tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(Entry::read).collect::<Vec<_>>())
        .filter(|entry| entry.is_in_the_way_of(address))
        .collect()
}

fn find(tables: &[&str], address: SocketAddr) -> Option<Holder> {
    again(|| {
        let mut sockets = sockets(tables, address);
        sockets.sort_by_key(|entry| !entry.listens);
        sockets.iter().find_map(|entry| if entry.waits { Some(Holder::TimeWait) } else { owner(entry.inode) })
    })
}

fn again(look: impl Fn() -> Option<Holder>) -> Option<Holder> {
    (0..LOOKS).find_map(|_| look())
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    listens: bool,
    waits: bool,
    inode: u64,
}

impl Entry {
    /// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...`
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let (ip, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let local = SocketAddr::new(read_ip(ip)?, port);
        Some(Self { local, listens: state == TCP_LISTEN, waits: state == TCP_TIME_WAIT, inode })
    }

    fn is_in_the_way_of(&self, address: SocketAddr) -> bool {
        let (ours, theirs) = (address.ip().to_canonical(), self.local.ip().to_canonical());
        self.local.port() == address.port()
            && (ours == theirs || ours.is_unspecified() || theirs.is_unspecified())
    }
}

/// Words of four bytes in the machine's own order, each printed as a number.
fn read_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

fn owner(inode: u64) -> Option<Holder> {
    let target = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten().take(PROCESSES_MAX);
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let mut links = descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        if links.any(|link| link.as_os_str() == target.as_str()) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder::Process { pid, name: name.trim_end().to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests;
