//! `switchboard listen`: prints each message as it comes.
//!
//! Invariants: a message is acknowledged only after it is flushed to standard output; one that is not is delivered again.
//! Not here: how it gets here (`client`).

use client::{Connection, Message};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use xmpp::address::JidRef;

use super::line;
use crate::args::Listen;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: Listen) -> Result<(), Failure> {
    let Listen { line, json, count } = args;
    let domain = line.domain.clone();
    let options = line::options(line)?;
    line::converse(async {
        let signal =
            |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot wait for signals: {error}")));
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut connection = line::connect(options).await?;
        let outcome = tokio::select! {
            outcome = print(&mut connection, json, count, &domain) => outcome,
            // Told to leave: that is a good end.
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        let _ = connection.close().await;
        outcome
    })
}

async fn print(
    connection: &mut Connection,
    json: bool,
    count: Option<u64>,
    domain: &str,
) -> Result<(), Failure> {
    connection.be_available().await?;
    let mut printed = 0;
    while count.is_none_or(|count| printed < count) {
        let Some((serial, message)) = connection.next().await? else {
            return Err(Failure::failed(format!("{} ended the conversation", connection.server())));
        };
        if json {
            output::json(&Printed::of(&message))?;
        } else {
            output::line(&plain(&message, domain))?;
        }
        connection.release(serial).await?;
        printed += 1;
    }
    Ok(())
}

/// A message as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    from: &'a str,
    /// The sender's number, if it is one.
    number: Option<u64>,
    to: Option<&'a str>,
    id: Option<&'a str>,
    body: &'a str,
    /// When the exchange received it, if it had to wait.
    delayed: Option<&'a str>,
    stanza_id: Option<&'a str>,
}

impl<'a> Printed<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            from: &message.from,
            number: JidRef::parse(&message.from)
                .ok()
                .and_then(|from| from.number())
                .map(|number| number.get()),
            to: message.to.as_deref(),
            id: message.id.as_deref(),
            body: &message.body,
            delayed: message.delayed.as_deref(),
            stanza_id: message.stanza_id.as_deref(),
        }
    }
}

/// `10001: hello`; a sender of another domain with its address; what had to wait with its time.
fn plain(message: &Message, domain: &str) -> String {
    let from = match JidRef::parse(&message.from) {
        Ok(from) if from.domain() == domain => from.local().unwrap_or(domain).to_owned(),
        Ok(from) => from.bare().to_owned(),
        Err(_) => message.from.clone(),
    };
    let when = message.delayed.as_ref().map(|stamp| format!("[{stamp}] ")).unwrap_or_default();
    output::tame(&format!("{when}{from}: {}", message.body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(from: &str, body: &str, delayed: Option<&str>) -> Message {
        Message {
            from: from.to_owned(),
            to: None,
            id: None,
            body: body.to_owned(),
            delayed: delayed.map(str::to_owned),
            stanza_id: None,
        }
    }

    #[test]
    fn messages_as_people_read_them() {
        for (from, body, delayed, expected) in [
            ("10001@localhost/x", "hi", None, "10001: hi"),
            ("10001@example.org/x", "hi", None, "10001@example.org: hi"),
            ("localhost", "hi", None, "localhost: hi"),
            ("10001@localhost", "hi", Some("2026-01-01T00:00:00Z"), "[2026-01-01T00:00:00Z] 10001: hi"),
            ("10001@localhost", "a\nb\u{7}", None, "10001: a\n    b\\u{7}"),
        ] {
            assert_eq!(plain(&message(from, body, delayed), "localhost"), expected);
        }
    }

    #[test]
    fn messages_as_programs_read_them() {
        let message = message("10001@localhost/x", "a\n\"b\"", None);
        let json: serde_json::Value = serde_json::to_value(Printed::of(&message)).unwrap();
        assert_eq!(json["number"], 10_001);
        assert_eq!(json["body"], "a\n\"b\"");
        assert_eq!(json["delayed"], serde_json::Value::Null);
    }
}
