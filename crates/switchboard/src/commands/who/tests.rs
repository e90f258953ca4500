use super::*;

fn line(number: u64, carrier: &str) -> Line {
    Line {
        number: Some(number),
        resource: Some("desk".into()),
        carrier: carrier.into(),
        network: "kernel".into(),
        remote: "127.0.0.1:50412".parse().unwrap(),
        state: "bound".into(),
        encrypted: true,
        since: 0,
    }
}

#[test]
fn a_picture_fits_its_terminal() {
    let lines: Vec<Line> = (0..10).map(|n| line(10_001 + n, if n < 3 { "tls" } else { "quic" })).collect();
    let rows = rows(&lines);
    let whole = picture(&lines, &rows, (200, 24));
    assert_eq!(whole[0], "10 lines: 7 quic, 3 tls");
    assert_eq!(whole.len(), 12);
    let cut = picture(&lines, &rows, (20, 8));
    assert_eq!(cut.len(), 7, "a line is left for the cursor");
    assert_eq!(cut[6], "... and 6 more");
    assert!(cut.iter().all(|line| line.chars().count() <= 20));
    assert_eq!(picture(&[], &[], (80, 24))[0], "nobody is on line");
}

#[test]
fn only_changes_are_told() {
    let set = |lines: &[Line]| rows(lines).into_iter().collect::<BTreeSet<_>>();
    let (early, late) = (set(&[line(1, "tcp"), line(2, "tcp")]), set(&[line(2, "tcp"), line(3, "ws")]));
    let told = changes(&early, &late);
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("- 1  desk  tcp"), "{told:?}");
    assert!(told[1].starts_with("+ 3  desk  ws"), "{told:?}");
    assert_eq!(changes(&late, &late), Vec::<String>::new());
}
