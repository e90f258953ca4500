//! What a connection carries over a bad link: floors under the figures of docs/benchmarks.md, so that a change that slows recovery is
//! seen. Virtual time and fixed seeds: these are no measurements, the same commit gives the same figures everywhere.

use std::time::Duration;
use switchboard_sim::goodput::{Goodput, Path, measure};

fn run(path: &Path, seconds: u64) -> Goodput {
    measure(path, Duration::from_secs(seconds), |_| {}).expect("the stacks agree with themselves")
}

/// The median of three seeds, in Mbit/s.
fn median(loss: u32, seconds: u64) -> f64 {
    let mut runs: Vec<f64> =
        (1..=3).map(|seed| run(&Path::of_loss(loss, seed), seconds).bits_per_second() / 1e6).collect();
    runs.sort_by(f64::total_cmp);
    runs[1]
}

/// 20 ms; when these were written: 7.4 and 2.5 Mbit/s over thirty seconds.
#[test]
fn a_link_that_loses_carries_what_it_can() {
    for (loss, floor) in [(10_000, 6.5), (50_000, 2.2)] {
        let median = median(loss, 10);
        assert!(median >= floor, "{} %: {median:.2} Mbit/s", f64::from(loss) / 10_000.0);
    }
}

/// One frame of twenty is overtaken. RFC 8985: once reordering has been seen, what is only late is not sent again.
#[test]
fn a_link_that_reorders_costs_next_to_nothing() {
    let path = Path { reorder: 50_000, rate: 10_000_000, queue_max: 50, ..Path::of_loss(0, 3) };
    let reordered = run(&path, 10);
    let straight = run(&Path { reorder: 0, ..path }, 10);
    assert!(reordered.sender.reordering_seen && !straight.sender.reordering_seen);
    let (with, without) = (reordered.bits_per_second() / 1e6, straight.bits_per_second() / 1e6);
    assert!(with > 0.95 * without && without > 9.0, "{with:.2} of {without:.2} Mbit/s");
}
