//! Fills the lanes of archives that were kept in the way before: what the step to version 9 needs beside its SQL.
//!
//! Owns: nothing. Invariants: like the SQL it belongs to, it is not edited once it was released; so it shares nothing with
//! `archives`.
//! Not here: the tables.

use std::collections::HashMap;

use rusqlite::Connection;

/// Entries of a pack, and the bits of its key below the lane, in that version.
const PACK_MAX: usize = 128;
const SEQ_BITS: u32 = 35;

/// A lane that is being filled.
struct Lane {
    last: i64,
    last_mark: i64,
    entries: Vec<(i64, i64)>,
}

/// Goes through the log, in which each archive's messages stand together, in their order.
pub(super) fn repack(db: &Connection) -> rusqlite::Result<()> {
    let mut wholes = db.prepare("SELECT id FROM archive_lanes WHERE number = ?1 AND contact = ''")?;
    let mut log = db.prepare("SELECT seq, number, mark, contact FROM archive_log ORDER BY seq")?;
    let mut rows = log.query([])?;
    let mut lanes: HashMap<i64, Lane> = HashMap::new();
    let (mut of, mut whole) = (0, 0);
    while let Some(row) = rows.next()? {
        let (seq, number, mark, contact): (i64, i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if number != of {
            write(db, &mut lanes)?;
            (of, whole) = (number, wholes.query_row([number], |row| row.get(0))?);
        }
        for id in [whole, contact] {
            let lane = lanes.entry(id).or_insert(Lane { last: 0, last_mark: 0, entries: Vec::new() });
            lane.entries.push((mark, seq));
            if lane.entries.len() == PACK_MAX {
                pack(db, id, lane)?;
            }
        }
    }
    write(db, &mut lanes)
}

/// Ends the lanes of one archive.
fn write(db: &Connection, lanes: &mut HashMap<i64, Lane>) -> rusqlite::Result<()> {
    for (id, mut lane) in lanes.drain() {
        pack(db, id, &mut lane)?;
        db.prepare_cached("UPDATE archive_lanes SET last = ?2, last_id = ?3 WHERE id = ?1")?.execute((
            id,
            lane.last,
            lane.last_mark,
        ))?;
    }
    Ok(())
}

fn pack(db: &Connection, id: i64, lane: &mut Lane) -> rusqlite::Result<()> {
    let Some(&(last_mark, _)) = lane.entries.last() else { return Ok(()) };
    let words = lane.entries.iter().flat_map(|(mark, seq)| [mark.to_le_bytes(), seq.to_le_bytes()]);
    let blob: Vec<u8> = words.flatten().collect();
    db.prepare_cached("INSERT INTO archive_packs VALUES (?1, ?2)")?
        .execute((id << SEQ_BITS | (lane.last + 1), blob))?;
    lane.last += lane.entries.len() as i64;
    lane.last_mark = last_mark;
    lane.entries.clear();
    Ok(())
}
