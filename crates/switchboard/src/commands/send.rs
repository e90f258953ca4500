//! `switchboard send`: one message, done once the exchange has acknowledged it.
//!
//! Not here: how it gets there (`client`).

use xmpp::address::{AccountNumber, Jid};

use super::line;
use crate::args::Send;
use crate::failure::Failure;

pub(crate) fn run(args: Send) -> Result<(), Failure> {
    let to = recipient(&args.to, &args.line.domain)?;
    let options = line::options(args.line)?;
    line::converse(async {
        let mut connection = line::connect(options).await?;
        let sent = connection.send(&to, &args.text).await;
        // It is acknowledged or it is not; how the good-bye goes changes nothing about that.
        let _ = connection.close().await;
        Ok(sent?)
    })
}

/// A number of the same domain, or a whole address.
fn recipient(to: &str, domain: &str) -> Result<String, Failure> {
    if let Some(number) = AccountNumber::parse(to) {
        return Ok(format!("{number}@{domain}"));
    }
    let wrong =
        || Failure::usage(format!("`{to}` is nobody: write a number (10002) or an address (10002@{domain})"));
    let jid = Jid::parse(to).map_err(|_| wrong())?;
    if jid.local().is_none() {
        return Err(wrong());
    }
    Ok(jid.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_numbers_or_addresses() {
        for (to, expected) in [
            ("10002", "10002@localhost"),
            ("10002@example.org", "10002@example.org"),
            ("10002@example.org/phone", "10002@example.org/phone"),
        ] {
            assert_eq!(recipient(to, "localhost").as_deref(), Ok(expected));
        }
        for to in ["", "010002", "-1", "somebody", "@", "10002@", "a b@c"] {
            assert!(matches!(recipient(to, "localhost"), Err(Failure::Usage(_))), "{to}");
        }
    }
}
