//! One account: its keys, contacts, lists, card, private XML, and what it published.
//!
//! Spec: XEP-0227 3.2, 3.3 (keys), 3.4 (roster), 3.6 to 3.10.
//! Owns: what must be seen whole before it is kept: keys, contacts with the requests that wait, block lists. Invariants:
//! none of it grows beyond its quota.
//! Not here: messages (`messages`).

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use store::{
    ArchiveId, Credentials, DocumentOp, Op, PepOp, Quota, RosterItem, ScramKeys, Space, Subscription,
};
use xmpp::address::{AccountNumber, BareJid, Jid};
use xmpp::relay::{Head, relay};
use xmpp::stanza::{Node, Stanza, StanzaKind};
use xmpp::{ns, write};

use super::{ImportError, Reader};
use crate::words::{BLOCK_LIST, CARD_DOCUMENTS, PICTURE_HASH, PREFERENCES, PREFERRED_MAX, PRIVACY};
use crate::{OURS, PIE_SCRAM, node_config};

/// Iterations that keys may ask a client for. More would be a way to keep it busy.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Octets of a salt.
const SALT_MAX: usize = 256;

/// Characters of a name that people read.
const NAME_MAX: usize = 1_023;

/// Groups of one contact.
const GROUPS_MAX: usize = 100;

/// Octets of a node's name or an item's.
const NODE_NAME_MAX: usize = 1_023;

/// The account that is being read.
pub(super) struct User {
    pub(super) number: AccountNumber,
    /// Its address.
    pub(super) bare: String,
    credentials: Credentials,
    roster: BTreeMap<String, RosterItem>,
    blocked: Vec<Box<str>>,
    /// Nodes that there are, and how many items each holds.
    nodes: HashMap<Box<str>, u32>,
    /// The last id of its archive.
    pub(super) archived: ArchiveId,
    /// What was passed over, so that it is told of once.
    pub(super) passed: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn begin_user(
        &mut self,
        number: AccountNumber,
        password: Option<&str>,
    ) -> Result<(), ImportError> {
        let domain = self.import.domain.as_deref().unwrap_or_default();
        let credentials = match password {
            Some(password) => (self.import.derive)(password).map_err(ImportError::Password)?,
            None => Credentials::default(),
        };
        self.user = Some(Box::new(User {
            number,
            bare: format!("{number}@{domain}"),
            credentials,
            roster: BTreeMap::new(),
            blocked: Vec::new(),
            nodes: HashMap::new(),
            archived: ArchiveId(0),
            passed: Vec::new(),
        }));
        let op = Op::CreateAccount { number: Some(number), name: None, credentials: Box::default() };
        self.ask("the account", op).map(drop)
    }

    /// An element of an account that is not entered.
    pub(super) fn part_of_user(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        match (&*element.ns(), element.name()) {
            (PIE_SCRAM, "scram-credentials") => self.keys(element),
            (ns::VCARD, "vCard") => self.card(element),
            (ns::BLOCKING, "blocklist") => self.block_list(element),
            (PRIVACY, "query") => self.privacy(element),
            (ns::MAM, "prefs") => self.preferences(element),
            (OURS, "account") => self.own(element),
            (OURS, "approved") => {
                let Some(contact) = self.address(element.attr("jid").as_deref()) else { return Ok(()) };
                self.roster_item(contact)?.approved = true;
                Ok(())
            }
            (ns::CLIENT, "presence") if element.type_().as_deref() == Some("subscribe") => {
                self.request(element)
            }
            (_, name) => {
                let name = name.to_owned();
                self.pass_over(name);
                Ok(())
            }
        }
    }

    /// Something of an account that is not known.
    pub(super) fn pass_over(&mut self, name: String) {
        let Some(user) = self.user.as_mut() else { return };
        if user.passed.len() < NOTES_OF_ONE && !user.passed.contains(&name) {
            user.passed.push(name);
        }
    }

    /// The account has been read: what had to be seen whole is kept.
    pub(super) fn finish_user(&mut self) -> Result<(), ImportError> {
        let Some(user) = self.user.as_mut() else { return Ok(()) };
        let (number, passed) = (user.number, std::mem::take(&mut user.passed));
        let (roster, blocked) = (std::mem::take(&mut user.roster), std::mem::take(&mut user.blocked));
        let credentials = std::mem::take(&mut user.credentials);
        for item in roster.into_values() {
            self.ask("its contacts", Op::PutRosterItem { number, item: Box::new(item) })?;
        }
        if !blocked.is_empty() {
            let value = blocked.join("\n").into_bytes();
            self.put(Space::BlockList, "", value, BLOCK_LIST, "its block list")?;
        }
        if credentials == Credentials::default() {
            self.note(|number| {
                format!("{number} has no password: `switchboard account password --number {number}` sets one")
            });
        } else {
            let counts = [
                credentials.sha1.as_ref().map(|keys| keys.iterations),
                credentials.sha256.as_ref().map(|keys| keys.iterations),
            ];
            for count in counts.into_iter().flatten() {
                if !self.report.iterations.contains(&count) {
                    self.report.iterations.push(count);
                }
            }
            let credentials = Box::new(credentials);
            self.ask("its keys", Op::SetCredentials { number, credentials })?;
        }
        if !passed.is_empty() {
            self.report
                .note(|| format!("of {number} is left out, since it is not known: {}", passed.join(", ")));
        }
        self.user = None;
        self.report.counts.accounts += 1;
        (self.import.told)(self.report.counts);
        Ok(())
    }

    /// XEP-0227 3.3.
    fn keys(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let Some(user) = self.user.as_mut() else { return Ok(()) };
        let mechanism = element.attr("mechanism").unwrap_or_default().into_owned();
        let twice = ImportError::Keys("a mechanism stands there twice");
        match &*mechanism {
            "SCRAM-SHA-1" => {
                let keys = read_keys(element)?;
                if user.credentials.sha1.replace(keys).is_some() {
                    return Err(twice);
                }
            }
            "SCRAM-SHA-256" => {
                let keys = read_keys(element)?;
                if user.credentials.sha256.replace(keys).is_some() {
                    return Err(twice);
                }
            }
            _ => self.pass_over(format!("keys for {mechanism}")),
        }
        Ok(())
    }

    /// What XEP-0227 has no word for.
    fn own(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let Some(number) = self.user.as_ref().map(|user| user.number) else { return Ok(()) };
        if let Some(name) = element.attr("name").filter(|name| name.chars().count() <= NAME_MAX) {
            self.ask("its name", Op::SetName { number, name: Some(name.into_owned()) })?;
        }
        if is_true(element.attr("disabled").as_deref()) {
            self.ask("its state", Op::SetEnabled { number, enabled: false })?;
        }
        // A file makes nobody an operator.
        if is_true(element.attr("admin").as_deref()) {
            self.note(|number| {
                format!(
                    "{number} could do there what an operator may: `switchboard account admin {number} on` lets it"
                )
            });
        }
        Ok(())
    }

    /// A bare address of somebody else; what is none is passed over.
    fn address(&mut self, text: Option<&str>) -> Option<BareJid> {
        let own = self.user.as_ref().map(|user| user.bare.clone())?;
        match text.map(|text| Jid::parse(text).map(|jid| jid.to_bare())) {
            Some(Ok(jid)) if jid.as_str() != own => Some(jid),
            Some(Ok(_)) => None,
            _ => {
                self.pass_over("contacts without an address".to_owned());
                None
            }
        }
    }

    fn roster_item(&mut self, contact: BareJid) -> Result<&mut RosterItem, ImportError> {
        let max = self.import.quotas.roster_max;
        let roster = &mut self.user.as_mut().ok_or(ImportError::NoExport)?.roster;
        if roster.len() >= max && !roster.contains_key(contact.as_str()) {
            return Err(ImportError::TooMany("contacts"));
        }
        Ok(roster.entry(contact.as_str().to_owned()).or_insert_with(|| RosterItem::new(contact)))
    }

    /// XEP-0227 3.4; RFC 6121 2.1.2.
    pub(super) fn contact(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        if !element.is("item", ns::ROSTER) {
            self.pass_over(element.name().to_owned());
            return Ok(());
        }
        let subscription = match element.attr("subscription").as_deref() {
            None | Some("none") => Subscription::None,
            Some("to") => Subscription::To,
            Some("from") => Subscription::From,
            Some("both") => Subscription::Both,
            Some(_) => return Ok(()),
        };
        let Some(contact) = self.address(element.attr("jid").as_deref()) else { return Ok(()) };
        let item = self.roster_item(contact)?;
        item.listed = true;
        item.subscription = subscription;
        item.ask = element.attr("ask").as_deref() == Some("subscribe");
        item.approved |= is_true(element.attr("approved").as_deref());
        item.name = element.attr("name").filter(|name| !name.is_empty()).map(|name| clip(&name));
        let groups = element.children().filter(|child| child.is("group", ns::ROSTER));
        item.groups = groups
            .map(|group| clip(&group.text()))
            .filter(|group| !group.is_empty())
            .take(GROUPS_MAX)
            .collect();
        Ok(())
    }

    /// XEP-0227 3.9.
    fn request(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let (Some(own), max) =
            (self.user.as_ref().map(|user| user.bare.clone()), self.import.quotas.stanza_max)
        else {
            return Ok(());
        };
        let Some(contact) = self.address(element.from().as_deref()) else { return Ok(()) };
        let mut request = Vec::new();
        let head = Head { from: Some(contact.as_str()), to: Some(&own), ..Head::default() };
        relay(&mut request, element, &head);
        if request.len() > max {
            self.pass_over("requests that are too long".to_owned());
            return Ok(());
        }
        self.roster_item(contact.clone())?.pending_in = Some(request);
        Ok(())
    }

    /// XEP-0227 3.7; XEP-0153 4.1.
    fn card(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let mut value = Vec::new();
        element.node().write_alone(&mut value);
        let bytes_max = self.import.quotas.card_bytes_max;
        let quota = Quota { documents_max: CARD_DOCUMENTS, bytes_max };
        self.put(Space::VCard, "", value, quota, "its vCard")?;
        let photo = element.child("PHOTO", ns::VCARD).and_then(|photo| photo.child("BINVAL", ns::VCARD));
        let picture = photo.and_then(|data| {
            let text: String = data.text().split_whitespace().collect();
            STANDARD.decode(text).ok()
        });
        if let Some(picture) = picture {
            let hash = xmpp::hex(Sha1::digest(picture));
            let quota = Quota { documents_max: CARD_DOCUMENTS, bytes_max: u64::MAX };
            self.put(Space::VCard, PICTURE_HASH, hash.into_bytes(), quota, "its picture's hash")?;
        }
        Ok(())
    }

    /// XEP-0191 3.2, in its own words.
    fn block_list(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        for item in element.children().filter(|child| child.is("item", ns::BLOCKING)) {
            self.block(item.attr("jid").as_deref())?;
        }
        Ok(())
    }

    /// XEP-0227 3.8: of the default list, whom it denies everything.
    fn privacy(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let default =
            element.child("default", PRIVACY).and_then(|list| Some(list.attr("name")?.into_owned()));
        let mut left_out = false;
        for list in element.children().filter(|child| child.is("list", PRIVACY)) {
            if list.attr("name").as_deref() != default.as_deref() {
                left_out = true;
                continue;
            }
            for item in list.children().filter(|child| child.is("item", PRIVACY)) {
                let denies_all =
                    item.attr("action").as_deref() == Some("deny") && item.children().next().is_none();
                if denies_all && item.attr("type").as_deref() == Some("jid") {
                    self.block(item.attr("value").as_deref())?;
                } else {
                    // The last rule of a list lets everybody else in, which is so here too.
                    left_out |=
                        item.attr("type").is_some() || item.attr("action").as_deref() != Some("allow");
                }
            }
        }
        if left_out {
            self.pass_over("privacy lists beyond whom it blocks".to_owned());
        }
        Ok(())
    }

    fn block(&mut self, address: Option<&str>) -> Result<(), ImportError> {
        let Some(Ok(jid)) = address.map(Jid::parse) else {
            self.pass_over("blocked addresses that are none".to_owned());
            return Ok(());
        };
        let max = self.import.quotas.blocked_max;
        let Some(user) = self.user.as_mut() else { return Ok(()) };
        if !user.blocked.iter().any(|known| **known == *jid.as_str()) {
            if user.blocked.len() >= max {
                return Err(ImportError::TooMany("blocked addresses"));
            }
            user.blocked.push(jid.as_str().into());
        }
        Ok(())
    }

    /// XEP-0441 2.1.
    fn preferences(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let default = element.attr("default").unwrap_or_default().into_owned();
        if !matches!(&*default, "always" | "never" | "roster") {
            self.pass_over("archive preferences that are none".to_owned());
            return Ok(());
        }
        let list = |name| {
            let list = element.child(name, ns::MAM);
            let addresses = list.iter().flat_map(Node::children).filter(|child| child.is("jid", ns::MAM));
            let jids = addresses.filter_map(|address| Jid::parse(address.text().trim()).ok());
            jids.take(PREFERRED_MAX + 1).collect::<Vec<_>>()
        };
        let (always, never) = (list("always"), list("never"));
        if always.len() + never.len() > PREFERRED_MAX {
            return Err(ImportError::TooMany("addresses in archive preferences"));
        }
        let mut value = Vec::new();
        write::open(&mut value, "prefs").ns(ns::MAM).attr("default", &default).with(|out| {
            for (name, list) in [("always", always), ("never", never)] {
                write::open(out, name).with(|out| {
                    list.iter().for_each(|jid| write::open(out, "jid").text(jid.as_str()));
                });
            }
        });
        self.put(Space::ArchivePreferences, "", value, PREFERENCES, "its archive preferences")
    }

    /// XEP-0227 3.6.
    pub(super) fn private(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let space = element.ns().into_owned();
        // XEP-0049 4.1: an element is in a namespace of its own.
        if space.is_empty() || matches!(&*space, ns::CLIENT | ns::PRIVATE | ns::SERVER) {
            self.pass_over("private XML without a namespace of its own".to_owned());
            return Ok(());
        }
        let mut value = Vec::new();
        element.node().write_alone(&mut value);
        let quotas = self.import.quotas;
        let quota = Quota { documents_max: quotas.private_max, bytes_max: quotas.private_bytes_max };
        let name = format!("{{{space}}}{}", element.name());
        self.put(Space::Private, &name, value, quota, "its private XML")
    }

    /// XEP-0227 3.10.1.
    pub(super) fn node(&mut self, element: &Stanza<'_>) -> Result<(), ImportError> {
        let name = element.attr("node").unwrap_or_default().into_owned();
        if !element.is("configure", ns::PUBSUB_OWNER) || name.is_empty() || name.len() > NODE_NAME_MAX {
            // Who else may read or has subscribed: that follows from the roster here.
            self.pass_over(format!("{} of nodes", element.name()));
            return Ok(());
        }
        let config = node_config::read(&element.node(), self.import.quotas.items_max);
        if config.shut {
            let name = name.clone();
            self.note(|number| {
                format!(
                    "{number}'s node {name} is for its owner only: who might read it there is not known here"
                )
            });
        }
        self.put_node(&name, config.form, config.items_max)
    }

    fn put_node(&mut self, name: &str, config: Vec<u8>, items_max: u32) -> Result<(), ImportError> {
        let nodes_max = self.import.quotas.nodes_max;
        let Some(user) = self.user.as_mut() else { return Ok(()) };
        user.nodes.insert(name.into(), items_max);
        let op = PepOp::PutNode { number: user.number, node: name.into(), config, items_max, nodes_max };
        self.ask("its nodes", Op::Pep(op)).map(drop)
    }

    /// XEP-0227 3.10.2.
    pub(super) fn item(&mut self, node: &str, element: &Stanza<'_>) -> Result<(), ImportError> {
        let id = element.attr("id").unwrap_or_default().into_owned();
        let mut payloads = element.children();
        let (Some(payload), None) = (payloads.next(), payloads.next()) else {
            self.pass_over("items without a payload".to_owned());
            return Ok(());
        };
        let named = |name: &str| !name.is_empty() && name.len() <= NODE_NAME_MAX;
        if !element.is("item", ns::PUBSUB) || !named(&id) || !named(node) {
            self.pass_over("items without a name".to_owned());
            return Ok(());
        }
        let quotas = self.import.quotas;
        let Some(user) = self.user.as_ref() else { return Ok(()) };
        let (number, known) = (user.number, user.nodes.get(node).copied());
        let items_max = match known {
            Some(items_max) => items_max,
            None => {
                let config = node_config::default(quotas.items_max);
                self.put_node(node, config.form, config.items_max)?;
                config.items_max
            }
        };
        let mut alone = Vec::new();
        payload.write_alone(&mut alone);
        let op = PepOp::Publish {
            number,
            node: node.into(),
            id: id.into(),
            payload: alone,
            items_max,
            bytes_max: quotas.published_bytes_max,
        };
        self.ask("what it published", Op::Pep(op)).map(drop)
    }

    fn put(
        &mut self,
        space: Space,
        name: &str,
        value: Vec<u8>,
        quota: Quota,
        what: &'static str,
    ) -> Result<(), ImportError> {
        let Some(number) = self.user.as_ref().map(|user| user.number) else { return Ok(()) };
        let op = DocumentOp::Put { number, space, name: name.into(), value, quota };
        self.ask(what, Op::Document(op)).map(drop)
    }
}

/// Kinds of things that one account can have left out by name.
const NOTES_OF_ONE: usize = 20;

fn is_true(value: Option<&str>) -> bool {
    matches!(value, Some("true" | "1"))
}

fn clip(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

/// Whether it is a message of `jabber:client`.
pub(super) fn is_message(stanza: &Stanza<'_>) -> bool {
    stanza.kind() == StanzaKind::Message
}

fn read_keys<const N: usize>(element: &Stanza<'_>) -> Result<ScramKeys<N>, ImportError> {
    let text = |name| element.child(name, PIE_SCRAM).map(|child| child.text().trim().to_owned());
    let octets = |name, why| {
        let text = text(name).ok_or(ImportError::Keys(why))?;
        STANDARD.decode(text).map_err(|_| ImportError::Keys(why))
    };
    let count = text("iter-count").filter(|text| !text.starts_with(['0', '+']));
    let iterations = count
        .and_then(|text| text.parse().ok())
        .filter(|count| (1..=ITERATIONS_MAX).contains(count))
        .ok_or(ImportError::Keys("an iter-count is a number from 1 to 1000000"))?;
    let salt = octets("salt", "a salt is octets in base64")?;
    if salt.is_empty() || salt.len() > SALT_MAX {
        return Err(ImportError::Keys("a salt has 1 to 256 octets"));
    }
    let wrong = "a key is as long as the mechanism's hash, in base64";
    let key = |name| octets(name, wrong)?.try_into().map_err(|_| ImportError::Keys(wrong));
    Ok(ScramKeys { salt, iterations, stored_key: key("stored-key")?, server_key: key("server-key")? })
}
