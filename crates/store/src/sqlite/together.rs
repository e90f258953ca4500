//! Many requests as one: all of them see one moment, and all take effect or none does.
//!
//! Owns: nothing. Invariants: a database that is only looked at is not written to, whatever is asked.
//! Not here: the groups in which an exchange commits (`mod`), where neighbours do not share their fate.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use xmpp::time::Wallclock;

use super::migrate::{self, Unusable};
use super::reserve::Reserve;
use super::schema::MIGRATIONS;
use super::{Archives, Config, FILE, Mailboxes, OpenError, Sessions, Sqlite, Stop, is_lost_sync, refusal};
use crate::{Answer, Op, StoreError};

/// After so many requests the ends of queues and archives are written to their tables, so that what is remembered of them
/// stays bounded.
const WRITE_ENDS_EVERY: u32 = 4096;

impl Sqlite {
    /// Opens the database of a folder for looking at it, while an exchange may run on the folder and change it. What is
    /// asked to change is refused.
    pub fn look(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        let sqlite = |error| OpenError::Sqlite { path: path.clone(), error };
        // Reading a log needs its index to be writable; that nothing else is written is said next.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
        connection.pragma_update(None, "query_only", true).map_err(sqlite)?;
        connection.set_prepared_statement_cache_capacity(super::STATEMENTS);
        match migrate::check(&connection) {
            Ok(found) if found as usize == MIGRATIONS.len() => {}
            Ok(_) => return Err(OpenError::Older { path }),
            Err(Unusable::Newer { found, known }) => return Err(OpenError::Newer { path, found, known }),
            Err(Unusable::Foreign) => return Err(OpenError::Foreign { path }),
            Err(Unusable::Sqlite(error)) => return Err(sqlite(error)),
        }
        Ok(Self {
            connection,
            limits: Config::default().limits,
            mailboxes: Mailboxes::default(),
            archives: Archives::default(),
            sessions: Sessions::default(),
            reserve: Reserve::none(),
            broken: None,
            _folder: None,
        })
    }

    /// Lets `work` ask one thing after another. If it fails, nothing has changed; otherwise all that it was answered is on
    /// the disk when this returns.
    ///
    /// # Errors
    /// What `work` says, or why the disk did not take it.
    pub fn together<T, E: From<StoreError>>(
        &mut self,
        now: Wallclock,
        work: impl FnOnce(&mut dyn FnMut(Op) -> Result<Answer, StoreError>) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Failed(why.clone()).into());
        }
        let failed = |error: rusqlite::Error| E::from(refusal(&error));
        self.connection.execute_batch("BEGIN").map_err(failed)?;
        let mut asked = 0;
        let done = work(&mut |op| {
            asked += 1;
            if asked % WRITE_ENDS_EVERY == 0 {
                self.write_ends().map_err(|error| refusal(&error))?;
            }
            match self.apply(now, &op) {
                Ok(answer) => Ok(answer),
                Err(Stop::Refused(why)) => Err(why),
                Err(Stop::Sqlite(error)) => Err(refusal(&error)),
            }
        });
        let done = done.and_then(|done| {
            self.write_ends().map_err(failed)?;
            self.sessions.flush(&self.connection).map_err(failed)?;
            self.connection.execute_batch("COMMIT").map_err(|error| {
                if is_lost_sync(&error) {
                    self.broken = Some(error.to_string().into());
                }
                failed(error)
            })?;
            self.archives.committed();
            self.sessions.committed();
            Ok(done)
        });
        if done.is_err() {
            self.mailboxes.forget();
            self.archives.undo();
            self.sessions.forget();
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    fn write_ends(&mut self) -> rusqlite::Result<()> {
        self.mailboxes.flush(&self.connection)?;
        self.archives.flush(&self.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{NOW, create, number, page, push};
    use crate::sqlite::tests::Place;
    use crate::{Backend, OfflineId};

    #[test]
    fn what_is_done_together_is_done_or_not_as_a_whole() {
        let place = Place::new();
        let mut store = place.open();
        create(&mut store, None).unwrap();
        push(&mut store, 10_001, "before").unwrap();
        let both = |fail: bool| {
            move |ask: &mut dyn FnMut(Op) -> Result<Answer, StoreError>| {
                ask(Op::CreateAccount { number: None, name: None, credentials: Box::default() })?;
                let stanza = b"together".to_vec();
                let pushed = ask(Op::PushOffline { number: number(10_001), stamp: NOW, stanza })?;
                if fail { Err(StoreError::NoSuchItem) } else { Ok(pushed) }
            }
        };
        assert_eq!(store.together(NOW, both(true)), Err(StoreError::NoSuchItem));
        let account = |store: &mut Sqlite| store.run_one(NOW, Op::LoadAccount { number: number(10_002) });
        assert_eq!(account(&mut store), Ok(Answer::Account(None)));
        assert_eq!(page(&mut store, 10_001, 0, 9).rows.len(), 1);
        assert_eq!(store.together(NOW, both(false)), Ok(Answer::Pushed(OfflineId(2))));
        drop(store);
        let mut store = place.open();
        assert!(matches!(account(&mut store), Ok(Answer::Account(Some(_)))));
        assert_eq!(page(&mut store, 10_001, 0, 9).rows.len(), 2);
        assert_eq!(push(&mut store, 10_001, "after"), Ok(3));
    }

    #[test]
    fn who_looks_sees_one_moment_and_changes_nothing() {
        let place = Place::new();
        let mut store = place.open();
        create(&mut store, None).unwrap();
        push(&mut store, 10_001, "first").unwrap();
        let mut looking = Sqlite::look(place.path()).unwrap();
        looking
            .together(NOW, |ask| {
                let mut count = || ask(Op::CountOffline { number: number(10_001) });
                let first = count()?;
                push(&mut store, 10_001, "second").unwrap();
                assert_eq!(count()?, first);
                let refused =
                    ask(Op::PushOffline { number: number(10_001), stamp: NOW, stanza: b"x".to_vec() });
                assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
                Ok::<(), StoreError>(())
            })
            .unwrap();
        assert_eq!(page(&mut store, 10_001, 0, 9).rows.len(), 2);
        assert_eq!(page(&mut looking, 10_001, 0, 9).rows.len(), 2);
        assert!(matches!(Sqlite::look(Path::new("/nowhere")), Err(OpenError::Sqlite { .. })));
    }
}
