//! `switchboard who`: every line of a running exchange.
//!
//! Not here: what a line is (`server::admin`).

use server::admin::{Item, Line, Request};
use xmpp::time::Wallclock;

use crate::args::Who;
use crate::failure::Failure;
use crate::{data, output};

pub(crate) fn run(args: &Who) -> Result<(), Failure> {
    let folder = &args.data.data;
    let Some(mut exchange) = data::running(folder)? else {
        return Err(Failure::failed(format!(
            "no exchange runs on {}: start one with `switchboard serve`, or name its folder with --data",
            folder.display()
        )));
    };
    let mut lines = Vec::new();
    exchange
        .ask(&Request::Who, |item| {
            if let Item::Line(line) = item {
                lines.push(line);
            }
        })
        .map_err(|error| Failure::failed(format!("the exchange's admin socket: {error}")))?
        .map_err(|(_, reason)| Failure::failed(reason))?;
    if args.json {
        return lines.iter().try_for_each(output::json);
    }
    let rows: Vec<[String; 7]> = lines.iter().map(row).collect();
    output::columns(&rows).iter().try_for_each(|line| output::line(line))
}

fn row(line: &Line) -> [String; 7] {
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
