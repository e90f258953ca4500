//! Sut: the servers under test, each started on loopback with a folder of its own, and ended when dropped.
//! Owns: the child processes and their folders.
//! Invariants: a server that cannot be started is said on standard error, and none of its figures is printed.
//! Not here: what is measured (`chat`, `idle`, `offline`, `churn`).

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::load::login::Account;
use crate::report::Side;

mod ejabberd;
mod ours;
mod prosody;

/// Every account of a bench has this password.
const PASSWORD: &str = "bench-password";
/// The domain every server is given.
const DOMAIN: &str = "localhost";
/// How long a server may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Sut {
    /// Where it takes clear XMPP over TCP.
    pub(crate) address: SocketAddr,
    /// Where it takes XMPP over QUIC, if it does.
    pub(crate) quic: Option<SocketAddr>,
    /// The process whose CPU and memory count.
    pub(crate) pid: u32,
    child: Child,
    /// Goes when the server does.
    _folder: Folder,
}

impl Sut {
    /// Starts `side` with accounts numbered 0..`accounts`.
    pub(crate) fn start(side: Side, accounts: u32) -> io::Result<Sut> {
        match side {
            Side::Ours => ours::start(accounts, false),
            Side::Prosody => prosody::start(accounts),
            Side::Ejabberd => ejabberd::start(accounts),
            Side::Smoltcp | Side::Kernel => Err(io::Error::other("a stack is no exchange")),
        }
    }

    /// Starts ours with the archive on: each message is committed twice.
    pub(crate) fn start_archiving(accounts: u32) -> io::Result<Sut> {
        ours::start(accounts, true)
    }

    /// Starts ours with TCP and QUIC on one network: our own stack, which needs a network namespace with the right to make a TUN, or the
    /// kernel.
    pub(crate) fn start_on(stack: bool, accounts: u32) -> io::Result<Sut> {
        ours::start_on(stack, accounts)
    }

    /// The account with this index: the number 10001 + index on every side.
    pub(crate) fn account(index: u32) -> Account {
        Account { name: number(index).to_string(), password: PASSWORD.into(), domain: DOMAIN.into() }
    }
}

impl Drop for Sut {
    fn drop(&mut self) {
        if self.pid != self.child.id() {
            end(self.pid);
        }
        end(self.child.id());
        let _ = self.child.wait();
    }
}

fn number(index: u32) -> u32 {
    10_001 + index
}

fn end(pid: u32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// A folder that goes when its owner does.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("switchboard-bench-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago, for servers that cannot report one they chose.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until the server accepts connections.
fn wait_for(address: SocketAddr, child: &mut Child) -> io::Result<()> {
    let start = Instant::now();
    while start.elapsed() < START_TIMEOUT {
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("the server ended at once: {status}")));
        }
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("no server at {address} within {START_TIMEOUT:?}")))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = if said.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { said };
    Err(io::Error::other(format!("{:?} failed: {}", command.get_program(), said.trim())))
}

/// Where a program stands in PATH or in Debian's server folders.
fn find_program(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{name} is not installed")))
}
