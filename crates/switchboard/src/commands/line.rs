//! What `send` and `listen` have in common: from what was typed to a conversation with the exchange.
//!
//! Not here: the conversation (`client`).

use std::future::Future;
use std::time::Duration;

use client::session::Account;
use client::{Connection, Options, Server, Trust};
use xmpp::address::Jid;

use crate::args;
use crate::failure::Failure;
use crate::password;

/// Checks what was typed and asks for the password.
pub(crate) fn options(line: args::Line) -> Result<Options, Failure> {
    // A domain that is none would only fail later, and less clearly.
    let jid = Jid::of_number(line.account, &line.domain, None)
        .map_err(|error| Failure::usage(format!("--domain {}: {error}", line.domain)))?;
    let domain = jid.domain().to_owned();
    let password = password::existing(&line.password)?;
    Ok(Options {
        account: Account { number: line.account, domain: domain.clone(), password, resource: None },
        over: line.over,
        server: line.server.unwrap_or(Server { host: domain, port: None }),
        trust: Trust {
            files: line.ca.into_iter().collect(),
            made: Some(line.data.data.join(server::certs::CERT_NAME)),
            insecure: line.insecure,
        },
        bind: line.bind,
        timeout: Duration::from_secs(line.timeout.into()),
    })
}

/// Runs a conversation to its end on this thread.
pub(crate) fn converse<T>(talk: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the system refuses what a connection needs: {error}")))?
        .block_on(talk)
}

/// Logs in.
pub(crate) async fn connect(options: Options) -> Result<Connection, Failure> {
    Ok(Connection::open(options).await?)
}
