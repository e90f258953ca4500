//! The commands, one file each.
//!
//! Not here: what can be typed (`args`).

mod account;
mod backup;
mod chat;
mod check_config;
mod completions;
mod export;
mod import;
mod invite;
mod lab;
mod ladder;
mod line;
mod listen;
mod man;
mod reports;
mod send;
mod serve;
mod trace;
mod who;

use crate::args::{Args, Command};
use crate::failure::Failure;

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Serve(args) => serve::run(args),
        Command::Account(args) => account::run(args.command),
        Command::Reports(args) => reports::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Invite(args) => invite::run(args),
        Command::Who(args) => who::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Chat(args) => chat::run(args),
        Command::Send(args) => send::run(args),
        Command::Listen(args) => listen::run(args),
        Command::Ladder(args) => ladder::run(&args),
        Command::Lab(args) => lab::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
