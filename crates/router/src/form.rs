//! Data forms, as far as a client fills them in: names and values.
//!
//! Spec: XEP-0004 section 3.2; XEP-0068 (which form it is).
//! Owns: nothing. Not here: which fields there are.

use xmpp::ns;
use xmpp::stanza::Node;

/// A form that was submitted.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Names and values, in order; `FORM_TYPE` is not among them.
    pub(crate) fields: Vec<(String, Vec<String>)>,
    /// What `FORM_TYPE` says.
    pub(crate) form_type: Option<String>,
}

impl Form {
    /// Reads `<x xmlns='jabber:x:data' type='submit'/>`; none if it is another type.
    pub(crate) fn read(form: &Node<'_>) -> Option<Self> {
        let submitted = form.attr("type").is_none_or(|kind| kind == "submit");
        if submitted { Self::read_any(form) } else { None }
    }

    /// The same of whatever type.
    pub(crate) fn read_any(form: &Node<'_>) -> Option<Self> {
        if !form.is("x", ns::DATA_FORMS) {
            return None;
        }
        let mut read = Self::default();
        for field in form.children().filter(|child| child.is("field", ns::DATA_FORMS)) {
            let name = field.attr("var")?.into_owned();
            let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS));
            let mut values: Vec<String> = values.map(|value| value.text().into_owned()).collect();
            if name == "FORM_TYPE" {
                read.form_type = values.pop();
            } else {
                read.fields.push((name, values));
            }
        }
        Some(read)
    }
}
