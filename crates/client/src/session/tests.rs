//! Conversations: what the exchange says on lines that begin with `S`, what the client must say on lines with `C`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const NOW: Instant = Instant::ZERO;

fn account() -> Account {
    Account {
        number: AccountNumber::FIRST,
        domain: "localhost".to_owned(),
        password: "secret".to_owned(),
        resource: None,
    }
}

fn tls() -> Facts {
    Facts { framed: false, encrypted: true, local: false, can_start_tls: false, exporter: None }
}

fn said(session: &mut Session) -> String {
    let mut all = String::new();
    while let Some(piece) = session.poll_output() {
        all.push_str(std::str::from_utf8(&piece).unwrap());
    }
    all
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

/// Plays a script; lines of the client are compared whole.
fn play(session: &mut Session, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at(2) {
            ("S ", text) if session.is_framed() => session.handle_message(NOW, text),
            ("S ", text) => session.handle_bytes(NOW, text.as_bytes()),
            ("C ", text) => assert_eq!(said(session), text),
            _ => panic!("whose line is {line}?"),
        }
    }
}

const LOG_IN: &str = "
    C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' from='10001@localhost' version='1.0' xml:lang='en'>
    S <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='1' version='1.0'>
    S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
    C <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>ADEwMDAxAHNlY3JldA==</auth>
    S <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' from='10001@localhost' version='1.0' xml:lang='en'>
    S <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='2' version='1.0'>
    S <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>
    C <iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
    S <iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>10001@localhost/x</jid></bind></iq>
    C <enable xmlns='urn:xmpp:sm:3'/>
    S <enabled xmlns='urn:xmpp:sm:3'/>
";

fn logged_in() -> Session {
    let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
    play(&mut session, LOG_IN);
    let ready = Event::Ready { jid: "10001@localhost/x".to_owned(), acknowledges: true, past: Past::None };
    assert_eq!(events(&mut session), [ready]);
    session
}

#[test]
fn a_log_in_from_the_first_byte_to_the_last() {
    let mut session = logged_in();
    session.close();
    play(&mut session, "C <a xmlns='urn:xmpp:sm:3' h='0'/></stream:stream>\nS </stream:stream>");
    assert_eq!(events(&mut session), [Event::Ended(End::Closed)]);
    assert_eq!(said(&mut session), "");
}

#[test]
fn a_log_in_over_web_socket() {
    let facts = Facts { framed: true, encrypted: false, local: true, ..tls() };
    let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
    play(
        &mut session,
        "
        C <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>
        S <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='1' version='1.0'/>
        S <stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>
        C <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj0xMDAwMSxyPWFiYw==</auth>
        S <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>
        C <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
        ",
    );
    let failed = End::LogIn { condition: "not-authorized".to_owned(), text: None };
    assert_eq!(events(&mut session), [Event::Ended(failed)]);
}

#[test]
fn starttls_comes_before_everything() {
    let facts = Facts { encrypted: false, can_start_tls: true, ..tls() };
    let offer = "
        C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0' xml:lang='en'>
        S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>
        S <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
        C <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
    ";
    let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
    play(&mut session, offer);
    play(&mut session, "S <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(events(&mut session), [Event::StartTls]);
    session.handle_secured(NOW, None);
    play(&mut session, LOG_IN);

    // RFC 6120 5.4.3.3: text that was slipped in behind the offer is not taken into the encrypted stream.
    let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
    play(&mut session, offer);
    play(&mut session, "S <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message/>");
    assert!(matches!(events(&mut session)[..], [Event::StartTls, Event::Ended(End::Protocol(_))]));
}

#[test]
fn clear_text_does_not_leave_the_machine() {
    for (local, can_start_tls) in [(false, true), (false, false), (true, true)] {
        let facts = Facts { encrypted: false, local, can_start_tls, ..tls() };
        let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
        said(&mut session);
        play(
            &mut session,
            "
            S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>
            S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
            ",
        );
        // PLAIN is not for clear text, not even here.
        let expected = if local { End::NoMechanism("PLAIN".to_owned()) } else { End::NotEncrypted };
        assert_eq!(events(&mut session), [Event::Ended(expected)]);
        assert_eq!(said(&mut session), "");
    }
}

#[test]
fn an_exchange_that_does_not_prove_itself_is_an_impostor() {
    let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
    said(&mut session);
    let challenge = STANDARD.encode("r=abcd,s=QSXCR+Q6sek8bf92,i=4096");
    play(
        &mut session,
        &format!(
            "
            S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>
            S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>
            S <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{challenge}</challenge>
            S <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</success>
            ",
            STANDARD.encode("v=AAAA")
        ),
    );
    assert_eq!(events(&mut session), [Event::Ended(End::Impostor)]);
}

#[test]
fn what_is_sent_is_acknowledged() {
    let mut session = logged_in();
    assert_eq!(session.send(b"<message/>".to_vec()), 1);
    assert_eq!(session.send(b"<message/>".to_vec()), 2);
    play(
        &mut session,
        "C <message/><r xmlns='urn:xmpp:sm:3'/><message/><r xmlns='urn:xmpp:sm:3'/>
         S <a xmlns='urn:xmpp:sm:3' h='1'/><a xmlns='urn:xmpp:sm:3' h='1'/><a xmlns='urn:xmpp:sm:3' h='2'/>",
    );
    assert_eq!(events(&mut session), [Event::Acknowledged(1), Event::Acknowledged(2)]);
    play(&mut session, "S <a xmlns='urn:xmpp:sm:3' h='3'/>");
    assert!(matches!(events(&mut session)[..], [Event::Ended(End::Protocol(_))]));
}

#[test]
fn what_comes_counts_once_it_is_released_and_in_order() {
    let mut session = logged_in();
    play(
        &mut session,
        "S <message from='a'><body>1</body></message><iq type='get' id='p' from='s'><ping xmlns='urn:xmpp:ping'/></iq><message from='b'/>
         S <r xmlns='urn:xmpp:sm:3'/>
         C <a xmlns='urn:xmpp:sm:3' h='0'/>",
    );
    let came = events(&mut session);
    // Every stanza is told; what is no message counts by itself.
    let serials: Vec<u64> = came
        .iter()
        .filter_map(|event| match event {
            Event::Stanza { serial, .. } => Some(*serial),
            _ => None,
        })
        .collect();
    assert_eq!((serials, came.len()), (vec![1, 2, 3], 3));
    session.release(3);
    assert_eq!(said(&mut session), "");
    // The ping says that what was in front of it has arrived (XEP-0160 without XEP-0198), so it waits for that.
    session.release(1);
    play(&mut session, "C <iq to='s' id='p' type='result'/><a xmlns='urn:xmpp:sm:3' h='3'/>");
    session.release(1);
    session.release(7);
    assert_eq!(said(&mut session), "");
}

#[test]
fn a_request_that_nobody_serves_gets_an_error() {
    let mut session = logged_in();
    play(
        &mut session,
        "S <iq type='set' id='q' from='10002@localhost/y'><query xmlns='urn:unknown'/></iq><iq type='result' id='z'/>
         C <iq to='10002@localhost/y' id='q' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    );
}

#[test]
fn a_silent_exchange_is_asked_and_then_given_up() {
    let mut session = logged_in();
    let asked = session.next_deadline().unwrap();
    assert_eq!(asked, NOW + SILENCE);
    session.handle_timer(NOW);
    assert_eq!(said(&mut session), "");
    session.handle_timer(asked);
    play(&mut session, "C <r xmlns='urn:xmpp:sm:3'/>");
    let given_up = session.next_deadline().unwrap();
    assert_eq!(given_up, NOW + SILENCE + ANSWER);
    session.handle_timer(given_up);
    assert_eq!(events(&mut session), [Event::Ended(End::Silent)]);

    let mut session = logged_in();
    session.handle_timer(asked);
    session.handle_bytes(asked, b"<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert_eq!(session.next_deadline(), Some(asked + SILENCE));
}

#[test]
fn good_byes_and_ends() {
    let mut session = logged_in();
    play(&mut session, "S </stream:stream>\nC </stream:stream>");
    assert_eq!(events(&mut session), [Event::Ended(End::Closed)]);

    let mut session = logged_in();
    play(
        &mut session,
        "S <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>two</text></stream:error></stream:stream>
         C </stream:stream>",
    );
    let conflict = End::Stream { condition: "conflict".to_owned(), text: Some("two".to_owned()) };
    assert_eq!(events(&mut session), [Event::Ended(conflict)]);

    let mut session = logged_in();
    session.handle_lost("reset");
    session.handle_lost("again");
    assert_eq!(events(&mut session), [Event::Ended(End::Lost("reset".to_owned()))]);

    let mut session = logged_in();
    session.close();
    session.handle_lost("reset");
    assert_eq!(events(&mut session), [Event::Ended(End::Closed)]);
}

#[test]
fn what_is_no_xmpp_ends_it() {
    for script in [
        "S HTTP/1.1 400 Bad Request",
        "S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><message/>",
        "S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>",
    ] {
        let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
        said(&mut session);
        play(&mut session, script);
        assert!(matches!(events(&mut session)[..], [Event::Ended(_)]), "{script}");
    }
}

/// A log-in by SASL2 up to its success; `asked` is what goes along.
fn second(asked: &str) -> String {
    format!(
        "
        C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' from='10001@localhost' version='1.0' xml:lang='en'>
        S <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='1' version='1.0'>
        S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:sm:3'/></inline></bind></inline></authentication></stream:features>
        C <authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>ADEwMDAxAHNlY3JldA==</initial-response>{asked}</authenticate>
        "
    )
}

const BIND_AND_ENABLE: &str = "<bind xmlns='urn:xmpp:bind:0'><tag>switchboard</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>";
const BOUND: &str = "S <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>10001@localhost/x</authorization-identifier><bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='s1' max='300' resume='true'/></bound></success><stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";

fn ready(past: Past) -> Event {
    Event::Ready { jid: "10001@localhost/x".to_owned(), acknowledges: true, past }
}

/// A session that may be resumed.
fn resumable() -> Session {
    let mut session = Session::resumable(NOW, account(), tls(), "abc".to_owned(), None);
    play(&mut session, &second(BIND_AND_ENABLE));
    play(&mut session, BOUND);
    assert_eq!(events(&mut session), [ready(Past::None)]);
    session
}

/// The connection is lost in the middle of things: two of three stanzas of ours are not acknowledged, one of two of theirs
/// is not taken.
fn lost_in_the_middle() -> Kept {
    let mut session = resumable();
    for id in ["1", "2", "3"] {
        session.send(format!("<message id='{id}'/>").into_bytes());
    }
    said(&mut session);
    play(
        &mut session,
        "S <a xmlns='urn:xmpp:sm:3' h='1'/><message id='a'/><message id='b'/>
         S <iq type='get' id='p' from='s'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    session.release(1);
    session.handle_lost("cut");
    session.into_kept().expect("it can be resumed")
}

fn begin_again(kept: Kept, facts: Facts) -> Session {
    Session::resumable(NOW, account(), facts, "abc".to_owned(), Some(kept))
}

#[test]
fn a_session_goes_on_over_the_next_connection() {
    let mut session = begin_again(lost_in_the_middle(), tls());
    play(
        &mut session,
        &second(&format!("<resume xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>{BIND_AND_ENABLE}")),
    );
    // The exchange had the second too, and sends what was not taken here again.
    play(
        &mut session,
        "S <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>10001@localhost/x</authorization-identifier><resumed xmlns='urn:xmpp:sm:3' previd='s1' h='2'/></success><stream:features/><message id='b'/>
         C <message id='3'/><r xmlns='urn:xmpp:sm:3'/>",
    );
    let events = events(&mut session);
    assert_eq!(events[..2], [ready(Past::Resumed), Event::Acknowledged(2)]);
    let [_, _, Event::Stanza { serial: 2, stanza }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(stanza.attribute("id"), Some("b"));
    // Counting goes on in both directions, and so it does over one more connection.
    session.release(2);
    assert_eq!(said(&mut session), "<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(session.send(b"<message id='4'/>".to_vec()), 4);
    said(&mut session);
    play(&mut session, "S <a xmlns='urn:xmpp:sm:3' h='3'/>");
    session.handle_lost("cut");
    let mut session = begin_again(session.into_kept().unwrap(), tls());
    play(
        &mut session,
        &second(&format!("<resume xmlns='urn:xmpp:sm:3' previd='s1' h='2'/>{BIND_AND_ENABLE}")),
    );
    play(
        &mut session,
        "S <success xmlns='urn:xmpp:sasl:2'><resumed xmlns='urn:xmpp:sm:3' previd='s1' h='3'/></success>
         C <message id='4'/><r xmlns='urn:xmpp:sm:3'/>",
    );
}

#[test]
fn a_session_goes_on_where_there_is_no_sasl2() {
    let mut session = begin_again(lost_in_the_middle(), tls());
    let (log_in, _) = LOG_IN.split_once("C <iq").unwrap();
    play(&mut session, log_in);
    play(
        &mut session,
        "C <resume xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>
         S <resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>
         C <message id='2'/><message id='3'/><r xmlns='urn:xmpp:sm:3'/>",
    );
    assert_eq!(events(&mut session), [ready(Past::Resumed)]);
}

#[test]
fn a_session_that_is_over_makes_room_for_a_new_one() {
    // With the count of what it had, and without; along with the log-in, and step by step.
    for (h, acknowledged) in [(" h='2'", Some(2)), ("", None), (" h='9'", None)] {
        let failed = format!(
            "<failed xmlns='urn:xmpp:sm:3'{h}><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
        let mut session = begin_again(lost_in_the_middle(), tls());
        play(
            &mut session,
            &second(&format!("<resume xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>{BIND_AND_ENABLE}")),
        );
        play(&mut session, &BOUND.replace("<bound", &format!("{failed}<bound")));
        assert_eq!(events(&mut session), [ready(Past::Lost { acknowledged })]);
        // Nothing of it is sent again: its sender knows what is worth it.
        assert_eq!(said(&mut session), "");
        assert_eq!(session.send(b"<message/>".to_vec()), 1);

        let mut session = begin_again(lost_in_the_middle(), tls());
        let (log_in, bind) = LOG_IN.split_once("C <iq").unwrap();
        play(&mut session, log_in);
        play(&mut session, &format!("C <resume xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>\nS {failed}"));
        let bind =
            bind.replace("<enable xmlns='urn:xmpp:sm:3'/>", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        play(&mut session, &format!("C <iq{bind}"));
        assert_eq!(events(&mut session), [ready(Past::Lost { acknowledged })]);
    }
}

#[test]
fn what_cannot_be_resumed_is_not_kept() {
    // Who said good-bye.
    let mut session = resumable();
    session.close();
    session.handle_lost("cut");
    assert!(session.into_kept().is_none());
    // Whose exchange does not resume.
    let mut session = Session::resumable(NOW, account(), tls(), "abc".to_owned(), None);
    play(&mut session, &second(BIND_AND_ENABLE));
    play(&mut session, &BOUND.replace(" id='s1' max='300' resume='true'", ""));
    session.handle_lost("cut");
    assert!(session.into_kept().is_none());
    // Who was told of more than was ever sent: the two do not agree on what the session was.
    let mut session = begin_again(lost_in_the_middle(), tls());
    said(&mut session);
    play(
        &mut session,
        "S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'><stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><sm xmlns='urn:xmpp:sm:3'/></inline></authentication></stream:features>",
    );
    assert!(said(&mut session).contains("<resume xmlns='urn:xmpp:sm:3' previd='s1' h='1'/></authenticate>"));
    play(
        &mut session,
        "S <success xmlns='urn:xmpp:sasl:2'><resumed xmlns='urn:xmpp:sm:3' previd='s1' h='7'/></success>",
    );
    assert!(matches!(events(&mut session)[..], [Event::Ended(End::Protocol(_))]));
    assert!(session.into_kept().is_none());
    // A connection that fails before anything has become of it leaves it as it was.
    let mut session = begin_again(lost_in_the_middle(), tls());
    session.handle_lost("refused");
    assert_eq!(session.into_kept().expect("nothing has become of it").id, "s1");
    // What was written for a stream is no frame.
    let mut session = begin_again(lost_in_the_middle(), Facts { framed: true, ..tls() });
    said(&mut session);
    play(
        &mut session,
        "S <stream:features xmlns:stream='http://etherx.jabber.org/streams'><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><sm xmlns='urn:xmpp:sm:3'/></inline></authentication></stream:features>",
    );
    assert!(!said(&mut session).contains("<resume"));
}

#[test]
fn sasl2_without_what_goes_along_is_followed_by_the_steps() {
    let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
    play(
        &mut session,
        &second("<bind xmlns='urn:xmpp:bind:0'><tag>switchboard</tag><enable xmlns='urn:xmpp:sm:3'/></bind>"),
    );
    // It knows the bind, and not the rest of what it was asked.
    play(
        &mut session,
        "S <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>10001@localhost/x</authorization-identifier><bound xmlns='urn:xmpp:bind:0'/></success><stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>
         C <enable xmlns='urn:xmpp:sm:3'/>
         S <enabled xmlns='urn:xmpp:sm:3'/>",
    );
    assert_eq!(events(&mut session), [ready(Past::None)]);
    // A resource of a certain name is asked for behind it.
    let desk = Account { resource: Some("desk".to_owned()), ..account() };
    let mut session = Session::new(NOW, desk, tls(), "abc".to_owned());
    play(&mut session, &second(""));
    play(
        &mut session,
        "S <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>10001@localhost</authorization-identifier></success><stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>
         C <iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>desk</resource></bind></iq>",
    );
    // A wrong password is the same in both frames.
    let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
    said(&mut session);
    play(
        &mut session,
        "S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'><stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication></stream:features>
         S <failure xmlns='urn:xmpp:sasl:2'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><text>no</text></failure>",
    );
    let failed = End::LogIn { condition: "not-authorized".to_owned(), text: Some("no".to_owned()) };
    assert_eq!(events(&mut session), [Event::Ended(failed)]);
}

#[test]
fn who_waits_for_an_acknowledgement_does_not_wait_for_the_silence() {
    let mut session = logged_in();
    session.await_answer(NOW);
    assert_eq!(session.next_deadline(), Some(NOW + SILENCE), "nothing was sent");
    let later = NOW + Duration::from_secs(10);
    session.send(b"<message/>".to_vec());
    session.await_answer(later);
    session.await_answer(later + ANSWER / 2);
    assert_eq!(session.next_deadline(), Some(later + ANSWER));
    session.handle_bytes(later, b" ");
    assert_eq!(session.next_deadline(), Some(later + SILENCE));
    session.await_answer(later);
    session.handle_timer(later + ANSWER);
    assert!(matches!(events(&mut session)[..], [Event::Ended(End::Silent)]));
}
