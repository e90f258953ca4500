//! The tables, as a ladder of migrations: each entry leads from one version of the data folder to the next.
//!
//! Owns: every `CREATE`. Invariants: a migration that was released is never edited, only followed by another; the
//! version of a folder is the number of entries applied to it.
//! Not here: applying them (`migrate`).

/// "Swbd": tells our files from other programs' (PRAGMA application_id).
pub(super) const APPLICATION_ID: i32 = 0x5377_6264;

/// What leads from version `i` to version `i + 1`.
pub(super) const MIGRATIONS: &[&str] = &[ACCOUNTS_ROSTERS_OFFLINE, TOKENS];

/// How a row's place in its account's queue and the account's slot make up its rowid: `slot << SEQ_BITS | place`.
///
/// One table, clustered by account, under one integer: a push touches one page and no index, a page of a queue is one
/// range scan however long the queue. 2^28 accounts that ever were, 2^35 messages each.
pub(super) const SEQ_BITS: u32 = 35;

/// The last place in a queue.
pub(super) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// The last slot.
pub(super) const SLOT_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;

const ACCOUNTS_ROSTERS_OFFLINE: &str = "
    -- What the folder knows about itself: the domain.
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- Where to look for the next free number and the next free slot. One row.
    CREATE TABLE counters (
        one        INTEGER PRIMARY KEY CHECK (one = 1),
        first_free INTEGER NOT NULL,
        next_slot  INTEGER NOT NULL
    );
    INSERT INTO counters VALUES (1, 10001, 1);

    -- state: 0 enabled, 1 disabled, 2 deleted. A deleted account keeps its row, wiped, so that its number stays taken.
    CREATE TABLE accounts (
        number            INTEGER PRIMARY KEY,
        state             INTEGER NOT NULL,
        created           INTEGER NOT NULL,
        name              TEXT,
        sha1_salt         BLOB,
        sha1_iterations   INTEGER,
        sha1_stored_key   BLOB,
        sha1_server_key   BLOB,
        sha256_salt       BLOB,
        sha256_iterations INTEGER,
        sha256_stored_key BLOB,
        sha256_server_key BLOB
    );

    -- One row an account. items counts the rows of roster_items.
    CREATE TABLE rosters (number INTEGER PRIMARY KEY, version INTEGER NOT NULL, items INTEGER NOT NULL);

    -- contact_groups is a JSON array of strings. subscription: 1 to, 2 from, 3 both.
    CREATE TABLE roster_items (
        number         INTEGER NOT NULL,
        contact        TEXT    NOT NULL,
        listed         INTEGER NOT NULL,
        name           TEXT,
        contact_groups TEXT    NOT NULL,
        subscription   INTEGER NOT NULL,
        ask            INTEGER NOT NULL,
        approved       INTEGER NOT NULL,
        pending_in     BLOB,
        PRIMARY KEY (number, contact)
    ) WITHOUT ROWID;

    -- One row an account. last: the last id given out; messages, bytes: what lies in offline.
    CREATE TABLE mailboxes (
        number   INTEGER PRIMARY KEY,
        slot     INTEGER NOT NULL,
        last     INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        bytes    INTEGER NOT NULL
    );

    -- id: the mailbox's slot and the place in its queue (schema.rs, SEQ_BITS).
    CREATE TABLE offline (id INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, stanza BLOB NOT NULL);
";

const TOKENS: &str = "
    ALTER TABLE accounts ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;

    -- agent: a keyed hash of the client's own id. fresh: given out and not used yet; a client has one of each at most.
    CREATE TABLE tokens (
        number    INTEGER NOT NULL,
        agent     BLOB    NOT NULL,
        fresh     INTEGER NOT NULL,
        nonce     BLOB    NOT NULL,
        mechanism TEXT    NOT NULL,
        expires   INTEGER NOT NULL,
        count     INTEGER NOT NULL,
        PRIMARY KEY (number, agent, fresh)
    ) WITHOUT ROWID;
";
