//! A question to an archive, and the words of the answer.
//!
//! Spec: XEP-0313 section 4 (filters, pages, results), 5 (metadata); XEP-0059 (pages); XEP-0297 (forwarding).
//! Owns: nothing. Invariants: a field or a value that is not understood is refused, never passed over, since the answer
//! would be another question's.
//! Not here: who may ask (`archive`), finding the rows (`store`).

use store::limits::ARCHIVE_PAGE_ROWS_MAX;
use store::{ArchiveId, ArchiveOp, ArchivePage, ArchivePaging, ArchiveQuery, ArchiveRow};
use xmpp::address::{AccountNumber, BareJid, JidRef};
use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::stanza::Node;
use xmpp::time::Wallclock;
use xmpp::{ns, write};

use crate::form::Form;

/// How many rows a page has when the client does not say.
const PAGE_ROWS: u32 = 50;

/// What a client wants to know.
#[derive(Debug)]
pub(crate) struct Question {
    query: ArchiveQuery,
    /// These messages and no others.
    ids: Option<Vec<ArchiveId>>,
    /// Comes back with each result, so that the client knows what it asked.
    pub(super) queryid: Option<Box<str>>,
    /// The newest first, within the page (4.3.3).
    pub(super) flip: bool,
}

impl Question {
    pub(super) fn to_op(&self, number: AccountNumber) -> ArchiveOp {
        match &self.ids {
            Some(ids) => ArchiveOp::Pick { number, ids: ids.clone() },
            None => ArchiveOp::Page { number, query: Box::new(self.query.clone()) },
        }
    }
}

fn bad_request() -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest)
}

/// An id that is none is not in the archive (4.1.3).
fn id(text: &str) -> Result<ArchiveId, StanzaError> {
    text.trim().parse().map_err(|_| StanzaError::new(StanzaCondition::ItemNotFound))
}

/// Reads `<query xmlns='urn:xmpp:mam:2'/>`.
pub(crate) fn read(payload: &Node<'_>) -> Result<Question, StanzaError> {
    let mut question = Question {
        query: ArchiveQuery::all(PAGE_ROWS),
        ids: None,
        queryid: payload.attr("queryid").map(|id| id.as_ref().into()),
        flip: payload.child("flip-page", ns::MAM).is_some(),
    };
    if let Some(form) = payload.child("x", ns::DATA_FORMS) {
        read_form(&form, &mut question)?;
    }
    if let Some(set) = payload.child("set", ns::RSM) {
        read_paging(&set, &mut question.query)?;
    }
    Ok(question)
}

/// 4.1.
fn read_form(form: &Node<'_>, question: &mut Question) -> Result<(), StanzaError> {
    let form = Form::read(form).ok_or_else(bad_request)?;
    if form.form_type.as_deref() != Some(ns::MAM) {
        return Err(bad_request());
    }
    let query = &mut question.query;
    for (name, values) in &form.fields {
        if name == "ids" {
            let max = ARCHIVE_PAGE_ROWS_MAX as usize;
            if values.len() > max {
                return Err(StanzaError::new(StanzaCondition::PolicyViolation).with_text("at most 250 ids"));
            }
            question.ids = Some(values.iter().map(|value| id(value)).collect::<Result<_, _>>()?);
            continue;
        }
        let [value] = &values[..] else { return Err(bad_request()) };
        let time = || value.trim().parse::<Wallclock>().map(Some).map_err(|_| bad_request());
        match name.as_str() {
            "start" => query.start = time()?,
            "end" => query.end = time()?,
            "before-id" => query.before = Some(id(value)?),
            "after-id" => query.after = Some(id(value)?),
            "with" => {
                let malformed = |_| StanzaError::new(StanzaCondition::JidMalformed);
                let jid = JidRef::parse(value.trim()).map_err(malformed)?;
                query.with = Some(BareJid::parse(jid.bare()).map_err(malformed)?);
                query.full = jid.resource().map(|_| jid.as_str().into());
            }
            // 4.1.5: what would be passed over would make the answer wrong.
            _ => return Err(StanzaError::new(StanzaCondition::FeatureNotImplemented)),
        }
    }
    Ok(())
}

/// XEP-0059 section 2.
fn read_paging(set: &Node<'_>, query: &mut ArchiveQuery) -> Result<(), StanzaError> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| bad_request());
    let text = |name| set.child(name, ns::RSM).map(|node| node.text().trim().to_owned());
    if let Some(max) = text("max") {
        query.limit = u32::try_from(number(&max)?.min(ARCHIVE_PAGE_ROWS_MAX.into())).unwrap_or(u32::MAX);
    }
    query.page = match (text("after"), text("before"), text("index")) {
        (None, None, None) => ArchivePaging::First,
        (Some(after), None, None) => ArchivePaging::After(id(&after)?),
        (None, Some(before), None) if before.is_empty() => ArchivePaging::Last,
        (None, Some(before), None) => ArchivePaging::Before(id(&before)?),
        (None, None, Some(index)) => ArchivePaging::Index(number(&index)?),
        // 4.3.2: undefined, and there are fields for that.
        _ => return Err(bad_request()),
    };
    Ok(())
}

/// 4.1.5: the fields that may be asked by.
pub(super) fn write_form(out: &mut Vec<u8>) {
    let field = |out: &mut Vec<u8>, kind: &str, name: &str| {
        write::open(out, "field").attr("type", kind).attr("var", name).empty();
    };
    write::open(out, "query").ns(ns::MAM).with(|out| {
        write::open(out, "x").ns(ns::DATA_FORMS).attr("type", "form").with(|out| {
            let form_type = write::open(out, "field").attr("type", "hidden").attr("var", "FORM_TYPE");
            form_type.with(|out| write::open(out, "value").text(ns::MAM));
            field(out, "jid-single", "with");
            for name in ["start", "end", "before-id", "after-id"] {
                field(out, "text-single", name);
            }
            // The list is open: every id may be named, and none is listed.
            write::open(out, "field").attr("type", "list-multi").attr("var", "ids").with(|out| {
                let validate = write::open(out, "validate").ns("http://jabber.org/protocol/xdata-validate");
                validate.attr("datatype", "xs:string").with(|out| write::open(out, "open").empty());
            });
        });
    });
}

/// 4.2: one message.
pub(super) fn write_result(out: &mut Vec<u8>, from: &str, to: &str, queryid: Option<&str>, row: &ArchiveRow) {
    const START: &[u8] = b"<message";
    write::open(out, "message").attr("from", from).attr("to", to).with(|out| {
        let result = write::open(out, "result").ns(ns::MAM).attr_opt("queryid", queryid);
        result.attr_number("id", row.id.0).with(|out| {
            write::open(out, "forwarded").ns(ns::FORWARD).with(|out| {
                let stamp = row.id.received().to_string();
                write::open(out, "delay").ns(ns::DELAY).attr("stamp", &stamp).empty();
                out.extend_from_slice(START);
                write::attr(out, "xmlns", ns::CLIENT);
                out.extend_from_slice(row.stanza.strip_prefix(START).unwrap_or_default());
            });
        });
    });
}

/// 4.3: what the page was.
pub(super) fn write_fin(out: &mut Vec<u8>, page: &ArchivePage) {
    let fin = write::open(out, "fin").ns(ns::MAM).attr_opt("complete", page.complete.then_some("true"));
    fin.with(|out| {
        write::open(out, "set").ns(ns::RSM).with(|out| {
            if let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) {
                let index = page.index.map(|index| index.to_string());
                write::open(out, "first").attr_opt("index", index.as_deref()).text(&first.id.to_string());
                write::open(out, "last").text(&last.id.to_string());
            }
            if let Some(count) = page.count {
                write::open(out, "count").text(&count.to_string());
            }
        });
    });
}

/// Section 5: where the archive begins and ends.
pub(super) fn write_ends(out: &mut Vec<u8>, ends: Option<(ArchiveId, ArchiveId)>) {
    let metadata = write::open(out, "metadata").ns(ns::MAM);
    let Some((first, last)) = ends else { return metadata.empty() };
    metadata.with(|out| {
        for (name, id) in [("start", first), ("end", last)] {
            let end = write::open(out, name).attr_number("id", id.0);
            end.attr("timestamp", &id.received().to_string()).empty();
        }
    });
}
