//! `switchboard account`: make, list and change accounts.
//!
//! Owns: nothing. Invariants: the same command has the same result whether an exchange runs on the folder or not.
//! Not here: who has the folder (`data`), what a password becomes (`session::sasl::keys`).

use std::path::Path;

use serde::Serialize;
use server::admin::{ErrorCode, Item, Request};
use store::{Answer, Backend, Credentials, Op, Sqlite, StoreError, limits};
use xmpp::address::AccountNumber;

use crate::args::{AccountAdmin, AccountCommand, AccountCreate, AccountList, AccountOne, AccountPassword};
use crate::data::{self, Data};
use crate::failure::Failure;
use crate::{output, password};

pub(crate) fn run(command: AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::Create(args) => create(args),
        AccountCommand::List(args) => list(&args),
        AccountCommand::Password(args) => set_password(&args),
        AccountCommand::Disable(AccountOne { data, number }) => disable(&data.data, number),
        AccountCommand::Enable(AccountOne { data, number }) => {
            let request = Request::AccountEnable { number: number.get() };
            change(&data.data, &request, number, |_| Ok(Op::SetEnabled { number, enabled: true }))
        }
        AccountCommand::LogOut(AccountOne { data, number }) => {
            let request = Request::AccountLogOut { number: number.get() };
            change(&data.data, &request, number, |_| Ok(Op::RevokeTokens { number }))
        }
        AccountCommand::Admin(AccountAdmin { data, number, admin }) => {
            let request = Request::AccountAdmin { number: number.get(), admin };
            change(&data.data, &request, number, |_| Ok(Op::SetAdmin { number, admin }))
        }
        AccountCommand::Delete(AccountOne { data, number }) => {
            let request = Request::AccountDelete { number: number.get() };
            change(&data.data, &request, number, |_| Ok(Op::DeleteAccount { number }))
        }
    }
}

/// Ends a number's sessions and log-ins, until it is enabled again.
pub(crate) fn disable(folder: &Path, number: AccountNumber) -> Result<(), Failure> {
    let request = Request::AccountDisable { number: number.get() };
    change(folder, &request, number, |_| Ok(Op::SetEnabled { number, enabled: false }))
}

fn create(args: AccountCreate) -> Result<(), Failure> {
    let AccountCreate { data: folder, number, name, admin, password } = args;
    let password = password::new(&password)?;
    let made = match data::open(&folder.data, true)? {
        Data::Running(mut exchange) => {
            let request = Request::AccountCreate {
                number: number.map(AccountNumber::get),
                name,
                password: password.password.clone(),
                admin,
            };
            let mut made = None;
            ask(&mut exchange, &request, number, |item| {
                if let Item::Account(account) = item {
                    made = Some(account.number);
                }
            })?;
            made.ok_or_else(|| Failure::failed("the exchange did not say which number it made"))?
        }
        Data::Ours(mut store) => {
            let credentials = Box::new(derive(&folder.data, &password.password)?);
            let made = match perform(&mut store, Op::CreateAccount { number, name, credentials }, number)? {
                Answer::Created(number) => number,
                other => unreachable!("an account is created or refused: {other:?}"),
            };
            if admin {
                perform(&mut store, Op::SetAdmin { number: made, admin }, Some(made))?;
            }
            made.get()
        }
    };
    password.announce();
    output::line(&made.to_string())
}

fn set_password(args: &AccountPassword) -> Result<(), Failure> {
    let number = args.one.number;
    let password = password::new(&args.password)?;
    let request = Request::AccountPassword { number: number.get(), password: password.password.clone() };
    let folder = &args.one.data.data;
    change(folder, &request, number, |folder| {
        let credentials = Box::new(derive(folder, &password.password)?);
        Ok(Op::SetCredentials { number, credentials })
    })?;
    password.announce();
    Ok(())
}

fn change(
    folder: &Path,
    request: &Request,
    number: AccountNumber,
    op: impl FnOnce(&Path) -> Result<Op, Failure>,
) -> Result<(), Failure> {
    match data::open(folder, false)? {
        Data::Running(mut exchange) => ask(&mut exchange, request, Some(number), |_| {}),
        Data::Ours(mut store) => perform(&mut store, op(folder)?, Some(number)).map(drop),
    }
}

/// What is printed of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    number: u64,
    enabled: bool,
    admin: bool,
    name: Option<String>,
}

fn list(args: &AccountList) -> Result<(), Failure> {
    let mut rows = Vec::new();
    match data::open(&args.data.data, false)? {
        Data::Running(mut exchange) => ask(&mut exchange, &Request::AccountList, None, |item| {
            if let Item::Account(account) = item {
                let server::admin::Account { number, name, enabled, admin } = account;
                rows.push(Row { number, enabled, admin, name });
            }
        })?,
        Data::Ours(mut store) => {
            let mut after = None;
            loop {
                let op = Op::ListAccounts { after, limit: limits::ACCOUNTS_PAGE_MAX };
                let Answer::Accounts { accounts, more } = perform(&mut store, op, None)? else {
                    unreachable!("a list is answered by a list")
                };
                after = accounts.last().map(|account| account.number);
                rows.extend(accounts.into_iter().map(|account| Row {
                    number: account.number.get(),
                    enabled: account.state == store::AccountState::Enabled,
                    admin: account.admin,
                    name: account.name,
                }));
                if !more {
                    break;
                }
            }
        }
    }
    rows.retain(|row| args.number.is_none_or(|number| row.number == number.get()));
    rows.retain(|row| args.name.is_none() || row.name == args.name);
    if args.json {
        return output::answer_json(&rows);
    }
    let cells: Vec<[String; 3]> = rows
        .iter()
        .map(|row| {
            let state = match (row.enabled, row.admin) {
                (true, false) => "enabled",
                (true, true) => "enabled, admin",
                (false, _) => "disabled",
            };
            [row.number.to_string(), state.to_owned(), output::tame(row.name.as_deref().unwrap_or_default())]
        })
        .collect();
    output::answer(output::columns(&cells))
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
            (ErrorCode::NoSuchAccount, Some(number)) => no_such(number),
            (ErrorCode::NumberTaken, Some(number)) => taken(number),
            _ => Failure::failed(reason),
        })
}

fn perform(store: &mut Sqlite, op: Op, number: Option<AccountNumber>) -> Result<Answer, Failure> {
    store.run_one(data::now(), op).map_err(|error| match (&error, number) {
        (StoreError::NoSuchAccount, Some(number)) => no_such(number),
        (StoreError::NumberTaken, Some(number)) => taken(number),
        _ => Failure::failed(error),
    })
}

fn no_such(number: AccountNumber) -> Failure {
    Failure::failed(format!("there is no account {number}"))
}

fn taken(number: AccountNumber) -> Failure {
    Failure::failed(format!("{number} is in use, or was once: numbers are never given out again"))
}

/// With the count that the folder's own configuration asks for, as the exchange would do it.
pub(super) fn derive(folder: &Path, password: &str) -> Result<Credentials, Failure> {
    let config = super::serve::folder_config(folder)?.unwrap_or_default();
    let mut salt = [0; session::sasl::keys::SALT_LEN];
    getrandom::fill(&mut salt).expect("the system has randomness");
    session::sasl::keys::derive_keys(password, salt, config.security.scram_iterations)
        .map_err(Failure::failed)
}
