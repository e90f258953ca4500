use client::element::Element;
use xmpp::ns;

use super::*;
use crate::book::{Presence, Standing};

const ME: &str = "10001@localhost";
const ANN: &str = "10002@localhost";

/// A talk and its server, a second a step.
struct Scene {
    talk: Talk,
    seconds: u64,
    serial: u64,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self { talk: Talk::new(ME, "run"), seconds: 1_000, serial: 0 };
        scene.talk.handle_ready(false);
        scene.said();
        scene
    }

    fn now(&self) -> Now {
        let wall = Wallclock::from_millis(self.seconds * 1_000);
        Now { mono: Instant::from_nanos(self.seconds * 1_000_000_000), wall }
    }

    fn hear(&mut self, xml: &str) {
        self.seconds += 1;
        let stanza = parse(xml);
        self.talk.handle_stanza(self.now(), &stanza);
    }

    /// What it says, as text; each is posted.
    fn said(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(output) = self.talk.poll_output() {
            self.serial += 1;
            self.talk.handle_posted(self.serial, output.message);
            said.push(String::from_utf8(output.stanza).unwrap());
        }
        said
    }

    fn command(&mut self, line: &str) -> Wish {
        self.seconds += 1;
        let command = crate::command::parse(line, "localhost").unwrap();
        self.talk.handle_command(self.now(), command)
    }

    fn bodies(&self, with: &str) -> Vec<&str> {
        self.talk.book.get(with).unwrap().entries.iter().map(|entry| entry.body.as_str()).collect()
    }

    fn friends(&mut self) {
        self.hear(&format!(
            "<iq type='set' id='p'><query xmlns='{}'><item jid='{ANN}' name='Ann' subscription='both'/></query></iq>",
            ns::ROSTER
        ));
        self.hear(&format!("<presence from='{ANN}/desk'/>"));
    }
}

/// A stanza, written without its namespace.
fn parse(xml: &str) -> Element {
    let name = xml[1..].split([' ', '>', '/']).next().unwrap();
    Element::parse(&xml.replacen(name, &format!("{name} xmlns='{}'", ns::CLIENT), 1)).unwrap()
}

#[test]
fn a_line_begins_with_all_that_has_to_be_known() {
    let mut talk = Talk::new(ME, "run");
    talk.handle_ready(true);
    let mut said = Vec::new();
    while let Some(output) = talk.poll_output() {
        said.push(String::from_utf8(output.stanza).unwrap());
    }
    for (at, needle) in [ns::ROSTER, ns::CARBONS, ns::BLOCKING, ns::MAM, "<presence"].into_iter().enumerate()
    {
        assert!(said[at].contains(needle), "{said:#?}");
        assert!(
            said[at].contains("xmlns='jabber:client'"),
            "in a frame each declares its namespace: {said:#?}"
        );
    }
}

#[test]
fn a_message_goes_its_way_from_sending_to_read() {
    let mut scene = Scene::new();
    scene.friends();
    scene.command(&format!("/to {ANN}"));
    scene.said();
    scene.command("hello");
    let said = scene.said();
    assert_eq!(said.len(), 1);
    let id = scene.talk.book.get(ANN).unwrap().entries[0].id.clone();
    assert!(said[0].contains(&format!("id='{id}'")) && said[0].contains("<body>hello</body>"), "{said:?}");
    let mark = |scene: &Scene| scene.talk.book.get(ANN).unwrap().entries[0].mark.clone();
    assert_eq!(mark(&scene), Mark::Sending);
    scene.talk.handle_acknowledged(scene.serial - 1);
    assert_eq!(mark(&scene), Mark::Sending, "what came before it was acknowledged, not it");
    scene.talk.handle_acknowledged(scene.serial);
    assert_eq!(mark(&scene), Mark::Sent);
    scene.hear(&format!(
        "<message from='{ANN}/desk'><received xmlns='{}' id='{id}'/></message>",
        ns::RECEIPTS
    ));
    assert_eq!(mark(&scene), Mark::Delivered);
    scene.hear(&format!(
        "<message from='{ANN}/desk'><displayed xmlns='{}' id='{id}'/></message>",
        ns::MARKERS
    ));
    assert_eq!(mark(&scene), Mark::Read);
}

/// Three messages: one acknowledged, one under way, one written when the line is gone already. What was under way.
fn lost_in_the_middle(scene: &mut Scene) -> String {
    scene.command(&format!("/to {ANN}"));
    scene.said();
    scene.command("first");
    scene.said();
    scene.talk.handle_acknowledged(scene.serial);
    scene.command("second");
    let second = scene.said().remove(0);
    scene.talk.handle_lost();
    scene.command("third");
    assert!(scene.said().is_empty(), "the network is away");
    second
}

fn texts(said: Vec<String>) -> Vec<String> {
    said.into_iter().filter(|said| said.contains("<body>")).collect()
}

#[test]
fn what_was_not_acknowledged_goes_out_again_under_its_id_and_only_that() {
    let mut scene = Scene::new();
    let second = lost_in_the_middle(&mut scene);
    scene.talk.handle_ready(false);
    let said = scene.said();
    let query = id_of(&said, ns::MAM);
    assert!(texts(said).is_empty(), "the archive is asked first");
    // What is written meanwhile does not overtake it.
    scene.command("fourth");
    assert!(scene.said().is_empty());
    scene.hear(&fin(&query, "", true));
    let texts = texts(scene.said());
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[0], second);
    assert!(texts[1].contains("third") && texts[2].contains("fourth"), "{texts:?}");
}

#[test]
fn what_the_archive_has_is_not_sent_again() {
    let mut scene = Scene::new();
    lost_in_the_middle(&mut scene);
    let id = scene.talk.book.get(ANN).unwrap().entries[1].id.clone();
    scene.talk.handle_ready(false);
    let query = id_of(&scene.said(), ns::MAM);
    let at = scene.seconds;
    scene.hear(&archived(&query, "b1", ME, ANN, at, "second").replace("id='second'", &format!("id='{id}'")));
    scene.hear(&fin(&query, "b1", true));
    let texts = texts(scene.said());
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("third"));
    assert_eq!(scene.talk.book.get(ANN).unwrap().entries[1].mark, Mark::Sent);
    assert_eq!(scene.bodies(ANN), ["first", "second", "third"]);
}

#[test]
fn a_server_without_an_archive_gets_it_all_the_same() {
    let mut scene = Scene::new();
    lost_in_the_middle(&mut scene);
    scene.talk.handle_ready(false);
    let query = id_of(&scene.said(), ns::MAM);
    scene.hear(&format!(
        "<iq type='error' id='{query}'><error type='cancel'><service-unavailable xmlns='{}'/></error></iq>",
        ns::STANZA_ERRORS
    ));
    assert_eq!(texts(scene.said()).len(), 2);
}

#[test]
fn a_session_that_goes_on_asks_for_nothing_and_sends_what_was_written_meanwhile() {
    let mut scene = Scene::new();
    scene.friends();
    lost_in_the_middle(&mut scene);
    scene.talk.handle_resumed(false);
    // The second was given to the line, which keeps it until it is acknowledged.
    let said = scene.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("third"));
    scene.talk.handle_acknowledged(scene.serial);
    let marks: Vec<Mark> = scene.talk.book.get(ANN).unwrap().entries.iter().map(|e| e.mark.clone()).collect();
    assert_eq!(marks, [Mark::Sent, Mark::Sent, Mark::Sent]);
    assert_eq!(scene.talk.book.get(ANN).unwrap().presence(), Presence::Online, "nobody said otherwise");
}

#[test]
fn an_error_marks_the_message_it_is_about() {
    let mut scene = Scene::new();
    scene.command("/to 99999");
    scene.command("anybody?");
    let id = scene.talk.book.get("99999@localhost").unwrap().entries[0].id.clone();
    scene.hear(&format!(
        "<message from='99999@localhost' type='error' id='{id}'><error type='cancel'><item-not-found xmlns='{}'/></error></message>",
        ns::STANZA_ERRORS
    ));
    let entry = &scene.talk.book.get("99999@localhost").unwrap().entries[0];
    assert_eq!(entry.mark, Mark::Failed("item-not-found".into()));
}

#[test]
fn carbons_and_pages_are_believed_from_the_own_account_only() {
    let mut scene = Scene::new();
    let carbon = |from: &str| {
        format!(
            "<message{from}><sent xmlns='{}'><forwarded xmlns='{}'><message xmlns='jabber:client' from='{ME}/phone' \
             to='{ANN}' id='c1'><body>from my phone</body></message></forwarded></sent></message>",
            ns::CARBONS,
            ns::FORWARD
        )
    };
    scene.hear(&carbon(" from='10666@localhost/evil'"));
    assert!(scene.talk.book.get(ANN).is_none());
    scene.hear(&carbon(&format!(" from='{ME}'")));
    assert_eq!(scene.bodies(ANN), ["from my phone"]);
    assert!(scene.talk.book.get(ANN).unwrap().entries[0].ours);

    let push =
        format!("<query xmlns='{}'><item jid='10666@localhost' subscription='both'/></query>", ns::ROSTER);
    scene.hear(&format!("<iq type='set' id='x' from='10666@localhost/evil'>{push}</iq>"));
    assert!(scene.talk.book.get("10666@localhost").is_none());
    scene
        .hear(&format!("<message from='{ME}'><result xmlns='{}' queryid='never-asked'/></message>", ns::MAM));
}

#[test]
fn unread_grows_and_looking_tells_those_we_know() {
    let mut scene = Scene::new();
    scene.friends();
    let wanted = format!("<request xmlns='{}'/><markable xmlns='{}'/>", ns::RECEIPTS, ns::MARKERS);
    scene.hear(&format!("<message from='{ANN}/desk' id='m1'><body>one</body>{wanted}</message>"));
    scene.hear(&format!("<message from='{ANN}/desk' id='m2'><body>two</body>{wanted}</message>"));
    // And from a stranger, who learns nothing.
    scene.hear(&format!("<message from='10003@localhost/x' id='s1'><body>psst</body>{wanted}</message>"));
    assert_eq!(scene.talk.book.unread(), 3);
    let receipts: Vec<String> = scene.said();
    assert_eq!(receipts.len(), 2, "{receipts:?}");
    assert!(receipts.iter().all(|said| said.contains(ANN)));
    scene.command(&format!("/to {ANN}"));
    scene.said();
    scene.talk.handle_looking();
    let seen = scene.said();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].contains("displayed") && seen[0].contains("id='m2'"), "{seen:?}");
    assert_eq!(scene.talk.book.unread(), 1);
    scene.command("/to 10003");
    scene.said();
    scene.talk.handle_looking();
    assert!(scene.said().is_empty());
}

#[test]
fn typing_is_told_once_and_stops_by_itself() {
    let mut scene = Scene::new();
    scene.friends();
    scene.command(&format!("/to {ANN}"));
    scene.said();
    for _ in 0..3 {
        scene.talk.handle_typing(scene.now().mono, false);
    }
    let said = scene.said();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("<composing"));
    scene.seconds += 5;
    scene.talk.handle_timer(scene.now().mono);
    assert!(scene.said()[0].contains("<paused"));
    // Theirs is shown, and forgotten when it is not renewed.
    scene.hear(&format!("<message from='{ANN}/desk'><composing xmlns='{}'/></message>", ns::CHAT_STATES));
    assert!(scene.talk.book.get(ANN).unwrap().typing.is_some());
    assert_eq!(scene.talk.next_deadline(), Some(scene.now().mono + TYPING));
    scene.seconds += 30;
    scene.talk.handle_timer(scene.now().mono);
    assert!(scene.talk.book.get(ANN).unwrap().typing.is_none());
    // Nobody is told who is away.
    scene.hear(&format!("<presence from='{ANN}/desk' type='unavailable'/>"));
    scene.talk.handle_typing(scene.now().mono, false);
    assert!(scene.said().is_empty());
}

#[test]
fn a_correction_changes_its_own_senders_message_only() {
    let mut scene = Scene::new();
    scene.hear(&format!("<message from='{ANN}/desk' id='m1'><body>teh</body></message>"));
    let fix = |from: &str| {
        format!(
            "<message from='{from}' id='m9'><body>the</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/></message>"
        )
    };
    scene.hear(&fix("10003@localhost/x"));
    assert_eq!(scene.bodies(ANN), ["teh"]);
    scene.hear(&fix(&format!("{ANN}/desk")));
    assert_eq!(scene.bodies(ANN), ["the"]);
    scene.hear(&format!(
        "<message from='{ANN}/desk'><retract xmlns='urn:xmpp:message-retract:1' id='m1'/></message>"
    ));
    assert_eq!(scene.bodies(ANN), ["[taken back]"]);
}

#[test]
fn what_only_others_can_read_is_said() {
    let mut scene = Scene::new();
    scene.hear(&format!(
        "<message from='{ANN}/desk' id='m1'><body>fallback</body><encryption xmlns='urn:xmpp:eme:0' namespace='x'/></message>"
    ));
    assert_eq!(scene.bodies(ANN), ["[encrypted: readable on your other devices]"]);
}

/// The id of the latest request whose text holds this.
fn id_of(said: &[String], needle: &str) -> String {
    let request =
        said.iter().rev().find(|said| said.contains(needle)).unwrap_or_else(|| panic!("{needle}: {said:?}"));
    request.split("id='").nth(1).unwrap().split('\'').next().unwrap().to_owned()
}

fn archived(query: &str, mark: &str, from: &str, to: &str, at: u64, body: &str) -> String {
    let stamp = Wallclock::from_millis(at * 1_000);
    format!(
        "<message from='{ME}'><result xmlns='{}' queryid='{query}' id='{mark}'><forwarded xmlns='{}'>\
         <delay xmlns='{}' stamp='{stamp}'/><message xmlns='jabber:client' from='{from}/x' to='{to}' id='{body}'>\
         <body>{body}</body></message></forwarded></result></message>",
        ns::MAM,
        ns::FORWARD,
        ns::DELAY
    )
}

fn fin(query: &str, first: &str, complete: bool) -> String {
    format!(
        "<iq type='result' id='{query}'><fin xmlns='{}' complete='{complete}'><set xmlns='{}'><first>{first}</first>\
         <last>z</last></set></fin></iq>",
        ns::MAM,
        ns::RSM
    )
}

#[test]
fn a_conversation_grows_backwards_until_its_beginning() {
    let mut scene = Scene::new();
    scene.command(&format!("/to {ANN}"));
    let query = id_of(&scene.said(), "with");
    scene.hear(&archived(&query, "a3", ANN, ME, 30, "three"));
    scene.hear(&archived(&query, "a4", ME, ANN, 40, "four"));
    scene.talk.ask_history(ANN);
    assert!(scene.said().is_empty(), "a page at a time");
    scene.hear(&fin(&query, "a3", false));
    scene.talk.ask_history(ANN);
    let said = scene.said();
    assert!(said[0].contains("<before>a3</before>"), "{said:?}");
    let query = id_of(&said, "with");
    scene.hear(&archived(&query, "a1", ANN, ME, 10, "one"));
    scene.hear(&archived(&query, "a2", ANN, ME, 20, "two"));
    scene.hear(&fin(&query, "a1", true));
    assert_eq!(scene.bodies(ANN), ["one", "two", "three", "four"]);
    scene.talk.ask_history(ANN);
    assert!(scene.said().is_empty(), "there is nothing older");
    assert_eq!(scene.talk.book.unread(), 0, "old messages are no news");
}

#[test]
fn what_came_while_the_line_was_away_is_read_until_something_known() {
    let mut scene = Scene::new();
    scene.hear(&format!("<message from='{ANN}/desk' id='known'><body>known</body></message>"));
    let known = scene.seconds;
    scene.talk.handle_lost();
    scene.talk.handle_ready(false);
    let query = id_of(&scene.said(), ns::MAM);
    scene.hear(&archived(&query, "b3", ANN, ME, known + 30, "newest"));
    scene.hear(&fin(&query, "b3", false));
    let query = id_of(&scene.said(), "<before>b3</before>");
    scene.hear(&archived(&query, "b1", ANN, ME, known, "known"));
    scene.hear(&archived(&query, "b2", ANN, ME, known + 20, "newer"));
    scene.hear(&fin(&query, "b1", false));
    assert!(scene.said().is_empty(), "something known was met");
    assert_eq!(scene.bodies(ANN), ["known", "newer", "newest"]);
    assert_eq!(scene.talk.book.unread(), 3);
}

#[test]
fn asking_accepting_and_blocking() {
    let mut scene = Scene::new();
    scene.hear("<presence from='10007@localhost' type='subscribe'/>");
    assert_eq!(scene.talk.book.get("10007@localhost").unwrap().standing, Standing::Asks);
    assert!(scene.talk.notice(scene.now().mono).unwrap().contains("10007"));
    scene.command("/to 10007");
    scene.said();
    scene.command("/accept");
    let said = scene.said();
    assert!(said[0].contains("type='subscribed'") && said[1].contains("type='subscribe'"), "{said:?}");
    scene.command("/block");
    let said = scene.said();
    let id = id_of(&said, "<block ");
    scene.hear(&format!(
        "<iq type='set' id='push'><block xmlns='{}'><item jid='10007@localhost'/></block></iq>",
        ns::BLOCKING
    ));
    scene.hear(&format!("<iq type='result' id='{id}'/>"));
    assert!(scene.talk.book.get("10007@localhost").unwrap().blocked);
    scene.command("/blocked");
    assert_eq!(scene.talk.notice(scene.now().mono), Some("blocked: 10007"));
    scene.hear(&format!("<iq type='set' id='push'><unblock xmlns='{}'/></iq>", ns::BLOCKING));
    assert!(!scene.talk.book.get("10007@localhost").unwrap().blocked);
}

#[test]
fn presence_follows_devices() {
    let mut scene = Scene::new();
    scene.friends();
    assert_eq!(scene.talk.book.get(ANN).unwrap().presence(), Presence::Online);
    scene.hear(&format!("<presence from='{ANN}/desk'><show>dnd</show></presence>"));
    assert_eq!(scene.talk.book.get(ANN).unwrap().presence(), Presence::Busy);
    scene.talk.handle_lost();
    assert_eq!(scene.talk.book.get(ANN).unwrap().presence(), Presence::Offline);
}

#[test]
fn finding_goes_back_from_hit_to_hit() {
    let mut scene = Scene::new();
    for (id, body) in [("1", "apple"), ("2", "pear"), ("3", "Apple pie")] {
        scene.hear(&format!("<message from='{ANN}/desk' id='{id}'><body>{body}</body></message>"));
    }
    scene.command(&format!("/to {ANN}"));
    assert_eq!(scene.command("/find apple"), Wish::Show(2));
    assert_eq!(scene.command("/find apple"), Wish::Show(0));
    assert_eq!(scene.command("/find apple"), Wish::None);
    assert!(scene.talk.notice(scene.now().mono).unwrap().contains("no message"));
    assert_eq!(scene.command("/find plum"), Wish::None);
}
