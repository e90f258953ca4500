//! Features: each feature file of the router is taken away in turn, and what is left must still build.
//! Owns: a copy of the workspace's sources in `target/features`; the sources themselves are never touched.

use std::fs;
use std::path::Path;

use crate::shell;
use crate::tally::Tally;

/// One file a feature.
const FOLDER: &str = "crates/router/src/features";
/// The file that lists them, a line each.
const LIST: &str = "crates/router/src/features.rs";

pub(crate) fn run() -> Result<Tally, String> {
    let copy = shell::target().join("features");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    for part in ["Cargo.toml", "Cargo.lock", "clippy.toml", "crates", "xtask"] {
        copy_tree(&shell::root().join(part), &copy.join(part))?;
    }
    let mut names: Vec<String> = fs::read_dir(copy.join(FOLDER))
        .map_err(|error| format!("{FOLDER}: {error}"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "tests")
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(format!("{FOLDER} holds no feature"));
    }
    let mut tally = Tally::default();
    for name in &names {
        tally.count(name, without(&copy, name));
    }
    Ok(tally)
}

/// Builds the copy without one feature: its file and its line in the list.
fn without(copy: &Path, name: &str) -> Result<(), String> {
    let list = copy.join(LIST);
    let file = copy.join(FOLDER).join(format!("{name}.rs"));
    let all = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let body = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let fewer: String = all
        .lines()
        .filter(|line| line.trim() != format!("{name},"))
        .map(|line| format!("{line}\n"))
        .collect();
    if fewer.lines().count() == all.lines().count() {
        return Err(format!("{LIST} has no line `{name},`"));
    }
    fs::write(&list, fewer).map_err(|error| error.to_string())?;
    fs::remove_file(&file).map_err(|error| error.to_string())?;
    let mut check =
        shell::command(&["cargo", "check", "--quiet", "--profile", "ci", "-p", "switchboard-router"]);
    // What the router depends on is checked already.
    check.current_dir(copy).env("CARGO_TARGET_DIR", shell::target());
    let outcome = shell::run_command(&mut check);
    fs::write(&list, all).map_err(|error| error.to_string())?;
    fs::write(&file, body).map_err(|error| error.to_string())?;
    outcome
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    let complain = |error: std::io::Error| format!("{}: {error}", from.display());
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ()).map_err(complain);
    }
    fs::create_dir_all(to).map_err(complain)?;
    for entry in fs::read_dir(from).map_err(complain)? {
        let entry = entry.map_err(complain)?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
