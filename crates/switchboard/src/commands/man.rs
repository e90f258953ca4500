//! `switchboard man`: manual pages, made from the definition of what can be typed.

use clap::CommandFactory;

use crate::args::{Args, Man};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: &Man) -> Result<(), Failure> {
    match &args.dir {
        Some(dir) => clap_mangen::generate_to(Args::command(), dir)
            .map_err(|error| Failure::failed(format!("{}: {error}", dir.display()))),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command())
                .render(&mut page)
                .map_err(|error| Failure::failed(format!("the manual page: {error}")))?;
            output::answer([String::from_utf8_lossy(&page).trim_end()])
        }
    }
}
