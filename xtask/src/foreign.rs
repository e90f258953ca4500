//! Foreign programs: what the checks need beside Rust, installed by apt, pip and npm, each once. Where that fails so does the
//! check: what did not run has not passed.
//! Owns: `target/interop/python`, and `node_modules` beside the tests.
//! Not here: the foreign client in Rust, which cargo builds (`interop`).

use crate::shell;

/// Debian's packages that foreign clients are, and that look at the wire, or at system calls, beside them.
const CLIENTS: [&str; 9] = [
    "profanity",
    "go-sendxmpp",
    "tmux",
    "tcpdump",
    "tshark",
    "strace",
    "iproute2",
    "python3-venv",
    "systemd",
];

/// The browser, and letters for all that the tests write.
const BROWSER: [&str; 4] = ["chromium", "fonts-noto-core", "fonts-noto-cjk", "fonts-noto-color-emoji"];

/// What counts instructions.
const COUNTER: [&str; 1] = ["valgrind"];

/// All of it, for whoever would rather wait at once, or beside a build.
pub(crate) fn all() -> Result<(), String> {
    // In one go, which is quicker.
    packages(&[&CLIENTS[..], &BROWSER, &COUNTER].concat())?;
    browser()?;
    interop().map(drop)
}

/// What `instructions` needs.
pub(crate) fn counter() -> Result<(), String> {
    packages(&COUNTER)
}

/// A browser, and what drives it.
pub(crate) fn browser() -> Result<(), String> {
    packages(&BROWSER)?;
    node("tests/web")
}

/// The foreign clients; returns the interpreter of their Python.
pub(crate) fn interop() -> Result<String, String> {
    packages(&CLIENTS)?;
    node("tests/interop")?;
    python()
}

/// What a folder's `package.json` names.
fn node(folder: &str) -> Result<(), String> {
    shell::run(&["npm", "install", "--no-audit", "--no-fund", "--prefix", folder])
}

/// Installs Debian's packages that are not there yet.
fn packages(packages: &[&str]) -> Result<(), String> {
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
fn python() -> Result<String, String> {
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
