//! A node's configuration: who may read it, how many items it holds, what is told when.
//!
//! Spec: XEP-0060 section 16.4.4 (the fields), 4.5 (access models); XEP-0163 section 2 (defaults: presence, one item, the
//! last on presence).
//! Owns: the values of one node. Invariants: a field that is not known is refused where it is set and not met where it is
//! asked for.
//! Not here: keeping it (`store`).

use store::PepOp;
use xmpp::address::AccountNumber;
use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::stanza::Stanza;
use xmpp::{ns, write};

use crate::form::Form;

/// What `FORM_TYPE` says of a configuration.
const CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// What it says of publish-options.
const OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

/// Who may read a node (XEP-0060 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    Presence,
    Roster,
    /// Only its owner: nobody can be put on the list.
    Whitelist,
}

const ACCESS: &[(Access, &str)] = &[
    (Access::Open, "open"),
    (Access::Presence, "presence"),
    (Access::Roster, "roster"),
    (Access::Whitelist, "whitelist"),
];

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(super) name: Box<str>,
    pub(super) access: Access,
    /// `None`: as many as there may be.
    max_items: Option<u32>,
    persist: bool,
    /// Those who come get the last item.
    pub(super) last_on_presence: bool,
    pub(super) notify_retract: bool,
    title: Option<String>,
    kind: Option<String>,
    /// Of the roster, for [`Access::Roster`]; none stands for all.
    pub(super) groups: Vec<String>,
}

impl Node {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            access: Access::Presence,
            max_items: Some(1),
            persist: true,
            last_on_presence: true,
            notify_retract: true,
            title: None,
            kind: None,
            groups: Vec::new(),
        }
    }

    /// The node that was kept so. What cannot be read any more is for its owner only.
    pub(super) fn of(name: &str, config: &[u8]) -> Self {
        let mut node = Self::new(name);
        let form = Stanza::parse(config).ok().and_then(|form| Form::read(&form.node()));
        if form.is_none_or(|form| node.configure(&form, u32::MAX).is_err()) {
            node.access = Access::Whitelist;
        }
        node
    }

    /// Sets what a form says.
    pub(super) fn configure(&mut self, form: &Form, items_max: u32) -> Result<(), StanzaError> {
        let wrong = || StanzaError::new(StanzaCondition::NotAcceptable);
        if form.form_type.as_deref().is_some_and(|kind| kind != CONFIG && kind != OPTIONS) {
            return Err(wrong());
        }
        for (name, values) in &form.fields {
            let value = values.first().map_or("", String::as_str).trim();
            let flag = || boolean(value).ok_or_else(wrong);
            match name.strip_prefix("pubsub#").unwrap_or_default() {
                "access_model" => {
                    let found = ACCESS.iter().find(|(_, name)| *name == value);
                    self.access = found.ok_or_else(wrong)?.0;
                }
                // XEP-0060 16.4.4, since version 1.15: `max`.
                "max_items" if value == "max" => self.max_items = None,
                "max_items" => {
                    let items: u32 = value.parse().map_err(|_| wrong())?;
                    if items > items_max {
                        return Err(wrong());
                    }
                    self.max_items = Some(items);
                }
                "persist_items" => self.persist = flag()?,
                "send_last_published_item" => match value {
                    "never" | "on_sub" => self.last_on_presence = false,
                    "on_sub_and_presence" => self.last_on_presence = true,
                    _ => return Err(wrong()),
                },
                "notify_retract" => self.notify_retract = flag()?,
                "title" => self.title = (!value.is_empty()).then(|| value.to_owned()),
                "type" => self.kind = (!value.is_empty()).then(|| value.to_owned()),
                "roster_groups_allowed" => self.groups.clone_from(values),
                // What these say is always so.
                "publish_model" if value == "publishers" => {}
                "deliver_notifications" | "deliver_payloads" | "notify_delete" if flag()? => {}
                "notify_config" | "notify_sub" | "purge_offline" | "presence_based_delivery" if !flag()? => {}
                "node_type" if value == "leaf" => {}
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }

    /// Whether it is as publish-options ask (7.1.5).
    pub(super) fn meets(&self, options: &Form) -> bool {
        let mut asked = self.clone();
        asked.configure(options, u32::MAX).is_ok() && asked == *self
    }

    /// Items that it may hold.
    pub(super) fn items_max(&self, most: u32) -> u32 {
        // What is not persistent is still there for those who come (`send_last_published_item`).
        if self.persist { self.max_items.unwrap_or(most).clamp(1, most) } else { 1 }
    }

    pub(super) fn put(&self, number: AccountNumber, items: u32, nodes_max: u32) -> PepOp {
        let mut config = Vec::new();
        self.write_form(&mut config, "submit");
        let items_max = self.items_max(items);
        PepOp::PutNode { number, node: self.name.clone(), config, items_max, nodes_max }
    }

    /// Why somebody may not read it (6.5.9.4 to 6.5.9.6).
    pub(super) fn refusal(&self) -> StanzaError {
        let (condition, name) = match self.access {
            Access::Open | Access::Presence => {
                (StanzaCondition::NotAuthorized, "presence-subscription-required")
            }
            Access::Roster => (StanzaCondition::NotAuthorized, "not-in-roster-group"),
            Access::Whitelist => (StanzaCondition::NotAllowed, "closed-node"),
        };
        StanzaError::new(condition).with_application(name, ns::PUBSUB_ERRORS)
    }

    /// The configuration as a form.
    pub(super) fn write_form(&self, out: &mut Vec<u8>, kind: &str) {
        let access = ACCESS.iter().find(|(access, _)| *access == self.access).map_or("", |(_, name)| name);
        let items = self.max_items.map_or_else(|| "max".to_owned(), |items| items.to_string());
        let last = if self.last_on_presence { "on_sub_and_presence" } else { "never" };
        let flag = |flag| if flag { "1" } else { "0" };
        let field = |out: &mut Vec<u8>, kind: &str, name: &str, values: &[&str]| {
            write::open(out, "field").attr("var", name).attr("type", kind).with(|out| {
                values.iter().for_each(|value| write::open(out, "value").text(value));
            });
        };
        write::open(out, "x").ns(ns::DATA_FORMS).attr("type", kind).with(|out| {
            field(out, "hidden", "FORM_TYPE", &[CONFIG]);
            field(out, "list-single", "pubsub#access_model", &[access]);
            field(out, "text-single", "pubsub#max_items", &[&items]);
            field(out, "boolean", "pubsub#persist_items", &[flag(self.persist)]);
            field(out, "list-single", "pubsub#send_last_published_item", &[last]);
            field(out, "boolean", "pubsub#notify_retract", &[flag(self.notify_retract)]);
            field(out, "list-single", "pubsub#publish_model", &["publishers"]);
            for (name, value) in [("pubsub#title", &self.title), ("pubsub#type", &self.kind)] {
                if let Some(value) = value {
                    field(out, "text-single", name, &[value]);
                }
            }
            if !self.groups.is_empty() {
                let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
                field(out, "list-multi", "pubsub#roster_groups_allowed", &groups);
            }
        });
    }
}

fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}
