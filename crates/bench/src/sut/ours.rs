//! Ours: the release binary (or the one that SWITCHBOARD_BIN names), in clear text on loopback, its accounts written straight into its store beforehand.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use session::sasl::keys::derive_keys;
use store::{Backend, Op, Request};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::{DOMAIN, Folder, PASSWORD, Sut, number, run};

/// PBKDF2 rounds: what Prosody and ejabberd use by default in the versions measured.
const ITERATIONS: u32 = 4096;
/// Accounts made in one commit.
const BATCH: usize = 1000;

/// Our own stack's address, and the interface that it is behind, in a network namespace made for the bench.
const STACK: &str = "10.78.0.1";
const TUN: &str = "sb-bench";

pub(super) fn start(accounts: u32, archive: bool) -> io::Result<Sut> {
    let default = if archive { "always" } else { "never" };
    let config = format!("[archive]\ndefault = \"{default}\"\n");
    launch(accounts, &config, &["--tcp", "127.0.0.1:0", "--quic", "none"])
}

/// With TCP and QUIC, over loopback or over a TUN on our own stack, in clear text over TCP on both.
pub(super) fn start_on(stack: bool, accounts: u32) -> io::Result<Sut> {
    let config = "[archive]\ndefault = \"never\"\n[security]\nclear_text = \"always\"\n";
    if !stack {
        return launch(accounts, config, &["--tcp", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    }
    let (network, at) = (format!("tun:{TUN},{STACK}/24"), format!("{STACK}:0"));
    launch(accounts, config, &["--network", &network, "--tcp", &at, "--quic", &at])
}

fn launch(accounts: u32, settings: &str, listeners: &[&str]) -> io::Result<Sut> {
    let program = match std::env::var_os("SWITCHBOARD_BIN") {
        Some(program) => program.into(),
        None => {
            run(Command::new(env!("CARGO")).args(["build", "--quiet", "--release", "--bin", "switchboard"]))?;
            std::env::current_exe()?.with_file_name("switchboard")
        }
    };
    let folder = Folder::new("ours")?;
    let data = folder.0.join("data");
    create_accounts(&data, accounts)?;
    let config = folder.0.join("switchboard.toml");
    std::fs::write(&config, settings)?;
    let mut child = Command::new(&program)
        .arg("serve")
        .args(listeners)
        .args(["--tls", "none", "--http", "none", "--data"])
        .arg(&data)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let (address, quic) = ready_addresses(output)?;
    Ok(Sut { address, quic, pid: child.id(), child, _folder: folder })
}

fn create_accounts(data: &std::path::Path, accounts: u32) -> io::Result<()> {
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    let now = Wallclock::from_millis(millis);
    let folder = Arc::new(store::Folder::open(data).map_err(io::Error::other)?);
    let config = store::sqlite::Config::default();
    let mut backend = store::Sqlite::open(folder, Some(DOMAIN), now, config).map_err(io::Error::other)?;
    // One password, so one derivation: only the log-ins are measured.
    let credentials = derive_keys(PASSWORD, *b"bench-salt-bench", ITERATIONS).map_err(io::Error::other)?;
    let (mut batch, mut replies) = (Vec::new(), Vec::new());
    for index in 0..accounts {
        let op = Op::CreateAccount {
            number: AccountNumber::new(u64::from(number(index))),
            name: None,
            credentials: Box::new(credentials.clone()),
        };
        batch.push(Request { token: u64::from(index), op });
        if batch.len() == BATCH || index + 1 == accounts {
            backend.run(now, &mut batch, &mut replies);
            for reply in replies.drain(..) {
                reply.answer.map_err(io::Error::other)?;
            }
        }
    }
    Ok(())
}

/// The addresses after `tcp=` and `quic=` in the line `ready ...`; what comes before that line is for people.
fn ready_addresses(output: impl io::Read) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(words) = line.strip_prefix("ready ") {
            let after = |name: &str| words.split(' ').find_map(|word| word.strip_prefix(name)?.parse().ok());
            let tcp = after("tcp=").ok_or_else(|| io::Error::other(line.clone()))?;
            return Ok((tcp, after("quic=")));
        }
    }
    Err(io::Error::other("the exchange ended before it was ready"))
}
