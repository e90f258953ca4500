//! Prosody as Debian ships it, with the configuration written here: clear text on loopback, no archive, no encryption,
//! stream management on, internal storage.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::{DOMAIN, Folder, PASSWORD, Sut, find_program, free_port, number, wait_for};

pub(super) fn start(accounts: u32) -> io::Result<Sut> {
    let program = find_program("prosody")?;
    let folder = Folder::new("prosody")?;
    let port = free_port()?;
    let root = folder.0.display();
    let config = folder.0.join("prosody.cfg.lua");
    std::fs::write(
        &config,
        format!(
            r#"run_as_root = true
pidfile = "{root}/prosody.pid"
data_path = "{root}/data"
log = {{ error = "{root}/prosody.err" }}
modules_enabled = {{ "roster"; "saslauth"; "disco"; "ping"; "offline"; "smacks"; "presence"; "message"; "iq" }}
modules_disabled = {{ "s2s"; "tls"; "limits" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
network_backend = "epoll"
c2s_ports = {{ {port} }}
c2s_interfaces = {{ "127.0.0.1" }}
c2s_direct_tls_ports = {{}}
s2s_ports = {{}}
VirtualHost "{DOMAIN}"
"#
        ),
    )?;
    let users = folder.0.join(format!("data/{DOMAIN}/accounts"));
    std::fs::create_dir_all(&users)?;
    for index in 0..accounts {
        // Prosody hashes a clear-text password at its first use; the warm-up of each bench pays for that.
        std::fs::write(
            users.join(format!("{}.dat", number(index))),
            format!("return {{ [\"password\"] = \"{PASSWORD}\"; }};\n"),
        )?;
    }
    let mut child = Command::new(program)
        .args(["-F", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(address, &mut child)?;
    Ok(Sut { address, quic: None, pid: child.id(), child, _folder: folder })
}
