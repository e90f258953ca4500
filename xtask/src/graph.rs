//! Graph: the workspace's crates and who imports whom, as Mermaid, from cargo's own metadata.

use crate::shell;
use crate::tally::Tally;

pub(crate) fn run() -> Result<Tally, String> {
    let tree = shell::output(&[
        "cargo",
        "tree",
        "--workspace",
        "--edges",
        "normal",
        "--depth",
        "1",
        "--prefix",
        "depth",
    ])?;
    println!("graph TD");
    let mut from = "";
    for line in tree.lines().filter(|line| line.contains(&*shell::root().to_string_lossy())) {
        let name = line[1..].split(' ').next().unwrap_or_default();
        let name = name.strip_prefix("switchboard-").unwrap_or(name);
        match &line[..1] {
            "0" => from = name,
            _ => println!("    {from} --> {name}"),
        }
    }
    Ok(Tally { passed: 1, failed: 0 })
}
