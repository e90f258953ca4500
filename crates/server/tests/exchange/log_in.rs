//! Log-ins: each mechanism where it belongs, bound to its channel, and nothing that was said before TLS.

use crate::client::{Client, Quic, STREAM, tcp, tls, tls_exporter};
use crate::house::{House, PASSWORD};

#[test]
fn scram_plus_binds_to_the_tls_channel() {
    let house = House::usual();
    let number = house.account();
    let mut stream = tls(tcp(house.tls()), b"xmpp-client");
    let binding = tls_exporter(&mut stream);
    let mut client = Client::over(stream);
    client.open();
    client.authenticate_plus(number, PASSWORD, binding).unwrap();

    // Whoever stands between two TLS connections has the other one's binding.
    let mut stream = tls(tcp(house.tls()), b"xmpp-client");
    tls_exporter(&mut stream);
    let mut client = Client::over(stream);
    client.open();
    assert!(client.authenticate_plus(number, PASSWORD, binding).is_err());
}

#[test]
fn scram_plus_binds_to_the_quic_connection() {
    let house = House::usual();
    let number = house.account();
    let quic = Quic::connect(house.quic());
    let mut binding = [0; 32];
    quic.connection.export_keying_material(&mut binding, b"EXPORTER-Channel-Binding", b"").unwrap();
    let mut client = quic.stream();
    client.open();
    client.authenticate_plus(number, PASSWORD, binding).unwrap();
}

#[test]
fn plain_works_under_tls_and_nowhere_else() {
    let house = House::usual();
    let number = house.account();
    let mut client = Client::tls(house.tls());
    client.open();
    assert!(client.authenticate_plain(number, "wrong").unwrap_err().contains("<not-authorized/>"));
    assert!(client.authenticate_plain(99_999, PASSWORD).unwrap_err().contains("<not-authorized/>"));
    client.authenticate_plain(number, PASSWORD).unwrap();
    let mut clear = Client::tcp(house.tcp());
    clear.open();
    let refusal = clear.authenticate_plain(number, PASSWORD).unwrap_err();
    assert!(!refusal.contains("not-authorized"), "{refusal}");
}

#[test]
fn what_is_said_before_tls_is_not_heard_after_it() {
    let house = House::usual();
    let number = house.account();
    let stream = tcp(house.tcp());
    let mut plain = Client::over(stream.try_clone().unwrap());
    plain.send(STREAM);
    plain.expect("</stream:features>");
    // RFC 6120 5.4.3.3: whoever injects this wants it to be taken for the client's own words.
    plain.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><injected/><presence/>");
    plain.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    let mut secure = Client::over(tls(stream, b"xmpp-client"));
    secure.go_online(number, PASSWORD, "a");
}
