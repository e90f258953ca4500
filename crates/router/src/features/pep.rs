//! Personal eventing: what an account publishes, and those of its contacts' clients that are told of it.
//!
//! Spec: XEP-0163 over the part of XEP-0060 that it needs: publish (7.1) with publish-options (7.1.5), retract (7.2), items
//! (6.5), create (8.1), configure (8.2), delete (8.4), purge (8.5); access models (4.5).
//! Owns: the nodes of the accounts in memory. Invariants: nobody reads or hears of what the node's access model does not
//! let it; what is told was committed before; a node that nobody configured is for contacts only.
//! Not here: a node's configuration (`node`), who wants to be told (`interest`), telling (`notify`), avatars in vCards
//! (`avatar`). Subscribing by hand is not offered: whoever may see an account's presence and says `+notify` is subscribed.

mod avatar;
mod interest;
mod node;
mod notify;

use std::sync::Arc;

use hashbrown::HashMap;
use sha1::{Digest, Sha1};
use store::{Answer as Stored, Op, PepOp, StoreError};
use xmpp::address::AccountNumber;
use xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use xmpp::stanza::{Node as Xml, Stanza};
use xmpp::{ns, write};

use self::interest::{Interest, Interests};
use self::node::{Access, Node};
use super::{Answer, Feature, Query, Scope, Wait};
use crate::form::Form;
use crate::line::LineId;
use crate::parcel::{Letter, OwnedLetter};
use crate::reply::head_of;
use crate::router::{Router, busy};
use crate::waiting::Waiting;

/// Longest name of a node and of an item, in bytes.
const NAME_BYTES_MAX: usize = 1023;

/// Bytes of a digest that an item's id is made of: too many to meet by chance.
const MADE_ID_BYTES: usize = 16;

/// What happens once the store has done what a client asked.
pub(crate) struct Change {
    number: AccountNumber,
    letter: OwnedLetter,
    node: Box<str>,
    /// The inside of the result.
    result: Vec<u8>,
    /// The inside of `<event/>`, if anybody is to be told.
    event: Option<Vec<u8>>,
    /// Whom: as the node was, where it is gone now.
    told: Option<Node>,
    /// The metadata of an avatar were published.
    avatar: bool,
}

/// What was asked of the store.
pub(crate) enum Asked {
    /// For the nodes, when the account came into memory.
    Load(AccountNumber),
    /// To make a node along with its first item; what matters comes with the item.
    Make(AccountNumber),
    /// To change something.
    Change(Box<Change>),
    /// For items.
    Items { node: Box<str>, letter: OwnedLetter },
    /// For the last item, for a resource that came.
    Last { number: AccountNumber, node: Box<str>, to: AccountNumber, resource: Box<str> },
    /// For the metadata and then the data of an avatar.
    Metadata(AccountNumber),
    Data { number: AccountNumber, id: Box<str>, kind: Box<str> },
    /// To keep a picture, or to forget it.
    Picture,
}

pub(crate) struct It;

impl Feature for It {
    /// What clients of a kind want to be told, by the hash of what they understand.
    type Router = HashMap<Box<str>, Interests>;
    type Account = Vec<Node>;
    type Line = Option<Box<Interest>>;
    type Wait = Asked;

    const IDENTITIES: &'static [(&'static str, &'static str)] = &[("pubsub", "pep")];
    const ACCOUNT: &'static [&'static str] = &[
        "http://jabber.org/protocol/pubsub",
        "http://jabber.org/protocol/pubsub#access-open",
        "http://jabber.org/protocol/pubsub#access-presence",
        "http://jabber.org/protocol/pubsub#access-roster",
        "http://jabber.org/protocol/pubsub#access-whitelist",
        "http://jabber.org/protocol/pubsub#auto-create",
        "http://jabber.org/protocol/pubsub#auto-subscribe",
        "http://jabber.org/protocol/pubsub#config-node",
        "http://jabber.org/protocol/pubsub#config-node-max",
        "http://jabber.org/protocol/pubsub#create-and-configure",
        "http://jabber.org/protocol/pubsub#create-nodes",
        "http://jabber.org/protocol/pubsub#delete-nodes",
        "http://jabber.org/protocol/pubsub#filtered-notifications",
        "http://jabber.org/protocol/pubsub#item-ids",
        "http://jabber.org/protocol/pubsub#last-published",
        "http://jabber.org/protocol/pubsub#multi-items",
        "http://jabber.org/protocol/pubsub#persistent-items",
        "http://jabber.org/protocol/pubsub#publish",
        "http://jabber.org/protocol/pubsub#publish-options",
        "http://jabber.org/protocol/pubsub#purge-nodes",
        "http://jabber.org/protocol/pubsub#retract-items",
        "http://jabber.org/protocol/pubsub#retrieve-items",
        "urn:xmpp:pep-vcard-conversion:0",
    ];

    fn on_load(router: &mut Router, number: AccountNumber) {
        router.ask(Op::Pep(PepOp::Nodes { number }), Waiting::Feature(Wait::pep(Asked::Load(number))));
    }

    fn on_presence(router: &mut Router, line: LineId, stanza: &Stanza<'_>) {
        router.note_capabilities(line, stanza);
    }

    fn on_restored(router: &mut Router, line: LineId, presence: &Stanza<'_>) {
        router.note_capabilities(line, presence);
    }

    fn on_answer(router: &mut Router, line: LineId, id: &str, stanza: &Stanza<'_>) {
        router.capabilities_told(line, id, stanza);
    }

    fn on_seen(router: &mut Router, number: AccountNumber, contact: AccountNumber) {
        router.wish_of(number, contact);
    }

    fn wants_event(router: &Router, line: LineId, event: &Stanza<'_>) -> bool {
        router.wants(line, event)
    }

    fn on_wish(router: &mut Router, letter: &Letter<'_>) {
        router.grant_wishes(letter);
    }

    fn on_query(router: &mut Router, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        if query.scope == Scope::Server {
            return None;
        }
        let payload = &query.payload;
        if payload.is("pubsub", ns::PUBSUB) || payload.is("pubsub", ns::PUBSUB_OWNER) {
            let outcome = router.pubsub(query, inner);
            return Some(outcome.unwrap_or_else(Answer::Error));
        }
        router.discover_nodes(query, inner)
    }

    fn on_reply(router: &mut Router, asked: Asked, answer: Result<Stored, StoreError>) {
        match asked {
            Asked::Load(number) => {
                let Some(account) = router.accounts.get_mut(number) else { return };
                match answer {
                    Ok(Stored::Nodes(nodes)) => {
                        let nodes = nodes.iter().map(|(name, config)| Node::of(name, config));
                        account.features.pep = nodes.collect();
                    }
                    _ => account.unknown = true,
                }
            }
            Asked::Make(number) => {
                if answer.is_err() {
                    router.reload(number);
                }
            }
            Asked::Change(change) => router.changed(*change, answer),
            Asked::Items { node, letter } => match answer {
                Ok(Stored::Items(items)) => {
                    let mut inner = Vec::new();
                    write::open(&mut inner, "pubsub").ns(ns::PUBSUB).with(|out| {
                        write::open(out, "items").attr("node", &node).with(|out| {
                            items.iter().for_each(|item| notify::write_item(out, item));
                        });
                    });
                    router.answer(&letter.borrow(), &inner);
                }
                answer => router.refuse(letter.borrow(), &failed(answer.err().as_ref())),
            },
            Asked::Last { number, node, to, resource } => {
                if let Ok(Stored::Items(items)) = answer
                    && let Some(item) = items.last()
                {
                    let event = notify::items_event(&node, item);
                    router.send_event(number, to, Some(&resource), &event);
                }
            }
            Asked::Metadata(number) => router.metadata_read(number, answer),
            Asked::Data { number, id, kind } => router.picture_read(number, &id, &kind, answer),
            Asked::Picture => {}
        }
    }
}

fn error(condition: StanzaCondition) -> StanzaError {
    StanzaError::new(condition)
}

fn failed(why: Option<&StoreError>) -> StanzaError {
    match why {
        Some(StoreError::NoSuchItem) => error(StanzaCondition::ItemNotFound),
        Some(StoreError::QuotaExceeded) => error(StanzaCondition::PolicyViolation)
            .with_type(ErrorType::Wait)
            .with_text("the account holds as much as it may: delete nodes or items"),
        _ => error(StanzaCondition::InternalServerError).with_type(ErrorType::Wait),
    }
}

/// XEP-0060 section 12.18 and its like: an error with a name of its own beside the usual one.
fn unsupported() -> StanzaError {
    error(StanzaCondition::FeatureNotImplemented).with_application("unsupported", ns::PUBSUB_ERRORS)
}

fn name_of(xml: &Xml<'_>, attribute: &str) -> Result<Box<str>, StanzaError> {
    match xml.attr(attribute) {
        Some(name) if !name.is_empty() && name.len() <= NAME_BYTES_MAX => Ok(name.as_ref().into()),
        Some(_) => Err(error(StanzaCondition::NotAcceptable)),
        None => Err(error(StanzaCondition::BadRequest).with_application("nodeid-required", ns::PUBSUB_ERRORS)),
    }
}

/// XEP-0060 7.1.2: an item that was published without an id gets one. It follows from what was asked, so that a client
/// which asks again, since it never heard the answer, publishes one item and not two.
fn made_id(query: &Query<'_>, payload: &[u8]) -> Box<str> {
    let asked = Stanza::parse(query.letter.stanza).ok();
    let asked = asked.as_ref().and_then(Stanza::id).unwrap_or_default();
    let digest = Sha1::new().chain_update(asked.as_bytes()).chain_update([0]).chain_update(payload).finalize();
    xmpp::hex(&digest[..MADE_ID_BYTES]).into()
}

impl Router {
    fn node(&self, number: AccountNumber, name: &str) -> Option<&Node> {
        let nodes = &self.accounts.get(number)?.features.pep;
        nodes.iter().find(|node| *node.name == *name)
    }

    /// Whether one number may read a node of another (XEP-0060 4.5).
    fn may_read(&self, of: AccountNumber, node: &Node, who: AccountNumber) -> bool {
        let Some(account) = self.accounts.get(of) else { return false };
        let item = || account.item(&self.bare(who));
        of == who
            || match node.access {
                Access::Open => true,
                Access::Presence => item().is_some_and(|item| item.subscription.is_from()),
                Access::Roster => item().is_some_and(|item| {
                    item.listed
                        && (node.groups.is_empty()
                            || item.groups.iter().any(|group| node.groups.contains(group)))
                }),
                Access::Whitelist => false,
            }
    }

    fn pubsub(&mut self, query: &Query<'_>, inner: &mut Vec<u8>) -> Result<Answer, StanzaError> {
        let owner = query.payload.ns() == ns::PUBSUB_OWNER;
        let own = query.scope == Scope::Own;
        let what = query.payload.children().next().ok_or_else(|| error(StanzaCondition::BadRequest))?;
        if !own && (query.set || owner) {
            return Err(error(StanzaCondition::Forbidden));
        }
        if self.store_is_busy() {
            return Err(busy());
        }
        match (what.name(), owner, query.set) {
            ("items", false, false) => self.pubsub_items(query, &what),
            ("publish", false, true) => self.pubsub_publish(query, &what),
            ("retract", false, true) => self.pubsub_retract(query, &what),
            ("create", false, true) => self.pubsub_create(query, &what),
            ("configure", true, false) => {
                let name = name_of(&what, "node")?;
                let node = self.node(query.letter.to, &name).ok_or_else(|| error(StanzaCondition::ItemNotFound))?;
                write::open(inner, "pubsub").ns(ns::PUBSUB_OWNER).with(|out| {
                    write::open(out, "configure").attr("node", &name).with(|out| node.write_form(out, "form"));
                });
                Ok(Answer::Result)
            }
            ("configure", true, true) => self.pubsub_configure(query, &what),
            ("delete", true, true) => self.pubsub_delete(query, &what),
            ("purge", true, true) => self.pubsub_purge(query, &what),
            _ => Err(unsupported()),
        }
    }

    /// XEP-0060 6.5.
    fn pubsub_items(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let name = name_of(what, "node")?;
        let (number, who) = (query.letter.to, query.letter.from);
        let node = self.node(number, &name);
        // XEP-0060 6.5.9.3: who may not read it learns why; but not from a stranger's account what is there.
        match (node, query.scope) {
            (Some(node), _) if self.may_read(number, node, who) => {}
            (Some(node), Scope::Other { subscribed: true }) => return Err(node.refusal()),
            (None, Scope::Own | Scope::Other { subscribed: true }) => {
                return Err(error(StanzaCondition::ItemNotFound));
            }
            _ => {
                return Err(error(StanzaCondition::NotAuthorized)
                    .with_application("presence-subscription-required", ns::PUBSUB_ERRORS));
            }
        }
        let ids: Vec<Box<str>> = what
            .children()
            .filter(|child| child.is("item", ns::PUBSUB))
            .filter_map(|item| Some(item.attr("id")?.as_ref().into()))
            .collect();
        let max = self.cfg.pep_items_max;
        if ids.len() > max as usize {
            return Err(error(StanzaCondition::PolicyViolation));
        }
        let limit = what.attr("max_items").and_then(|max| max.parse().ok()).unwrap_or(max).min(max);
        let op = PepOp::Items { number, node: name.clone(), ids, limit };
        let asked = Asked::Items { node: name, letter: head_of(query.letter) };
        self.ask(Op::Pep(op), Waiting::Feature(Wait::pep(asked)));
        Ok(Answer::Later)
    }

    /// XEP-0060 7.1, XEP-0163 section 3: a node that is not there is made.
    fn pubsub_publish(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let number = query.letter.to;
        let name = name_of(what, "node")?;
        let mut items = what.children().filter(|child| child.is("item", ns::PUBSUB));
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(error(StanzaCondition::BadRequest).with_application("item-required", ns::PUBSUB_ERRORS));
        };
        let mut payloads = item.children();
        let (Some(payload), None) = (payloads.next(), payloads.next()) else {
            return Err(error(StanzaCondition::BadRequest).with_application("payload-required", ns::PUBSUB_ERRORS));
        };
        let options = query.payload.child("publish-options", ns::PUBSUB);
        let options = match options.and_then(|options| options.child("x", ns::DATA_FORMS)) {
            Some(form) => Form::read(&form).ok_or_else(|| error(StanzaCondition::BadRequest))?,
            None => Form::default(),
        };
        let unmet =
            || error(StanzaCondition::Conflict).with_application("precondition-not-met", ns::PUBSUB_ERRORS);
        let node = match self.node(number, &name) {
            // 7.1.5: what is asked for must be so already.
            Some(node) if node.meets(&options) => node.clone(),
            Some(_) => return Err(unmet()),
            None => {
                let mut node = Node::new(&name);
                node.configure(&options, self.cfg.pep_items_max).map_err(|_| unmet())?;
                self.make_node(number, node.clone())?;
                node
            }
        };
        let mut alone = Vec::new();
        payload.write_alone(&mut alone);
        let id: Box<str> = match item.attr("id") {
            Some(id) if id.len() > NAME_BYTES_MAX => return Err(error(StanzaCondition::NotAcceptable)),
            Some(id) if !id.is_empty() => id.as_ref().into(),
            _ => made_id(query, &alone),
        };
        let mut result = Vec::new();
        write::open(&mut result, "pubsub").ns(ns::PUBSUB).with(|out| {
            write::open(out, "publish").attr("node", &name).with(|out| {
                write::open(out, "item").attr("id", &id).empty();
            });
        });
        let items_max = node.items_max(self.cfg.pep_items_max);
        let item = store::pep::Item { id: id.clone(), payload: alone };
        let event = Some(notify::items_event(&name, &item));
        let op = PepOp::Publish {
            number,
            node: name.clone(),
            id,
            payload: item.payload,
            items_max,
            bytes_max: self.cfg.pep_bytes_max,
        };
        let avatar = *name == *avatar::METADATA;
        let letter = head_of(query.letter);
        self.change(op, Change { number, letter, node: name, result, event, told: None, avatar });
        Ok(Answer::Later)
    }

    /// Puts a node in memory, as the store is about to keep it.
    fn make_node(&mut self, number: AccountNumber, node: Node) -> Result<(), StanzaError> {
        let (items, nodes_max) = (self.cfg.pep_items_max, self.cfg.pep_nodes_max);
        let Some(account) = self.accounts.get_mut(number) else { return Err(busy()) };
        if account.features.pep.len() >= nodes_max as usize {
            return Err(failed(Some(&StoreError::QuotaExceeded)));
        }
        let op = node.put(number, items, nodes_max);
        account.features.pep.push(node);
        self.ask(Op::Pep(op), Waiting::Feature(Wait::pep(Asked::Make(number))));
        Ok(())
    }

    fn change(&mut self, op: PepOp, change: Change) {
        self.ask(Op::Pep(op), Waiting::Feature(Wait::pep(Asked::Change(Box::new(change)))));
    }

    /// The store has done it: the client hears so, then whoever may know.
    fn changed(&mut self, change: Change, answer: Result<Stored, StoreError>) {
        let Change { number, letter, node, result, event, told, avatar } = change;
        if let Err(why) = answer {
            if why != StoreError::NoSuchItem && why != StoreError::QuotaExceeded {
                self.reload(number);
            }
            return self.refuse(letter.borrow(), &failed(Some(&why)));
        }
        self.answer(&letter.borrow(), &result);
        if let Some(event) = event
            && let Some(node) = told.or_else(|| self.node(number, &node).cloned())
        {
            self.tell(number, &node, &event);
        }
        if avatar {
            self.read_metadata(number);
        }
    }

    /// XEP-0060 7.2.
    fn pubsub_retract(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let number = query.letter.to;
        let name = name_of(what, "node")?;
        let item = what.child("item", ns::PUBSUB).ok_or_else(|| {
            error(StanzaCondition::BadRequest).with_application("item-required", ns::PUBSUB_ERRORS)
        })?;
        let id = name_of(&item, "id")?;
        let node = self.node(number, &name).ok_or_else(|| error(StanzaCondition::ItemNotFound))?;
        let notify = what.attr("notify").is_some_and(|notify| matches!(&*notify, "1" | "true"));
        let event = (notify || node.notify_retract).then(|| {
            let mut event = Vec::new();
            write::open(&mut event, "items").attr("node", &name).with(|out| {
                write::open(out, "retract").attr("id", &id).empty();
            });
            event
        });
        let op = PepOp::Retract { number, node: name.clone(), id };
        let letter = head_of(query.letter);
        let change = Change { number, letter, node: name, result: Vec::new(), event, told: None, avatar: false };
        self.change(op, change);
        Ok(Answer::Later)
    }

    /// XEP-0060 8.1, with its configuration (8.1.3).
    fn pubsub_create(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let number = query.letter.to;
        let name = name_of(what, "node")?;
        if self.node(number, &name).is_some() {
            return Err(error(StanzaCondition::Conflict));
        }
        let form = query.payload.child("configure", ns::PUBSUB);
        let form = form.and_then(|form| form.child("x", ns::DATA_FORMS));
        let form = form.and_then(|form| Form::read(&form)).unwrap_or_default();
        let mut node = Node::new(&name);
        node.configure(&form, self.cfg.pep_items_max)?;
        let nodes_max = self.cfg.pep_nodes_max;
        let op = node.put(number, self.cfg.pep_items_max, nodes_max);
        let Some(account) = self.accounts.get_mut(number) else { return Err(busy()) };
        if account.features.pep.len() >= nodes_max as usize {
            return Err(failed(Some(&StoreError::QuotaExceeded)));
        }
        account.features.pep.push(node);
        let letter = head_of(query.letter);
        let change =
            Change { number, letter, node: name, result: Vec::new(), event: None, told: None, avatar: false };
        self.change(op, change);
        Ok(Answer::Later)
    }

    /// XEP-0060 8.2.
    fn pubsub_configure(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let number = query.letter.to;
        let name = name_of(what, "node")?;
        let (items, nodes_max) = (self.cfg.pep_items_max, self.cfg.pep_nodes_max);
        let mut node = self.node(number, &name).ok_or_else(|| error(StanzaCondition::ItemNotFound))?.clone();
        let form = what.child("x", ns::DATA_FORMS).ok_or_else(|| error(StanzaCondition::BadRequest))?;
        // 8.2.5: a form that is cancelled changes nothing.
        if form.attr("type").as_deref() == Some("cancel") {
            return Ok(Answer::Result);
        }
        let form = Form::read(&form).ok_or_else(|| error(StanzaCondition::BadRequest))?;
        node.configure(&form, items)?;
        let op = node.put(number, items, nodes_max);
        if let Some(account) = self.accounts.get_mut(number)
            && let Some(place) = account.features.pep.iter_mut().find(|other| *other.name == *name)
        {
            *place = node;
        }
        let letter = head_of(query.letter);
        let change =
            Change { number, letter, node: name, result: Vec::new(), event: None, told: None, avatar: false };
        self.change(op, change);
        Ok(Answer::Later)
    }

    /// XEP-0060 8.4.
    fn pubsub_delete(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let number = query.letter.to;
        let name = name_of(what, "node")?;
        let Some(account) = self.accounts.get_mut(number) else { return Err(busy()) };
        let nodes = &mut account.features.pep;
        let at = nodes.iter().position(|node| *node.name == *name);
        let node = nodes.remove(at.ok_or_else(|| error(StanzaCondition::ItemNotFound))?);
        let mut event = Vec::new();
        write::open(&mut event, "delete").attr("node", &name).empty();
        let op = PepOp::DeleteNode { number, node: name.clone() };
        let (letter, event, told) = (head_of(query.letter), Some(event), Some(node));
        self.change(op, Change { number, letter, node: name, result: Vec::new(), event, told, avatar: false });
        Ok(Answer::Later)
    }

    /// XEP-0060 8.5.
    fn pubsub_purge(&mut self, query: &Query<'_>, what: &Xml<'_>) -> Result<Answer, StanzaError> {
        let number = query.letter.to;
        let name = name_of(what, "node")?;
        self.node(number, &name).ok_or_else(|| error(StanzaCondition::ItemNotFound))?;
        let mut event = Vec::new();
        write::open(&mut event, "purge").attr("node", &name).empty();
        let op = PepOp::Purge { number, node: name.clone() };
        let (letter, event) = (head_of(query.letter), Some(event));
        self.change(op, Change { number, letter, node: name, result: Vec::new(), event, told: None, avatar: false });
        Ok(Answer::Later)
    }

    /// XEP-0060 5.2 to 5.5, as far as the asker may read it: which nodes there are, and what each is.
    fn discover_nodes(&mut self, query: &Query<'_>, inner: &mut Vec<u8>) -> Option<Answer> {
        let (number, who) = (query.letter.to, query.letter.from);
        if query.set || query.scope == (Scope::Other { subscribed: false }) {
            return None;
        }
        let name = query.payload.attr("node");
        if query.payload.is("query", ns::DISCO_ITEMS) && name.is_none() {
            let bare = self.bare(number);
            let nodes = &self.accounts.get(number)?.features.pep;
            write::open(inner, "query").ns(ns::DISCO_ITEMS).with(|out| {
                for node in nodes.iter().filter(|node| self.may_read(number, node, who)) {
                    write::open(out, "item").attr("jid", &bare).attr("node", &node.name).empty();
                }
            });
            return Some(Answer::Result);
        }
        if query.payload.is("query", ns::DISCO_INFO)
            && let Some(name) = &name
        {
            let node = self.node(number, name).filter(|node| self.may_read(number, node, who))?;
            write::open(inner, "query").ns(ns::DISCO_INFO).attr("node", name).with(|out| {
                write::open(out, "identity").attr("category", "pubsub").attr("type", "leaf").empty();
                write::open(out, "feature").attr("var", ns::PUBSUB).empty();
                node.write_form(out, "result");
            });
            return Some(Answer::Result);
        }
        None
    }
}

/// Shared by clients of one kind.
type Shared = Arc<[Box<str>]>;
