//! The Linux kernel as peer: each rule of connecting, closing and carrying, with the kernel's sockets at the other end of a TUN
//! or TAP. Run it in a network namespace of its own, as `cargo xtask interop` does: `unshare --net kernel_peer`.
//!
//! One line a check, `ok NAME` or `FAILED NAME: why`; last `N passed, N failed`.

use device::Device;
use device::fault::{Fault, Faults};
use device::tun::{Kind, Options, Tun};
use stack::{Config, InterfaceConfig, InterfaceId, Prefix};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use switchboard_net::{Net, TcpListener, TcpStream, UdpSocket};
use wire::ethernet::MacAddr;

type Outcome = Result<(), String>;

/// Nothing here takes longer than this unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// One link between us and the kernel, seen in one address family.
struct Link {
    net: Net,
    ours: IpAddr,
    kernel: IpAddr,
}

impl Link {
    fn ours(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ours, port)
    }

    fn kernel(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.kernel, port)
    }

    /// A connection that we opened, and the kernel's end of it.
    fn we_open(&self) -> io::Result<(TcpStream, std::net::TcpStream)> {
        let listener = std::net::TcpListener::bind(self.kernel(0))?;
        let ours = TcpStream::connect(&self.net, listener.local_addr()?)?;
        let (kernels, _) = listener.accept()?;
        patient(&ours, &kernels)?;
        Ok((ours, kernels))
    }

    /// A connection that the kernel opened.
    fn kernel_opens(&self) -> io::Result<(TcpStream, std::net::TcpStream)> {
        let listener = TcpListener::bind(&self.net, self.ours(0))?;
        let kernels = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (ours, _) = listener.accept()?;
        patient(&ours, &kernels)?;
        Ok((ours, kernels))
    }

    fn time_waits(&self) -> usize {
        self.net.with_stack(|stack, _| stack.tcp_counts().time_wait)
    }
}

fn patient(ours: &TcpStream, kernels: &std::net::TcpStream) -> io::Result<()> {
    ours.set_read_timeout(Some(PATIENCE))?;
    ours.set_write_timeout(Some(PATIENCE))?;
    kernels.set_read_timeout(Some(PATIENCE))?;
    kernels.set_write_timeout(Some(PATIENCE))
}

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let mut tally = Tally { passed: 0, failed: 0, only };
    let tun = |offload| Options { name: "peer%d".into(), kind: Kind::Tun, offload, ..addresses() };
    let tap = Options { name: "peer%d".into(), kind: Kind::Tap, ..addresses() };
    tally.link("tun", &tun(true), None, GIB);
    tally.link("tun-plain", &tun(false), None, 64 * MIB);
    tally.link("tap", &tap, None, 64 * MIB);
    tally.run("tap-slaac", slaac);
    let loss = Faults { lose: 50_000, ..Faults::default() };
    tally.link("tun-lossy", &tun(false), Some(loss), 8 * MIB);
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The kernel's addresses on the link.
fn addresses() -> Options {
    let addr = |text: &str| text.parse().expect("an address");
    Options { addresses: vec![(addr("10.77.0.1"), 24), (addr("fd77::1"), 64)], ..Options::default() }
}

struct Tally {
    passed: u32,
    failed: u32,
    only: Option<String>,
}

impl Tally {
    fn run(&mut self, name: &str, check: impl FnOnce() -> Outcome) {
        if self.only.as_ref().is_none_or(|only| name.starts_with(only.as_str())) {
            let begun = Instant::now();
            let outcome = check();
            self.count(name, outcome, begun.elapsed());
        }
    }

    fn link(&mut self, name: &str, options: &Options, loss: Option<Faults>, bulk: usize) {
        if self.only.as_ref().is_some_and(|only| !only.starts_with(name) && !name.starts_with(only.as_str()))
        {
            return;
        }
        let net = match start(options, loss.as_ref()) {
            Ok(net) => net,
            Err(error) => {
                return self.count(&format!("{name}/start"), Err(error.to_string()), Duration::ZERO);
            }
        };
        for (family, ours, kernel) in [("v4", "10.77.0.2", "10.77.0.1"), ("v6", "fd77::2", "fd77::1")] {
            let parse = |text: &str| text.parse().expect("an address");
            let link = Link { net: net.clone(), ours: parse(ours), kernel: parse(kernel) };
            let mut check = |what: &str, check: &dyn Fn(&Link) -> Outcome| {
                let full = format!("{name}/{family}/{what}");
                if self.only.as_ref().is_some_and(|only| !full.starts_with(only.as_str())) {
                    return;
                }
                let begun = Instant::now();
                let outcome = check(&link);
                self.count(&full, outcome, begun.elapsed());
            };
            check("up", &up);
            if loss.is_some() {
                check("bulk-out", &|link| bulk_out(link, bulk));
                check("bulk-in", &|link| bulk_in(link, bulk));
                check("many", &|link| many(link, 100));
                continue;
            }
            check("ping", &ping);
            check("pinged", &pinged);
            check("refused-by-kernel", &refused_by_kernel);
            check("refused-by-us", &refused_by_us);
            check("no-host", &no_host);
            check("echo-from-us", &|link| echo(link.we_open()));
            check("echo-from-kernel", &|link| echo(link.kernel_opens()));
            check("half-close-by-us", &half_close_by_us);
            check("half-close-by-kernel", &half_close_by_kernel);
            check("we-close-first", &we_close_first);
            check("kernel-closes-first", &kernel_closes_first);
            check("both-close-at-once", &both_close_at_once);
            check("reset-by-us", &reset_by_us);
            check("reset-by-kernel", &reset_by_kernel);
            check("rebind-over-time-wait", &rebind_over_time_wait);
            check("udp", &udp);
            check("udp-fragments", &udp_fragments);
            check("udp-refused-by-kernel", &udp_refused_by_kernel);
            check("udp-refused-by-us", &udp_refused_by_us);
            check("many", &|link| many(link, 1_000));
            check("bulk-out", &|link| bulk_out(link, bulk));
            check("bulk-in", &|link| bulk_in(link, bulk));
        }
    }

    fn count(&mut self, name: &str, outcome: Outcome, took: Duration) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok {name} ({} ms)", took.as_millis());
            }
            Err(why) => {
                self.failed += 1;
                println!("FAILED {name}: {why}");
            }
        }
    }
}

fn start(options: &Options, loss: Option<&Faults>) -> io::Result<Net> {
    let tun = Tun::open(options)?;
    let capabilities = tun.capabilities();
    let interface = match options.kind {
        Kind::Tun => InterfaceConfig::ip(capabilities),
        Kind::Tap => InterfaceConfig::ethernet(capabilities, MacAddr([2, 0x77, 0, 0, 0, 2])),
    };
    let prefix = |text: &str| text.parse().expect("a prefix");
    let interface = interface.with_address(prefix("10.77.0.2/24")).with_address(prefix("fd77::2/64"));
    let config = Config { interfaces: vec![interface], ..Config::default() };
    match loss {
        None => Net::start(tun, &config),
        Some(loss) => Net::start(Fault::new(tun, 7, *loss, *loss), &config),
    }
}

/// What went wrong, with where.
fn at<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what()) }
}

fn expect_kind<T: std::fmt::Debug>(result: io::Result<T>, kind: ErrorKind) -> Outcome {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        other => Err(format!("{kind:?} was expected, not {other:?}")),
    }
}

/// Looks until it holds; addresses are probed first, and state changes take a moment.
fn soon(what: &str, mut holds: impl FnMut() -> bool) -> Outcome {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(format!("{what} did not come about"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn up(link: &Link) -> Outcome {
    soon("an answer to a ping", || link.net.ping(link.kernel, 0, 8, Duration::from_millis(300)).is_ok())
}

fn ping(link: &Link) -> Outcome {
    for (seq, len) in [(1, 0), (2, 56), (3, 1_400), (4, 20_000)] {
        at(&format!("{len} octets"), link.net.ping(link.kernel, seq, len, Duration::from_secs(5)))?;
    }
    Ok(())
}

/// The kernel asks us, by a raw socket; no ping program need be there.
fn pinged(link: &Link) -> Outcome {
    const SCRIPT: &str = r"
import socket, struct, sys
dst, v6 = sys.argv[1], ':' in sys.argv[1]
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW,
                  socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
s.settimeout(5)
def checksum(b):
    b += b'\0' * (len(b) % 2)
    n = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    n = (n >> 16) + (n & 0xffff)
    return ~(n + (n >> 16)) & 0xffff
for seq, size in enumerate((0, 56, 1400, 20000)):
    head, data = struct.pack('!BBHHH', 128 if v6 else 8, 0, 0, 7, seq), bytes(i & 255 for i in range(size))
    packet = head + data
    if not v6:
        packet = head[:2] + struct.pack('!H', checksum(packet)) + head[4:] + data
    s.sendto(packet, (dst, 0))
    while True:
        answer = s.recv(65535)
        if not v6:
            answer = answer[(answer[0] & 15) * 4:]
        if answer[0] == (129 if v6 else 0):
            assert answer[4:] == struct.pack('!HH', 7, seq) + data, 'another answer'
            break
";
    let output = Command::new("python3").args(["-c", SCRIPT, &link.ours.to_string()]).output();
    let output = at("python3", output)?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The kernel plays the router: from its advertisement we form an address and learn where to send, and both ends then talk.
fn slaac() -> Outcome {
    const SCRIPT: &str = r"
import socket, struct, sys, time
index = socket.if_nametoindex(sys.argv[1])
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
router = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0)
prefix = struct.pack('!BBBBIII16s', 3, 4, 64, 0xc0, 7200, 3600, 0, socket.inet_pton(socket.AF_INET6, 'fd78::'))
for _ in range(100):
    try:
        # Routers speak from their link-local address (RFC 4861 6.1.2), which is still being probed for at first.
        lines = (line.split() for line in open('/proc/net/if_inet6'))
        local = next(w[0] for w in lines if w[5] == sys.argv[1] and w[0].startswith('fe80'))
        s.bind((socket.inet_ntop(socket.AF_INET6, bytes.fromhex(local)), 0, 0, index))
        break
    except (OSError, StopIteration):
        time.sleep(0.1)
else:
    sys.exit('no link-local address came about')
s.sendto(router + prefix, ('ff02::1', 0, 0, index))
";
    let addr = |text: &str| text.parse().expect("an address");
    let options = Options {
        name: "slaac%d".into(),
        kind: Kind::Tap,
        addresses: vec![(addr("fd78::1"), 64)],
        ..Options::default()
    };
    let tap = at("tap", Tun::open(&options))?;
    let name = tap.name().to_owned();
    let interface = InterfaceConfig::ethernet(tap.capabilities(), MacAddr([2, 0x78, 0, 0, 0, 2]));
    let interface = InterfaceConfig { autoconfigure: true, ..interface };
    let net = at("host", Net::start(tap, &Config { interfaces: vec![interface], ..Config::default() }))?;
    let output = at("python3", Command::new("python3").args(["-c", SCRIPT, &name]).output())?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
    let formed = || {
        net.with_stack(|stack, _| {
            let addresses = stack.addresses(InterfaceId(0)).iter().filter(|a| a.is_assigned());
            addresses.map(|a| a.prefix.addr()).find(|a: &IpAddr| a.to_string().starts_with("fd78:"))
        })
    };
    soon("an address of our own", || formed().is_some())?;
    let ours = formed().ok_or("the address went again")?;
    let router = net.with_stack(|stack, _| stack.routes().find(|r| r.prefix == Prefix::DEFAULT_V6).copied());
    ensure(router.is_some(), || "no default route was learnt".into())?;
    let link = Link { net, ours, kernel: addr("fd78::1") };
    up(&link)?;
    pinged(&link)?;
    echo(link.we_open())?;
    echo(link.kernel_opens())
}

fn refused_by_kernel(link: &Link) -> Outcome {
    expect_kind(TcpStream::connect(&link.net, link.kernel(9)), ErrorKind::ConnectionRefused)
}

fn refused_by_us(link: &Link) -> Outcome {
    expect_kind(std::net::TcpStream::connect_timeout(&link.ours(9), PATIENCE), ErrorKind::ConnectionRefused)
}

/// No route leads there; the kernel would say so too.
fn no_host(link: &Link) -> Outcome {
    let elsewhere = if link.ours.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let elsewhere = elsewhere.parse().expect("an address");
    expect_kind(TcpStream::connect(&link.net, elsewhere), ErrorKind::NetworkUnreachable)
}

fn echo(pair: io::Result<(TcpStream, std::net::TcpStream)>) -> Outcome {
    let (mut ours, mut kernels) = at("open", pair)?;
    let mut buffer = [0; 4];
    for word in [b"ping", b"pong"] {
        at("send", ours.write_all(word))?;
        at("kernel recv", kernels.read_exact(&mut buffer))?;
        at("kernel send", kernels.write_all(&buffer))?;
        at("recv", ours.read_exact(&mut buffer))?;
        ensure(&buffer == word, || format!("{buffer:?} came back"))?;
    }
    let peers = at("addresses", ours.peer_addr().and_then(|peer| Ok((peer, kernels.local_addr()?))))?;
    ensure(peers.0 == peers.1, || format!("{peers:?} differ"))
}

fn read_all(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    Ok(all)
}

fn half_close_by_us(link: &Link) -> Outcome {
    let (mut ours, mut kernels) = at("open", link.we_open())?;
    at("send", ours.write_all(b"question"))?;
    at("shutdown", ours.shutdown(Shutdown::Write))?;
    let question = at("kernel recv", read_all(&mut kernels))?;
    ensure(question == b"question", || format!("{question:?}"))?;
    let answer = vec![7; 300 * KIB];
    let sent = answer.clone();
    let writer = thread::spawn(move || kernels.write_all(&sent));
    let got = at("recv", read_all(&mut ours))?;
    at("kernel send", writer.join().map_err(|_| "panicked").and_then(|r| r.map_err(|_| "failed")))?;
    ensure(got == answer, || format!("{} octets came", got.len()))
}

fn half_close_by_kernel(link: &Link) -> Outcome {
    let (mut ours, mut kernels) = at("open", link.kernel_opens())?;
    at("kernel send", kernels.write_all(b"question"))?;
    at("kernel shutdown", kernels.shutdown(Shutdown::Write))?;
    let question = at("recv", read_all(&mut ours))?;
    ensure(question == b"question", || format!("{question:?}"))?;
    let answer = vec![9; 300 * KIB];
    let sent = answer.clone();
    let writer = thread::spawn(move || ours.write_all(&sent));
    let got = at("kernel recv", read_all(&mut kernels))?;
    at("send", writer.join().map_err(|_| "panicked").and_then(|r| r.map_err(|_| "failed")))?;
    ensure(got == answer, || format!("{} octets came", got.len()))
}

/// The kernel's sockets in one of the states (06 is TIME-WAIT) between two ports, its own first; of this namespace.
fn kernel_sockets(states: &[&str], (local, remote): (u16, u16)) -> usize {
    let ends = |addr: &str, port: u16| addr.ends_with(&format!(":{port:04X}"));
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .map(|text| {
            let is_meant = |line: &&str| {
                let words: Vec<_> = line.split_whitespace().collect();
                words.len() > 3
                    && states.contains(&words[3])
                    && ends(words[1], local)
                    && ends(words[2], remote)
            };
            text.lines().skip(1).filter(is_meant).count()
        })
        .sum()
}

/// The kernel's port and ours.
fn ports(kernels: &std::net::TcpStream) -> Result<(u16, u16), String> {
    Ok((at("address", kernels.local_addr())?.port(), at("peer", kernels.peer_addr())?.port()))
}

fn we_close_first(link: &Link) -> Outcome {
    let before = link.time_waits();
    let (ours, mut kernels) = at("open", link.kernel_opens())?;
    let ports = ports(&kernels)?;
    drop(ours);
    ensure(at("kernel recv", read_all(&mut kernels))?.is_empty(), || "octets from nowhere".into())?;
    drop(kernels);
    soon("our TIME-WAIT", || link.time_waits() == before + 1)?;
    ensure(kernel_sockets(&["06"], ports) == 0, || "the kernel waits too".into())
}

fn kernel_closes_first(link: &Link) -> Outcome {
    let before = link.time_waits();
    let (mut ours, kernels) = at("open", link.we_open())?;
    let ports = ports(&kernels)?;
    drop(kernels);
    ensure(at("recv", read_all(&mut ours))?.is_empty(), || "octets from nowhere".into())?;
    drop(ours);
    soon("the kernel's TIME-WAIT", || kernel_sockets(&["06"], ports) == 1)?;
    ensure(link.time_waits() == before, || "we wait too".into())
}

fn both_close_at_once(link: &Link) -> Outcome {
    for _ in 0..50 {
        let (ours, kernels) = at("open", link.we_open())?;
        let ports = ports(&kernels)?;
        let other = thread::spawn(move || drop(kernels));
        drop(ours);
        at("close", other.join().map_err(|_| "panicked"))?;
        // Whoever waits, neither is left in any state of closing: FIN-WAIT-1, FIN-WAIT-2, CLOSING, LAST-ACK, CLOSE-WAIT.
        soon("the end", || kernel_sockets(&["04", "05", "0B", "09", "08"], ports) == 0)?;
    }
    Ok(())
}

fn reset_by_us(link: &Link) -> Outcome {
    let (ours, mut kernels) = at("open", link.we_open())?;
    ours.abort();
    expect_kind(kernels.read(&mut [0]), ErrorKind::ConnectionReset)
}

fn reset_by_kernel(link: &Link) -> Outcome {
    let (mut ours, kernels) = at("open", link.kernel_opens())?;
    at("send", ours.write_all(b"unread"))?;
    soon("arrival", || kernels.peek(&mut [0; 8]).is_ok_and(|len| len == 6))?;
    drop(kernels); // data unread: Linux resets
    expect_kind(ours.read(&mut [0]), ErrorKind::ConnectionReset)
}

fn rebind_over_time_wait(link: &Link) -> Outcome {
    // The kernel connects twice from one port, which takes SO_REUSEADDR on its side, which std has not. Each run has a port of its
    // own, below the ephemeral ones, since the kernel's end of the second connection waits itself.
    const SCRIPT: &str = r"
import socket, sys
ours, kernels, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
def connect():
    s = socket.socket(socket.AF_INET6 if ':' in ours else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(20)
    s.bind((kernels, port))
    s.connect((ours, 7777))
    return s
first = connect()
assert first.recv(1) == b''
first.close()
input()
connect().sendall(b'again')
";
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let port = PORT.fetch_add(1, Ordering::Relaxed).to_string();
    let before = link.time_waits();
    let listener = at("bind", TcpListener::bind(&link.net, link.ours(7_777)))?;
    expect_kind(TcpListener::bind(&link.net, link.ours(7_777)), ErrorKind::AddrInUse)?;
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT, &link.ours.to_string(), &link.kernel.to_string(), &port]);
    let mut kernels = at("python3", command.stdin(Stdio::piped()).spawn())?;
    let (ours, peer) = at("accept", listener.accept())?;
    drop(ours);
    soon("TIME-WAIT", || link.time_waits() > before)?;
    drop(listener);
    let listener = at("rebind", TcpListener::bind(&link.net, link.ours(7_777)))?;
    // A newer SYN ends the wait (RFC 6191).
    at("go on", kernels.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(b"\n")))?;
    let (mut ours, again) = at("accept again", listener.accept())?;
    ensure(again == peer, || format!("{again} is not {peer}"))?;
    let data = at("recv", read_all(&mut ours))?;
    ensure(data == b"again", || format!("{data:?}"))?;
    let status = at("python3", kernels.wait())?;
    ensure(status.success(), || format!("python3: {status}"))
}

fn udp_pair(link: &Link) -> io::Result<(UdpSocket, std::net::UdpSocket)> {
    let ours = UdpSocket::bind(&link.net, link.ours(0))?;
    let kernels = std::net::UdpSocket::bind(link.kernel(0))?;
    ours.set_read_timeout(Some(Duration::from_secs(10)))?;
    kernels.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok((ours, kernels))
}

fn udp_round(link: &Link, sizes: &[usize]) -> Outcome {
    let (ours, kernels) = at("bind", udp_pair(link))?;
    let to_kernel = at("address", kernels.local_addr())?;
    let mut buffer = vec![0; 65_535];
    for &size in sizes {
        let data: Vec<u8> = (0..size).map(|i| (i * 11) as u8).collect();
        at("send", ours.send_to(&data, to_kernel))?;
        let (len, from) = at("kernel recv", kernels.recv_from(&mut buffer))?;
        ensure(buffer[..len] == data, || format!("{len} octets of {size} came"))?;
        at("kernel send", kernels.send_to(&data, from))?;
        let (len, from) = at("recv", ours.recv_from(&mut buffer))?;
        ensure(buffer[..len] == data && from == to_kernel, || format!("{len} octets of {size} from {from}"))?;
    }
    Ok(())
}

fn udp(link: &Link) -> Outcome {
    udp_round(link, &[0, 1, 512, 1_452])
}

fn udp_fragments(link: &Link) -> Outcome {
    udp_round(link, &[1_453, 1_473, 4_000, 20_000, 65_507])
}

fn udp_refused_by_kernel(link: &Link) -> Outcome {
    let ours = at("bind", UdpSocket::bind(&link.net, link.ours(0)))?;
    at("connect", ours.connect(link.kernel(9)))?;
    at("timeout", ours.set_read_timeout(Some(Duration::from_secs(10))))?;
    at("send", ours.send(b"anyone?"))?;
    expect_kind(ours.recv(&mut [0; 8]), ErrorKind::ConnectionRefused)
}

fn udp_refused_by_us(link: &Link) -> Outcome {
    let kernels = at("bind", std::net::UdpSocket::bind(link.kernel(0)))?;
    at("connect", kernels.connect(link.ours(9)))?;
    at("timeout", kernels.set_read_timeout(Some(Duration::from_secs(10))))?;
    at("send", kernels.send(b"anyone?"))?;
    expect_kind(kernels.recv(&mut [0; 8]), ErrorKind::ConnectionRefused)
}

/// So many connections open at once, half opened by each side, each carrying a word both ways before any closes.
fn many(link: &Link, count: usize) -> Outcome {
    let half = count / 2;
    let our_listener = at("bind", TcpListener::bind(&link.net, link.ours(0)))?;
    let to_us = at("address", our_listener.local_addr())?;
    let kernel_listener = at("kernel bind", std::net::TcpListener::bind(link.kernel(0)))?;
    let to_kernel = at("kernel address", kernel_listener.local_addr())?;
    let accepted = thread::spawn(move || {
        (0..half).map(|_| our_listener.accept().map(|a| a.0)).collect::<io::Result<Vec<_>>>()
    });
    let kernel_accepted = thread::spawn(move || {
        (0..half).map(|_| kernel_listener.accept().map(|a| a.0)).collect::<io::Result<Vec<_>>>()
    });
    let mut kernels = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..half {
        kernels.push(at("kernel connect", std::net::TcpStream::connect(to_us))?);
        ours.push(at("connect", TcpStream::connect(&link.net, to_kernel))?);
    }
    let joined = |result: thread::Result<io::Result<_>>| {
        result.map_err(|_| "panicked".to_owned())?.map_err(|e| e.to_string())
    };
    let ours_in: Vec<TcpStream> = at("accept", joined(accepted.join()))?;
    let joined = |result: thread::Result<io::Result<_>>| {
        result.map_err(|_| "panicked".to_owned())?.map_err(|e| e.to_string())
    };
    let kernels_in: Vec<std::net::TcpStream> = at("kernel accept", joined(kernel_accepted.join()))?;
    // Where segments get lost, the order of accepting is not that of connecting.
    let ours = ours.into_iter().chain(ours_in);
    let kernels = kernels.into_iter().chain(kernels_in);
    let mut by_ends = HashMap::new();
    for stream in kernels {
        by_ends.insert(at("ends", stream.local_addr().and_then(|a| Ok((a, stream.peer_addr()?))))?, stream);
    }
    ensure(by_ends.len() == half * 2, || format!("{} connections", by_ends.len()))?;
    let mut pairs = Vec::new();
    for ours in ours {
        let ends = at("ends", ours.peer_addr().and_then(|a| Ok((a, ours.local_addr()?))))?;
        let kernels = by_ends.remove(&ends).ok_or_else(|| format!("{ends:?} is unknown to the kernel"))?;
        pairs.push((ours, kernels));
    }
    for (index, (ours, kernels)) in pairs.iter_mut().enumerate() {
        at("patience", patient(ours, kernels))?;
        let word = (index as u64).to_be_bytes();
        let mut back = [0; 8];
        at("send", ours.write_all(&word))?;
        at("kernel recv", kernels.read_exact(&mut back))?;
        at("kernel send", kernels.write_all(&back))?;
        at("recv", ours.read_exact(&mut back))?;
        ensure(back == word, || format!("connection {index} carried another's word"))?;
    }
    Ok(())
}

/// Pseudo-random octets, the same for the same seed.
struct Octets {
    block: Vec<u8>,
    index: u64,
}

impl Octets {
    fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(256 * KIB);
        while block.len() < 256 * KIB {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        Self { block, index: 0 }
    }

    /// The next block; each is stamped, so that none may be lost, repeated or swapped unseen.
    fn next(&mut self) -> &[u8] {
        self.index += 1;
        let stamp = self.index.to_le_bytes();
        self.block[..8].copy_from_slice(&stamp);
        &self.block
    }
}

fn send_bulk(stream: &mut impl Write, len: usize) -> io::Result<u64> {
    let (mut octets, mut hasher, mut left) = (Octets::new(), DefaultHasher::new(), len);
    while left > 0 {
        let block = octets.next();
        let block = &block[..block.len().min(left)];
        hasher.write(block);
        stream.write_all(block)?;
        left -= block.len();
    }
    Ok(hasher.finish())
}

fn recv_bulk(stream: &mut impl Read) -> io::Result<(u64, usize)> {
    let (mut hasher, mut total) = (DefaultHasher::new(), 0);
    let mut buffer = vec![0; 256 * KIB];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), total)),
            len => {
                hasher.write(&buffer[..len]);
                total += len;
            }
        }
    }
}

fn compare(
    sent: thread::Result<io::Result<u64>>,
    received: io::Result<(u64, usize)>,
    len: usize,
    took: Duration,
) -> Outcome {
    let sent = at("send", sent.map_err(|_| "panicked".to_owned()).and_then(|r| r.map_err(|e| e.to_string())));
    let (hash, total) = at("recv", received)?;
    let sent = sent?;
    println!("   {} MiB, {:.2} Gbit/s", total / MIB, total as f64 * 8.0 / took.as_secs_f64() / 1e9);
    ensure((hash, total) == (sent, len), || {
        format!("{total} of {len} octets came, hash {hash:x}, not {sent:x}")
    })
}

fn bulk_out(link: &Link, len: usize) -> Outcome {
    let (mut ours, mut kernels) = at("open", link.we_open())?;
    let begun = Instant::now();
    let sender = thread::spawn(move || {
        let hash = send_bulk(&mut ours, len)?;
        ours.shutdown(Shutdown::Write)?;
        Ok(hash)
    });
    let received = recv_bulk(&mut kernels);
    drop(kernels);
    compare(sender.join(), received, len, begun.elapsed())
}

fn bulk_in(link: &Link, len: usize) -> Outcome {
    let (mut ours, mut kernels) = at("open", link.kernel_opens())?;
    let begun = Instant::now();
    let sender = thread::spawn(move || {
        let hash = send_bulk(&mut kernels, len)?;
        kernels.shutdown(Shutdown::Write)?;
        Ok(hash)
    });
    let received = recv_bulk(&mut ours);
    drop(ours);
    compare(sender.join(), received, len, begun.elapsed())
}
