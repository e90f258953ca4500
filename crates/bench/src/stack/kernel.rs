//! The kernel over loopback, where it can be compared: what it keeps for a connection, how often it opens and closes one.
//! Not here: what only a whole machine would tell (a million connections need a million descriptors).

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Connections whose memory is looked at; each takes two descriptors.
const IDLE: usize = 8_000;

/// What the kernel's own tables take, in bytes: its slabs, which a line of /proc/meminfo sums.
pub(crate) fn slab_bytes() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| io::Error::other("/proc/meminfo has no line Slab"))
}

/// Bytes of kernel memory an end of a connection that rests after 4 KiB both ways, and how many ends were looked at.
pub(super) fn idle() -> io::Result<(f64, usize)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut kept = Vec::with_capacity(2 * IDLE);
    let before = slab_bytes()?;
    let mut scratch = [7; 4_096];
    for _ in 0..IDLE {
        let mut client = TcpStream::connect(addr)?;
        let (mut server, _) = listener.accept()?;
        client.write_all(&scratch)?;
        server.read_exact(&mut scratch)?;
        server.write_all(&scratch)?;
        client.read_exact(&mut scratch)?;
        kept.push((client, server));
    }
    let grown = slab_bytes()? - before;
    if grown <= 0.0 {
        return Err(io::Error::other("other work of the machine hid what the connections take"));
    }
    Ok((grown / (2 * IDLE) as f64, 2 * IDLE))
}

/// Connections opened and closed a second, the client first, so that each leaves a TIME-WAIT.
pub(super) fn open_and_close(count: usize) -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut scratch = [0; 64];
    let begun = std::time::Instant::now();
    for _ in 0..count {
        let mut client = TcpStream::connect(addr)?;
        client.write_all(b"x")?;
        let (mut server, _) = listener.accept()?;
        server.read_exact(&mut scratch[..1])?;
        drop(client);
        if server.read(&mut scratch)? > 0 {
            return Err(io::Error::other("more than a byte came"));
        }
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
