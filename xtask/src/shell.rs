//! Shell: runs other programs from the workspace's root, and says what it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder cargo builds into.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// What CI builds is built with one profile and with the features of the whole workspace, so that no crate is built twice.
const ALIKE: [&str; 5] = ["--profile", "ci", "--workspace", "--features", "switchboard-net/tokio"];

/// `cargo VERB` on the workspace or some targets of it, as all that CI builds.
pub(crate) fn cargo(verb: &str, more: &[&str]) -> Command {
    command(&[&["cargo", verb][..], &ALIKE, more].concat())
}

/// Where it puts a program or an example.
pub(crate) fn built(name: &str) -> String {
    target().join("ci").join(name).to_string_lossy().into_owned()
}

/// A command that runs in the workspace's root.
pub(crate) fn command(words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().expect("a command has a program");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command to its end, its output shown; an exit code other than 0 is an error that names it.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    run_command(&mut command(words))
}

/// The same for a command that needs more than words.
pub(crate) fn run_command(command: &mut Command) -> Result<(), String> {
    eprintln!("$ {command:?}");
    let status = command.status().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{:?}: {status}", command.get_program())) }
}

/// Runs a command to its end and returns what it printed on standard output.
pub(crate) fn output(words: &[&str]) -> Result<String, String> {
    let done =
        command(words).stderr(Stdio::inherit()).output().map_err(|error| format!("{}: {error}", words[0]))?;
    if !done.status.success() {
        return Err(format!("{}: {}", words.join(" "), done.status));
    }
    String::from_utf8(done.stdout).map_err(|error| format!("{}: {error}", words[0]))
}
