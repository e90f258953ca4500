//! Payloads of every feature, filled in and then damaged, as a client that has logged in may send them.
//!
//! Owns: what there is to send. Invariants: nothing panics; an iq of type `get` or `set` to the exchange or to an account
//! is answered exactly once before the next stanza is sent; one stanza brings a bounded answer.
//! Not here: iqs to a resource, which another client answers; what a session handles itself (`session::fuzz`).
//!
//! An input is read as a script: octets choose a session, an addressee, a payload, what goes into its gaps, and where it is
//! damaged. Any octets are a script, and an input that has come to its end reads as zeros.

use super::{House, NUMBERS, RESOURCES};

/// Stanzas of one input: libFuzzer's inputs are 4 KiB at most.
const STEPS_MAX: usize = 200;

/// Octets that one stanza may bring all sessions together: a page of the archive, of messages that one input can hold, is
/// some hundred times an input.
const DELIVERED_MAX: usize = 1 << 20;

/// Where a payload is filled in.
const GAP: char = '%';

/// Queries, by type. What is not in here: nothing that a feature parses in an iq.
const QUERIES: &[(&str, &str)] = &[
    // XEP-0313, 0059, 0441.
    ("set", "<query xmlns='urn:xmpp:mam:2' queryid='%'/>"),
    (
        "set",
        "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>%</max><before>%</before></set></query>",
    ),
    (
        "set",
        "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>%</max><after>%</after><index>%</index></set></query>",
    ),
    (
        "set",
        "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='with'><value>%</value></field><field var='start'><value>%</value></field><field var='end'><value>%</value></field></x><flip-page/></query>",
    ),
    (
        "set",
        "<query xmlns='urn:xmpp:mam:2' node='%'><x xmlns='jabber:x:data' type='%'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='before-id'><value>%</value></field><field var='after-id'><value>%</value></field><field var='ids'><value>%</value><value>%</value></field></x></query>",
    ),
    ("get", "<query xmlns='urn:xmpp:mam:2'/>"),
    ("get", "<metadata xmlns='urn:xmpp:mam:2'/>"),
    ("get", "<prefs xmlns='urn:xmpp:mam:2'/>"),
    (
        "set",
        "<prefs xmlns='urn:xmpp:mam:2' default='%'><always><jid>%</jid></always><never><jid>%</jid><jid>%</jid></never></prefs>",
    ),
    // XEP-0060, 0163, 0084, 0402, 0490.
    (
        "set",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='%'><item id='%'><x xmlns='%'>%</x></item></publish></pubsub>",
    ),
    (
        "set",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='%'><item id='%'><x xmlns='%'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>%</value></field><field var='pubsub#max_items'><value>%</value></field><field var='pubsub#persist_items'><value>%</value></field><field var='pubsub#send_last_published_item'><value>%</value></field></x></publish-options></pubsub>",
    ),
    (
        "set",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='%'/><configure><x xmlns='jabber:x:data' type='submit'><field var='pubsub#access_model'><value>%</value></field></x></configure></pubsub>",
    ),
    (
        "get",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='%' max_items='%'><item id='%'/></items></pubsub>",
    ),
    (
        "get",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='%'/><set xmlns='http://jabber.org/protocol/rsm'><max>%</max></set></pubsub>",
    ),
    (
        "set",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='%' notify='%'><item id='%'/></retract></pubsub>",
    ),
    ("set", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='%' jid='%'/></pubsub>"),
    ("get", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='%'/></pubsub>"),
    (
        "set",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='%'><x xmlns='jabber:x:data' type='%'><field var='%'><value>%</value></field></x></configure></pubsub>",
    ),
    ("set", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='%'/></pubsub>"),
    ("set", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><purge node='%'/></pubsub>"),
    (
        "set",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:metadata'><item id='%'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='%' id='%' type='image/png'/></metadata></item></publish></pubsub>",
    ),
    // XEP-0054, 0153, 0398.
    ("get", "<vCard xmlns='vcard-temp'/>"),
    ("set", "<vCard xmlns='vcard-temp'><FN>%</FN><PHOTO><TYPE>%</TYPE><BINVAL>%</BINVAL></PHOTO></vCard>"),
    // XEP-0049.
    ("get", "<query xmlns='jabber:iq:private'><x xmlns='%'/></query>"),
    ("set", "<query xmlns='jabber:iq:private'><x xmlns='%'>%</x></query>"),
    // XEP-0191, 0377.
    ("get", "<blocklist xmlns='urn:xmpp:blocking'/>"),
    ("set", "<block xmlns='urn:xmpp:blocking'><item jid='%'/><item jid='%'/></block>"),
    (
        "set",
        "<block xmlns='urn:xmpp:blocking'><item jid='%'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:%'><stanza-id xmlns='urn:xmpp:sid:0' by='%' id='%'/><text>%</text></report></item></block>",
    ),
    ("set", "<unblock xmlns='urn:xmpp:blocking'><item jid='%'/></unblock>"),
    ("set", "<unblock xmlns='urn:xmpp:blocking'/>"),
    // XEP-0280.
    ("set", "<enable xmlns='urn:xmpp:carbons:2'/>"),
    ("set", "<disable xmlns='urn:xmpp:carbons:2'/>"),
    // XEP-0030, 0092, 0199, 0202, 0012.
    ("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='%'/>"),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#items' node='%'/>"),
    ("get", "<query xmlns='jabber:iq:version'/>"),
    ("get", "<query xmlns='jabber:iq:last'/>"),
    ("get", "<ping xmlns='urn:xmpp:ping'/>"),
    ("get", "<time xmlns='urn:xmpp:time'/>"),
    // RFC 6121 2, 3921 3.
    ("get", "<query xmlns='jabber:iq:roster' ver='%'/>"),
    (
        "set",
        "<query xmlns='jabber:iq:roster'><item jid='%' name='%' subscription='%' ask='%'><group>%</group><group>%</group></item></query>",
    ),
    ("set", "<query xmlns='jabber:iq:roster'><item jid='%' subscription='remove'/></query>"),
    ("set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"),
    // XEP-0077, 0401, 0445 beside log-in; XEP-0050; our own.
    ("get", "<query xmlns='jabber:iq:register'/>"),
    ("set", "<query xmlns='jabber:iq:register'><username>%</username><password>%</password></query>"),
    ("set", "<query xmlns='jabber:iq:register'><remove/></query>"),
    ("set", "<preauth xmlns='urn:xmpp:pars:0' token='%'/>"),
    ("set", "<command xmlns='http://jabber.org/protocol/commands' node='%' action='%' sessionid='%'/>"),
    ("get", "<lines xmlns='urn:switchboard:lines:0' open='%'/>"),
    ("get", "<trace xmlns='urn:switchboard:lines:0' line='%' after='%'/>"),
    ("set", "<revoke xmlns='urn:switchboard:tokens:0'/>"),
    ("set", "<% xmlns='%'>%</%>"),
];

/// What is no question: messages and presence, so that there is something to archive, to copy, to publish to.
const OTHERS: &[&str] = &[
    "<message type='chat'><body>%</body><markable xmlns='urn:xmpp:chat-markers:0'/></message>",
    "<message type='%'><subject>%</subject><private xmlns='urn:xmpp:carbons:2'/></message>",
    "<message><displayed xmlns='urn:xmpp:chat-markers:0' id='%'/><no-store xmlns='urn:xmpp:hints'/></message>",
    "<message type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/><stanza-id xmlns='urn:xmpp:sid:0' by='%' id='%'/></message>",
    "<message><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message><body>%</body></message></forwarded></received></message>",
    "<presence><priority>%</priority><x xmlns='vcard-temp:x:update'><photo>%</photo></x></presence>",
    "<presence><c xmlns='http://jabber.org/protocol/caps' hash='%' node='%' ver='%'/></presence>",
    "<presence type='%'/>",
    "<iq type='result' id='caps-%'><query xmlns='http://jabber.org/protocol/disco#info' node='%'><identity category='client' type='%'/><feature var='%+notify'/></query></iq>",
];

/// What may stand in a gap, beside what an input brings itself.
const WORDS: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "50",
    "max",
    "4294967296",
    "99999999999999999999",
    "true",
    "always",
    "roster",
    "never",
    "open",
    "presence",
    "whitelist",
    "on_sub_and_presence",
    "submit",
    "cancel",
    "both",
    "subscribe",
    "subscribed",
    "unsubscribed",
    "unavailable",
    "probe",
    "localhost",
    "10001@localhost",
    "10002@localhost",
    "10002@localhost/b",
    "4711@localhost",
    "@/",
    "x",
    "current",
    "urn:x",
    "urn:xmpp:mam:2",
    "urn:xmpp:avatar:data",
    "urn:xmpp:avatar:metadata",
    "urn:xmpp:bookmarks:1",
    "http://jabber.org/protocol/pubsub",
    "http://jabber.org/protocol/tune",
    "urn:xmpp:invite#invite",
    "pubsub#access_model",
    "spam",
    "image/png",
    "iVBORw0KGgo=",
    "sha-1",
    "Y3HejFNS6OM03NHoW0hqOqTKKAQ=",
    "2026-11-24T09:00:00Z",
    "2026-11-24T09:00:00.999999+14:00",
    "offline-1",
];

/// Plays an input.
///
/// # Panics
/// When an invariant does not hold.
pub fn payloads(data: &[u8]) {
    let mut house = House::new();
    let mut script = Script(data);
    for step in 0..STEPS_MAX {
        if script.0.is_empty() {
            break;
        }
        let which = script.index(RESOURCES.len());
        let to = match script.index(6) {
            0 | 1 => String::new(),
            2 => " to='localhost'".to_owned(),
            3 => format!(" to='{}@localhost'", NUMBERS[0]),
            4 => format!(" to='{}@localhost'", NUMBERS[1]),
            _ => " to='4711@localhost'".to_owned(),
        };
        let session = house.sessions[which];
        let was_closed = house.closed.contains(&session);
        (house.delivered, house.answers) = (0, std::collections::HashMap::new());
        let id = format!("q{step}");
        let (text, is_query) = match script.index(4) {
            0 => {
                let other = script.pick(OTHERS);
                // The name ends where the first space or the tag does.
                let end = other.find([' ', '>', '/']).unwrap_or(other.len());
                (format!("{}{to} {}", &other[..end], script.fill(&other[end..])), false)
            }
            _ => {
                let (kind, payload) = script.pick(QUERIES);
                let payload = script.fill(payload);
                let payload = script.damage(payload);
                (format!("<iq id='{id}' type='{kind}'{to}>{payload}</iq>"), true)
            }
        };
        if house.say(which, text.as_bytes()) && is_query && !was_closed && !house.closed.contains(&session) {
            let answers = house.answers.get(&(session, id)).copied().unwrap_or_default();
            assert_eq!(answers, 1, "answers to {text}");
        }
        assert!(house.delivered <= DELIVERED_MAX, "{} octets for {text}", house.delivered);
    }
    house.close();
}

/// An input that is read.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn octet(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn index(&mut self, len: usize) -> usize {
        usize::from(self.octet()) % len
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    /// Fills each gap with a word, or with some octets of the input.
    fn fill(&mut self, template: &str) -> String {
        let mut filled = String::new();
        for (at, part) in template.split(GAP).enumerate() {
            if at > 0 {
                match self.octet() {
                    own @ 224.. => {
                        let len = usize::from(own - 224).min(self.0.len());
                        let (word, rest) = self.0.split_at(len);
                        self.0 = rest;
                        filled.push_str(&String::from_utf8_lossy(word));
                    }
                    word => filled.push_str(WORDS[usize::from(word) % WORDS.len()]),
                }
            }
            filled.push_str(part);
        }
        filled
    }

    /// Damages one payload in four: a piece is lost, doubled, or replaced by a word.
    fn damage(&mut self, payload: String) -> String {
        let how = self.octet();
        if how < 192 {
            return payload;
        }
        let chars: Vec<char> = payload.chars().collect();
        let from = (self.index(256) * 256 + self.index(256)) % (chars.len() + 1);
        let len = self.index(64).min(chars.len() - from);
        let (head, rest) = chars.split_at(from);
        let (piece, tail) = rest.split_at(len);
        let piece: String = match how % 3 {
            0 => String::new(),
            1 => piece.iter().chain(piece).collect(),
            _ => self.pick(WORDS).to_owned(),
        };
        head.iter().collect::<String>() + &piece + &tail.iter().collect::<String>()
    }
}
