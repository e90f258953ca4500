//! Tally: what passed and what failed, counted from the closing lines of cargo's and pytest's own runners.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::shell;

/// Counts of checks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Counts one check.
    pub(crate) fn count(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.failed += 1;
                eprintln!("FAILED {name}: {error}");
            }
        }
    }

    /// A command that is one check.
    pub(crate) fn step(&mut self, name: &str, words: &[&str]) {
        self.count(name, shell::run(words));
    }

    /// A command that is a test runner: its closing lines are counted, its exit code is believed.
    pub(crate) fn test_command(&mut self, name: &str, command: &mut Command) {
        eprintln!("$ {command:?}");
        let counted = run_and_count(command).and_then(|(tally, success)| match (success, tally) {
            (true, Tally { passed: 0, .. }) => Err("no test ran".to_owned()),
            (false, Tally { failed: 0, .. }) => Err("the runner failed without naming a test".to_owned()),
            (_, tally) => Ok(tally),
        });
        match counted {
            Ok(tally) => self.add(tally),
            Err(error) => self.count(name, Err(error)),
        }
    }
}

fn run_and_count(command: &mut Command) -> Result<(Tally, bool), String> {
    let name = format!("{:?}", command.get_program());
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{name}: {error}"))?;
    let mut tally = Tally::default();
    let lines = BufReader::new(child.stdout.take().expect("standard output was piped")).lines();
    for line in lines {
        let line = line.map_err(|error| format!("{name}: {error}"))?;
        println!("{line}");
        if let Some(counted) = closing_line(&line) {
            tally.add(counted);
        }
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    Ok((tally, status.success()))
}

/// What a closing line of cargo's runner, of pytest, of node's, or of our own says.
fn closing_line(line: &str) -> Option<Tally> {
    if let Some(counted) = line.strip_prefix("ℹ ") {
        return node_line(counted);
    }
    let line = line.trim_matches(|c: char| c == '=' || c.is_whitespace());
    let cargos = line
        .strip_prefix("test result: ")
        .map(|rest| rest.split_once(". ").map_or(rest, |(_, counts)| counts));
    let counts = cargos.unwrap_or(line);
    let mut tally = Tally::default();
    let mut counted = false;
    for part in counts.split([',', ';']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<u64>() else { if counted { continue } else { return None } };
        match what {
            "passed" => tally.passed += number,
            "failed" | "error" | "errors" => tally.failed += number,
            _ => {}
        }
        counted = true;
    }
    (counted && tally != Tally::default()).then_some(tally)
}

/// Node's runner counts one word a line. What was skipped or given up has not passed.
fn node_line(line: &str) -> Option<Tally> {
    let (what, number) = line.trim().split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    let tally = match what {
        "pass" => Tally { passed: number, failed: 0 },
        "fail" | "cancelled" | "skipped" | "todo" => Tally { passed: 0, failed: number },
        _ => return None,
    };
    (tally != Tally::default()).then_some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_each_runner_are_understood() {
        let table = [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s",
                Some((12, 0)),
            ),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", Some((3, 2))),
            ("======= 2 failed, 21 passed, 1 warning in 12.34s =======", Some((21, 2))),
            ("========== 4 passed in 1.00s ==========", Some((4, 0))),
            ("1 passed, 1 error in 1.00s", Some((1, 1))),
            ("7 passed, 0 failed", Some((7, 0))),
            ("ℹ pass 12", Some((12, 0))),
            ("ℹ fail 2", Some((0, 2))),
            ("ℹ skipped 1", Some((0, 1))),
            ("ℹ fail 0", None),
            ("ℹ tests 14", None),
            ("ℹ duration_ms 147614.1", None),
            ("running 3 tests", None),
            ("I passed, you failed", None),
            ("", None),
        ];
        for (line, counts) in table {
            let expected = counts.map(|(passed, failed)| Tally { passed, failed });
            assert_eq!(closing_line(line), expected, "{line}");
        }
    }
}
