//! Log-ins: each mechanism where it belongs, bound to its channel, and nothing that was said before TLS.

use session::Registration;
use switchboard_server::admin::{Item, Request};

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

pub(crate) fn password_and_token(client: &mut Client, number: u64, password: &str) -> String {
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

pub(crate) fn invite(house: &House, number: Option<u64>) -> (u64, String) {
    let request = Request::InviteCreate { number, any: false, expires_secs: None };
    let items = house.ask(&request).unwrap();
    let [Item::Invite(invite)] = &items[..] else { panic!("{items:?}") };
    let (_, token) = invite.uri.as_ref().unwrap().split_once("?register;preauth=").unwrap();
    (invite.number.unwrap(), token.to_owned())
}

fn ask(client: &mut Client, type_: &str, payload: &str) -> String {
    client.send(&format!("<iq xmlns='jabber:client' type='{type_}' id='ask' to='localhost'>{payload}</iq>"));
    let head = client.expect(">");
    if head.ends_with("/>") { head } else { head + &client.expect("</iq>") }
}

pub(crate) fn show(token: &str) -> String {
    format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")
}

const FORM: &str = "<query xmlns='jabber:iq:register'/>";

fn fill(username: &str, password: &str) -> String {
    format!(
        "<query xmlns='jabber:iq:register'><username>{username}</username><password>{password}</password></query>"
    )
}

#[test]
fn an_invite_makes_the_account_that_it_holds_and_no_other() {
    let house = House::usual();
    let (number, token) = invite(&house, Some(10_005));
    assert_eq!(number, 10_005);
    let quic = Quic::connect(house.quic());
    // On a line that can be read nobody says a password; on this machine nobody reads it.
    for (client, held) in [
        (Client::websocket(tcp(house.http()), house.http()), false),
        (quic.stream(), false),
        (Client::tls(house.tls()), true),
    ] {
        let mut client = client;
        client.open();
        assert!(ask(&mut client, "get", FORM).contains("<not-allowed"), "no invite was shown");
        assert!(ask(&mut client, "set", &show("guess")).contains("<item-not-found"));
        assert!(ask(&mut client, "set", &show(&token)).contains("type='result'"));
        let form = ask(&mut client, "get", FORM);
        assert!(form.contains("<username>10005</username><password/>"), "{form}");
        assert!(ask(&mut client, "set", &fill("10006", "secret")).contains("<not-acceptable"));
        assert!(ask(&mut client, "set", &fill("10005", "")).contains("<not-acceptable"));
        if held {
            assert!(ask(&mut client, "set", &fill("10005", "secret")).contains("type='result'"));
            // It is used up, by that and by nothing before.
            assert!(ask(&mut client, "set", &show(&token)).contains("<item-not-found"));
            client.authenticate(10_005, "secret").unwrap();
        }
    }
    assert_eq!(house.account(), 10_001);
    assert_eq!(house.ask(&Request::InviteList).unwrap(), []);
}

#[test]
fn an_account_changes_its_password_and_gives_itself_up() {
    let house = House::usual();
    // One whose home is the other loop, too.
    for _ in 0..2 {
        let number = house.account();
        let token = password_and_token(&mut Client::tls(house.tls()), number, PASSWORD);
        let (mut mine, mut other) = (Client::tls(house.tls()), Client::tls(house.tls()));
        mine.go_online(number, PASSWORD, "a");
        other.log_in(number, PASSWORD, "b");
        let form = ask(&mut mine, "get", FORM);
        assert!(form.contains(&format!("<registered/><username>{number}</username>")), "{form}");
        assert!(ask(&mut mine, "set", &fill("10999", "new")).contains("<not-acceptable"));
        assert!(ask(&mut mine, "set", &fill(&number.to_string(), "new")).contains("type='result'"));
        // Others of the account are put out, and so are tokens; who changed it stays.
        other.expect_end_of_stream();
        mine.ping();
        let mut late = Client::tls(house.tls());
        late.open();
        assert!(late.authenticate_by_token(number, &token).is_err());
        assert!(late.authenticate(number, PASSWORD).is_err());
        late.authenticate(number, "new").unwrap();
        let gone = ask(&mut mine, "set", "<query xmlns='jabber:iq:register'><remove/></query>");
        assert!(gone.contains("type='result'"), "{gone}");
        assert!(mine.expect_end_of_stream().contains("<not-authorized"));
        let mut late = Client::tls(house.tls());
        late.open();
        assert!(late.authenticate(number, "new").is_err());
    }
    assert_eq!(house.account(), 10_003, "a number is never given out again");
}

#[test]
fn an_open_exchange_gives_the_first_free_number_so_often_an_hour() {
    let house = House::new(|config| {
        config.registration.mode = Registration::Open;
        config.registration.per_hour = 2;
    });
    let mut client = Client::tls(house.tls());
    client.open();
    assert!(ask(&mut client, "set", &fill("juliet", "secret")).contains("<not-acceptable"));
    let made = ask(&mut client, "set", &fill("", "secret"));
    assert!(made.contains("<username>10001</username>"), "{made}");
    client.authenticate(10_001, "secret").unwrap();
    let mut client = Client::tls(house.tls());
    client.open();
    assert!(ask(&mut client, "get", FORM).contains("<username>10002</username>"));
    assert_eq!(house.account(), 10_003, "it is held");
    assert!(ask(&mut client, "set", &fill("10002", "secret")).contains("type='result'"));
    let mut client = Client::tls(house.tls());
    client.open();
    let refusal = ask(&mut client, "get", FORM);
    assert!(refusal.contains("<resource-constraint") && refusal.contains("type='wait'"), "{refusal}");
}

#[test]
fn a_closed_exchange_makes_no_accounts() {
    let house = House::new(|config| config.registration.mode = Registration::Closed);
    let (_, token) = invite(&house, None);
    let mut client = Client::tls(house.tls());
    client.send(STREAM);
    assert!(!client.expect("</stream:features>").contains("register"));
    assert!(ask(&mut client, "set", &show(&token)).contains("<service-unavailable"));
}
