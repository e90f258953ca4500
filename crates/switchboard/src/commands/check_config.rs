//! `switchboard check-config`: what is wrong with a file.
//!
//! Not here: the checks (`server::config`).

use server::Config;

use crate::args::CheckConfig;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: &CheckConfig) -> Result<(), Failure> {
    Config::load(&args.file).map_err(Failure::failed)?;
    output::line(&format!("{}: nothing wrong", args.file.display()))
}
