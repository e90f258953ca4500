//! `switchboard reports`: whom accounts have reported for spam or abuse, and the end of it.
//!
//! Invariants: it shows one moment; what people wrote cannot repaint the terminal; nobody is disabled of whom nothing is
//! said.
//! Not here: what it is to be disabled (`account`), how reports come (the router's blocking).

use serde::Serialize;
use store::{Answer, DocumentOp, Op, Space, Sqlite, StoreError, limits};
use xmpp::address::{AccountNumber, JidRef};
use xmpp::ns;
use xmpp::stanza::{Node, Stanza};

use super::account;
use crate::args::Reports;
use crate::data::{self, Data};
use crate::failure::Failure;
use crate::output;

/// What every reason of XEP-0377 begins with.
const REASONS: &str = "urn:xmpp:reporting:";

/// One report.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Row {
    /// As XEP-0082 writes it.
    at: String,
    reported: String,
    by: u64,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Messages that it names, by the ids that their archives gave them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<String>,
}

pub(crate) fn run(args: &Reports) -> Result<(), Failure> {
    let folder = &args.data.data;
    let mut store = match data::open(folder, false)? {
        Data::Running(_) => Sqlite::look(folder).map_err(Failure::failed)?,
        Data::Ours(store) => *store,
    };
    let domain = store.domain().map_err(Failure::failed)?;
    let mut rows = store.together(data::now(), |ask| gather(ask)).map_err(Failure::failed)?;
    // Whoever disables an account opens the folder anew.
    drop(store);
    rows.sort();
    if let Some(about) = args.about {
        rows.retain(|row| is_about(row, about, domain.as_deref()));
    }
    print(rows.as_slice(), args.json)?;
    match args.about.filter(|_| args.disable) {
        Some(about) if rows.is_empty() => Err(Failure::failed(format!(
            "nobody has reported {about}: `switchboard account disable` asks nobody"
        ))),
        Some(about) => account::disable(folder, about),
        None => Ok(()),
    }
}

/// Whether somebody reported this number, or one of its clients.
fn is_about(row: &Row, about: AccountNumber, domain: Option<&str>) -> bool {
    JidRef::parse(&row.reported)
        .is_ok_and(|jid| jid.number() == Some(about) && domain.is_none_or(|domain| jid.domain() == domain))
}

fn print(rows: &[Row], json: bool) -> Result<(), Failure> {
    if json {
        return output::answer_json(rows);
    }
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let text = output::tame(row.text.as_deref().unwrap_or_default());
            [
                row.at.clone(),
                output::tame(&row.reported),
                format!("by {}", row.by),
                output::tame(&row.reason),
                text,
            ]
        })
        .collect();
    output::answer(output::columns(&cells))
}

fn gather(ask: &mut dyn FnMut(Op) -> Result<Answer, StoreError>) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let Answer::Accounts { accounts, more } =
            ask(Op::ListAccounts { after, limit: limits::ACCOUNTS_PAGE_MAX })?
        else {
            unreachable!("a list is answered by a list")
        };
        after = accounts.last().map(|account| account.number);
        for number in accounts.into_iter().map(|account| account.number) {
            let names = DocumentOp::Names { number, space: Space::Reports };
            let Answer::DocumentNames(names) = ask(Op::Document(names))? else {
                unreachable!("names are answered by names")
            };
            for name in names {
                let load = DocumentOp::Load { number, space: Space::Reports, name: name.clone() };
                if let Answer::Document(Some(value)) = ask(Op::Document(load))? {
                    rows.extend(row(number, &name, &value));
                }
            }
        }
        if !more {
            return Ok(rows);
        }
    }
}

/// Reads what is kept of a report.
fn row(by: AccountNumber, reported: &str, value: &[u8]) -> Option<Row> {
    let kept = Stanza::parse(value).ok()?;
    let report = kept.child("report", ns::REPORTING)?;
    let reason = report.attr("reason")?;
    let text = report.child("text", ns::REPORTING).map(|text| text.text().trim().to_owned());
    let ids = report.children().filter(|child| child.is("stanza-id", ns::STANZA_ID));
    let id = |id: Node<'_>| id.attr("id").map(|id| id.into_owned());
    Some(Row {
        at: kept.attr("stamp").unwrap_or_default().into_owned(),
        reported: reported.to_owned(),
        by: by.get(),
        reason: reason.strip_prefix(REASONS).unwrap_or(&reason).to_owned(),
        text: text.filter(|text| !text.is_empty()),
        messages: ids.filter_map(id).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_kept() {
        let value = "<reported xmlns='urn:switchboard:reports:0' stamp='2026-11-24T09:00:00.000Z'>\
            <report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>\
            <stanza-id xmlns='urn:xmpp:sid:0' by='10001@localhost' id='7'/><text> buy &amp; win </text></report></reported>";
        let by = AccountNumber::new(10_001).unwrap();
        let expected = Row {
            at: "2026-11-24T09:00:00.000Z".to_owned(),
            reported: "10002@localhost".to_owned(),
            by: 10_001,
            reason: "spam".to_owned(),
            text: Some("buy & win".to_owned()),
            messages: vec!["7".to_owned()],
        };
        assert_eq!(row(by, "10002@localhost", value.as_bytes()).as_ref(), Some(&expected));
        assert_eq!(row(by, "x", b"<reported xmlns='urn:switchboard:reports:0'/>"), None);
        let is_about = |about, domain| is_about(&expected, AccountNumber::new(about).unwrap(), domain);
        assert!(is_about(10_002, Some("localhost")) && is_about(10_002, None));
        assert!(!is_about(10_002, Some("example.org")), "a number of another exchange");
        assert!(!is_about(10_001, Some("localhost")), "who reports is not reported");
    }
}
