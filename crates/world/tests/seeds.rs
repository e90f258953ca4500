//! Whole chats, one a seed: none may break a rule. `SWITCHBOARD_CHATS` says how many (default 6), `SWITCHBOARD_SEED_START` where to
//! begin (default 0, so that a plain test run is the same everywhere; CI hands in a fresh one, which is printed), and
//! `SWITCHBOARD_CLIENTS` how many clients each has at most (default 60).

use switchboard_world::life::{Options, Outcome, live};

/// Lines printed with a failure; the command prints all.
const LINES_MAX: usize = 200;
/// In every other life, one client in four speaks QUIC, and one in four TLS.
const QUIC: u32 = 250_000;
const TLS: u32 = 250_000;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
        Err(_) => default,
    }
}

fn options(seed: u64) -> Options {
    let (quic, tls) = if seed % 2 == 1 { (QUIC, TLS) } else { (0, 0) };
    Options { clients_max: number("SWITCHBOARD_CLIENTS", 60), quic, tls, ..Options::default() }
}

fn report(seed: u64, outcome: &Outcome) -> String {
    let violation = outcome.violation.as_ref().expect("a failed life");
    let options = options(seed);
    let again = live(seed, Options { lines_max: LINES_MAX, ..options });
    format!(
        "seed {seed}: {violation}\nreplay: cargo run --release -p switchboard-world --example chat -- --seed {seed} \
         --clients {} --quic {} --tls {}\n{}\n{}",
        options.clients_max,
        options.quic,
        options.tls,
        again.drawn,
        again.lines.join("\n")
    )
}

#[test]
fn no_chat_breaks_a_rule() {
    let start = number("SWITCHBOARD_SEED_START", 0);
    let count = number("SWITCHBOARD_CHATS", 6);
    println!("seeds {start}..{}", start.wrapping_add(count));
    let mut all = [0; 5];
    let (mut kills, mut refused) = (0, 0);
    let mut failed = Vec::new();
    for seed in (0..count).map(|at| start.wrapping_add(at)) {
        let outcome = live(seed, options(seed));
        (0..all.len()).for_each(|at| all[at] += outcome.counts[at]);
        kills += outcome.kills;
        refused += outcome.refused;
        if outcome.violation.is_some() {
            failed.push((seed, outcome));
        }
    }
    if let Some((seed, outcome)) = failed.first() {
        let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
        panic!("{} of {count} chats failed: {seeds:?}\n{}", failed.len(), report(*seed, outcome));
    }
    println!(
        "{all:?} written, acknowledged, arrived, repeated, returned; {kills} kills, {refused} refused writes"
    );
    assert!(all[2] > count * 50, "chats in which nothing is said prove nothing: {all:?}");
    assert!(count < 6 || kills > 0, "nobody was killed");
}

#[test]
fn a_chat_over_tcp_is_the_same_every_time() {
    let options = Options { clients_max: 30, ..Options::default() };
    let (first, second) = (live(1000, options), live(1000, options));
    assert_eq!(first.digest, second.digest);
    assert_eq!((first.lasted, first.counts), (second.lasted, second.counts));
    let told = live(1000, Options { lines_max: 10, ..options });
    assert_eq!(first.digest, told.digest, "looking changes nothing");
    assert_ne!(first.digest, live(1001, options).digest);
}
