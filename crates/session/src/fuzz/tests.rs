//! The fuzzers' seeds: log-in by either way, tokens, registration, resumption.

fn play(target: &str, entry: fn(&[u8])) {
    let seeds = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let seeds: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| entry(&std::fs::read(seed).unwrap()));
}

#[test]
fn the_seeds_hold() {
    play("session_messages", super::messages);
    play("session_bytes", super::bytes);
}
