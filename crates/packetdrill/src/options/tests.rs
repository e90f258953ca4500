use super::{SO_MEMINFO, TCP_CC_INFO, TCP_INQ, Value, get, set};
use crate::host::Host;
use crate::testing::*;
use std::os::fd::RawFd;

const SOL: libc::c_int = libc::SOL_SOCKET;
const TCP: libc::c_int = libc::SOL_TCP;

fn fresh() -> (Host, RawFd) {
    let mut host = Host::new(flags());
    let fd = host.socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket");
    (host, fd)
}

fn int(value: Vec<u8>) -> i32 {
    i32::from_ne_bytes(value.try_into().expect("four octets"))
}

/// What is set and what is read then, as Linux has it.
#[test]
fn options_read_as_they_were_set() {
    let table = [
        (SOL, libc::SO_KEEPALIVE, 1, 1),
        (SOL, libc::SO_RCVLOWAT, 300, 300),
        (SOL, libc::SO_SNDBUF, 20_000, 40_000), // doubled
        (SOL, libc::SO_SNDBUF, 1, 4_608),       // but not below SOCK_MIN_SNDBUF
        (SOL, libc::SO_RCVBUF, 20_000, 40_000),
        (TCP, libc::TCP_NODELAY, 1, 1),
        (TCP, libc::TCP_NODELAY, 7, 1),
        (TCP, libc::TCP_CORK, 1, 1),
        (TCP, libc::TCP_MAXSEG, 1_000, 1_000),
        (TCP, libc::TCP_NOTSENT_LOWAT, 16_000, 16_000),
        (TCP, libc::TCP_NOTSENT_LOWAT, 0, 0), // "as the sysctl says", and read as it was written
        (TCP, libc::TCP_USER_TIMEOUT, 3_000, 3_000),
        (TCP, libc::TCP_KEEPIDLE, 60, 60),
        (TCP, libc::TCP_KEEPINTVL, 5, 5),
        (TCP, libc::TCP_KEEPCNT, 3, 3),
        (TCP, TCP_INQ, 1, 1),
        (libc::SOL_IP, libc::IP_TTL, 9, 9),
        (libc::SOL_IP, libc::IP_TOS, 0xb9, 0xb8), // ECN's bits are not the program's
    ];
    for (level, name, write, read) in table {
        let (mut host, fd) = fresh();
        let value = i32::to_ne_bytes(write);
        assert_eq!(set(&mut host, fd, level, name, &Value(&value)), Ok(()), "{level} {name}");
        assert_eq!(get(&mut host, fd, level, name).map(int), Ok(read), "{level} {name} {write}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_linuxs_words() {
    let (mut host, fd) = fresh();
    let table: [(libc::c_int, libc::c_int, &[u8], libc::c_int); 8] = [
        (TCP, 999, &1_i32.to_ne_bytes(), libc::ENOPROTOOPT),
        (SOL, 999, &1_i32.to_ne_bytes(), libc::ENOPROTOOPT),
        (TCP, libc::TCP_NODELAY, b"", libc::EINVAL),
        (TCP, libc::TCP_KEEPIDLE, &(-1_i32).to_ne_bytes(), libc::EINVAL),
        (TCP, libc::TCP_MAXSEG, &70_000_i32.to_ne_bytes(), libc::EINVAL),
        (TCP, libc::TCP_MAXSEG, &8_i32.to_ne_bytes(), libc::EINVAL),
        (TCP, TCP_INQ, &2_i32.to_ne_bytes(), libc::EINVAL),
        (TCP, libc::TCP_CONGESTION, b"bbr", libc::ENOENT),
    ];
    for (level, name, value, errno) in table {
        assert_eq!(set(&mut host, fd, level, name, &Value(value)), Err(errno), "{level} {name}");
    }
    assert_eq!(get(&mut host, fd, TCP, 999), Err(libc::ENOPROTOOPT));
    assert_eq!(get(&mut host, -1, TCP, libc::TCP_NODELAY), Err(libc::EBADF));
}

#[test]
fn an_ip_option_may_be_one_octet() {
    let (mut host, fd) = fresh();
    assert_eq!(set(&mut host, fd, libc::SOL_IP, libc::IP_TOS, &Value(&[0x20])), Ok(()));
    assert_eq!(get(&mut host, fd, libc::SOL_IP, libc::IP_TOS).map(int), Ok(0x20));
}

#[test]
fn linger_is_a_switch_and_a_span() {
    let (mut host, fd) = fresh();
    for (on, secs) in [(0, 0), (1, 0), (1, 5)] {
        let value = [i32::to_ne_bytes(on), i32::to_ne_bytes(secs)].concat();
        assert_eq!(set(&mut host, fd, SOL, libc::SO_LINGER, &Value(&value)), Ok(()));
        assert_eq!(get(&mut host, fd, SOL, libc::SO_LINGER), Ok(value));
    }
}

#[test]
fn congestion_controls_have_names() {
    let (mut host, fd) = fresh();
    for name in [&b"reno\0"[..], b"cubic\0"] {
        assert_eq!(set(&mut host, fd, TCP, libc::TCP_CONGESTION, &Value(name)), Ok(()));
        assert_eq!(get(&mut host, fd, TCP, libc::TCP_CONGESTION), Ok(name.to_vec()));
    }
}

/// A script's assertions ask for all three, of any socket; none may fail.
#[test]
fn what_assertions_ask_for_is_there() {
    let (mut host, fd) = fresh();
    assert!(get(&mut host, fd, TCP, libc::TCP_INFO).is_ok_and(|info| info[0] == 7), "TCP_CLOSE");
    assert_eq!(get(&mut host, fd, SOL, SO_MEMINFO).map(|words| words.len()), Ok(36));
    assert_eq!(get(&mut host, fd, TCP, TCP_CC_INFO), Ok(Vec::new()));
    assert_eq!(get(&mut host, fd, SOL, libc::SO_ERROR).map(int), Ok(0));
}

/// TCP_MAXSEG of a connection is what its segments carry; the peer of these tests offers no MSS, which means 536.
#[test]
fn the_segment_size_of_a_connection_is_the_one_agreed() {
    let mut host = Host::new(flags());
    let (fd, _) = connected(&mut host);
    assert_eq!(get(&mut host, fd, TCP, libc::TCP_MAXSEG).map(int), Ok(536));
}
