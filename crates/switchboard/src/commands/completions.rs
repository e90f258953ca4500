//! `switchboard completions`: a script that completes what can be typed, made from its definition.

use clap::CommandFactory;

use crate::args::{Args, Completions};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "switchboard", &mut script);
    output::answer([String::from_utf8_lossy(&script).trim_end()])
}
