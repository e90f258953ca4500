//! XEP-0198 section 5: sessions that lose their connection and are taken up again, over any carrier.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Client, Quic, tls};
use crate::house::{House, PASSWORD};

const SM: &str = "xmlns='urn:xmpp:sm:3'";

/// Goes online with a session that may be resumed; answers its id.
pub(crate) fn resumable(client: &mut Client, number: u64, resource: &str) -> String {
    client.log_in(number, PASSWORD, resource);
    client.send(&format!("<enable {SM} resume='true'/>"));
    let enabled = client.expect("<enabled") + &client.expect("/>");
    let id = enabled.split(" id='").nth(1).unwrap_or_else(|| panic!("{enabled}"));
    let id = id.split('\'').next().unwrap().to_owned();
    client.send("<presence xmlns='jabber:client' id='here'/>");
    client.expect("<presence");
    client.expect("id='here'");
    client.expect(">");
    acknowledge(client, 1);
    id
}

/// Confirms so many stanzas, and waits until the exchange has taken that in.
pub(crate) fn acknowledge(client: &mut Client, h: u32) {
    client.send(&format!("<a {SM} h='{h}'/>"));
}

/// Asks for a session back; answers `<resumed/>` or `<failed/>`.
pub(crate) fn resume(client: &mut Client, number: u64, id: &str, h: u32) -> String {
    client.open();
    client.authenticate(number, PASSWORD).unwrap();
    client.open();
    client.send(&format!("<resume {SM} previd='{id}' h='{h}'/>"));
    let answer = client.expect(">");
    if answer.contains("<failed") && !answer.ends_with("/>") {
        answer + &client.expect("</failed>")
    } else {
        answer
    }
}

fn connect(house: &House, carrier: &str) -> (Client, Option<Quic>) {
    let tcp = |to: SocketAddr| std::net::TcpStream::connect(to).unwrap();
    match carrier {
        "tcp" => (Client::tcp(house.tcp()), None),
        "starttls" => (Client::starttls(house.tcp()), None),
        "tls" => (Client::tls(house.tls()), None),
        "ws" => (Client::websocket(tcp(house.http()), house.http()), None),
        "wss" => (Client::websocket(tls(tcp(house.https()), b"http/1.1"), house.https()), None),
        "quic" => {
            let quic = Quic::connect(house.quic());
            (quic.stream(), Some(quic))
        }
        other => panic!("no carrier {other}"),
    }
}

#[test]
fn a_session_goes_on_over_any_other_carrier() {
    let house = House::usual();
    let writer = house.account();
    let mut a = Client::tcp(house.tcp());
    a.go_online(writer, PASSWORD, "a");
    // Numbers of either parity have either loop as their home; QUIC connections stay where they are.
    let carriers = ["tcp", "quic", "ws", "starttls", "quic", "tls", "wss", "tcp"];
    for _ in 0..2 {
        let number = house.account();
        let (mut b, mut quic) = connect(&house, carriers[0]);
        let id = resumable(&mut b, number, "b");
        let (mut came, mut sent) = (1, 1);
        for (turn, carrier) in carriers.iter().enumerate().skip(1) {
            // One arrives and is confirmed, one arrives and is not, one is sent while nobody is there.
            a.message(number, &format!("{turn} confirmed"));
            b.expect_message(writer, &format!("{turn} confirmed"));
            came += 1;
            acknowledge(&mut b, came);
            a.message(number, &format!("{turn} lost"));
            b.expect_message(writer, &format!("{turn} lost"));
            b.message(writer, &format!("{turn} from b"));
            sent += 1;
            a.expect_message(number, &format!("{turn} from b"));
            drop(b);
            if let Some(quic) = &quic {
                quic.connection.close(0_u32.into(), b"");
            }
            house.until(|lines| lines.iter().any(|line| line.state == "parked"));
            a.message(number, &format!("{turn} away"));
            a.ping();
            (b, quic) = connect(&house, carrier);
            let resumed = resume(&mut b, number, &id, came);
            assert!(
                resumed.contains("<resumed ") && resumed.contains(&format!("h='{sent}'")),
                "{carrier}: {resumed}"
            );
            b.expect_message(writer, &format!("{turn} lost"));
            b.expect_message(writer, &format!("{turn} away"));
            came += 2;
            acknowledge(&mut b, came);
        }
        b.log_out();
        // Who ended its stream has left.
        let mut late = Client::tcp(house.tcp());
        let failed = resume(&mut late, number, &id, came);
        assert!(failed.contains("<failed ") && failed.contains("<item-not-found"), "{failed}");
    }
}

#[test]
fn a_half_open_stream_gives_way_to_the_one_that_resumes_it() {
    let house = House::usual();
    let (writer, number) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(writer, PASSWORD, "a");
    let mut before = Client::tcp(house.tcp());
    let id = resumable(&mut before, number, "b");
    a.message(number, "hello");
    before.expect_message(writer, "hello");
    let mut b = Client::tls(house.tls());
    assert!(resume(&mut b, number, &id, 1).contains("<resumed "));
    b.expect_message(writer, "hello");
    assert!(before.expect_end_of_stream().contains("<conflict "));
    assert_eq!(
        house.who().iter().filter(|line| line.number == Some(number)).count(),
        2,
        "one closes, one is bound"
    );
    // Another number's session cannot be had.
    let mut thief = Client::tcp(house.tcp());
    assert!(resume(&mut thief, writer, &id, 0).contains("<failed "));
}

#[test]
fn when_its_time_is_up_its_contacts_and_messages_go_elsewhere() {
    let house = House::new(|config| config.resume.time = Duration::from_secs(1));
    let (writer, number) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(writer, PASSWORD, "a");
    let mut b = Client::tcp(house.tcp());
    let id = resumable(&mut b, number, "b");
    b.send(&format!("<presence xmlns='jabber:client' to='{writer}@localhost'/>"));
    a.expect("<presence");
    a.expect("/>");
    a.message(number, "unconfirmed");
    b.expect_message(writer, "unconfirmed");
    drop(b);
    house.until(|lines| lines.iter().any(|line| line.state == "parked"));
    a.message(number, "away");
    // It is told as gone only once its time is up.
    let gone = a.expect("type='unavailable'/>");
    assert!(gone.contains(&format!("from='{number}@localhost/b'")), "{gone}");
    assert!(house.who().iter().all(|line| line.number != Some(number)));
    let mut b = Client::tcp(house.tcp());
    assert!(resume(&mut b, number, &id, 1).contains("<failed "));
    let mut b = Client::tcp(house.tcp());
    b.go_online(number, PASSWORD, "other");
    assert!(b.expect_message(writer, "unconfirmed").contains("urn:xmpp:delay"));
    assert!(b.expect_message(writer, "away").contains("urn:xmpp:delay"));
}

#[test]
fn parked_sessions_are_bounded() {
    let house = House::new(|config| {
        config.engine.loops = 1;
        config.resume.account_sessions_max = 2;
        config.resume.stanzas_max = 3;
    });
    let (writer, number) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(writer, PASSWORD, "a");
    let mut ids = Vec::new();
    for n in 0..3 {
        let mut b = Client::tcp(house.tcp());
        b.log_in(number, PASSWORD, &format!("b{n}"));
        b.send(&format!("<enable {SM} resume='true'/>"));
        let enabled = b.expect("<enabled") + &b.expect("/>");
        ids.push(enabled.split('\'').nth(3).unwrap().to_owned());
        drop(b);
        house.until(|lines| lines.iter().filter(|line| line.state == "parked").count() == (n + 1).min(2));
    }
    // The first had to make room. The second gets more than may wait for it.
    for n in 0..4 {
        a.send(&format!(
            "<message xmlns='jabber:client' to='{number}@localhost/b1' type='chat'><body>{n}</body></message>"
        ));
    }
    a.ping();
    house.until(|lines| lines.iter().filter(|line| line.state == "parked").count() == 1);
    for (id, outcome) in ids.iter().zip(["<failed ", "<failed ", "<resumed "]) {
        let mut b = Client::tcp(house.tcp());
        let answer = resume(&mut b, number, id, 0);
        assert!(answer.contains(outcome), "{answer}");
    }
    let mut b = Client::tcp(house.tcp());
    b.go_online(number, PASSWORD, "b3");
    for n in 0..4 {
        b.expect_message(writer, &n.to_string());
    }
}

/// Goes online with a session that may be resumed, and hears of another's device.
fn online_beside(client: &mut Client, number: u64, resource: &str, other: &mut Client, to: u64) -> String {
    let id = resumable(client, number, resource);
    client.send(&format!("<presence xmlns='jabber:client' to='{to}@localhost'/>"));
    other.expect(&format!("from='{number}@localhost/{resource}'"));
    other.expect("/>");
    id
}

#[test]
fn sessions_outlive_a_restart_of_the_exchange() {
    let mut house = House::new(|config| config.close.drain = Duration::from_millis(200));
    let (writer, parked, live) = (house.account(), house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    let a_id = resumable(&mut a, writer, "a");
    // One of either parity, one of them over QUIC, which may live on another loop than its number's.
    let mut b = Client::tcp(house.tcp());
    let b_id = online_beside(&mut b, parked, "b", &mut a, writer);
    let quic = Quic::connect(house.quic());
    let mut c = quic.stream();
    let c_id = online_beside(&mut c, live, "c", &mut a, writer);
    for (client, number) in [(&mut b, parked), (&mut c, live)] {
        a.message(number, "unconfirmed");
        client.expect_message(writer, "unconfirmed");
    }
    drop(b);
    house.until(|lines| lines.iter().any(|line| line.state == "parked"));
    a.message(parked, "away");
    a.ping();
    house.stop();
    assert!(a.expect_end_of_stream().contains("<system-shutdown "));
    drop((a, c, quic));
    house.start();
    let mut who: Vec<_> = house.who().into_iter().map(|line| (line.number, line.state)).collect();
    who.sort();
    let all = [writer, parked, live].map(|number| (Some(number), "parked".to_owned()));
    assert_eq!(who, all);
    // It sent presence, three messages and a ping; it got presence of three and the ping's answer.
    let mut a = Client::tcp(house.tcp());
    let resumed = resume(&mut a, writer, &a_id, 4);
    assert!(resumed.contains("<resumed ") && resumed.contains("h='5'"), "{resumed}");
    // What came while nobody was there goes on where it was.
    a.message(live, "after");
    let mut c = Client::tls(house.tls());
    assert!(resume(&mut c, live, &c_id, 1).contains("<resumed "));
    let first = c.expect_message(writer, "unconfirmed");
    assert!(!first.contains("urn:xmpp:delay"), "it is the same delivery: {first}");
    c.expect_message(writer, "after");
    let mut b = Client::tcp(house.tcp());
    assert!(resume(&mut b, parked, &b_id, 1).contains("<resumed "));
    b.expect_message(writer, "unconfirmed");
    b.expect_message(writer, "away");
    acknowledge(&mut b, 3);
    b.ping();
    // What was confirmed is gone, and a second restart shows nobody anything twice.
    drop(b);
    house.until(|lines| lines.iter().any(|line| line.state == "parked"));
    house.stop();
    house.start();
    let mut b = Client::tcp(house.tcp());
    assert!(resume(&mut b, parked, &b_id, 4).contains("<resumed "));
    let mut a = Client::tcp(house.tcp());
    assert!(resume(&mut a, writer, &a_id, 4).contains("<resumed "));
    a.message(parked, "last");
    b.expect_message(writer, "last");
}

#[test]
fn contacts_that_do_not_return_after_a_restart_are_told_as_gone() {
    let mut house = House::new(|config| {
        config.close.drain = Duration::from_millis(200);
        config.resume.time = Duration::from_secs(4);
    });
    let (watcher, number) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    let id = resumable(&mut a, watcher, "a");
    let mut b = Client::tcp(house.tcp());
    online_beside(&mut b, number, "b", &mut a, watcher);
    let mut c = Client::tcp(house.tcp());
    c.go_online(number, PASSWORD, "c");
    a.message(number, "for who returns");
    b.expect_message(watcher, "for who returns");
    house.stop();
    drop((a, b, c));
    house.start();
    let mut a = Client::tcp(house.tcp());
    assert!(resume(&mut a, watcher, &id, 2).contains("<resumed "));
    let gone = a.expect("type='unavailable'/>");
    assert!(gone.contains(&format!("from='{number}@localhost/b'")), "{gone}");
    // And what it had not confirmed waits for whoever comes next.
    let mut b = Client::tcp(house.tcp());
    b.go_online(number, PASSWORD, "other");
    assert!(b.expect_message(watcher, "for who returns").contains("urn:xmpp:delay"));
}

/// What a power cut at this moment would leave, in a house of its own.
fn after_a_power_cut(house: &House) -> House {
    let mut left = House::usual();
    left.stop();
    std::fs::remove_dir_all(left.data()).unwrap();
    std::fs::create_dir(left.data()).unwrap();
    for entry in std::fs::read_dir(house.data()).unwrap() {
        let entry = entry.unwrap();
        // The log's index is memory that is shared, which a power cut leaves nothing of.
        let index = entry.file_name().to_string_lossy().ends_with("-shm");
        if entry.file_type().unwrap().is_file() && !index {
            std::fs::copy(entry.path(), left.data().join(entry.file_name())).unwrap();
        }
    }
    left.start();
    left
}

#[test]
fn after_a_power_cut_the_count_is_exact_and_nothing_acknowledged_is_lost() {
    let house = House::usual();
    let (writer, away, here) = (house.account(), house.account(), house.account());
    let mut b = Client::tcp(house.tcp());
    let b_id = resumable(&mut b, here, "b");
    let mut a = Client::tcp(house.tcp());
    let a_id = resumable(&mut a, writer, "a");
    for n in 0..3 {
        a.message(away, &format!("{n}"));
        a.message(here, &format!("{n}"));
        b.expect_message(writer, &n.to_string());
    }
    a.send(&format!("<r {SM}/>"));
    a.expect("<a ");
    assert!(a.expect("/>").contains("h='7'"), "its presence and six messages");
    // One more, which nobody asked about. It is durable once what came after it in the same queue is.
    a.message(away, "3");
    a.ping();
    let mut other = Client::tcp(house.tcp());
    resumable(&mut other, here, "other");
    other.message(away, "behind");
    other.send(&format!("<r {SM}/>"));
    other.expect("<a ");
    other.expect("/>");

    let left = after_a_power_cut(&house);
    let mut a = Client::tcp(left.tcp());
    let failed = resume(&mut a, writer, &a_id, 0);
    assert!(failed.contains("<failed ") && failed.contains("h='8'"), "{failed}");
    // It was handed to a session, which had not confirmed it.
    let mut b = Client::tcp(left.tcp());
    assert!(resume(&mut b, here, &b_id, 1).contains("<failed "));
    let mut b = Client::tcp(left.tcp());
    b.go_online(here, PASSWORD, "b");
    let mut c = Client::tcp(left.tcp());
    c.go_online(away, PASSWORD, "c");
    for n in 0..3 {
        b.expect_message(writer, &n.to_string());
    }
    for n in 0..4 {
        c.expect_message(writer, &n.to_string());
    }
    c.expect_message(here, "behind");
}

#[test]
fn a_half_open_client_is_found_and_its_messages_go_to_resumption_then_wait() {
    let house = House::new(|config| {
        config.limits.answer = Duration::from_secs(1);
        config.resume.time = Duration::from_secs(2);
    });
    let (writer, number) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(writer, PASSWORD, "a");
    // It reads and never answers: to the exchange, a cable that was cut.
    let mut b = Client::tcp(house.tcp());
    let id = resumable(&mut b, number, "b");
    a.message(number, "one");
    b.expect_message(writer, "one");
    let begun = std::time::Instant::now();
    house.until(|lines| lines.iter().any(|line| line.state == "parked"));
    assert!(begun.elapsed() < Duration::from_secs(10), "a second is its limit");
    a.message(number, "two");
    let mut again = Client::tcp(house.tcp());
    assert!(resume(&mut again, number, &id, 1).contains("<resumed "));
    again.expect_message(writer, "one");
    again.expect_message(writer, "two");
    // The same once more, and nobody comes back in time.
    house.until(|lines| lines.iter().all(|line| line.number != Some(number)));
    let mut c = Client::tcp(house.tcp());
    c.go_online(number, PASSWORD, "c");
    for body in ["one", "two"] {
        assert!(c.expect_message(writer, body).contains("urn:xmpp:delay"));
    }
}

/// The body of the next message, whether it is for this client or a copy (XEP-0280).
fn next_body(client: &mut Client) -> String {
    let message = client.expect("</message>");
    if message.contains("<forwarded ") {
        client.expect("</message>");
    }
    let body = message.split("<body>").nth(1).unwrap_or_else(|| panic!("{message}"));
    body.split("</body>").next().unwrap().to_owned()
}

#[test]
fn two_devices_one_of_them_flaky_each_get_everything_once() {
    const ROUNDS: usize = 12;
    let house = House::usual();
    let (writer, number) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(writer, PASSWORD, "a");
    let mut flaky = Client::tcp(house.tcp());
    let id = resumable(&mut flaky, number, "flaky");
    let mut steady = Client::tcp(house.tcp());
    resumable(&mut steady, number, "steady");
    // Each sees the other's presence.
    flaky.expect("/steady'");
    for client in [&mut flaky, &mut steady] {
        client.send("<iq xmlns='jabber:client' type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
        client.expect("id='c'");
        client.expect(">");
    }
    // Two presences and the answer.
    let mut count = 3;
    acknowledge(&mut flaky, count);
    let (mut flaky_got, mut steady_got, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // To both; to the steady one, with a copy; to the flaky one, with a copy.
        for (to, what) in [("", "both"), ("/steady", "steady"), ("/flaky", "flaky")] {
            let body = format!("{round} {what}");
            a.send(&format!(
                "<message xmlns='jabber:client' to='{number}@localhost{to}' type='chat' id='{body}'><body>{body}</body></message>"
            ));
            all.push(body);
        }
        a.ping();
        // It hears some of that and confirms less, or nothing at all, before its connection goes.
        for _ in 0..round % 4 {
            flaky_got.push(next_body(&mut flaky));
        }
        let confirmed = (round % 3).min(round % 4);
        count += confirmed as u32;
        acknowledge(&mut flaky, count);
        // What it heard and did not confirm it confirms when it is back.
        count += (round % 4 - confirmed) as u32;
        drop(flaky);
        flaky = Client::tcp(house.tcp());
        assert!(resume(&mut flaky, number, &id, count).contains("<resumed "));
        while flaky_got.len() < all.len() {
            flaky_got.push(next_body(&mut flaky));
            count += 1;
        }
        while steady_got.len() < all.len() {
            steady_got.push(next_body(&mut steady));
        }
    }
    assert_eq!(flaky_got, all);
    assert_eq!(steady_got, all);
    flaky.send(
        "<iq xmlns='jabber:client' type='set' id='m'><query xmlns='urn:xmpp:mam:2'>\
         <set xmlns='http://jabber.org/protocol/rsm'><max>100</max></set></query></iq>",
    );
    let archive = flaky.expect("</fin>");
    assert_eq!(archive.matches("<result ").count(), all.len(), "each is in the archive once");
}
