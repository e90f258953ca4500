//! Process: what the kernel says a process has used, read from `/proc`.
//! Units: CPU in microseconds, memory in bytes.
//! Not here: starting and ending the process (`sut`).

use std::fs;
use std::io;

/// CPU time the living threads of a process have used, user and system together.
///
/// `/proc/PID/stat` counts in ticks of 10 ms; the first field of `/proc/PID/task/*/schedstat` in nanoseconds. It forgets
/// threads that have ended, so a difference of two readings is exact only for a server that keeps its threads.
pub(crate) fn cpu_us(pid: u32) -> io::Result<f64> {
    let mut nanoseconds = 0u64;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let on_cpu = text.split_ascii_whitespace().next().and_then(|f| f.parse::<u64>().ok());
        nanoseconds += on_cpu.ok_or_else(|| io::Error::other("schedstat has no first field"))?;
    }
    Ok(nanoseconds as f64 / 1000.0)
}

/// Memory of a process that is its own (Pss), in bytes.
pub(crate) fn memory_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map(|kb| kb * 1024).ok_or_else(|| io::Error::other("smaps_rollup has no Pss line"))
}

/// Octets that this thread has had read from a disk, what was in memory already left out.
pub(crate) fn disk_read_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/io")?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("read_bytes: ")?.trim().parse().ok());
    bytes.ok_or_else(|| io::Error::other("io has no read_bytes"))
}

/// How many sockets in TIME-WAIT sit on a local TCP port, IPv4 and IPv6.
pub(crate) fn time_wait_on_port(port: u16) -> io::Result<u64> {
    const TIME_WAIT: &str = "06";
    let mut count = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(text) = fs::read_to_string(table) else { continue };
        for line in text.lines().skip(1) {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (Some(local), Some(_remote), Some(state)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let local_port = local.rsplit(':').next().and_then(|hex| u16::from_str_radix(hex, 16).ok());
            if local_port == Some(port) && state == TIME_WAIT {
                count += 1;
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_own_cpu_time_grows_with_work() {
        let pid = std::process::id();
        let before = super::cpu_us(pid).unwrap();
        let mut x = 1u64;
        for i in 0..20_000_000u64 {
            x = std::hint::black_box(x.wrapping_mul(i | 1));
        }
        assert!(super::cpu_us(pid).unwrap() > before, "{x}");
        assert!(super::memory_bytes(pid).unwrap() > 100_000);
    }

    #[test]
    fn a_client_that_closed_first_waits_on_its_own_port_not_the_servers() {
        use std::io::Read;
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server_port = listener.local_addr().unwrap().port();
        // A port the kernel chose may have been somebody's client port a moment ago, and wait still.
        let before = super::time_wait_on_port(server_port).unwrap();
        let client = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
        let client_port = client.local_addr().unwrap().port();
        let (mut accepted, _) = listener.accept().unwrap();
        drop(client);
        assert_eq!(accepted.read(&mut [0; 8]).unwrap(), 0);
        drop(accepted);
        // The last ACK crosses loopback before close() returns, so no waiting is needed.
        assert!(super::time_wait_on_port(server_port).unwrap() <= before);
        assert!(super::time_wait_on_port(client_port).unwrap() >= 1);
    }
}
