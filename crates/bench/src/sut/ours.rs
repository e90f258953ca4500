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

pub(super) fn start(accounts: u32, archive: bool) -> io::Result<Sut> {
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
    let default = if archive { "always" } else { "never" };
    std::fs::write(&config, format!("[archive]\ndefault = \"{default}\"\n"))?;
    let mut child = Command::new(&program)
        .args([
            "serve",
            "--tcp",
            "127.0.0.1:0",
            "--tls",
            "none",
            "--quic",
            "none",
            "--http",
            "none",
            "--data",
        ])
        .arg(&data)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let address = ready_address(output)?;
    Ok(Sut { address, pid: child.id(), child, _folder: folder })
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

/// The address after `tcp=` in the line `ready ...`; what comes before that line is for people.
fn ready_address(output: impl io::Read) -> io::Result<SocketAddr> {
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(words) = line.strip_prefix("ready ") {
            let address = words.split(' ').find_map(|word| word.strip_prefix("tcp="));
            return address.and_then(|text| text.parse().ok()).ok_or_else(|| io::Error::other(line.clone()));
        }
    }
    Err(io::Error::other("the exchange ended before it was ready"))
}
