//! Standard output: what was asked for, whole lines, flushed when it matters.
//!
//! Invariants: who has read enough of an answer (`who | head`) is left alone; where each line matters by itself (`listen | head`) a
//! reader that has gone away is a failure, never a panic; text that others wrote cannot move the cursor or repaint the terminal.
//! Not here: what is printed.

use std::io::{self, Write};

use crate::failure::Failure;

/// Prints one line and flushes it.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::failed(format!("standard output: {error}")))
}

/// Prints a value as JSON on one line and flushes it.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    line(&to_json(value))
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our values are all JSON")
}

/// Prints an answer of some lines. A reader that goes away has what it wanted.
pub(crate) fn answer(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = lines.into_iter().try_for_each(|line| writeln!(out, "{}", line.as_ref()));
    unless_gone(printed.and_then(|()| out.flush()))
}

/// What came of printing an answer: a reader that has gone away had what it wanted.
pub(crate) fn unless_gone(printed: io::Result<()>) -> Result<(), Failure> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The same of values, one a line.
pub(crate) fn answer_json(values: &[impl serde::Serialize]) -> Result<(), Failure> {
    answer(values.iter().map(to_json))
}

/// Columns and rows of the terminal; what most have where it does not say.
pub(crate) fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// Draws lines over what the terminal shows, without a moment in which it shows nothing.
pub(crate) fn screen(lines: &[String]) -> Result<(), Failure> {
    // ECMA-48: home; after each line erase its rest; at the end erase what is below.
    let mut text = String::from("\x1b[H");
    for line in lines {
        text.push_str(line);
        text.push_str("\x1b[K\n");
    }
    text.push_str("\x1b[J");
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::failed(format!("standard output: {error}")))
}

/// Text of others for a terminal: control characters but the tab are shown, not obeyed; further lines are set in, so that
/// none can pass for a message of its own.
pub(crate) fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => tamed.push_str("\n    "),
            '\t' => tamed.push(c),
            c if c.is_control() => tamed.extend(c.escape_default()),
            c => tamed.push(c),
        }
    }
    tamed
}

/// Lines with their columns below each other, two spaces apart.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests;
