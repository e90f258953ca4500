//! Commands: what a line that begins with `/` asks for.
//!
//! Owns: the names and their help. Invariants: a line that begins with `//` is a text that begins with `/`; what cannot be
//! read says why, and loses nothing of what was typed.
//! Not here: doing it (`talk`), keys (`keys`).

use xmpp::address::{AccountNumber, BareJid};

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A text is sent.
    Say(String),
    /// The last text of ours here is put right (XEP-0308).
    Fix(String),
    /// A conversation is opened.
    To(String),
    /// Someone is put into the roster and asked to be seen, under a name if one was given.
    Add(String, Option<String>),
    /// The one who asks to see us may.
    Accept,
    /// They may not.
    Refuse,
    /// Someone is taken from the roster, and sees us no more.
    Remove,
    /// The roster calls them so from now on.
    Name(String),
    /// Nothing comes from them any more.
    Block,
    /// Or again.
    Unblock,
    /// Who is blocked is said.
    Blocked,
    /// The view goes to the latest message with this text, and on from there.
    Find(String),
    /// What there is to type is shown.
    Help,
    /// The end.
    Quit,
}

/// Each command as help shows it.
pub const HELP: &[(&str, &str)] = &[
    ("/to NUMBER", "open a conversation"),
    ("/add NUMBER [NAME]", "add someone, and ask to see whether they are there"),
    ("/accept, /refuse", "answer someone who asks to see you"),
    ("/name NAME", "call them so"),
    ("/remove", "take them from your list"),
    ("/block, /unblock", "let nothing come from them, or again"),
    ("/blocked", "who is blocked"),
    ("/find TEXT", "go to the latest message with it; again: earlier"),
    ("/fix TEXT", "put your last message right"),
    ("/quit", "the end"),
    ("//...", "a message that begins with /"),
];

/// Reads a line. `domain` is where a bare number is at.
pub fn parse(line: &str, domain: &str) -> Result<Command, String> {
    let Some(rest) = line.strip_prefix('/') else { return Ok(Command::Say(line.to_owned())) };
    if rest.starts_with('/') {
        return Ok(Command::Say(rest.to_owned()));
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim();
    let needed = |what: &str| match argument {
        "" => Err(format!("/{name} needs {what}: /help shows how")),
        argument => Ok(argument.to_owned()),
    };
    let alone = |command| match argument {
        "" => Ok(command),
        _ => Err(format!("/{name} takes nothing behind it")),
    };
    match name {
        "to" => Ok(Command::To(address(&needed("a number")?, domain)?)),
        "add" => {
            let argument = needed("a number")?;
            let (whom, called) = argument.split_once(char::is_whitespace).unwrap_or((&argument, ""));
            let called = Some(called.trim()).filter(|called| !called.is_empty());
            Ok(Command::Add(address(whom, domain)?, called.map(str::to_owned)))
        }
        "name" => Ok(Command::Name(needed("a name")?)),
        "find" => Ok(Command::Find(needed("a text")?)),
        "fix" => Ok(Command::Fix(needed("a text")?)),
        "accept" => alone(Command::Accept),
        "refuse" => alone(Command::Refuse),
        "remove" => alone(Command::Remove),
        "block" => alone(Command::Block),
        "unblock" => alone(Command::Unblock),
        "blocked" => alone(Command::Blocked),
        "help" | "?" => alone(Command::Help),
        "quit" | "q" | "exit" => alone(Command::Quit),
        _ => {
            Err(format!("there is no /{name}: /help shows what there is, // sends a text that begins with /"))
        }
    }
}

/// A number of the own domain, or a whole bare address.
pub fn address(text: &str, domain: &str) -> Result<String, String> {
    if let Some(number) = AccountNumber::parse(text) {
        return Ok(format!("{number}@{domain}"));
    }
    match BareJid::parse(text) {
        Ok(jid) if jid.local().is_some() => Ok(jid.as_str().to_owned()),
        _ => Err(format!("{text} is no number and no address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_they_are_typed() {
        let at = |number: &str| format!("{number}@localhost");
        for (line, expected) in [
            ("hello", Command::Say("hello".into())),
            ("//etc/hosts", Command::Say("/etc/hosts".into())),
            ("/to 10002", Command::To(at("10002"))),
            ("/to 10002@example.org", Command::To("10002@example.org".into())),
            ("/add 10002", Command::Add(at("10002"), None)),
            ("/add 10002  Ann Lee ", Command::Add(at("10002"), Some("Ann Lee".into()))),
            ("/find  a b", Command::Find("a b".into())),
            ("/?", Command::Help),
            ("/q", Command::Quit),
        ] {
            assert_eq!(parse(line, "localhost"), Ok(expected), "{line}");
        }
        for wrong in ["/to", "/to 007", "/to a b", "/dance", "/quit now", "/fix", "/to localhost"] {
            assert!(parse(wrong, "localhost").is_err(), "{wrong}");
        }
    }

    #[test]
    fn help_names_each_command_and_no_other() {
        for (usage, _) in HELP.iter().filter(|(usage, _)| !usage.starts_with("//")) {
            for name in usage.split(", ") {
                let line =
                    name.replace("NUMBER [NAME]", "10002").replace("NUMBER", "10002").replace("NAME", "x");
                assert!(parse(&line, "localhost").is_ok(), "{line}");
            }
        }
    }
}
