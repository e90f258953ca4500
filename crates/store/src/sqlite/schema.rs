//! The tables, as a ladder of migrations: each entry leads from one version of the data folder to the next.
//!
//! Owns: every `CREATE`. Invariants: a migration that was released is never edited, only followed by another; the
//! version of a folder is the number of entries applied to it.
//! Not here: applying them (`migrate`).

mod repack;

use rusqlite::Connection;

/// "Swbd": tells our files from other programs' (PRAGMA application_id).
pub(super) const APPLICATION_ID: i32 = 0x5377_6264;

/// What leads from version `i` to version `i + 1`.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration::sql(ACCOUNTS_ROSTERS_OFFLINE),
    Migration::sql(TOKENS),
    Migration::sql(ARCHIVES_DOCUMENTS),
    Migration::sql(NODES),
    Migration::sql(INVITES),
    Migration::sql(SESSIONS),
    Migration::sql(UNCOVERED),
    Migration::sql(UNFILED),
    Migration { sql: ARCHIVE_LOG, then: Some(repack::repack) },
    Migration::sql(HAD),
];

/// One step: what SQL can say, and what it cannot.
#[derive(Clone, Copy)]
pub(super) struct Migration {
    pub(super) sql: &'static str,
    pub(super) then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

impl Migration {
    pub(super) const fn sql(sql: &'static str) -> Self {
        Self { sql, then: None }
    }
}

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

const ARCHIVES_DOCUMENTS: &str = "
    -- One row an archive that was ever used. slot: its mailbox's. first, last: the places of its rows, which have no gaps;
    -- first_id, last_id: the ids of these.
    CREATE TABLE archives (
        number   INTEGER PRIMARY KEY,
        slot     INTEGER NOT NULL,
        first    INTEGER NOT NULL,
        last     INTEGER NOT NULL,
        first_id INTEGER NOT NULL,
        last_id  INTEGER NOT NULL
    );

    -- id: the slot and the place (schema.rs, SEQ_BITS). mark: the id that clients see, which grows with the place.
    CREATE TABLE archive (
        id      INTEGER PRIMARY KEY,
        mark    INTEGER NOT NULL,
        contact INTEGER NOT NULL,
        stanza  BLOB    NOT NULL
    );

    -- Who is at the other end, for each account; never the same id twice, since rows of one that is gone may outlive it.
    -- first, last: the steps of its lane in archive_with.
    CREATE TABLE archive_contacts (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        number  INTEGER NOT NULL,
        address TEXT    NOT NULL,
        first   INTEGER NOT NULL,
        last    INTEGER NOT NULL,
        UNIQUE (number, address)
    );

    -- id: the contact and the step, made up as above. place: of the message in the archive.
    CREATE TABLE archive_with (id INTEGER PRIMARY KEY, place INTEGER NOT NULL);

    -- Rows that deleted accounts left behind: ids from low to high, in archive_with if lane is 1, in archive if it is 0.
    CREATE TABLE archive_gone (lane INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
                               PRIMARY KEY (lane, low)) WITHOUT ROWID;

    -- Small things that a feature keeps for an account, whole. space: document.rs.
    CREATE TABLE documents (
        number INTEGER NOT NULL,
        space  INTEGER NOT NULL,
        name   TEXT    NOT NULL,
        value  BLOB    NOT NULL,
        PRIMARY KEY (number, space, name)
    ) WITHOUT ROWID;
";

const NODES: &str = "
    -- config: what the router's feature wrote.
    CREATE TABLE nodes (
        number INTEGER NOT NULL,
        node   TEXT    NOT NULL,
        config BLOB    NOT NULL,
        PRIMARY KEY (number, node)
    ) WITHOUT ROWID;

    -- seq: in the order of publishing.
    CREATE TABLE items (
        seq     INTEGER PRIMARY KEY AUTOINCREMENT,
        number  INTEGER NOT NULL,
        node    TEXT    NOT NULL,
        id      TEXT    NOT NULL,
        payload BLOB    NOT NULL,
        UNIQUE (number, node, id)
    );
";

const INVITES: &str = "
    -- mark: a hash of the token. number: held back until some time after expires (GRACE).
    CREATE TABLE invites (
        mark    BLOB PRIMARY KEY,
        number  INTEGER UNIQUE,
        expires INTEGER NOT NULL,
        inviter INTEGER
    ) WITHOUT ROWID;
";

const SESSIONS: &str = "
    -- Sessions that may be resumed. key: what the client names it by. h: how many stanzas of its client were handled. until:
    -- when the row may go; 0 while the session lives. state: all of it, where it outlives its exchange.
    CREATE TABLE sessions (
        key    INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,
        h      INTEGER NOT NULL,
        until  INTEGER NOT NULL,
        state  TEXT
    );
";

const UNCOVERED: &str = "
    -- What stanzas added that the count of their session (key, h) does not cover: who starts after a crash takes it back.
    -- archive: 1 if row is the id of a message in number's archive, 0 if it is a place in its mailbox.
    CREATE TABLE uncovered (
        key     INTEGER NOT NULL,
        h       INTEGER NOT NULL,
        number  INTEGER NOT NULL,
        archive INTEGER NOT NULL,
        row     INTEGER NOT NULL,
        PRIMARY KEY (key, h, number, archive, row)
    ) WITHOUT ROWID;
";

const UNFILED: &str = "
    -- From here on archives.last and last_id are those of the last message that is filed in its contact's lane: messages of the
    -- archive beyond it are there, but in no lane yet, and archive_contacts.last counts without them. The highest id that
    -- any archive was given stands here.
    ALTER TABLE counters ADD COLUMN archive_high INTEGER NOT NULL DEFAULT 0;
    UPDATE counters SET archive_high = (SELECT coalesce(max(last_id), 0) FROM archives);
";

const ARCHIVE_LOG: &str = "
    -- Every message of every archive, in the order in which they came. mark: the id that clients see. contact: the lane of who is at
    -- the other end.
    CREATE TABLE archive_log (
        seq     INTEGER PRIMARY KEY,
        number  INTEGER NOT NULL,
        mark    INTEGER NOT NULL,
        contact INTEGER NOT NULL,
        stanza  BLOB    NOT NULL
    );

    -- For each account that ever had an archive, what is filed of the whole of it (contact is empty), and of what it holds of each
    -- contact. first, last: the steps of its messages, which have no gaps. last_id: the mark of the last.
    CREATE TABLE archive_lanes (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        number  INTEGER NOT NULL,
        contact TEXT    NOT NULL,
        first   INTEGER NOT NULL,
        last    INTEGER NOT NULL,
        last_id INTEGER NOT NULL,
        UNIQUE (number, contact)
    );
    CREATE INDEX archive_wholes ON archive_lanes (number) WHERE contact = '';

    -- id: the lane and the step of the first entry (SEQ_BITS). entries: mark and seq of each, 8 octets each, the lowest first.
    CREATE TABLE archive_packs (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);

    -- Lanes that deleted accounts left behind. whole: the messages in it are to go too.
    DROP TABLE archive_gone;
    CREATE TABLE archive_gone (lane INTEGER PRIMARY KEY, number INTEGER NOT NULL, whole INTEGER NOT NULL);

    -- Contacts keep their ids.
    INSERT INTO archive_lanes SELECT id, number, address, 1, 0, 0 FROM archive_contacts;
    INSERT INTO archive_lanes (number, contact, first, last, last_id) SELECT number, '', 1, 0, last_id FROM archives;
    INSERT INTO archive_log (number, mark, contact, stanza)
        SELECT archives.number, archive.mark, archive.contact, archive.stanza
        FROM archive JOIN archives ON archives.slot = archive.id >> 35 ORDER BY archive.id;
    DROP TABLE archive;
    DROP TABLE archive_with;
    DROP TABLE archive_contacts;
    DROP TABLE archives;
";

const HAD: &str = "
    -- Marks of stanzas of which all is done though the count of their session (key, h) does not cover them.
    CREATE TABLE ahead (
        key  INTEGER NOT NULL,
        h    INTEGER NOT NULL,
        mark INTEGER NOT NULL,
        PRIMARY KEY (key, h)
    ) WITHOUT ROWID;

    -- Of those, after a crash, the ones whose recipients have had them: until they come again, or their session is known no more.
    CREATE TABLE had (key INTEGER NOT NULL, mark INTEGER NOT NULL, PRIMARY KEY (key, mark)) WITHOUT ROWID;
";
