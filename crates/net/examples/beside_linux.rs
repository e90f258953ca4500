//! Beside Linux: our sender and the kernel's CUBIC over one `sim::link`, driven in real time between two TUNs in network namespaces.
//!
//! ```text
//!   kernel A, 10.88.0.1 -- TUN --.
//!                                 >-- sim::link: rate, queue, delay, loss -- TUN -- kernel B, 10.88.0.3, which receives
//!   our stack, 10.88.0.2 --------'
//! ```
//!
//! `cargo build --release -p switchboard-net --example beside_linux`, then as root
//! `unshare --net target/release/examples/beside_linux [--seconds N] [--rounds N] [CASE ...]`; cases `loss-0 loss-0.1 loss-1 loss-5
//! share`. A JSON line a figure: `{"case":"goodput-loss-1-mbit","side":"ours","value":..,"unit":"Mbit/s","n":..}`, n the round.
//!
//! Owns: the namespace of kernel B, which goes with the child that holds it. Goodput is what kernel B acknowledged over the second
//! half and more of a run (the first two seconds are left out), read from the frames themselves, for both sides alike.
//! Needs root, `unshare`, `nsenter` and `ip`. Not here: the same path in virtual time (`sim::goodput`).

use device::Device;
use device::tun::{Kind, Options, Tun};
use sim::goodput::Path;
use sim::link::{End, Link};
use stack::frame::{Capabilities, FrameQueue, RxFrame, RxMeta};
use stack::{Config, InterfaceConfig, InterfaceId, Secret, Stack, TcpHandle};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tcp::{CongestionKind, SendFlags, TcpInfo};
use wire::meta::{Nanos, TxMeta};

const KERNEL_A: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 2);
const KERNEL_B: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 3);
const PORT: u16 = 5001;
/// Left out at the start of each run: handshake and slow start.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the loop sleeps when nothing is due: a tenth of a millisecond of jitter on 20.
const NAP: Duration = Duration::from_micros(60);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("sink") => sink(),
        _ => run(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("beside_linux: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What runs in the namespace of kernel B: reads whatever comes.
fn sink() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    loop {
        let (mut stream, _) = listener.accept()?;
        thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
    }
}

/// A case: its name, the path, and who sends.
struct Case {
    name: &'static str,
    loss: u32,
    shared: bool,
}

const CASES: [Case; 5] = [
    Case { name: "loss-0", loss: 0, shared: false },
    Case { name: "loss-0.1", loss: 1_000, shared: false },
    Case { name: "loss-1", loss: 10_000, shared: false },
    Case { name: "loss-5", loss: 50_000, shared: false },
    Case { name: "share", loss: 0, shared: true },
];

fn run(words: &[String]) -> io::Result<()> {
    let after = |flag: &str| {
        let at = words.iter().position(|word| word == flag)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    let seconds = after("--seconds").unwrap_or(12);
    let rounds = after("--rounds").unwrap_or(1);
    let asked = |name: &str| {
        !words.iter().any(|w| w.starts_with("loss") || w == "share") || words.iter().any(|w| w == name)
    };
    let mut rig = Rig::new()?;
    for round in 1..=rounds {
        for case in CASES.iter().filter(|case| asked(case.name)) {
            // 100 Mbit/s and a queue of one round trip; seeds differ by round, and are the same for both sides.
            let path = Path { rate: 100_000_000, queue_max: 167, ..Path::of_loss(case.loss, round) };
            let span = Duration::from_secs(seconds);
            if case.shared {
                let [ours, kernel] = rig.measure(&path, span * 2, [true, true])?;
                let share = ours / (ours + kernel) * 100.0;
                eprintln!("share: ours {ours:.1}, kernel {kernel:.1} Mbit/s");
                figure("share-of-bottleneck-percent", "ours", share, "%", round);
                figure("share-of-bottleneck-percent", "kernel", 100.0 - share, "%", round);
            } else {
                let name = format!("goodput-{}-mbit", case.name);
                figure(&name, "ours", rig.measure(&path, span, [true, false])?[0], "Mbit/s", round);
                figure(&name, "kernel", rig.measure(&path, span, [false, true])?[1], "Mbit/s", round);
            }
        }
    }
    Ok(())
}

fn figure(case: &str, side: &str, value: f64, unit: &str, n: u64) {
    println!(r#"{{"case":"{case}","side":"{side}","value":{value:.3},"unit":"{unit}","n":{n}}}"#);
}

/// The two TUNs, and kernel B.
struct Rig {
    tun_a: Tun,
    tun_b: Tun,
    kernel_b: Child,
    origin: Instant,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.kernel_b.kill(); // it may have ended
        let _ = self.kernel_b.wait();
    }
}

fn command(words: &[&str]) -> io::Result<()> {
    let status = Command::new(words[0]).args(&words[1..]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{}: {status}", words.join(" ")))) }
}

impl Rig {
    fn new() -> io::Result<Rig> {
        let tun = |name: &str, addresses| {
            Tun::open(&Options {
                name: name.into(),
                kind: Kind::Tun,
                offload: false,
                addresses,
                ..Options::default()
            })
        };
        let tun_a = tun("sbA", vec![(KERNEL_A.into(), 24)])?;
        let tun_b = tun("sbB", Vec::new())?;
        let this = std::env::current_exe()?;
        let kernel_b = Command::new("unshare")
            .args(["--net", "--"])
            .arg(this)
            .arg("sink")
            .stdin(Stdio::null())
            .spawn()?;
        let pid = kernel_b.id().to_string();
        let rig = Rig { tun_a, tun_b, kernel_b, origin: Instant::now() };
        // `unshare` has to have come into its namespace before the interface can follow.
        let own = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(format!("/proc/{pid}/ns/net"))? == own {
            thread::sleep(Duration::from_millis(5));
        }
        command(&["ip", "link", "set", "sbB", "netns", &pid])?;
        let inside = |words: &[&str]| {
            let mut all = vec!["nsenter", "-t", &pid, "-n"];
            all.extend(words);
            command(&all)
        };
        inside(&["ip", "addr", "add", "10.88.0.3/24", "dev", "sbB"])?;
        inside(&["ip", "link", "set", "sbB", "up"])?;
        // What one run learns of the path must not help the next.
        std::fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1")?;
        Ok(rig)
    }

    fn now(&self) -> tcp::Instant {
        tcp::Instant::from_nanos(self.origin.elapsed().as_nanos() as u64)
    }

    /// Runs one path for `span` with our sender, the kernel's, or both; Mbit/s of each.
    fn measure(&mut self, path: &Path, span: Duration, [ours, kernel]: [bool; 2]) -> io::Result<[f64; 2]> {
        let mut link = path.link();
        let begun = self.now();
        let mut sender = if ours { Some(Ours::new(begun, path.seed)?) } else { None };
        let kernel = kernel.then(KernelSender::start);
        let mut flows = [Flow::default(), Flow::default()];
        let (start, end) = (begun + WARM_UP, begun + WARM_UP + span);
        let trace = std::env::var_os("BESIDE_TRACE").is_some();
        let mut next_trace = begun;
        loop {
            let now = self.now();
            if now >= end {
                break;
            }
            let mut busy = self.carry(now, &mut link, sender.as_mut(), &mut flows, now >= start)?;
            if let Some(sender) = &mut sender {
                busy |= sender.turn(now, &mut link);
                if trace && now >= next_trace {
                    next_trace = now + Duration::from_millis(100);
                    sender.trace(now - begun);
                }
            }
            if !busy {
                thread::sleep(NAP);
            }
        }
        if let Some(kernel) = kernel {
            kernel.stop();
        }
        // What is under way drains, and the kernel's sockets hear RST or time out on a link of no one.
        if let Some(sender) = &mut sender {
            let info = sender.info();
            eprintln!(
                "  ours: again {} of {} octets, spurious {}, srtt {:?}, cwnd {}, ssthresh {}",
                info.total_retransmits,
                flows[0].octets,
                info.spurious_recoveries,
                info.srtt,
                info.cwnd,
                info.ssthresh
            );
            sender.abort(self.now());
        }
        let until = self.now() + Duration::from_millis(300);
        let mut ignored = [Flow::default(), Flow::default()];
        while self.now() < until {
            let now = self.now();
            self.carry(now, &mut link, sender.as_mut(), &mut ignored, false)?;
            if let Some(sender) = &mut sender {
                sender.turn(now, &mut link);
            }
            thread::sleep(NAP);
        }
        Ok(flows.map(|flow| flow.octets as f64 * 8.0 / span.as_secs_f64() / 1e6))
    }

    /// Moves frames between TUNs and link. True if there were any.
    fn carry(
        &mut self,
        now: tcp::Instant,
        link: &mut Link,
        mut ours: Option<&mut Ours>,
        flows: &mut [Flow; 2],
        counts: bool,
    ) -> io::Result<bool> {
        let mut busy = false;
        let nanos = Nanos(now.as_nanos());
        for (tun, end) in [(&mut self.tun_a, End::A), (&mut self.tun_b, End::B)] {
            let batch = tun.receive(nanos, 0, 64)?;
            for frame in (0..batch.len()).map(|index| batch.frame(index)) {
                // IPv6 is for neighbours that are not there.
                if frame.bytes.first().is_some_and(|first| first >> 4 == 4) {
                    busy = true;
                    link.send(now, end, frame.bytes.to_vec());
                }
            }
        }
        while let Some((to, frame)) = link.poll(now) {
            busy = true;
            let for_ours = frame.get(16..20) == Some(&OURS.octets()[..]);
            if to == End::B {
                write(&mut self.tun_b, nanos, &frame)?;
            } else {
                flows[usize::from(!for_ours)].on_frame(&frame, counts);
                match (for_ours, ours.as_deref_mut()) {
                    (true, Some(ours)) => ours.hear(now, &frame),
                    (true, None) => {}
                    (false, _) => write(&mut self.tun_a, nanos, &frame)?,
                }
            }
        }
        Ok(busy)
    }
}

fn write(tun: &mut Tun, now: Nanos, frame: &[u8]) -> io::Result<()> {
    let sink = tun.transmit(now, 0);
    if let Some(room) = sink.reserve(frame.len()) {
        room.copy_from_slice(frame);
        sink.commit(frame.len(), TxMeta::default());
    }
    tun.flush(now, 0)
}

/// What kernel B has acknowledged of one sender's data.
#[derive(Default, Clone, Copy)]
struct Flow {
    port: u16,
    ack: u32,
    octets: u64,
}

impl Flow {
    fn on_frame(&mut self, frame: &[u8], counts: bool) {
        let Ok(packet) = wire::ipv4::Packet::new(frame) else { return };
        let Ok(segment) = wire::tcp::Packet::new(packet.payload()) else { return };
        if segment.src_port() != PORT || !segment.flags().ack() || segment.flags().rst() {
            return;
        }
        let moved = segment.ack().wrapping_sub(self.ack);
        if segment.dst_port() != self.port {
            (self.port, self.ack) = (segment.dst_port(), segment.ack());
        } else if moved < 1 << 31 {
            self.ack = segment.ack();
            if counts {
                self.octets += u64::from(moved);
            }
        }
    }
}

/// Our stack with one connection that always has something to say.
struct Ours {
    stack: Stack,
    socket: TcpHandle,
    sink: FrameQueue,
    data: Vec<u8>,
}

impl Ours {
    fn new(now: tcp::Instant, seed: u64) -> io::Result<Ours> {
        let prefix = "10.88.0.2/24".parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        let interface = InterfaceConfig::ip(Capabilities::default()).with_address(prefix);
        let mut config = Config { interfaces: vec![interface], ..Config::default() };
        if std::env::var_os("BESIDE_UNPACED").is_some() {
            Arc::make_mut(&mut config.tcp.connection.defaults).pacing = false;
        }
        if std::env::var_os("BESIDE_RENO").is_some() {
            Arc::make_mut(&mut config.tcp.connection.defaults).congestion = CongestionKind::Reno;
        }
        // Another host each time, so that kernel B's TIME-WAITs are no business of ours.
        let seed = seed.wrapping_mul(1_000_003) ^ now.as_nanos();
        let mut stack = Stack::new(&config, &Secret::from_seed(seed), now)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let socket = stack.tcp_connect_to(now, SocketAddr::from((KERNEL_B, PORT)))?;
        Ok(Ours { stack, socket, sink: FrameQueue::new(256), data: vec![0x5a; 1 << 16] })
    }

    fn hear(&mut self, now: tcp::Instant, frame: &[u8]) {
        let frame = RxFrame { bytes: frame, meta: RxMeta::default() };
        self.stack.handle_frame(now, InterfaceId(0), frame);
    }

    /// Whatever is due. True if something left.
    fn turn(&mut self, now: tcp::Instant, link: &mut Link) -> bool {
        if self.stack.next_deadline(now).is_some_and(|deadline| deadline <= now) {
            self.stack.handle_deadline(now);
        }
        while self
            .stack
            .tcp_send(now, self.socket, &self.data, SendFlags::default())
            .is_ok_and(|taken| taken == self.data.len())
        {}
        while self.stack.poll_ready().is_some() {}
        self.stack.poll_transmit(now, &mut self.sink);
        let mut sent = false;
        while let Some((frame, _)) = self.sink.pop() {
            sent = true;
            link.send(now, End::A, frame);
        }
        sent
    }

    fn info(&self) -> TcpInfo {
        self.stack.tcp_info(self.socket).expect("the connection is open")
    }

    fn trace(&self, at: Duration) {
        if let Some(info) = self.stack.tcp_info(self.socket) {
            eprintln!(
                "{:.1} {} cwnd {} ssthresh {} unacked {} srtt {:?} rto {:?} again {} recovery {} backoff {}",
                at.as_secs_f64(),
                info.state,
                info.cwnd,
                info.ssthresh,
                info.unacked,
                info.srtt.unwrap_or_default(),
                info.rto,
                info.total_retransmits,
                info.in_recovery,
                info.backoff
            );
        }
    }

    fn abort(&mut self, now: tcp::Instant) {
        let _ = self.stack.tcp_abort(now, self.socket); // it may have failed
    }
}

/// A thread with a socket of kernel A that always has something to say.
struct KernelSender {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl KernelSender {
    fn start() -> KernelSender {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut stream = TcpStream::connect((KERNEL_B, PORT))?;
            stream.set_write_timeout(Some(Duration::from_millis(100)))?;
            rustix::net::sockopt::set_tcp_congestion(&stream, "cubic")?;
            // What is not yet sent must not disturb the next run: closing resets.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
            let data = vec![0x5a; 1 << 16];
            while !stopped.load(Ordering::Relaxed) {
                match stream.write(&data) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        KernelSender { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("  kernel's sender: {error}"),
            Err(_) => eprintln!("  kernel's sender panicked"),
        }
    }
}
