//! An echo server with a million clients, in memory: the server is tokio's, a task a client, on this stack; the clients are one more
//! stack at the other end of a cable, driven by hand on a thread of its own.
//!
//! `million [CLIENTS]` (1,000,000 if not said, some two gigabytes and a minute) says what a client costs the process, both ends, tasks
//! and all, and how long an echo takes once all of them are there.

use device::Device;
use device::memory::{Memory, pair};
use stack::{Config, Handle, Instant, InterfaceConfig, InterfaceId, Secret, Stack, TcpHandle};
use std::io;
use std::net::SocketAddr;
use switchboard_net::{Net, TcpListener, TcpStream};
use tcp::SendFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::meta::{Capabilities, Nanos};

/// Clients of one port of the server: an address has only so many ports to come from.
const PER_PORT: usize = 60_000;
/// Clients that come at once: what a listener of `net`, as one of std's, holds until it is accepted. Were they more, each batch would
/// wait for what the full queue made its last ones send again, a fifth of a second, and a million clients for a quarter of an hour.
const TOGETHER: usize = 128;
/// Echoes once all are there.
const ECHOES: usize = 10_000;
/// No answer takes longer, unless something is broken.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const WORDS: &[u8] = b"are you there?";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let count: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1_000_000);
    let (ours, theirs) = pair(Capabilities::default());
    let config = |addr: &str| Config {
        interfaces: vec![
            InterfaceConfig::ip(Capabilities::default()).with_address(addr.parse().expect("a prefix")),
        ],
        ephemeral_ports: (1_024, 65_535),
        ..Config::default()
    };
    let host = Net::start(ours, &config("10.0.0.2/24"))?;
    for port in 0..count.div_ceil(PER_PORT) {
        let listener = TcpListener::bind(&host, server(port))?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept_async().await {
                tokio::spawn(echo(stream));
            }
        });
    }
    let clients = Clients::new(theirs, &config("10.0.0.1/24"))?;
    let (done, outcome) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(clients.run(count)); // nobody listens once main has ended
    });
    outcome.await.map_err(io::Error::other)?
}

fn server(port: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, 2].into(), 1_000 + port as u16)
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut words = [0; 64];
    loop {
        match stream.read(&mut words).await? {
            0 => return Ok(()),
            len => stream.write_all(&words[..len]).await?,
        }
    }
}

/// The other end: a stack without a thread, a socket API or a clock of its own.
struct Clients {
    stack: Stack,
    device: Memory,
    origin: std::time::Instant,
}

impl Clients {
    fn new(device: Memory, config: &Config) -> io::Result<Self> {
        let stack = Stack::new(config, &Secret::from_seed(7), Instant::ZERO).map_err(io::Error::other)?;
        Ok(Clients { stack, device, origin: std::time::Instant::now() })
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.origin.elapsed().as_nanos() as u64)
    }

    /// One turn: frames in, time, frames out. Whether any came or went.
    fn turn(&mut self) -> io::Result<bool> {
        let now = self.now();
        let nanos = Nanos(now.as_nanos());
        let frames = self.device.receive(nanos, 0, 256)?;
        let came = frames.len();
        self.stack.handle_frames(now, InterfaceId(0), frames);
        self.stack.handle_deadline(now);
        let went = self.stack.poll_transmit(now, &mut self.device.transmit(nanos, 0));
        self.device.flush(nanos, 0)?;
        Ok(came + went > 0)
    }

    /// Reads what has come; returns how many octets that was.
    fn listen(&mut self) -> usize {
        let (mut heard, mut answer, now) = (0, [0; 64], self.now());
        while let Some((Handle::Tcp(client), _)) = self.stack.poll_ready() {
            // Nothing is no error: it may have opened, or may send again.
            heard += self.stack.tcp_recv(now, client, &mut answer).unwrap_or(0);
        }
        heard
    }

    /// Says the words to the server, from each of `clients`, and waits until it has said them back to all.
    fn ask(&mut self, clients: &[TcpHandle]) -> io::Result<()> {
        let now = self.now();
        for client in clients {
            self.stack.tcp_send(now, *client, WORDS, SendFlags::default()).map_err(io::Error::other)?;
        }
        let mut missing = WORDS.len() * clients.len();
        let asked = std::time::Instant::now();
        while missing > 0 {
            if asked.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if !self.turn()? {
                // The server has a thread of its own, and may need this core for it.
                std::thread::yield_now();
            }
            missing -= self.listen();
        }
        Ok(())
    }

    fn run(mut self, count: usize) -> io::Result<()> {
        let before = resident()?;
        let mut clients = Vec::with_capacity(count);
        while clients.len() < count {
            let first = clients.len();
            for index in first..count.min(first + TOGETHER) {
                clients.push(self.stack.tcp_connect_to(self.now(), server(index / PER_PORT))?);
            }
            self.ask(&clients[first..])?;
        }
        println!(
            "{count} clients, {} B of the process each, both ends",
            (resident()? - before) / count as u64
        );
        let begun = std::time::Instant::now();
        let mut at = 0;
        for _ in 0..ECHOES.min(count) {
            at = (at + 7_919_317) % count; // a prime, so that it jumps about
            self.ask(&clients[at..=at])?;
        }
        println!("an echo among them: {} us", begun.elapsed().as_micros() / ECHOES.min(count) as u128);
        Ok(())
    }
}

/// VmRSS, in bytes.
fn resident() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().trim_end_matches(" kB").parse().ok());
    kib.map(|kib: u64| kib * 1024).ok_or_else(|| io::Error::other("/proc/self/status has no line VmRSS"))
}
