//! Golden files: what a test draws, compared with what a person has read and found right.
//! `SB_BLESS=1` writes them anew; whoever does that reads them before committing.
//! Not here: what is drawn.

use std::path::{Path, PathBuf};

/// Compares `drawn` with `tests/ladders/NAME`.
pub(crate) fn check(name: &str, drawn: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ladders").join(name);
    if std::env::var_os("SB_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        std::fs::write(&path, drawn).expect("the golden file can be written");
        return;
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; SB_BLESS=1 makes it", path.display()));
    if golden == drawn {
        return;
    }
    let differs = golden.lines().zip(drawn.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| golden.lines().count().min(drawn.lines().count()));
    panic!(
        "{name} differs from line {}:\n  was: {}\n  is:  {}\nThe whole:\n{drawn}\nIf this is right: SB_BLESS=1, and read the difference.",
        line + 1,
        golden.lines().nth(line).unwrap_or("(end)"),
        drawn.lines().nth(line).unwrap_or("(end)"),
    );
}
