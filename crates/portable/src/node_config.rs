//! A node's configuration as another server wrote it, in the form that our own takes.
//!
//! Spec: XEP-0227 3.10.1 (options that are not known are passed over, but not where they keep something closed), XEP-0060
//! 16.4.4 (the fields).
//! Invariants: what comes out is a form of known fields with values they can have; a node whose access model is not known
//! is for its owner only.
//! Not here: what the fields do (the router's feature).

use xmpp::stanza::Node;
use xmpp::{ns, write};

use crate::words::NODE_CONFIG;

/// The longest title or kind.
const TEXT_MAX: usize = 1_024;

/// Groups of the roster that may be named.
const GROUPS_MAX: usize = 100;

/// A configuration that can be kept.
pub(crate) struct NodeConfig {
    pub(crate) form: Vec<u8>,
    /// Items that the node may hold.
    pub(crate) items_max: u32,
    /// Its access model is not one of ours.
    pub(crate) shut: bool,
}

/// Of a node that came without one: XEP-0163's defaults, but it keeps all its items.
pub(crate) fn default(items_max: u32) -> NodeConfig {
    finish(&[("pubsub#max_items", vec!["max".to_owned()])], items_max, false)
}

/// Reads a `configure` element.
pub(crate) fn read(configure: &Node<'_>, items_max: u32) -> NodeConfig {
    let mut fields: Vec<(&'static str, Vec<String>)> = Vec::new();
    let mut shut = false;
    let (mut kept, mut persist) = (1, true);
    let form = configure.child("x", ns::DATA_FORMS);
    let found = form.iter().flat_map(Node::children).filter(|child| child.is("field", ns::DATA_FORMS));
    for field in found {
        let Some(name) = field.attr("var") else { continue };
        let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS));
        let values: Vec<String> = values.take(GROUPS_MAX).map(|value| value.text().into_owned()).collect();
        let value = values.first().map_or("", String::as_str).trim();
        let flag = match value {
            "1" | "true" => Some("1"),
            "0" | "false" => Some("0"),
            _ => None,
        };
        let text = |name| (!value.is_empty() && value.len() <= TEXT_MAX).then(|| (name, value.to_owned()));
        let field = match &*name {
            "pubsub#access_model" => {
                let known = matches!(value, "open" | "presence" | "roster" | "whitelist");
                shut |= !known;
                Some(("pubsub#access_model", if known { value } else { "whitelist" }.to_owned()))
            }
            "pubsub#max_items" => {
                let items = value.parse().ok().filter(|items| (1..=items_max).contains(items));
                kept = items.unwrap_or(items_max);
                Some(("pubsub#max_items", items.map_or("max".to_owned(), |items| items.to_string())))
            }
            "pubsub#persist_items" => flag.map(|flag| {
                persist = flag == "1";
                ("pubsub#persist_items", flag.to_owned())
            }),
            "pubsub#notify_retract" => flag.map(|flag| ("pubsub#notify_retract", flag.to_owned())),
            "pubsub#send_last_published_item" => matches!(value, "never" | "on_sub" | "on_sub_and_presence")
                .then(|| ("pubsub#send_last_published_item", value.to_owned())),
            "pubsub#title" => text("pubsub#title"),
            "pubsub#type" => text("pubsub#type"),
            "pubsub#roster_groups_allowed" => {
                fields.push(("pubsub#roster_groups_allowed", values.clone()));
                None
            }
            _ => None,
        };
        fields.extend(field.map(|(name, value)| (name, vec![value])));
    }
    finish(&fields, if persist { kept } else { 1 }, shut)
}

fn finish(fields: &[(&str, Vec<String>)], items_max: u32, shut: bool) -> NodeConfig {
    let mut form = Vec::new();
    write::open(&mut form, "x").ns(ns::DATA_FORMS).attr("type", "submit").with(|out| {
        let kind = [("FORM_TYPE", vec![NODE_CONFIG.to_owned()])];
        for (name, values) in kind.iter().chain(fields) {
            write::open(out, "field").attr("var", name).with(|out| {
                values.iter().for_each(|value| write::open(out, "value").text(value));
            });
        }
    });
    NodeConfig { form, items_max, shut }
}
