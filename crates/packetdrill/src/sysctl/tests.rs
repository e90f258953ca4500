use super::Sysctls;
use std::time::Duration;
use tcp::{EcnPolicy, TcpConfig};

/// What a namespace with these sysctls, and no others, makes of the rules.
fn with(set: &'static [(&str, &str)]) -> TcpConfig {
    Sysctls(move |name: &str| {
        set.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
    })
    .tcp_config()
}

#[test]
fn what_no_command_has_set_is_our_default() {
    let (ours, bare) = (TcpConfig::default(), with(&[]));
    assert_eq!(bare.send_buffer_max, ours.send_buffer_max);
    assert_eq!(bare.receive_buffer_initial, ours.receive_buffer_initial);
    assert_eq!((bare.timestamps, bare.sack, bare.window_scaling), (true, true, true));
    assert_eq!((bare.syn_retries, bare.retries_2), (ours.syn_retries, ours.retries_2));
    assert_eq!(bare.fin_wait_2, ours.fin_wait_2);
    assert_eq!(bare.defaults.not_sent_low_water, u32::MAX);
}

/// What the scripts' common settings write, and what they come to.
#[test]
fn commands_of_a_script_change_the_rules() {
    let set = with(&[
        ("ipv4/tcp_timestamps", "0\n"),
        ("ipv4/tcp_sack", "0\n"),
        ("ipv4/tcp_window_scaling", "0\n"),
        ("ipv4/tcp_slow_start_after_idle", "0\n"),
        ("ipv4/tcp_syn_retries", "5\n"),
        ("ipv4/tcp_retries2", "8\n"),
        ("ipv4/tcp_fin_timeout", "20\n"),
        ("ipv4/tcp_notsent_lowat", "16000\n"),
        ("ipv4/tcp_min_tso_segs", "4\n"),
        ("ipv4/tcp_rmem", "4096\t540000\t15728640\n"),
        ("ipv4/tcp_wmem", "4096\t262144\t67108864\n"),
    ]);
    assert_eq!(
        (set.timestamps, set.sack, set.window_scaling, set.slow_start_after_idle),
        (false, false, false, false)
    );
    assert_eq!((set.syn_retries, set.retries_2, set.burst_segments_min), (5, 8, 4));
    assert_eq!((set.fin_wait_2, set.defaults.not_sent_low_water), (Duration::from_secs(20), 16_000));
    assert_eq!((set.send_buffer_initial, set.send_buffer_max), (262_144, 64 << 20));
    assert_eq!(set.receive_buffer_initial, 270_000, "the other half is for Linux's book-keeping");
    assert_eq!(set.receive_buffer_max, 15_728_640);
}

#[test]
fn ecn_is_off_asked_for_or_accepted() {
    for (config, want) in [
        (with(&[("ipv4/tcp_ecn", "0\n")]), EcnPolicy::Off),
        (with(&[("ipv4/tcp_ecn", "1\n")]), EcnPolicy::Request),
        (with(&[("ipv4/tcp_ecn", "2\n")]), EcnPolicy::Accept),
        (with(&[]), EcnPolicy::Accept),
    ] {
        assert_eq!(config.ecn, want);
    }
}

/// A number that does not fit, and text that is none, are as good as nothing.
#[test]
fn what_cannot_be_read_changes_nothing() {
    let ours = TcpConfig::default();
    let odd = with(&[
        ("ipv4/tcp_syn_retries", "256\n"),
        ("ipv4/tcp_notsent_lowat", "4294967296\n"),
        ("ipv4/tcp_wmem", "4096 many 4194304\n"),
        ("ipv4/tcp_timestamps", "\n"),
    ]);
    assert_eq!((odd.syn_retries, odd.timestamps), (ours.syn_retries, ours.timestamps));
    assert_eq!(odd.defaults.not_sent_low_water, u32::MAX);
    assert_eq!(odd.send_buffer_initial, ours.send_buffer_initial);
}
