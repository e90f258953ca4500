//! Every carrier brings messages both ways, and `who` shows which.

use crate::client::{Client, Quic, tcp, tls};
use crate::house::{House, PASSWORD};

fn talk(a: &mut Client, b: &mut Client, house: &House) -> (u64, u64) {
    let (first, second) = (house.account(), house.account());
    a.go_online(first, PASSWORD, "a");
    b.go_online(second, PASSWORD, "b");
    for round in 0..20 {
        a.message(second, &format!("there {round}"));
        b.expect_message(first, &format!("there {round}"));
        b.message(first, &format!("back {round}"));
        a.expect_message(second, &format!("back {round}"));
    }
    (first, second)
}

fn carriers(house: &House) -> Vec<(String, bool)> {
    let mut seen: Vec<_> = house.who().into_iter().map(|line| (line.carrier, line.encrypted)).collect();
    seen.sort();
    seen
}

#[test]
fn plain_tcp() {
    let house = House::usual();
    let (mut a, mut b) = (Client::tcp(house.tcp()), Client::tcp(house.tcp()));
    let (first, _) = talk(&mut a, &mut b, &house);
    let lines = house.who();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].number, Some(first));
    assert_eq!(lines[0].resource.as_deref(), Some("a"));
    assert_eq!((lines[0].network.as_str(), lines[0].state.as_str()), ("kernel", "bound"));
    a.log_out();
    b.log_out();
}

#[test]
fn starttls_and_direct_tls() {
    let house = House::usual();
    let (mut a, mut b) = (Client::starttls(house.tcp()), Client::tls(house.tls()));
    talk(&mut a, &mut b, &house);
    assert_eq!(carriers(&house), [("tcp".to_owned(), true), ("tls".to_owned(), true)]);
    a.log_out();
    b.log_out();
}

#[test]
fn websocket_plain_and_secure() {
    let house = House::usual();
    let mut a = Client::websocket(tcp(house.http()), house.http());
    let mut b = Client::websocket(tls(tcp(house.https()), b"http/1.1"), house.https());
    talk(&mut a, &mut b, &house);
    assert_eq!(carriers(&house), [("ws".to_owned(), false), ("wss".to_owned(), true)]);
    a.log_out();
    b.log_out();
}

#[test]
fn quic_streams_and_a_client_that_moves() {
    let house = House::usual();
    let quic = Quic::connect(house.quic());
    let (mut a, mut b) = (quic.stream(), quic.stream());
    let (first, second) = talk(&mut a, &mut b, &house);
    assert_eq!(carriers(&house), [("quic".to_owned(), true), ("quic".to_owned(), true)]);

    let moved = quic.rebind();
    a.message(second, "from another port");
    b.expect_message(first, "from another port");
    house.until(|lines| lines.iter().all(|line| line.remote == moved));
    b.message(first, "and back");
    a.expect_message(second, "and back");
    a.log_out();
    b.log_out();
}

#[test]
fn quic_talks_to_tcp() {
    let house = House::usual();
    let quic = Quic::connect(house.quic());
    let (mut a, mut b) = (quic.stream(), Client::tcp(house.tcp()));
    talk(&mut a, &mut b, &house);
    a.log_out();
    b.log_out();
}
