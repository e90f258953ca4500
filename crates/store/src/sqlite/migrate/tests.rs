use super::*;

const NOW: Wallclock = Wallclock::from_millis(1_700_000_000_000);

fn tables(connection: &Connection) -> Vec<String> {
    let mut query =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_old_database_climbs_the_steps_it_lacks_and_keeps_its_rows() {
    let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y DEFAULT 7"].map(Migration::sql);
    let mut connection = Connection::open_in_memory().unwrap();
    migrate_with(&mut connection, NOW, &steps[..1]).unwrap();
    connection.execute("INSERT INTO a VALUES (1)", []).unwrap();
    migrate_with(&mut connection, NOW, &steps).unwrap();
    assert_eq!(check_against(&connection, &steps).unwrap(), 2);
    let row: (i32, i32) =
        connection.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(row, (1, 7));
}

#[test]
fn climbing_twice_changes_nothing() {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, NOW).unwrap();
    migrate(&mut connection, NOW).unwrap();
    assert_eq!(check(&connection).unwrap() as usize, MIGRATIONS.len());
}

#[test]
fn a_step_that_fails_leaves_the_version_before_it() {
    let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"].map(Migration::sql);
    let mut connection = Connection::open_in_memory().unwrap();
    assert!(matches!(migrate_with(&mut connection, NOW, &steps), Err(Unusable::Sqlite(_))));
    assert_eq!(check_against(&connection, &steps).unwrap(), 1);
    assert_eq!(tables(&connection), ["a", "migrations"]);
}

#[test]
fn newer_and_foreign_databases_are_refused() {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate_with(&mut connection, NOW, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"].map(Migration::sql))
        .unwrap();
    let refused = check_against(&connection, &["CREATE TABLE a (x)"].map(Migration::sql));
    assert!(matches!(refused, Err(Unusable::Newer { found: 2, known: 1 })));

    let foreign = Connection::open_in_memory().unwrap();
    foreign.execute_batch("CREATE TABLE recipes (x)").unwrap();
    assert!(matches!(check(&foreign), Err(Unusable::Foreign)));
}
