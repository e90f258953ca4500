//! Where a password comes from: a file, the environment, the terminal; for a new one, chance.
//!
//! Invariants: a password is never an argument, where every process of the machine could read it; it is never shown,
//! except once when it was made here and nobody could be asked.
//! Not here: what is kept of it (`session::sasl::keys`).

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::args;
use crate::failure::Failure;

const VARIABLE: &str = "SWITCHBOARD_PASSWORD";

/// The most bytes read of a password file: SASLprep's output is bounded by what one can type.
const FILE_MAX: u64 = 4096;

/// Letters of a made password: 32 that nobody takes for one another, so five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// 125 bits.
const MADE_LEN: usize = 25;

/// A password for an account that is there already.
pub(crate) fn existing(args: &args::Password) -> Result<String, Failure> {
    match given(args)? {
        Some(password) => Ok(password),
        None if io::stdin().is_terminal() => ask("password: "),
        None => Err(Failure::failed(format!(
            "no password: set {VARIABLE}, name a file with --password-file, or run this in a terminal"
        ))),
    }
}

/// A password that is to be set. One that had to be made is shown once on standard error by [`NewPassword::announce`].
pub(crate) fn new(args: &args::Password) -> Result<NewPassword, Failure> {
    if let Some(password) = given(args)? {
        return Ok(NewPassword { password, made: false });
    }
    if !io::stdin().is_terminal() {
        return Ok(NewPassword { password: make(), made: true });
    }
    let password = ask("new password: ")?;
    if password != ask("the same again: ")? {
        return Err(Failure::failed("the two are not the same: nothing was changed"));
    }
    Ok(NewPassword { password, made: false })
}

pub(crate) struct NewPassword {
    pub(crate) password: String,
    made: bool,
}

impl NewPassword {
    /// To be called once the password is set.
    pub(crate) fn announce(&self) {
        if self.made {
            let _ = writeln!(io::stderr().lock(), "password: {}", self.password);
        }
    }
}

fn given(args: &args::Password) -> Result<Option<String>, Failure> {
    let password = match &args.password_file {
        Some(path) => Some(read(path)?),
        None => match std::env::var(VARIABLE) {
            Ok(password) => Some(password),
            Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Failure::failed(format!("{VARIABLE} is not UTF-8")));
            }
        },
    };
    match password {
        Some(password) => checked(password).map(Some),
        None => Ok(None),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::failed(format!("{}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
    first_line(file).map_err(|error| wrong(&error))
}

fn first_line(from: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(from.take(FILE_MAX)).read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

fn checked(password: String) -> Result<String, Failure> {
    if password.is_empty() { Err(Failure::failed("the password is empty")) } else { Ok(password) }
}

fn ask(prompt: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("the terminal: {error}"));
    let mut err = io::stderr().lock();
    write!(err, "{prompt}").and_then(|()| err.flush()).map_err(failed)?;
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|error| failed(error.into()))?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    let restored = tcsetattr(&stdin, OptionalActions::Flush, &shown);
    let _ = writeln!(err);
    read.map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    checked(line)
}

fn make() -> String {
    let mut bytes = [0; MADE_LEN];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    // 256 is a multiple of 32, so each letter is as likely as another.
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests;
