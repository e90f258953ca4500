//! Who holds a port: for the error message of an address in use, where the system tells.
//! Invariants: only looks; what cannot be read is simply not known.
//! Not here: the message (`exchange`).

use std::net::SocketAddr;

/// LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The process that is bound to this port, as `name (process id)`.
pub(crate) fn of_tcp(address: SocketAddr) -> Option<String> {
    holder(address, &["/proc/net/tcp", "/proc/net/tcp6"], Some(LISTEN))
}

/// The same for UDP.
pub(crate) fn of_udp(address: SocketAddr) -> Option<String> {
    holder(address, &["/proc/net/udp", "/proc/net/udp6"], None)
}

fn holder(address: SocketAddr, tables: &[&str], state: Option<&str>) -> Option<String> {
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, address.port(), state))
        .collect();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let holds = std::fs::read_dir(process.path().join("fd")).ok()?.flatten().any(|descriptor| {
            std::fs::read_link(descriptor.path()).is_ok_and(|target| {
                let target = target.to_string_lossy();
                let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
                inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
            })
        });
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        holds.then(|| format!("{} (process {pid})", name.trim()))
    })
}

/// The inodes of the sockets that a table of `/proc/net` lists at a port.
fn inodes(table: &str, port: u16, state: Option<&str>) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let local = columns.nth(1)?;
            let found = columns.nth(1)?;
            let inode = columns.nth(5)?;
            (local.ends_with(&suffix) && state.is_none_or(|state| state == found)).then(|| inode.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_our_own_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = of_tcp(listener.local_addr().unwrap()).unwrap();
        assert!(found.ends_with(&format!("(process {})", std::process::id())), "{found}");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(of_udp(socket.local_addr().unwrap()).is_some());
    }

    #[test]
    fn only_listeners_at_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:1466 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n\
             \x20  1: 0100007F:1466 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n\
             \x20  2: 0100007F:1467 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0\n";
        assert_eq!(inodes(table, 0x1466, Some(LISTEN)), ["111"]);
        assert_eq!(inodes(table, 0x1466, None), ["111", "222"]);
    }
}
