//! Web: the web client in Debian's Chromium, by node's own test runner.
//! Not here: the tests themselves (`tests/web/*.test.mjs`), the browser's installation (`foreign`).

use crate::foreign;
use crate::interop::build;
use crate::shell;
use crate::tally::Tally;

/// Where the screenshots are that the documents show.
const SCREENSHOTS: &str = "docs/screenshots";

/// Builds, and runs the files of `tests/web` whose name begins with one of `names`, or all of them.
pub(crate) fn run(names: &[&str], screenshots: bool) -> Result<Tally, String> {
    build()?;
    test(names, screenshots)
}

/// The same for what is built.
pub(crate) fn test(names: &[&str], screenshots: bool) -> Result<Tally, String> {
    let mut tally = Tally::default();
    foreign::browser()?;
    let files = test_files(names)?;
    // One file after the other: each measures, and has a browser and an exchange of its own.
    let mut words = vec!["node", "--test", "--test-concurrency=1", "--test-reporter=spec"];
    words.extend(files.iter().map(String::as_str));
    let mut node = shell::command(&words);
    node.env("SWITCHBOARD_BIN", shell::built("switchboard"));
    if screenshots {
        node.env("SWITCHBOARD_SCREENSHOTS", shell::root().join(SCREENSHOTS));
    }
    tally.test_command("web client", &mut node);
    Ok(tally)
}

fn test_files(names: &[&str]) -> Result<Vec<String>, String> {
    let folder = shell::root().join("tests/web");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| file.ends_with(".test.mjs"))
        .filter(|file| names.is_empty() || names.iter().any(|name| file.starts_with(name)))
        .map(|file| format!("tests/web/{file}"))
        .collect();
    files.sort();
    if files.is_empty() {
        Err(format!("no test of the web client is called {}", names.join(", ")))
    } else {
        Ok(files)
    }
}
