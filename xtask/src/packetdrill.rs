//! packetdrill: somebody else's examiner runs its scripts against our stack, each in a network namespace of its own.
//! Owns: the namespaces, which it makes and removes, and a dummy tun0 in each, which the scripts' common settings want.
//! Not here: packetdrill and its scripts, which are nobody's package: whoever runs this names where they are (docs/conformance.md).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shell;
use crate::tally::Tally;

/// Seconds of real time a script may take; time inside is virtual, so this is for one that hangs.
const LIMIT: &str = "20";

/// What a script outside the core set speaks of, in its path or its text, and what that is.
const BEYOND: [(&str, &str); 11] = [
    ("fastopen", "TCP Fast Open"),
    ("zerocopy", "MSG_ZEROCOPY"),
    ("so_timestamping", "SO_TIMESTAMPING"),
    ("md5", "TCP MD5"),
    ("splice", "splice"),
    ("sendfile", "sendfile"),
    ("/gro/", "GRO of the kernel"),
    ("mtu_prob", "PLPMTUD"),
    ("ethtool", "ethtool"),
    ("nstat ", "nstat"),
    ("ip route", "routes of the kernel"),
];

/// `packetdrill`: the program. `scripts`: files, or folders whose `.pkt` files are taken.
pub(crate) fn run(packetdrill: &str, scripts: &[&str]) -> Result<Tally, String> {
    let packetdrill =
        std::fs::canonicalize(packetdrill).map_err(|error| format!("{packetdrill}: {error}"))?;
    let mut files = Vec::new();
    for script in scripts {
        collect(Path::new(script), &mut files)?;
    }
    files.sort();
    shell::run(&["cargo", "build", "--release", "-p", "switchboard-packetdrill"])?;
    let library = shell::target().join("release/libswitchboard_packetdrill.so");
    let mut tally = Tally::default();
    let mut beyond = 0;
    for (index, file) in files.iter().enumerate() {
        if let Some(what) = needs(file)? {
            beyond += 1;
            eprintln!("not in the core set: {}: {what}", file.display());
            continue;
        }
        let outcome = examine(&packetdrill, &library, file, index);
        if outcome.is_ok() {
            println!("ok {}", file.display());
        }
        tally.count(&file.display().to_string(), outcome);
    }
    eprintln!("{beyond} scripts are not in the core set and were not run");
    if tally == Tally::default() { Err("no script was run".to_owned()) } else { Ok(tally) }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let error = |error: std::io::Error| format!("{}: {error}", path.display());
    let path = std::fs::canonicalize(path).map_err(error)?;
    if !path.is_dir() {
        files.push(path);
        return Ok(());
    }
    for entry in std::fs::read_dir(&path).map_err(error)? {
        let entry = entry.map_err(error)?.path();
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "pkt") {
            files.push(entry);
        }
    }
    Ok(())
}

/// What of it our stack does not have, or has no part in; `None`: the script is of the core set.
fn needs(file: &Path) -> Result<Option<&'static str>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = format!("{}\n{text}", file.display()).to_lowercase();
    Ok(BEYOND.iter().find(|(word, _)| text.contains(word)).map(|(_, what)| *what))
}

/// A namespace that goes with the value.
struct Namespace(String);

impl Namespace {
    fn new(index: usize) -> Result<Self, String> {
        let name = format!("sb-packetdrill-{}-{index}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let namespace = Namespace(name);
        for command in ["link set lo up", "tuntap add tun0 mode tun", "link set tun0 up"] {
            ip(&format!("-netns {} {command}", namespace.0))?;
        }
        Ok(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("netns del {}", self.0)) {
            eprintln!("xtask: {error}");
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let status = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ip {arguments}: {status}")),
        Err(error) => Err(format!("ip: {error}")),
    }
}

fn examine(packetdrill: &Path, library: &Path, file: &Path, index: usize) -> Result<(), String> {
    let namespace = Namespace::new(index)?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace.0, "timeout", LIMIT, "env"]);
    // The library also answers packetdrill's own getsockopt(): that is what it is preloaded for.
    command.arg(format!("LD_PRELOAD={}", library.display()));
    command.arg(packetdrill);
    command.args([
        "--so_flags=local=192.168.0.1/16,remote=192.0.2.1,mtu=1500",
        "--send_omit_free",
        "--ip_version=ipv4",
        "--local_ip=192.168.0.1",
        "--gateway_ip=192.168.0.1",
        "--netmask_ip=255.255.0.0",
        "--remote_ip=192.0.2.1",
        "-D",
        "CODE=host_unreachable",
        "-D",
        "CMSG_LEVEL_IP=SOL_IP",
        "-D",
        "CMSG_TYPE_RECVERR=IP_RECVERR",
    ]);
    command.arg(format!("--so_filename={}", library.display()));
    command.arg(file.file_name().unwrap_or_default());
    command.current_dir(file.parent().unwrap_or(Path::new("."))).stdin(Stdio::null());
    let done = command.output().map_err(|error| format!("ip: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    // The line that names the script says what did not fit.
    let text = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let line = text.lines().find(|line| line.starts_with(&name)).or_else(|| text.lines().last());
    Err(line.map_or_else(|| done.status.to_string(), str::to_owned))
}
