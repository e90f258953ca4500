//! Invites in SQLite.
//!
//! Owns: the table `invites`. Invariants: a number is held by one invite at most; an invite is used once.
//! Not here: making the account (`accounts`).

use rusqlite::{Connection, OptionalExtension, Row};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::{Stop, accounts, millis, wallclock};
use crate::invite::{GRACE, INVITES_MAX};
use crate::{Answer, Credentials, Hold, Invite, InviteMark, StoreError};

pub(super) fn create(
    db: &Connection,
    now: Wallclock,
    mark: &InviteMark,
    hold: Hold,
    expires: Wallclock,
    inviter: Option<AccountNumber>,
) -> Result<Answer, Stop> {
    db.prepare_cached("DELETE FROM invites WHERE expires <= ?1")?.execute([past_grace(now)])?;
    let count: u64 = db.prepare_cached("SELECT count(*) FROM invites")?.query_row([], |row| row.get(0))?;
    if count >= INVITES_MAX {
        return Err(StoreError::QuotaExceeded.into());
    }
    let number = match hold {
        Hold::Later => None,
        Hold::First => Some(accounts::first_number(db, now)?),
        Hold::This(number) if accounts::is_free(db, now, number.get())? => Some(number),
        Hold::This(_) => return Err(StoreError::NumberTaken.into()),
    };
    let invite = Invite { mark: *mark, number, expires, inviter };
    put(db, &invite)?;
    Ok(Answer::Invite(invite))
}

pub(super) fn show(db: &Connection, now: Wallclock, mark: &InviteMark) -> Result<Answer, Stop> {
    let invite = find(db, mark)?.filter(|invite| invite.expires > now);
    let mut invite = invite.ok_or(StoreError::NoSuchItem)?;
    if invite.number.is_none() {
        invite.number = Some(accounts::first_number(db, now)?);
        put(db, &invite)?;
    }
    Ok(Answer::Invite(invite))
}

pub(super) fn list(db: &Connection, now: Wallclock) -> Result<Answer, Stop> {
    let mut query = db.prepare_cached(
        "SELECT mark, number, expires, inviter FROM invites WHERE expires > ?1 ORDER BY expires, mark",
    )?;
    let invites = query.query_map([millis(now)], invite)?.collect::<rusqlite::Result<_>>()?;
    Ok(Answer::Invites(invites))
}

pub(super) fn revoke(db: &Connection, now: Wallclock, number: AccountNumber) -> Result<Answer, Stop> {
    let gone = db
        .prepare_cached("DELETE FROM invites WHERE number = ?1 AND expires > ?2")?
        .execute((number.get(), millis(now)))?;
    if gone == 1 { Ok(Answer::Done) } else { Err(StoreError::NoSuchItem.into()) }
}

pub(super) fn accept(
    db: &Connection,
    now: Wallclock,
    mark: &InviteMark,
    number: AccountNumber,
    credentials: &Credentials,
) -> Result<Answer, Stop> {
    let fits = |invite: &Invite| invite.number == Some(number) && invite.expires + GRACE > now;
    let invite = find(db, mark)?.filter(fits);
    let invite = invite.ok_or(StoreError::NoSuchItem)?;
    db.prepare_cached("DELETE FROM invites WHERE mark = ?1")?.execute([&mark[..]])?;
    // It was held back, so it is free now.
    accounts::create(db, now, Some(number), None, credentials)?;
    Ok(Answer::Invite(invite))
}

/// Whether an invite holds this number back.
pub(super) fn is_held(db: &Connection, now: Wallclock, number: u64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM invites WHERE number = ?1 AND expires > ?2")?
        .exists((number, past_grace(now)))
}

/// What expired before this is past its grace.
fn past_grace(now: Wallclock) -> i64 {
    millis(now).saturating_sub(i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX))
}

fn find(db: &Connection, mark: &InviteMark) -> rusqlite::Result<Option<Invite>> {
    db.prepare_cached("SELECT mark, number, expires, inviter FROM invites WHERE mark = ?1")?
        .query_row([&mark[..]], invite)
        .optional()
}

/// Adds or replaces. A number that an invite held whose time and grace are over is taken from it.
fn put(db: &Connection, invite: &Invite) -> rusqlite::Result<()> {
    let number = invite.number.map(AccountNumber::get);
    db.prepare_cached("DELETE FROM invites WHERE number = ?1 AND mark != ?2")?
        .execute((number, &invite.mark[..]))?;
    db.prepare_cached("INSERT OR REPLACE INTO invites VALUES (?1, ?2, ?3, ?4)")?.execute((
        &invite.mark[..],
        number,
        millis(invite.expires),
        invite.inviter.map(AccountNumber::get),
    ))?;
    Ok(())
}

fn invite(row: &Row<'_>) -> rusqlite::Result<Invite> {
    let number = |number: Option<u64>| number.and_then(AccountNumber::new);
    Ok(Invite {
        mark: row.get(0)?,
        number: number(row.get(1)?),
        expires: wallclock(row.get(2)?),
        inviter: number(row.get(3)?),
    })
}
