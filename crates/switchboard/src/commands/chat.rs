//! `switchboard chat`: the chat in the terminal.
//!
//! Not here: the chat itself (`chat`).

use std::io::IsTerminal;

use super::line;
use crate::args::Chat;
use crate::failure::Failure;

pub(crate) fn run(args: Chat) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let instead = "`switchboard send` and `switchboard listen` do without";
        return Err(Failure::failed(format!(
            "chat needs a terminal on standard input and output: {instead}"
        )));
    }
    // https://no-color.org: set and not empty.
    let no_color = args.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::failed(format!("the system gives no randomness: {error}")))?;
    let settings = chat::Settings {
        options: line::options(args.line)?,
        colour: !no_color,
        mouse: !args.no_mouse,
        seed: format!("{:016x}", u64::from_be_bytes(random)),
    };
    line::converse(async { chat::run(settings).await.map_err(Failure::failed) })
}
