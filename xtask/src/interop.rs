//! Interop: foreign clients against the exchange, the kernel against the stack.
//! Not here: the tests themselves (`tests/interop/*.py`, pytest), what is installed for them (`foreign`).

use std::path::Path;

use crate::foreign;
use crate::kernel_peer;
use crate::net_examples;
use crate::shell;
use crate::tally::Tally;
use crate::web;

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
    let python = foreign::interop()?;
    foreign::browser()?;
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
    let mut targets = vec!["--bin", "switchboard"];
    for example in ["kernel_peer", "http", "tunnel", "million"] {
        targets.extend(["--example", example]);
    }
    shell::run_command(&mut shell::cargo("build", &targets))
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
