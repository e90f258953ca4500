//! Goodput over a link that loses frames: `cargo run --release -p switchboard-sim --example goodput [LOSS_PERCENT ...]`, a line each
//! with the median of five seeds.

use std::time::Duration;
use switchboard_sim::goodput::{Path, measure};

fn main() -> std::io::Result<()> {
    let asked: Vec<f64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let percents = if asked.is_empty() { vec![0.0, 0.1, 1.0, 5.0] } else { asked };
    for percent in percents {
        let mut runs = (1..=5)
            .map(|seed| {
                measure(&Path::of_loss((percent * 10_000.0) as u32, seed), Duration::from_secs(30), |_| {})
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        runs.sort_by_key(|run| run.octets);
        let all: Vec<String> = runs.iter().map(|run| format!("{:.1}", run.bits_per_second() / 1e6)).collect();
        let info = &runs[2].sender;
        println!(
            "{percent} %: {} Mbit/s of {}; again {}, spurious {}, srtt {:?}, cwnd {}",
            all[2],
            all.join(" "),
            info.total_retransmits,
            info.spurious_recoveries,
            info.srtt.unwrap_or_default(),
            info.cwnd
        );
    }
    Ok(())
}
