//! Messages for who is away, over a restart; accounts that change under their sessions.

use switchboard_server::admin::Request;

use crate::client::Client;
use crate::house::{House, PASSWORD};

#[test]
fn messages_wait_over_a_restart_in_order() {
    let mut house = House::usual();
    let (first, second) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(first, PASSWORD, "a");
    for n in 0..100 {
        a.message(second, &format!("waiting {n}"));
    }
    // Answered behind them, so they have been dealt with; shutting down commits what the router asked for.
    a.ping();
    a.log_out();
    drop(a);
    house.stop();
    house.start();
    let mut b = Client::tcp(house.tcp());
    b.go_online(second, PASSWORD, "b");
    for n in 0..100 {
        let message = b.expect_message(first, &format!("waiting {n}"));
        assert!(message.contains("urn:xmpp:delay"), "{message}");
    }
    b.log_out();
}

#[test]
fn what_xep_0198_acknowledged_survives_a_restart() {
    let mut house = House::usual();
    let (first, second) = (house.account(), house.account());
    let mut a = Client::tcp(house.tcp());
    a.go_online(first, PASSWORD, "a");
    a.send("<enable xmlns='urn:xmpp:sm:3'/>");
    a.expect("<enabled");
    for n in 0..10 {
        a.message(second, &format!("kept {n}"));
    }
    a.send("<r xmlns='urn:xmpp:sm:3'/>");
    // `h` may come in steps, but never covers what is not committed.
    loop {
        let ack = a.expect("<a ") + &a.expect("/>");
        if ack.contains("h='10'") {
            break;
        }
        a.send("<r xmlns='urn:xmpp:sm:3'/>");
    }
    house.stop();
    house.start();
    let mut b = Client::tcp(house.tcp());
    b.go_online(second, PASSWORD, "b");
    for n in 0..10 {
        b.expect_message(first, &format!("kept {n}"));
    }
}

#[test]
fn a_shutdown_says_so_and_waits_for_clients_that_leave() {
    let mut house = House::new(|config| config.close.drain = std::time::Duration::from_secs(60));
    let number = house.account();
    let mut a = Client::tcp(house.tcp());
    a.go_online(number, PASSWORD, "a");
    let leaving = std::thread::spawn(move || {
        let end = a.expect_end_of_stream();
        assert!(end.contains("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"), "{end}");
        // RFC 6120 4.4: whoever ended its stream first closes once it has the other's closing tag. So it need not wait
        // for its drain, although the client leaves the connection open.
        a.send("</stream:stream>");
        a.expect_end();
    });
    let begun = std::time::Instant::now();
    house.stop();
    assert!(begun.elapsed().as_secs() < 30, "the drain is a bound, not a wait");
    leaving.join().unwrap();
}

#[test]
fn a_disabled_deleted_or_new_password_account_loses_its_sessions() {
    let house = House::usual();
    type Change = fn(u64) -> Request;
    let changes: [Change; 3] = [
        |number| Request::AccountDisable { number },
        |number| Request::AccountDelete { number },
        |number| Request::AccountPassword { number, password: "another".into() },
    ];
    for change in changes {
        let number = house.account();
        let mut a = Client::tcp(house.tcp());
        a.go_online(number, PASSWORD, "a");
        house.ask(&change(number)).unwrap();
        let end = a.expect_end_of_stream();
        assert!(end.contains("<stream:error"), "{end}");
        let mut again = Client::tcp(house.tcp());
        again.open();
        assert!(again.authenticate(number, PASSWORD).is_err(), "{:?}", change(number));
    }
}

/// RFC 6121 3.3 by the exchange for who can no longer do it: who is left hears at once, although the deleted number's roster is on disk
/// only: nobody of that number has logged in since the exchange was started, and who sees it not asks for nothing of it.
#[test]
fn contacts_of_a_deleted_number_hear_at_once() {
    let mut house = House::usual();
    let (leaves, stays) = (house.account(), house.account());
    {
        let (mut a, mut b) = (Client::tcp(house.tcp()), Client::tcp(house.tcp()));
        a.go_online(leaves, PASSWORD, "a");
        b.go_online(stays, PASSWORD, "b");
        // RFC 6121 3.1.6: who has asked for the roster hears of it.
        a.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
        a.expect("id='roster'");
        a.send(&format!("<presence to='{stays}@localhost' type='subscribe'/>"));
        b.expect("type='subscribe'");
        b.send(&format!("<presence to='{leaves}@localhost' type='subscribed'/>"));
        a.expect("type='subscribed'");
        a.ping();
        b.ping();
        a.log_out();
        b.log_out();
    }
    house.stop();
    house.start();
    let mut b = Client::tcp(house.tcp());
    b.go_online(stays, PASSWORD, "b");
    b.send("<iq type='get' id='before'><query xmlns='jabber:iq:roster'/></iq>");
    let before = b.expect("id='before'") + &b.expect("</iq>");
    assert!(before.contains("subscription='from'"), "{before}");
    house.ask(&Request::AccountDelete { number: leaves }).unwrap();
    let heard = b.expect("type='unsubscribe'");
    assert!(heard.contains(&format!("{leaves}@localhost")), "{heard}");
    b.send("<iq type='get' id='after'><query xmlns='jabber:iq:roster'/></iq>");
    let after = b.expect("id='after'") + &b.expect(">");
    assert!(!after.contains("subscription='from'"), "{after}");
}

#[test]
fn numbers_are_given_once() {
    let house = House::usual();
    assert_eq!((house.account(), house.account()), (10_001, 10_002));
    house.ask(&Request::AccountDelete { number: 10_002 }).unwrap();
    assert_eq!(house.account(), 10_003);
    let again =
        Request::AccountCreate { number: Some(10_002), name: None, password: "p".into(), admin: false };
    assert!(house.ask(&again).unwrap_err().starts_with("NumberTaken"));
    assert!(house.ask(&Request::AccountEnable { number: 10_002 }).unwrap_err().starts_with("NoSuchAccount"));
    assert_eq!(house.ask(&Request::AccountList).unwrap().len(), 2);
}

#[test]
fn a_wrong_password_and_a_wrong_number_fail_alike() {
    let house = House::usual();
    let number = house.account();
    let refusal = |number, password| {
        let mut client = Client::tcp(house.tcp());
        client.open();
        client.authenticate(number, password).unwrap_err()
    };
    let wrong_password = refusal(number, "wrong");
    assert!(wrong_password.contains("<not-authorized/>"), "{wrong_password}");
    assert_eq!(refusal(99_999, PASSWORD), wrong_password);
}
