//! Many lives: none may break a rule. `SWITCHBOARD_SEEDS` says how many (default 200), `SWITCHBOARD_SEED_START` where to begin
//! (default 0, so that a plain test run is the same everywhere; CI hands in a fresh one, which is printed).

use switchboard_sim::life::{BYTES_MAX, Options, Outcome, live, seq_of};
use switchboard_sim::link::End;
use tcp::TestSwitches;

/// Lines of packets printed with a failure; the command prints all.
const LINES_MAX: usize = 400;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
        Err(_) => default,
    }
}

fn report(seed: u64, outcome: &Outcome) -> String {
    let violation = outcome.violation.as_ref().expect("a failed life");
    let again = live(seed, Options { frames_max: LINES_MAX, ..Options::default() });
    format!(
        "seed {seed}: {violation}\nreplay: cargo run -p switchboard-sim --example life -- --seed {seed}\n{}\n{}",
        again.drawn, again.trace
    )
}

#[test]
fn no_life_breaks_a_rule() {
    let start = number("SWITCHBOARD_SEED_START", 0);
    let count = number("SWITCHBOARD_SEEDS", 200);
    println!("seeds {start}..{}", start.wrapping_add(count));
    let (mut delivered, mut datagrams) = (0, 0);
    let mut failed = Vec::new();
    for seed in (0..count).map(|i| start.wrapping_add(i)) {
        let outcome = live(seed, Options::default());
        delivered += outcome.delivered;
        datagrams += outcome.datagrams;
        if outcome.violation.is_some() {
            failed.push((seed, outcome));
        }
    }
    if let Some((seed, outcome)) = failed.first() {
        let all: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
        panic!("{} of {count} lives failed: {all:?}\n{}", failed.len(), report(*seed, outcome));
    }
    assert!(delivered > count * 1000, "lives in which nothing is said prove nothing: {delivered} bytes");
    assert!(count < 50 || datagrams > count, "{datagrams} datagrams came back");
}

#[test]
fn ten_lives_lived_twice_are_the_same() {
    for seed in 1000..1010 {
        let (first, second) = (live(seed, Options::default()), live(seed, Options::default()));
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.lasted, second.lasted, "seed {seed}");
        let traced = live(seed, Options { frames_max: 10, ..Options::default() });
        assert_eq!(first.digest, traced.digest, "looking changes nothing");
    }
    assert_ne!(live(1, Options::default()).digest, live(2, Options::default()).digest);
}

/// Some conversations begin just before the end of the sequence space and go on behind it.
#[test]
fn some_lives_wrap() {
    let wraps = |seed: &u64| {
        let outcome = live(*seed, Options { frames_max: 100_000, ..Options::default() });
        assert_eq!(outcome.trace.forgotten(), 0);
        let from_a = outcome.trace.frames().filter(|passed| passed.from == End::A);
        let seqs: Vec<u32> = from_a.filter_map(|passed| seq_of(&passed.frame)).collect();
        // The first is a SYN's; nothing else begins or ends so near to the end of the space by chance.
        seqs[0] > u32::MAX - BYTES_MAX as u32 - 2 && seqs.iter().any(|seq| *seq < BYTES_MAX as u32)
    };
    let found = (0..100).filter(wraps).count();
    assert!(found >= 5, "{found} of 100");
}

/// The lives themselves, not only scenes made for it, miss retransmission and persist: so they do reach lost segments and closed
/// windows. (A life has no old segments from before a wrap, and without SACK or TIME-WAIT it is slower or less polite, not wrong.)
#[test]
fn lives_notice_a_rule_that_is_off() {
    let all = TestSwitches::default();
    let broken = [
        ("retransmission", TestSwitches { retransmission: false, ..all }, 20),
        ("persist", TestSwitches { persist: false, ..all }, 400),
    ];
    for (rule, switches, lives) in broken {
        let noticed = (0..lives).any(|seed| {
            let options = Options { switches, ..Options::default() };
            live(seed, options).violation.is_some()
        });
        assert!(noticed, "{lives} lives without {rule}, and nobody minds");
    }
}
