//! Tokens in SQLite.
//!
//! Owns: the table `tokens`. Invariants: a client has one fresh token and one used one at most.
//! Not here: what a token proves (`session`).

use rusqlite::{Connection, Row};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::{Stop, accounts, millis, wallclock};
use crate::token::{AGENTS_MAX, AgentMark};
use crate::{AccountState, Answer, Authority, StoreError, Token, TokenChange};

pub(super) fn load(db: &Connection, number: AccountNumber, agent: &AgentMark) -> Result<Answer, Stop> {
    // Who is not there is looked for in the same places, so that it takes as long.
    let state = accounts::credentials(db, number)?.map(|(state, _)| state);
    let tokens = of_agent(db, number, agent)?;
    Ok(Answer::Tokens(state.map(|state| (state, tokens))))
}

pub(super) fn change(db: &Connection, now: Wallclock, change: &TokenChange) -> Result<Answer, Stop> {
    let (number, agent) = (change.number.get(), &change.agent[..]);
    let Some((AccountState::Enabled, credentials)) = accounts::credentials(db, change.number)? else {
        return Err(StoreError::NoSuchItem.into());
    };
    match &change.authority {
        Authority::Password(mark) if *mark == credentials.mark() => {}
        Authority::Password(_) => return Err(StoreError::NoSuchItem.into()),
        Authority::Token { nonce, count } => {
            let tokens = of_agent(db, change.number, &change.agent)?;
            let used = tokens.iter().find(|token| token.nonce == *nonce).ok_or(StoreError::NoSuchItem)?;
            if count.is_some_and(|count| count <= used.count) {
                return Err(StoreError::NoSuchItem.into());
            }
            if change.forget {
                forget(db, number, agent)?;
            } else {
                if used.fresh {
                    db.prepare_cached("DELETE FROM tokens WHERE number = ?1 AND agent = ?2 AND fresh = 0")?
                        .execute((number, agent))?;
                }
                db.prepare_cached(
                    "UPDATE tokens SET fresh = 0, count = ?4 WHERE number = ?1 AND agent = ?2 AND fresh = ?3",
                )?
                .execute((number, agent, used.fresh, count.unwrap_or(used.count)))?;
            }
        }
    }
    if let Some(new) = &change.issue {
        db.prepare_cached("INSERT OR REPLACE INTO tokens VALUES (?1, ?2, 1, ?3, ?4, ?5, 0)")?.execute((
            number,
            agent,
            &new.nonce[..],
            &new.mechanism,
            millis(new.expires),
        ))?;
    }
    db.prepare_cached("DELETE FROM tokens WHERE number = ?1 AND expires <= ?2")?
        .execute((number, millis(now)))?;
    let mut oldest_first = db.prepare_cached(
        "SELECT agent FROM tokens WHERE number = ?1 GROUP BY agent ORDER BY max(expires), agent",
    )?;
    let agents = oldest_first
        .query_map([number], |row| row.get::<_, Vec<u8>>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for agent in &agents[..agents.len().saturating_sub(AGENTS_MAX)] {
        forget(db, number, agent)?;
    }
    Ok(Answer::Done)
}

pub(super) fn revoke(db: &Connection, number: AccountNumber) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM tokens WHERE number = ?1")?.execute([number.get()])?;
    Ok(())
}

fn forget(db: &Connection, number: u64, agent: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM tokens WHERE number = ?1 AND agent = ?2")?.execute((number, agent))?;
    Ok(())
}

fn of_agent(db: &Connection, number: AccountNumber, agent: &AgentMark) -> rusqlite::Result<Vec<Token>> {
    db.prepare_cached(
        "SELECT nonce, mechanism, expires, count, fresh FROM tokens
         WHERE number = ?1 AND agent = ?2 ORDER BY fresh",
    )?
    .query_map((number.get(), &agent[..]), token)?
    .collect()
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        nonce: row.get(0)?,
        mechanism: row.get(1)?,
        expires: wallclock(row.get(2)?),
        count: row.get(3)?,
        fresh: row.get(4)?,
    })
}
