use super::RttEstimator;
use crate::config::TcpConfig;
use core::time::Duration;
use proptest::prelude::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn twelve_bytes() {
    assert!(size_of::<RttEstimator>() <= 12);
}

/// RFC 6298 2.2 and 2.3 worked by hand: R = 100 ms, then R' = 200 ms.
#[test]
fn the_rfc_by_hand() {
    let config = TcpConfig { rto_min: ms(0), ..TcpConfig::default() };
    let mut rtt = RttEstimator::new();
    assert_eq!(rtt.rto(&config), ms(1000));
    rtt.on_sample(ms(100), 1);
    assert_eq!((rtt.srtt(), rtt.rttvar()), (Some(ms(100)), Some(ms(50))));
    assert_eq!(rtt.rto(&config), ms(300));
    rtt.on_sample(ms(200), 1);
    // RTTVAR = 3/4 * 50 + 1/4 * |100 - 200| = 62.5; SRTT = 7/8 * 100 + 1/8 * 200 = 112.5.
    assert_eq!(rtt.rttvar(), Some(Duration::from_micros(62_500)));
    assert_eq!(rtt.srtt(), Some(Duration::from_micros(112_500)));
    assert_eq!(rtt.rto(&config), Duration::from_micros(362_500));
    assert_eq!(rtt.min_rtt(), Some(ms(100)));
}

#[test]
fn a_steady_path_times_out_one_rto_min_after_its_round_trip() {
    let config = TcpConfig::default();
    let mut rtt = RttEstimator::new();
    for _ in 0..200 {
        rtt.on_sample(ms(30), 1);
    }
    assert_eq!(rtt.rto(&config), ms(230));
}

#[test]
fn a_lost_syn_makes_the_first_data_wait_three_seconds() {
    let config = TcpConfig::default();
    let mut rtt = RttEstimator::new();
    rtt.on_syn_timeout();
    assert_eq!(rtt.rto(&config), ms(3000));
    assert_eq!(rtt.srtt(), None);
    // A sample (timestamps time even a SYN that was sent again) settles it.
    rtt.on_sample(ms(50), 1);
    assert_eq!(rtt.rto(&config), ms(250));
    rtt.on_syn_timeout();
    assert_eq!(rtt.rto(&config), ms(250));
}

proptest! {
    #[test]
    fn the_rto_stays_within_its_bounds(samples in prop::collection::vec((0u64..400_000_000, 1u32..5000), 1..50)) {
        let config = TcpConfig::default();
        let mut rtt = RttEstimator::new();
        let (mut least, mut most) = (u64::MAX, 0);
        for (micros, weight) in samples {
            rtt.on_sample(Duration::from_micros(micros), weight);
            let seen = micros.clamp(1, (1 << 28) - 1);
            (least, most) = (least.min(seen), most.max(seen));
            prop_assert!(rtt.rto(&config) >= config.rto_min && rtt.rto(&config) <= config.rto_max);
            let srtt = rtt.srtt().expect("sampled").as_micros() as u64;
            prop_assert!(srtt + 1 >= least && srtt <= most);
            prop_assert_eq!(rtt.min_rtt(), Some(Duration::from_micros(least)));
        }
    }
}
