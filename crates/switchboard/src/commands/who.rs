//! `switchboard who`: every line of a running exchange, once or again and again.
//!
//! Invariants: on a terminal a look never scrolls; elsewhere nothing but changes is printed.
//! Not here: what a line is (`server::admin`).

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use server::admin::{self, Item, Line, Request};
use xmpp::time::Wallclock;

use crate::args::Who;
use crate::failure::Failure;
use crate::{data, output};

/// A line as it is printed.
type Row = [String; 7];

pub(crate) fn run(args: &Who) -> Result<(), Failure> {
    let mut exchange = connect(args)?;
    let lines = ask(&mut exchange)?;
    if let Some(secs) = args.watch {
        return watch(&mut exchange, Duration::from_secs(secs.into()), &lines);
    }
    if args.json {
        return output::answer_json(&lines);
    }
    output::answer(output::columns(&rows(&lines)))
}

fn connect(args: &Who) -> Result<admin::Client, Failure> {
    let folder = &args.data.data;
    data::running(folder)?.ok_or_else(|| {
        Failure::failed(format!(
            "no exchange runs on {}: start one with `switchboard serve`, or name its folder with --data",
            folder.display()
        ))
    })
}

fn ask(exchange: &mut admin::Client) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    exchange
        .ask(&Request::Who, |item| {
            if let Item::Line(line) = item {
                lines.push(line);
            }
        })
        .map_err(|error| Failure::failed(format!("the exchange's admin socket: {error}")))?
        .map_err(|(_, reason)| Failure::failed(reason))?;
    Ok(lines)
}

/// Looks until the exchange leaves or somebody interrupts.
fn watch(exchange: &mut admin::Client, every: Duration, first: &[Line]) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal();
    let mut before = BTreeSet::new();
    let mut lines = first.to_vec();
    loop {
        let rows = rows(&lines);
        if terminal {
            output::screen(&picture(&lines, &rows, output::terminal_size()))?;
        } else {
            let now: BTreeSet<Row> = rows.into_iter().collect();
            changes(&before, &now).iter().try_for_each(|line| output::line(line))?;
            before = now;
        }
        std::thread::sleep(every);
        lines = ask(exchange)?;
    }
}

/// The table with a head, cut to the terminal: rows that have no room are counted instead.
fn picture(lines: &[Line], rows: &[Row], (width, height): (usize, usize)) -> Vec<String> {
    let mut carriers: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        match carriers.iter_mut().find(|(carrier, _)| *carrier == line.carrier) {
            Some((_, count)) => *count += 1,
            None => carriers.push((&line.carrier, 1)),
        }
    }
    carriers.sort_unstable();
    let by_carrier: Vec<String> = carriers.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let head = match lines.len() {
        0 => "nobody is on line".to_owned(),
        1 => format!("1 line: {}", by_carrier.join(", ")),
        count => format!("{count} lines: {}", by_carrier.join(", ")),
    };
    let room = height.saturating_sub(3).max(1);
    let mut picture = vec![head, String::new()];
    let table = output::columns(rows);
    let shown = if table.len() > room { room.saturating_sub(1) } else { table.len() };
    picture.extend_from_slice(&table[..shown]);
    if shown < table.len() {
        picture.push(format!("... and {} more", table.len() - shown));
    }
    picture.into_iter().map(|line| line.chars().take(width).collect()).collect()
}

/// Who went and who came, in this order, so that a line that changed reads as its old and its new form.
fn changes(before: &BTreeSet<Row>, now: &BTreeSet<Row>) -> Vec<String> {
    let went = before.difference(now).map(|row| format!("- {}", row.join("  ")));
    went.chain(now.difference(before).map(|row| format!("+ {}", row.join("  ")))).collect()
}

fn rows(lines: &[Line]) -> Vec<Row> {
    lines.iter().map(row).collect()
}

fn row(line: &Line) -> Row {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        or_dash(line.number.map(|number| number.to_string())),
        or_dash(line.resource.as_deref().map(output::tame)),
        line.carrier.clone(),
        line.network.clone(),
        line.remote.to_string(),
        line.state.clone(),
        Wallclock::from_millis(line.since.saturating_mul(1000)).to_string(),
    ]
}

#[cfg(test)]
mod tests;
