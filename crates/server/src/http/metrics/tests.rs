use super::*;
use crate::http::tests::{headers, site_for, way};
use xmpp::StreamErrorKind;

fn facts() -> Facts {
    let mut counts = LoopCounts { octets_in: 100, bound: 3, ..LoopCounts::default() };
    counts.opened[0] = 7;
    counts.closed[0] = 2;
    counts.stanzas_in = [5, 6, 7];
    counts.ended_by_error.push((StreamErrorKind::PolicyViolation, 4));
    let other = counts.clone();
    Facts {
        loops: vec![Some(Box::new(counts)), None, Some(Box::new(other))],
        store_answers: true,
        store_busy_seconds: 1.5,
        ..Facts::default()
    }
}

#[test]
fn sums_over_loops_in_prometheus_words() {
    let page = write(facts()).unwrap();
    for line in [
        "# TYPE switchboard_connections gauge",
        "switchboard_connections{carrier=\"tcp\"} 10",
        "switchboard_connections_opened_total{carrier=\"tcp\"} 14",
        "switchboard_connections_opened_total{carrier=\"quic\"} 0",
        "switchboard_sessions 6",
        "switchboard_sessions_ended_total{reason=\"policy-violation\"} 8",
        "switchboard_stanzas_received_total{kind=\"message\"} 10",
        "switchboard_received_bytes_total 200",
        "switchboard_store_busy_seconds_total 1.5",
        "switchboard_store_up 1",
        "switchboard_loops_silent 1",
        "# EOF",
    ] {
        assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
    }
}

/// The page for people and the page for Prometheus name the same figures.
#[test]
fn docs_name_each() {
    let page = write(facts()).unwrap();
    let families: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let docs =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    let named: Vec<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .map(|name| name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(name))
        .collect();
    assert_eq!(named, families, "docs/metrics.md and the page differ");
}

#[test]
fn strangers_are_not_told() {
    type Headers = &'static [(&'static str, &'static str)];
    let rows: &[(&str, &str, Headers, bool)] = &[
        // asks from, is a trusted proxy, headers, told
        ("127.0.0.1:9", "192.0.2.1", &[], true),
        ("[::1]:9", "192.0.2.1", &[], false),
        ("198.51.100.7:9", "192.0.2.1", &[], false),
        // Something on this host forwards for someone: not the host itself.
        ("127.0.0.1:9", "192.0.2.1", &[("x-forwarded-for", "198.51.100.7")], false),
        // A trusted proxy says for whom.
        ("127.0.0.1:9", "127.0.0.1", &[("x-forwarded-for", "198.51.100.7")], false),
        ("192.0.2.1:9", "192.0.2.1", &[("x-forwarded-for", "127.0.0.2")], true),
    ];
    for (from, trusted, given, told) in rows {
        let site = site_for(&[trusted], &["127.0.0.0/8"]);
        assert_eq!(may_ask(&site, way(from), &headers(given)), *told, "{from} {given:?}");
    }
}
