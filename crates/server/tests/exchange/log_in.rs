//! Log-ins: each mechanism where it belongs, bound to its channel, and nothing that was said before TLS.

use switchboard_server::admin::Request;

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

fn password_and_token(client: &mut Client, number: u64, password: &str) -> String {
    client.open();
    let said = format!("\0{number}\0{password}");
    let more = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
    let success = client.authenticate_2("PLAIN", said.as_bytes(), more).unwrap();
    let (_, token) = success.split_once(" token='").unwrap_or_else(|| panic!("no token: {success}"));
    token.split('\'').next().unwrap().to_owned()
}

#[test]
fn a_token_logs_in_over_every_carrier_and_after_a_restart() {
    let mut house = House::usual();
    // Their homes are different loops.
    let numbers = [house.account(), house.account()];
    let mut tokens = Vec::new();
    for number in numbers {
        tokens.push((number, password_and_token(&mut Client::tls(house.tls()), number, PASSWORD)));
    }
    for restarted in [false, true] {
        for (number, token) in &tokens {
            let quic = Quic::connect(house.quic());
            let clients = [
                Client::tcp(house.tcp()),
                Client::starttls(house.tcp()),
                Client::tls(house.tls()),
                Client::websocket(tcp(house.http()), house.http()),
                Client::websocket(tls(tcp(house.https()), b"http/1.1"), house.https()),
                quic.stream(),
            ];
            for mut client in clients {
                client.open();
                let success = client.authenticate_by_token(*number, token).unwrap();
                assert!(success.contains(&format!("<authorization-identifier>{number}@localhost/test/")));
                assert!(success.contains("<enabled xmlns='urn:xmpp:sm:3'"), "{success}");
                client.send("<presence xmlns='jabber:client' id='here'/>");
                client.expect("id='here'");
                client.message(*number, "to myself");
                client.expect_message(*number, "to myself");
                client.log_out();
            }
        }
        if !restarted {
            house.stop();
            house.start();
        }
    }
}

#[test]
fn a_new_password_ends_tokens_and_sessions_and_a_disabled_account_has_none() {
    let house = House::usual();
    let number = house.account();
    let refused = |token: &str| {
        let mut client = Client::tls(house.tls());
        client.open();
        let refusal = client.authenticate_by_token(number, token).unwrap_err();
        assert!(refusal.contains("<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"), "{refusal}");
    };
    let mut client = Client::tls(house.tls());
    let token = password_and_token(&mut client, number, PASSWORD);
    house.ask(&Request::AccountPassword { number, password: "another".into() }).unwrap();
    client.expect_end_of_stream();
    refused(&token);
    let token = password_and_token(&mut Client::tls(house.tls()), number, "another");
    house.ask(&Request::AccountDisable { number }).unwrap();
    house.ask(&Request::AccountEnable { number }).unwrap();
    refused(&token);
    refused("secret-token:guess");
}
