//! Instructions: what the stack's paths cost, counted by callgrind and compared with a budget, so that a change that slows them is seen
//! on any machine, busy or not.
//! Owns: nothing; the budget lies in `crates/stack/instructions.txt`, the paths in the example beside it.
//! Not here: time (`bench`), allocations (tests of `tcp` and `stack`).

use crate::foreign;
use crate::shell;
use crate::tally::Tally;

const BUDGET: &str = "crates/stack/instructions.txt";
/// How often each path is run.
const COUNT: u64 = 1_000;
/// What compilers differ by, in per cent.
const TOLERANCE: u64 = 5;

/// Counts each path of the budget. A path that costs less than its budget by more than the tolerance fails too: the budget is to follow,
/// or the next change could take back what this one won.
pub(crate) fn run() -> Result<Tally, String> {
    foreign::counter()?;
    shell::run(&["cargo", "build", "--release", "-p", "switchboard-stack", "--example", "instructions"])?;
    let program = shell::target().join("release/examples/instructions");
    let text =
        std::fs::read_to_string(shell::root().join(BUDGET)).map_err(|error| format!("{BUDGET}: {error}"))?;
    let mut tally = Tally::default();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (path, budget) = parse(line)?;
        let spent = count(&program.to_string_lossy(), path)?;
        println!("{path}: {spent} instructions, budget {budget}");
        tally.count(&format!("instructions of {path}"), judge(spent, budget));
    }
    Ok(tally)
}

fn parse(line: &str) -> Result<(&str, u64), String> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next().and_then(|word| word.parse().ok()), words.next()) {
        (Some(path), Some(budget), None) => Ok((path, budget)),
        _ => Err(format!("{BUDGET}: {line}: not a path and a number")),
    }
}

fn judge(spent: u64, budget: u64) -> Result<(), String> {
    let allowed = budget * TOLERANCE / 100;
    if spent > budget + allowed {
        Err(format!("{spent}, more than {budget} by more than {TOLERANCE} %"))
    } else if spent + allowed < budget {
        Err(format!("{spent}, less than {budget} by more than {TOLERANCE} %: lower the budget in {BUDGET}"))
    } else {
        Ok(())
    }
}

/// Instructions of one run of a path.
fn count(program: &str, path: &str) -> Result<u64, String> {
    let mut command = shell::command(&[
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--collect-atstart=no",
        "--toggle-collect=*instructions*counted*",
        program,
        path,
        &COUNT.to_string(),
    ]);
    let done = command.output().map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        return Err(format!("valgrind {path}: {}: {said}", done.status));
    }
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let total: Option<u64> = collected.and_then(|(_, number)| number.trim().parse().ok());
    total
        .filter(|total| *total > 0)
        .map(|total| total / COUNT)
        .ok_or_else(|| format!("valgrind {path}: counted nothing"))
}

#[cfg(test)]
mod tests {
    use super::{judge, parse};

    #[test]
    fn a_budget_binds_from_both_sides() {
        for (spent, holds) in [(1_000, true), (1_050, true), (1_051, false), (950, true), (949, false)] {
            assert_eq!(judge(spent, 1_000).is_ok(), holds, "{spent}");
        }
        assert_eq!(parse("open 12"), Ok(("open", 12)));
        assert!(parse("open twelve").is_err() && parse("open 1 2").is_err());
    }
}
