//! `switchboard invite`: make, list and take back invites.
//!
//! Owns: how an invite is shown: URI, link, QR code. Invariants: its token is printed once, and kept nowhere.
//! Not here: what an invite is (`server::invite`, `store::invite`).

use std::io::{self, IsTerminal as _};
use std::path::Path;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde::Serialize;
use server::admin::{ErrorCode, Invite, Item, Request};
use server::{Config, invite};
use store::{Answer, Backend, Hold, Op, Sqlite, StoreError};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use crate::args::{InviteArgs, InviteCommand, InviteMake};
use crate::data::{self, Data};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: InviteArgs) -> Result<(), Failure> {
    match args.command {
        None => make(&args.make),
        Some(InviteCommand::List(list)) => self::list(&list.data.data, list.json),
        Some(InviteCommand::Revoke(one)) => revoke(&one.data.data, one.number),
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Row {
    number: Option<u64>,
    /// As XEP-0082 writes it.
    expires: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    inviter: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Row {
    fn of(invite: Invite) -> Row {
        let Invite { number, expires, inviter, uri, link } = invite;
        Row { number, expires: date(expires), inviter, uri, link }
    }
}

fn make(args: &InviteMake) -> Result<(), Failure> {
    let life = args.expires;
    let made = match data::open(&args.data.data, true)? {
        Data::Running(mut exchange) => {
            let request = Request::InviteCreate {
                number: args.number.map(AccountNumber::get),
                any: args.any,
                expires_secs: Some(life.as_secs()),
            };
            one(&mut exchange, &request, args.number)?
        }
        Data::Ours(mut store) => {
            let hold = match args.number {
                Some(number) => Hold::This(number),
                None if args.any => Hold::Later,
                None => Hold::First,
            };
            let config = super::serve::folder_config(&args.data.data)?.unwrap_or_default();
            let token = invite::draw_token().map_err(Failure::failed)?;
            let op = invite::create(&token, hold, data::now(), life, None);
            let Answer::Invite(made) = perform(&mut store, op, args.number)? else {
                unreachable!("an invite is made or refused")
            };
            let domain = store.domain().map_err(Failure::failed)?.unwrap_or_else(|| config.domain.clone());
            let config = Config { domain, ..config };
            let web = invite::web(&config, &config.listen.http, &config.listen.https);
            Invite {
                uri: Some(invite::uri(&config.domain, made.number, &token)),
                link: web.map(|web| invite::link(&web, &token)),
                ..Invite::of(&made)
            }
        }
    };
    if args.json {
        return output::answer_json(&[Row::of(made)]);
    }
    let uri = made.uri.clone().unwrap_or_default();
    if args.uri_only {
        return output::answer([uri]);
    }
    // A phone's camera opens a link anywhere, and the URI where a client is installed that knows it.
    let code = QrCode::new(made.link.as_deref().unwrap_or(&uri)).map_err(Failure::failed)?;
    let terminal = io::stdout().is_terminal();
    let picture = code.render::<Dense1x2>().quiet_zone(true).build();
    let mut lines = vec![uri];
    lines.extend(made.link);
    lines.push(format!("good once, until {}", date(made.expires)));
    lines.extend(picture.lines().map(|row| painted(row, terminal)));
    output::answer(lines)
}

/// A row of a code: on a terminal black on white, whatever the terminal's own colours are, since not every camera reads a
/// negative (ISO/IEC 18004: dark modules on a light ground).
fn painted(row: &str, terminal: bool) -> String {
    // ECMA-48 SGR. Of the 256 colours, these two are the same everywhere.
    if terminal { format!("\x1b[38;5;16;48;5;231m{row}\x1b[0m") } else { row.to_owned() }
}

/// The invite that a first `serve` prints, from an exchange that has just started.
pub(crate) fn first(folder: &Path) -> Result<Invite, Failure> {
    let mut exchange = data::running(folder)?
        .ok_or_else(|| Failure::failed("the exchange does not answer on its own admin socket"))?;
    one(&mut exchange, &Request::InviteCreate { number: None, any: true, expires_secs: None }, None)
}

fn one(
    exchange: &mut server::admin::Client,
    request: &Request,
    number: Option<AccountNumber>,
) -> Result<Invite, Failure> {
    let mut made = None;
    ask(exchange, request, number, |item| {
        if let Item::Invite(invite) = item {
            made = Some(invite);
        }
    })?;
    made.ok_or_else(|| Failure::failed("the exchange did not say what it made"))
}

fn list(folder: &Path, json: bool) -> Result<(), Failure> {
    let mut invites = Vec::new();
    match data::open(folder, false)? {
        Data::Running(mut exchange) => ask(&mut exchange, &Request::InviteList, None, |item| {
            if let Item::Invite(invite) = item {
                invites.push(invite);
            }
        })?,
        Data::Ours(mut store) => {
            let Answer::Invites(kept) = perform(&mut store, Op::ListInvites, None)? else {
                unreachable!("a list is answered by a list")
            };
            invites.extend(kept.iter().map(Invite::of));
        }
    }
    if json {
        return output::answer_json(&invites.into_iter().map(Row::of).collect::<Vec<_>>());
    }
    let cells: Vec<[String; 2]> = invites
        .iter()
        .map(|invite| {
            let number = invite.number.map_or_else(|| "any".to_owned(), |number| number.to_string());
            [number, format!("until {}", date(invite.expires))]
        })
        .collect();
    output::answer(output::columns(&cells))
}

fn revoke(folder: &Path, number: AccountNumber) -> Result<(), Failure> {
    match data::open(folder, false)? {
        Data::Running(mut exchange) => {
            ask(&mut exchange, &Request::InviteRevoke { number: number.get() }, Some(number), |_| {})
        }
        Data::Ours(mut store) => perform(&mut store, Op::RevokeInvite { number }, Some(number)).map(drop),
    }
}

fn ask(
    exchange: &mut server::admin::Client,
    request: &Request,
    number: Option<AccountNumber>,
    each: impl FnMut(Item),
) -> Result<(), Failure> {
    exchange
        .ask(request, each)
        .map_err(|error| Failure::failed(format!("the exchange's admin socket: {error}")))?
        .map_err(|(code, reason)| match (code, number) {
            (ErrorCode::NoSuchInvite, Some(number)) => no_such(number),
            (ErrorCode::NumberTaken, Some(number)) => taken(number),
            _ => Failure::failed(reason),
        })
}

fn perform(store: &mut Sqlite, op: Op, number: Option<AccountNumber>) -> Result<Answer, Failure> {
    store.run_one(data::now(), op).map_err(|error| match (&error, number) {
        (StoreError::NoSuchItem, Some(number)) => no_such(number),
        (StoreError::NumberTaken, Some(number)) => taken(number),
        _ => Failure::failed(error),
    })
}

fn no_such(number: AccountNumber) -> Failure {
    Failure::failed(format!("no invite holds {number}: `switchboard invite list` shows those there are"))
}

fn taken(number: AccountNumber) -> Failure {
    Failure::failed(format!(
        "{number} is in use, was once, or is held by another invite: choose another, or none"
    ))
}

fn date(secs: u64) -> String {
    Wallclock::from_millis(secs * 1000).to_string()
}
