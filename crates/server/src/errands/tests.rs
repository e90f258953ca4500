use super::*;

fn asked(errand: Errand) -> Asked {
    let number = AccountNumber::new(10_001).unwrap();
    Asked { session: SessionId::new(1, 7), number, id: Some("a<1".into()), errand }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_answer_bears_the_question_s_id_and_says_who_answers() {
    let result = reply(&asked(Errand::Revoke), "10001@chat.example", Ok(Vec::new()));
    assert_eq!(text(result), "<iq type='result' id='a&lt;1' from='10001@chat.example'/>");
    let refused = text(reply(&asked(Errand::Invite), "chat.example", Err(StanzaCondition::Forbidden)));
    assert!(refused.contains("type='error'") && refused.contains("<forbidden"), "{refused}");
    assert!(refused.contains("id='a&lt;1'"), "{refused}");
}

#[test]
fn lines_and_facts_are_written_and_escaped() {
    let line = Line {
        number: Some(10_001),
        resource: Some("<desk>'".into()),
        carrier: "ws".into(),
        network: "kernel".into(),
        remote: "127.0.0.1:50412".parse().unwrap(),
        state: "bound".into(),
        encrypted: false,
        since: 5,
    };
    let nameless = Line { number: None, resource: None, ..line.clone() };
    let facts = [Facts { of: "tcp", rows: vec![("rtt", "80 us".into()), ("cwnd", "10 & more".into())] }];
    let mut out = Vec::new();
    write_lines(&[(SessionId::new(0, 3), line), (SessionId::new(1, 4), nameless)], None, &facts, &mut out);
    let stanza = format!("<iq xmlns='jabber:client'>{}</iq>", text(out));
    let iq = xmpp::stanza::Stanza::parse(stanza.as_bytes()).unwrap();
    let lines = iq.child("lines", ns::LINES).unwrap();
    let rows: Vec<_> = lines.children().filter(|node| node.name() == "line").collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].attr("id").as_deref(), Some("3"));
    assert_eq!(rows[0].attr("resource").as_deref(), Some("<desk>'"));
    assert_eq!(rows[1].attr("id").as_deref(), Some(&*SessionId::new(1, 4).to_bits().to_string()));
    assert_eq!(rows[1].attr("number"), None);
    let group = lines.child("facts", ns::LINES).unwrap();
    assert_eq!(group.attr("of").as_deref(), Some("tcp"));
    let values: Vec<_> = group.children().map(|fact| fact.text().into_owned()).collect();
    assert_eq!(values, ["80 us", "10 & more"]);
}

#[test]
fn an_invite_is_a_command_s_result() {
    let mut out = Vec::new();
    write_invite(
        "xmpp:10005@x?register;preauth=t",
        Some("https://x/#/invite/t"),
        "2026-12-01T00:00:00Z",
        &mut out,
    );
    let stanza = format!("<iq xmlns='jabber:client'>{}</iq>", text(out));
    let iq = xmpp::stanza::Stanza::parse(stanza.as_bytes()).unwrap();
    let form = iq.child("command", ns::COMMANDS).unwrap().child("x", ns::DATA_FORMS).unwrap();
    let fields: Vec<_> = form
        .children()
        .map(|field| {
            (field.attr("var").unwrap().into_owned(), field.children().next().unwrap().text().into_owned())
        })
        .collect();
    assert_eq!(fields[0], ("uri".into(), "xmpp:10005@x?register;preauth=t".into()));
    assert_eq!(fields[1], ("landing-url".into(), "https://x/#/invite/t".into()));
    assert_eq!(fields.len(), 3);
}

#[test]
fn of_very_many_lines_the_first_are_told_and_the_open_one() {
    let line = |number| Line {
        number: Some(number),
        resource: None,
        carrier: "tcp".into(),
        network: "kernel".into(),
        remote: "127.0.0.1:50412".parse().unwrap(),
        state: "bound".into(),
        encrypted: true,
        since: 5,
    };
    let all: Vec<_> = (0..3_000).map(|at| (SessionId::new(0, at), line(10_001 + at))).collect();
    let last = all[2_999].0.to_bits();
    let mut out = Vec::new();
    write_lines(&all, Some(last), &[], &mut out);
    let stanza = format!("<iq xmlns='jabber:client'>{}</iq>", text(out));
    let iq = xmpp::stanza::Stanza::parse(stanza.as_bytes()).unwrap();
    let lines = iq.child("lines", ns::LINES).unwrap();
    assert_eq!(lines.attr("total").as_deref(), Some("3000"));
    assert_eq!(lines.children().count(), LINES_MAX + 1);
    assert_eq!(lines.children().last().unwrap().attr("id").unwrap(), last.to_string());
    assert!(stanza.len() < 1024 * 1024 / 2, "{} octets", stanza.len());
}
