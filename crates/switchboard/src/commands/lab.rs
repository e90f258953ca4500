//! `switchboard lab`: plays scenarios of the lab, and prints them.
//!
//! Invariants: exit code 1 if a check did not hold; the scenario is printed all the same.
//! Not here: the scenarios (`lab`), how they are drawn (`ladder`).

use std::fs::File;
use std::io::{self, BufWriter, Write};

use lab::{Lang, Scenario, catalogue, find};
use ladder::Format;
use ladder::canvas::wrap;

use super::ladder::options;
use crate::args::Lab;
use crate::failure::Failure;
use crate::output;

/// Virtual time is round: a lab's link takes whole milliseconds.
const DECIMALS: usize = 3;

pub(crate) fn run(args: &Lab) -> Result<(), Failure> {
    match args.name.as_deref() {
        _ if args.notes => notes(args),
        None => list(args.lang),
        Some("all") if args.pcap.is_some() => Err(Failure::usage("--pcap writes one scenario; name it")),
        Some("all") => {
            let failed: Vec<&str> = catalogue()
                .map(|scenario| play(args, scenario).map(|held| (!held).then_some(scenario.name)))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect();
            if failed.is_empty() {
                Ok(())
            } else {
                Err(Failure::failed(format!("did not hold: {}", failed.join(", "))))
            }
        }
        Some(name) => {
            let scenario = find(name).ok_or_else(|| {
                Failure::usage(format!("there is no scenario `{name}`; `switchboard lab` lists them"))
            })?;
            if play(args, scenario)? {
                Ok(())
            } else {
                Err(Failure::failed(format!("{name}: a check did not hold")))
            }
        }
    }
}

fn list(lang: Lang) -> Result<(), Failure> {
    let rows: Vec<_> =
        catalogue().map(|scenario| [scenario.name.to_owned(), scenario.title.get(lang).to_owned()]).collect();
    output::answer(output::columns(&rows))
}

/// Plays and prints one; whether it held.
fn play(args: &Lab, scenario: &Scenario) -> Result<bool, Failure> {
    let play = scenario.play(args.seed, args.lang);
    if let Some(path) = &args.pcap {
        let name = path.display();
        let file = File::create(path).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
        play.write_pcap(BufWriter::new(file)).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    }
    let mut drawing = options(&args.drawing);
    drawing.text.decimals = DECIMALS;
    let mut out = BufWriter::new(io::stdout());
    let mut print = || -> io::Result<()> {
        if args.drawing.format == Format::Text {
            let title = format!("{}: {}", scenario.name, scenario.title.get(args.lang));
            for line in wrap(&title, drawing.text.width) {
                writeln!(out, "{line}")?;
            }
        }
        play.draw(&mut out, args.drawing.format, drawing)?;
        out.flush()
    };
    output::unless_gone(print())?;
    Ok(play.held())
}

fn notes(args: &Lab) -> Result<(), Failure> {
    let drawing = options(&args.drawing);
    output::answer([lab::notes::text(args.lang, drawing.text.width)])
}

#[cfg(test)]
mod tests;
