//! Interest: which events a line wants, as its client says in its capabilities.
//!
//! Spec: XEP-0163 section 4.3.3 (`NODE+notify`), XEP-0115 section 5.4 (checking a hash), 6.2 (asking what is behind one).
//! Owns: what a line wants, and what clients of a kind want by their hash. Invariants: an answer is remembered for others
//! only if it has the hash that it was asked for; both are bounded.
//! Not here: telling (`notify`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use xmpp::address::AccountNumber;
use xmpp::stanza::{Node as Xml, Stanza};
use xmpp::{ns, write};

use super::Shared;
use crate::form::Form;
use crate::line::LineId;
use crate::router::Router;

/// What clients of one kind want: names of nodes.
pub(crate) type Interests = Shared;

/// Nodes that one client may want.
const NODES_MAX: usize = 64;
/// Kinds of clients remembered, at some kilobytes each; beyond it all are forgotten and asked anew.
const KINDS_MAX: usize = 1_024;
/// Longest hash that is looked at.
const HASH_BYTES_MAX: usize = 128;

/// What is known of a line.
#[derive(Default)]
pub(crate) struct Interest {
    /// The hash that it said last.
    ver: Box<str>,
    /// What was asked about it, until it has answered.
    asked: u64,
    nodes: Option<Interests>,
}

/// What an id begins with.
const ASK_ID: &str = "caps-";

impl Router {
    /// A line said in its presence what it understands.
    pub(super) fn note_capabilities(&mut self, line: LineId, stanza: &Stanza<'_>) {
        let Some(caps) = stanza.child("c", ns::CAPS) else { return };
        let (Some(ver), Some(node)) = (caps.attr("ver"), caps.attr("node")) else { return };
        if ver.len() > HASH_BYTES_MAX || node.len() > HASH_BYTES_MAX {
            return;
        }
        let interest = self.lines[line].features.pep.get_or_insert_default();
        if *interest.ver == *ver {
            return;
        }
        interest.ver = ver.as_ref().into();
        interest.asked = 0;
        if let Some(known) = self.features.pep.get(&*ver).cloned() {
            return self.set_interests(line, &known);
        }
        self.last_number += 1;
        let asked = self.last_number;
        if let Some(interest) = &mut self.lines[line].features.pep {
            interest.asked = asked;
        }
        let (from, to) = (self.cfg.domain.as_str(), self.lines[line].jid());
        let ask = self.out.write(|out| {
            let iq = write::open(out, "iq").attr("type", "get").attr("from", from).attr("to", to);
            iq.attr("id", &format!("{ASK_ID}{asked}")).with(|out| {
                let query = write::open(out, "query").ns(ns::DISCO_INFO);
                query.attr("node", &format!("{node}#{ver}")).empty();
            });
        });
        self.deliver(line, ask, None);
    }

    /// A line answered.
    pub(super) fn capabilities_told(&mut self, line: LineId, id: &str, stanza: &Stanza<'_>) {
        let Some(asked) = id.strip_prefix(ASK_ID).and_then(|id| id.parse::<u64>().ok()) else { return };
        let Some(interest) = &mut self.lines[line].features.pep else { return };
        if interest.asked != asked || asked == 0 {
            return;
        }
        interest.asked = 0;
        let ver = interest.ver.clone();
        let Some(query) = stanza.child("query", ns::DISCO_INFO) else { return };
        let features = query.children().filter(|child| child.is("feature", ns::DISCO_INFO));
        let names = features.filter_map(|feature| Some(feature.attr("var")?.strip_suffix("+notify")?.into()));
        let interests: Interests = names.take(NODES_MAX).collect();
        if hash(&query) == *ver {
            if self.features.pep.len() >= KINDS_MAX {
                self.features.pep.clear();
            }
            self.features.pep.insert(ver, interests.clone());
        }
        self.set_interests(line, &interests);
    }

    fn set_interests(&mut self, line: LineId, interests: &Interests) {
        let Some(interest) = &mut self.lines[line].features.pep else { return };
        let before = interest.nodes.replace(interests.clone());
        let is_new = |node: &str| before.as_ref().is_none_or(|before| !before.iter().any(|known| **known == *node));
        let new: Vec<Box<str>> = interests.iter().filter(|&node| is_new(node)).cloned().collect();
        if !new.is_empty() && self.lines[line].is_available() {
            self.send_wishes(line, &new);
        }
    }

    /// An account sees one contact more: what its lines want is asked of that one.
    pub(super) fn wish_of(&mut self, number: AccountNumber, contact: AccountNumber) {
        for line in self.lines_of(number) {
            let interest = self.lines[line].features.pep.as_ref();
            let wanted = interest.and_then(|interest| interest.nodes.clone());
            if let Some(nodes) = wanted.filter(|nodes| !nodes.is_empty() && self.lines[line].is_available()) {
                self.send_wish(line, contact, &nodes);
            }
        }
    }

    /// Whether a line wants an event.
    pub(super) fn wants(&self, line: LineId, event: &Stanza<'_>) -> bool {
        let Some(nodes) = self.lines[line].features.pep.as_ref().and_then(|interest| interest.nodes.as_ref())
        else {
            return false;
        };
        let Some(event) = event.child("event", ns::PUBSUB_EVENT) else { return false };
        let node = event.children().next().and_then(|what| Some(what.attr("node")?.into_owned()));
        node.is_some_and(|node| nodes.iter().any(|wanted| **wanted == *node))
    }
}

/// XEP-0115 5.1: what a client says of itself, in one hash. One that says a thing twice has none (5.4).
fn hash(query: &Xml<'_>) -> String {
    let attr = |xml: &Xml<'_>, name| xml.attr(name).unwrap_or_default().into_owned();
    let of = |name: &'static str| query.children().filter(move |child| child.is(name, ns::DISCO_INFO));
    let mut identities: Vec<String> = of("identity")
        .map(|xml| {
            let [category, kind, lang, name] = ["category", "type", "xml:lang", "name"].map(|name| attr(&xml, name));
            format!("{category}/{kind}/{lang}/{name}")
        })
        .collect();
    let mut features: Vec<String> = of("feature").map(|xml| attr(&xml, "var")).collect();
    identities.sort_unstable();
    features.sort_unstable();
    if identities.windows(2).chain(features.windows(2)).any(|two| two[0] == two[1]) {
        return String::new();
    }
    type Fields = Vec<(String, Vec<String>)>;
    let mut forms: Vec<(String, Fields)> = query
        .children()
        .filter(|child| child.is("x", ns::DATA_FORMS))
        .filter_map(|form| {
            let form = Form::read_any(&form)?;
            Some((form.form_type?, form.fields))
        })
        .collect();
    forms.sort_unstable();
    let mut text = String::new();
    for said in identities.into_iter().chain(features) {
        text.extend([&said, "<"]);
    }
    for (form_type, mut fields) in forms {
        text.extend([&form_type, "<"]);
        fields.sort_unstable();
        for (name, mut values) in fields {
            text.extend([&name, "<"]);
            values.sort_unstable();
            values.iter().for_each(|value| text.extend([value, "<"]));
        }
    }
    STANDARD.encode(Sha1::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use xmpp::stanza::Stanza;

    /// The example of XEP-0115 5.3.
    #[test]
    fn the_hash_is_that_of_the_example() {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
            <identity xml:lang='el' category='client' name='\u{3a8} 0.11' type='pc'/>\
            <feature var='http://jabber.org/protocol/caps'/>\
            <feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/>\
            <feature var='http://jabber.org/protocol/muc'/>\
            <x xmlns='jabber:x:data' type='result'>\
            <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
            <field var='ip_version'><value>ipv4</value><value>ipv6</value></field>\
            <field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>\
            <field var='software'><value>Psi</value></field>\
            <field var='software_version'><value>0.11</value></field></x></query>";
        let query = Stanza::parse(query.as_bytes()).expect("well-formed");
        assert_eq!(super::hash(&query.node()), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }
}
