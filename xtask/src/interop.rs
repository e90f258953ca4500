//! Interop: foreign clients against the exchange, the kernel against the stack. Installs what it needs by apt, pip and npm,
//! and fails where it cannot: a check that did not run has not passed.
//! Owns: `target/interop`, where the Python environment and the foreign programs lie.
//! Not here: the tests themselves (`tests/interop/*.py`, pytest).

use std::path::Path;

use crate::kernel_peer;
use crate::net_examples;
use crate::shell;
use crate::tally::Tally;
use crate::web;

/// Debian's packages that the foreign clients are.
const PACKAGES: [&str; 8] =
    ["profanity", "go-sendxmpp", "tmux", "tcpdump", "tshark", "iproute2", "python3-venv", "systemd"];

/// Processes that share pytest's tests, which wait more than they work.
const PROCESSES: &str = "2";

pub(crate) fn run(names: &[&str]) -> Result<Tally, String> {
    let mut tally = Tally::default();
    build()?;
    if names.is_empty() || names.contains(&"kernel") {
        tally.add(kernel_peer::run());
        tally.add(net_examples::run()?);
    }
    if names == ["kernel"] {
        return Ok(tally);
    }
    if names.is_empty() || names.contains(&"web") {
        tally.add(web::test(&[], false)?);
    }
    if names == ["web"] {
        return Ok(tally);
    }
    install_packages(&PACKAGES)?;
    web::install_browser()?;
    let python = python_environment()?;
    shell::run(&["npm", "install", "--no-audit", "--no-fund", "--prefix", "tests/interop"])?;
    let foreign = build_tokio_xmpp()?;
    // In a network namespace that goes with its last process: the TUN interfaces of the exchange's own stack are made there, and
    // nothing leaves it.
    let script = "ip link set lo up && exec \"$@\"";
    let mut words = vec!["unshare", "--net", "sh", "-c", script, "sh"];
    words.extend([python.as_str(), "-m", "pytest", "tests/interop", "-n", PROCESSES, "--dist", "worksteal"]);
    let filter = names.join(" or ");
    if !names.is_empty() {
        words.extend(["-k", &filter]);
    }
    let mut pytest = shell::command(&words);
    pytest
        .env("SWITCHBOARD_BIN", shell::built("switchboard"))
        .env("SWITCHBOARD_TOKIO_XMPP", foreign)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    tally.test_command("foreign clients", &mut pytest);
    Ok(tally)
}

/// Builds what the foreign programs meet, all at once.
pub(crate) fn build() -> Result<(), String> {
    let targets = ["--bin", "switchboard", "--example", "kernel_peer", "--example", "http"];
    shell::run_command(&mut shell::cargo("build", &targets))
}

/// Installs Debian's packages that are not there yet.
pub(crate) fn install_packages(packages: &[&str]) -> Result<(), String> {
    let installed = |package: &&str| {
        shell::output(&["dpkg-query", "-W", "-f", "${Status}", package])
            .is_ok_and(|status| status.ends_with("ok installed"))
    };
    let missing: Vec<&str> = packages.iter().filter(|package| !installed(package)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell::run(&["apt-get", "update", "-q"])?;
    let mut words = vec!["apt-get", "install", "-y", "-q", "--no-install-recommends"];
    words.extend(missing);
    let mut install = shell::command(&words);
    shell::run_command(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// A Python environment of our own with what `tests/interop/requirements.txt` names; returns its interpreter.
fn python_environment() -> Result<String, String> {
    let folder = shell::target().join("interop/python");
    let python = folder.join("bin/python");
    if !python.exists() {
        shell::run(&["python3", "-m", "venv", &folder.to_string_lossy()])?;
    }
    let python = python.to_string_lossy().into_owned();
    shell::run(&[
        &python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "-r",
        "tests/interop/requirements.txt",
    ])?;
    Ok(python)
}

/// The foreign Rust client stands in a workspace of its own, so that its dependencies are not ours.
fn build_tokio_xmpp() -> Result<std::path::PathBuf, String> {
    let folder = shell::target().join("interop/tokio-xmpp");
    let manifest = Path::new("tests/interop/tokio-xmpp/Cargo.toml");
    shell::run(&[
        "cargo",
        "build",
        "--manifest-path",
        &manifest.to_string_lossy(),
        "--target-dir",
        &folder.to_string_lossy(),
    ])?;
    Ok(folder.join("debug/interop-tokio-xmpp"))
}
