//! Whoever closes first pays 2MSL: after polite log-outs the exchange's ports hold no TIME_WAIT.

use std::collections::BTreeSet;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use crate::client::{Client, tcp, tls};
use crate::house::{House, PASSWORD};

/// TIME_WAIT in `/proc/net/tcp`.
const TIME_WAIT: &str = "06";

/// Who is at the other end of the sockets at a local port that are in TIME_WAIT.
fn time_waits(port: u16) -> BTreeSet<String> {
    let suffix = format!(":{port:04X}");
    std::fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let (local, remote, state) = (columns.next()?, columns.next()?, columns.next()?);
            (local.ends_with(&suffix) && state == TIME_WAIT).then(|| remote.to_owned())
        })
        .collect()
}

#[test]
fn polite_log_outs_leave_no_time_wait_on_the_port() {
    let house = House::usual();
    let number = house.account();
    // The port may have been another's before.
    let ports = [house.tcp().port(), house.tls().port()];
    let before = ports.map(time_waits);
    for round in 0..60 {
        let mut plain = Client::tcp(house.tcp());
        plain.log_in(number, PASSWORD, "a");
        plain.log_out();
        drop(plain);
        if round % 3 == 0 {
            let mut secure = Client::over(tls(tcp(house.tls()), b"xmpp-client"));
            secure.log_in(number, PASSWORD, "b");
            secure.log_out();
            drop(secure);
            let mut upgraded = Client::starttls(house.tcp());
            upgraded.log_in(number, PASSWORD, "c");
            upgraded.log_out();
        }
    }
    house.until(<[_]>::is_empty);
    for (port, before) in ports.into_iter().zip(before) {
        let after = time_waits(port);
        assert!(after.is_subset(&before), "{after:?} wait at port {port}");
    }
}

#[test]
fn a_client_that_ends_its_stream_and_lingers_is_closed_within_the_bound() {
    let house = House::new(|config| config.close.fin_wait = Duration::from_millis(300));
    let number = house.account();
    let mut a = Client::tcp(house.tcp());
    a.log_in(number, PASSWORD, "a");
    a.log_out();
    // The exchange half-closes nothing: the end comes with the bound.
    assert_eq!(a.expect_end(), "");
    house.until(<[_]>::is_empty);
}

#[test]
fn a_client_that_vanishes_is_closed_and_its_contacts_are_told() {
    let house = House::usual();
    let (first, second) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(first, PASSWORD, "a");
    let stream = tcp(house.tcp());
    let mut b = Client::over(stream.try_clone().unwrap());
    b.go_online(second, PASSWORD, "b");
    b.send(&format!("<presence to='{first}@localhost/a'/>"));
    a.expect(&format!("from='{second}@localhost/b'"));
    stream.shutdown(Shutdown::Both).unwrap();
    let gone = a.expect("type='unavailable'") + &a.expect(">");
    assert!(gone.contains(&format!("from='{second}@localhost/b'")), "{gone}");
}

#[test]
fn a_reset_ends_the_session_and_what_was_not_acknowledged_waits() {
    let house = House::usual();
    let (first, second) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(first, PASSWORD, "a");
    let stream = tcp(house.tcp());
    let mut b = Client::over(stream.try_clone().unwrap());
    b.go_online(second, PASSWORD, "b");
    b.send("<enable xmlns='urn:xmpp:sm:3'/>");
    b.expect("<enabled");
    a.message(second, "heard but not acknowledged");
    b.expect_message(first, "heard but not acknowledged");
    // A close with a linger of zero is a reset.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(b);
    drop(stream);
    house.until(|lines| lines.len() == 1);
    let mut again = Client::tcp(house.tcp());
    again.go_online(second, PASSWORD, "b");
    again.expect_message(first, "heard but not acknowledged");
}

#[test]
fn a_websocket_is_closed_by_the_exchange() {
    let house = House::usual();
    let number = house.account();
    let address: SocketAddr = house.http();
    let mut a = Client::websocket(tcp(address), address);
    a.log_in(number, PASSWORD, "a");
    a.log_out();
    let close = a.expect("[close ");
    assert!(close.ends_with("[close "), "{close}");
    // RFC 6455 7.1.1: both have said Close, so the server closes, without waiting for anything.
    a.io.send(&crate::client::frame(0x88, &1000u16.to_be_bytes())).unwrap();
    a.expect_end();
    house.until(<[_]>::is_empty);
}
