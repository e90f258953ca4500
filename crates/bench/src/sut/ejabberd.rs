//! ejabberd as Debian ships it, with the configuration written here: clear text on loopback, no archive, mnesia.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::{DOMAIN, Folder, PASSWORD, Sut, find_program, free_port, number, run, wait_for};

pub(super) fn start(accounts: u32) -> io::Result<Sut> {
    let control = find_program("ejabberdctl")?;
    let folder = Folder::new("ejabberd")?;
    let port = free_port()?;
    let root = folder.0.display();
    std::fs::write(
        folder.0.join("ejabberd.yml"),
        format!(
            r#"hosts: ["{DOMAIN}"]
loglevel: error
auth_method: [internal]
auth_password_format: scram
auth_scram_hash: sha
disable_sasl_mechanisms: [digest-md5, X-OAUTH2]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    starttls: false
shaper:
  normal: 1000000000
shaper_rules:
  max_user_sessions: 100
  max_user_offline_messages: 1000000
  c2s_shaper: [none: all]
access_rules:
  c2s: [allow: all]
  local: [allow: local]
acl:
  local:
    user_regexp: ""
modules:
  mod_roster: {{}}
  mod_offline: {{access_max_user_messages: max_user_offline_messages}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_stream_mgmt: {{}}
"#
        ),
    )?;
    // The control script insists on a node name and a cookie of its own; both live in the bench's folder.
    std::fs::write(
        folder.0.join("ejabberdctl.cfg"),
        format!("ERLANG_NODE=bench{}@localhost\nINET_DIST_INTERFACE=127.0.0.1\n", std::process::id()),
    )?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&control);
        command
            .args(["--config-dir", &folder.0.display().to_string()])
            .args(["--config", &format!("{root}/ejabberd.yml")])
            .args(["--ctl-config", &format!("{root}/ejabberdctl.cfg")])
            .args(["--logs", &format!("{root}/logs"), "--spool", &format!("{root}/spool")])
            .args(arguments)
            .env("HOME", &folder.0)
            .stdin(Stdio::null());
        command
    };
    std::fs::write(folder.0.join("inetrc"), "{lookup, [file, native]}.\n")?;
    std::fs::create_dir_all(folder.0.join("logs"))?;
    std::fs::create_dir_all(folder.0.join("spool"))?;
    // Debian's control script runs the server as the user it was installed for.
    run(Command::new("chown").args(["-R", "ejabberd"]).arg(&folder.0))?;
    let mut child = command(&["foreground"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(address, &mut child)?;
    run(command(&["started"]).stdout(Stdio::piped()))?;
    for index in 0..accounts {
        run(&mut command(&["register", &number(index).to_string(), DOMAIN, PASSWORD]))?;
    }
    let pid = beam_below(child.id())?;
    Ok(Sut { address, quic: None, pid, child, _folder: folder })
}

/// The Erlang machine that the control script started.
fn beam_below(parent: u32) -> io::Result<u32> {
    let mut generation = vec![parent];
    for _ in 0..8 {
        let mut next = Vec::new();
        for pid in generation {
            if std::fs::read_to_string(format!("/proc/{pid}/comm"))?.starts_with("beam") {
                return Ok(pid);
            }
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            next.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        generation = next;
    }
    Err(io::Error::other("ejabberdctl started no beam"))
}
