//! Writing: one account after the other, one page of each after the other.
//!
//! Spec: XEP-0227 sections 3.1 to 3.10, in this order.
//! Owns: a buffer of bounded length. Invariants: what is written is one well-formed document in UTF-8, or an error.
//! Not here: which moment of the store is read (the caller's transaction).

use std::fmt;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::{
    Account, AccountState, Answer, ArchiveOp, ArchivePaging, ArchiveQuery, DocumentOp, OfflineId, Op, PepOp,
    ScramKeys, Space, StoreError, limits,
};
use xmpp::address::AccountNumber;
use xmpp::stanza::Stanza;
use xmpp::{ns, write};

use crate::words::{PICTURE_HASH, PUBLISHED_PICTURE};
use crate::{Ask, Counts, OURS, PIE, PIE_MAM, PIE_SCRAM, unexpected};

/// What is written gathers up to this length before it leaves.
const BUFFER: usize = 64 * 1024;

/// Items that are read of one node: more than a node may hold.
const ITEMS_MAX: u32 = 1_000_000;

/// Why an export ended early.
#[derive(Debug)]
pub enum ExportError {
    /// Something of an account cannot be read.
    Store {
        /// Whose.
        number: Option<AccountNumber>,
        /// What.
        what: &'static str,
        /// Why.
        error: StoreError,
    },
    /// It cannot be written.
    Io(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { number: Some(number), what, error } => write!(f, "{what} of {number}: {error}"),
            Self::Store { number: None, what, error } => write!(f, "{what}: {error}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Store { number: None, what: "reading", error }
    }
}

impl From<(AccountNumber, &'static str, StoreError)> for ExportError {
    fn from((number, what, error): (AccountNumber, &'static str, StoreError)) -> Self {
        Self::Store { number: Some(number), what, error }
    }
}

/// Writes every account of an exchange. `told` hears how far it has come, after each page.
///
/// # Errors
/// When the store or the writer fails; what was written until then is no whole document.
pub fn export(
    ask: &mut Ask<'_>,
    domain: &str,
    out: &mut dyn Write,
    told: &mut dyn FnMut(Counts),
) -> Result<Counts, ExportError> {
    let mut writer = Writer { out, buffer: Vec::with_capacity(BUFFER * 2), counts: Counts::default(), told };
    let buffer = &mut writer.buffer;
    buffer.extend_from_slice(b"<?xml version='1.0' encoding='UTF-8'?>\n");
    write::open(buffer, "server-data").ns(PIE).start();
    buffer.push(b'\n');
    write::open(buffer, "host").attr("jid", domain).start();
    buffer.push(b'\n');
    let mut after = None;
    loop {
        let op = Op::ListAccounts { after, limit: limits::ACCOUNTS_PAGE_MAX };
        let Answer::Accounts { accounts, more } = ask(op)? else {
            return Err(ExportError::from(StoreError::Failed("no list of accounts came".into())));
        };
        after = accounts.last().map(|account| account.number);
        for account in &accounts {
            writer.account(ask, account)?;
        }
        if !more {
            break;
        }
    }
    writer.buffer.extend_from_slice(b"</host>\n</server-data>\n");
    writer.flush()?;
    writer.out.flush().map_err(ExportError::Io)?;
    Ok(writer.counts)
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    counts: Counts,
    told: &'a mut dyn FnMut(Counts),
}

impl Writer<'_> {
    fn account(&mut self, ask: &mut Ask<'_>, account: &Account) -> Result<(), ExportError> {
        let number = account.number;
        write::open(&mut self.buffer, "user").attr_number("name", number.get()).start();
        self.buffer.push(b'\n');
        self.own(account);
        self.credentials(ask, number)?;
        self.roster(ask, number)?;
        self.documents(ask, number)?;
        self.published(ask, number)?;
        self.waiting(ask, number)?;
        self.archive(ask, number)?;
        write::close(&mut self.buffer, "user");
        self.buffer.push(b'\n');
        self.counts.accounts += 1;
        self.page()
    }

    /// What XEP-0227 has no word for.
    fn own(&mut self, account: &Account) {
        let disabled = account.state == AccountState::Disabled;
        if account.name.is_none() && !disabled && !account.admin {
            return;
        }
        write::open(&mut self.buffer, "account")
            .ns(OURS)
            .attr_opt("name", account.name.as_deref())
            .attr_opt("disabled", disabled.then_some("true"))
            .attr_opt("admin", account.admin.then_some("true"))
            .empty();
        self.buffer.push(b'\n');
    }

    /// Section 3.3.
    fn credentials(&mut self, ask: &mut Ask<'_>, number: AccountNumber) -> Result<(), ExportError> {
        let what = "the keys";
        let found = ask(Op::LoadCredentials { number }).map_err(|error| (number, what, error))?;
        let Answer::Credentials(found) = found else { return Err(unexpected(number, what).into()) };
        let Some((_, credentials)) = found else { return Ok(()) };
        if let Some(keys) = &credentials.sha1 {
            write_keys(&mut self.buffer, "SCRAM-SHA-1", keys);
        }
        if let Some(keys) = &credentials.sha256 {
            write_keys(&mut self.buffer, "SCRAM-SHA-256", keys);
        }
        Ok(())
    }

    /// Sections 3.4 and 3.9.
    fn roster(&mut self, ask: &mut Ask<'_>, number: AccountNumber) -> Result<(), ExportError> {
        let what = "the roster";
        let found = ask(Op::LoadRoster { number }).map_err(|error| (number, what, error))?;
        let Answer::Roster(roster) = found else { return Err(unexpected(number, what).into()) };
        let out = &mut self.buffer;
        if roster.items.iter().any(|item| item.listed) {
            write::open(out, "query").ns(ns::ROSTER).with(|out| {
                for item in roster.items.iter().filter(|item| item.listed) {
                    write::open(out, "item")
                        .attr("jid", item.contact.as_str())
                        .attr_opt("name", item.name.as_deref())
                        .attr("subscription", item.subscription.as_str())
                        .attr_opt("ask", item.ask.then_some("subscribe"))
                        .attr_opt("approved", item.approved.then_some("true"))
                        .with(|out| {
                            item.groups.iter().for_each(|group| write::open(out, "group").text(group));
                        });
                }
            });
            out.push(b'\n');
        }
        for item in &roster.items {
            if !item.listed && item.approved {
                write::open(out, "approved").ns(OURS).attr("jid", item.contact.as_str()).empty();
                out.push(b'\n');
            }
            if let Some(request) = &item.pending_in
                && write_stanza(out, request)
            {
                out.push(b'\n');
            }
        }
        self.page()
    }

    /// Sections 3.6 and 3.7, and the lists of XEP-0191 and XEP-0441.
    fn documents(&mut self, ask: &mut Ask<'_>, number: AccountNumber) -> Result<(), ExportError> {
        if let Some(list) = load(ask, number, Space::BlockList, "", "the block list")? {
            let list = String::from_utf8_lossy(&list).into_owned();
            write::open(&mut self.buffer, "blocklist").ns(ns::BLOCKING).with(|out| {
                for address in list.lines().filter(|address| !address.is_empty()) {
                    write::open(out, "item").attr("jid", address).empty();
                }
            });
            self.buffer.push(b'\n');
        }
        if let Some(preferences) = load(ask, number, Space::ArchivePreferences, "", "archive preferences")? {
            self.element(&preferences);
        }
        let card = load(ask, number, Space::VCard, "", "the vCard")?;
        let picture = load(ask, number, Space::VCard, PUBLISHED_PICTURE, "the vCard's picture")?;
        if card.is_some() || picture.is_some() {
            self.card(card.as_deref(), picture.as_deref());
        }
        let what = "private XML";
        let names = ask(Op::Document(DocumentOp::Names { number, space: Space::Private }))
            .map_err(|error| (number, what, error))?;
        let Answer::DocumentNames(names) = names else { return Err(unexpected(number, what).into()) };
        if !names.is_empty() {
            write::open(&mut self.buffer, "query").ns(ns::PRIVATE).start();
            for name in &names {
                if let Some(value) = load(ask, number, Space::Private, name, what)? {
                    self.buffer.extend_from_slice(&value);
                }
                self.page()?;
            }
            write::close(&mut self.buffer, "query");
            self.buffer.push(b'\n');
        }
        self.page()
    }

    /// With the picture that is shown, which may have been published elsewhere (XEP-0398).
    fn card(&mut self, card: Option<&[u8]>, picture: Option<&[u8]>) {
        let out = &mut self.buffer;
        let parsed = card.and_then(|card| Stanza::parse(card).ok());
        match (card, parsed, picture) {
            (_, parsed, Some(picture)) => write::open(out, "vCard").ns(ns::VCARD).with(|out| {
                let children = parsed.iter().flat_map(Stanza::children);
                for child in children.filter(|child| !child.is("PHOTO", ns::VCARD)) {
                    child.write_alone(out);
                }
                out.extend_from_slice(picture);
            }),
            (Some(card), Some(_), None) => out.extend_from_slice(card),
            _ => return,
        }
        out.push(b'\n');
    }

    /// Section 3.10.
    fn published(&mut self, ask: &mut Ask<'_>, number: AccountNumber) -> Result<(), ExportError> {
        let what = "what it published";
        let nodes = ask(Op::Pep(PepOp::Nodes { number })).map_err(|error| (number, what, error))?;
        let Answer::Nodes(nodes) = nodes else { return Err(unexpected(number, what).into()) };
        if nodes.is_empty() {
            return Ok(());
        }
        write::open(&mut self.buffer, "pubsub").ns(ns::PUBSUB_OWNER).with(|out| {
            for (node, config) in &nodes {
                write::open(out, "configure").attr("node", node).raw(config);
            }
        });
        self.buffer.push(b'\n');
        write::open(&mut self.buffer, "pubsub").ns(ns::PUBSUB).start();
        for (node, _) in nodes {
            let op = PepOp::Items { number, node: node.clone(), ids: Vec::new(), limit: ITEMS_MAX };
            let items = ask(Op::Pep(op)).map_err(|error| (number, what, error))?;
            let Answer::Items(items) = items else { return Err(unexpected(number, what).into()) };
            write::open(&mut self.buffer, "items").attr("node", &node).start();
            for item in items {
                write::open(&mut self.buffer, "item").attr("id", &item.id).raw(&item.payload);
                self.page()?;
            }
            write::close(&mut self.buffer, "items");
        }
        write::close(&mut self.buffer, "pubsub");
        self.buffer.push(b'\n');
        self.page()
    }

    /// Section 3.5.
    fn waiting(&mut self, ask: &mut Ask<'_>, number: AccountNumber) -> Result<(), ExportError> {
        let what = "waiting messages";
        let mut after = OfflineId(0);
        let mut begun = false;
        loop {
            let op = Op::LoadOffline { number, after, limit: limits::OFFLINE_PAGE_ROWS_MAX };
            let page = ask(op).map_err(|error| (number, what, error))?;
            let Answer::Offline(page) = page else { return Err(unexpected(number, what).into()) };
            if !begun && !page.rows.is_empty() {
                begun = true;
                write::open(&mut self.buffer, "offline-messages").start();
                self.buffer.push(b'\n');
            }
            for row in page.rows {
                after = row.id;
                if write_stanza(&mut self.buffer, &row.stanza) {
                    self.buffer.push(b'\n');
                    self.counts.waiting += 1;
                }
                self.page()?;
            }
            if !page.more {
                break;
            }
        }
        if begun {
            write::close(&mut self.buffer, "offline-messages");
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    /// Section 3.11.
    fn archive(&mut self, ask: &mut Ask<'_>, number: AccountNumber) -> Result<(), ExportError> {
        let what = "the archive";
        let mut query = ArchiveQuery::all(limits::ARCHIVE_PAGE_ROWS_MAX);
        let mut begun = false;
        loop {
            let op = ArchiveOp::Page { number, query: Box::new(query.clone()) };
            let page = ask(Op::Archive(op)).map_err(|error| (number, what, error))?;
            let Answer::Archive(page) = page else { return Err(unexpected(number, what).into()) };
            if !begun && !page.rows.is_empty() {
                begun = true;
                write::open(&mut self.buffer, "archive").ns(PIE_MAM).start();
                self.buffer.push(b'\n');
            }
            let Some(last) = page.rows.last() else { break };
            query.page = ArchivePaging::After(last.id);
            for row in &page.rows {
                let before = self.buffer.len();
                let out = &mut self.buffer;
                let mut whole = false;
                write::open(out, "result").ns(ns::MAM).attr_number("id", row.id.0).with(|out| {
                    write::open(out, "forwarded").ns(ns::FORWARD).with(|out| {
                        let stamp = row.id.received().to_string();
                        write::open(out, "delay").ns(ns::DELAY).attr("stamp", &stamp).empty();
                        whole = write_stanza(out, &row.stanza);
                    });
                });
                if whole {
                    out.push(b'\n');
                    self.counts.archived += 1;
                } else {
                    out.truncate(before);
                }
                self.page()?;
            }
            if page.complete {
                break;
            }
        }
        if begun {
            write::close(&mut self.buffer, "archive");
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    /// An element that was kept whole, on a line of its own.
    fn element(&mut self, element: &[u8]) {
        self.buffer.extend_from_slice(element);
        self.buffer.push(b'\n');
    }

    /// A page is done: what has gathered leaves.
    fn page(&mut self) -> Result<(), ExportError> {
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        (self.told)(self.counts);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.out.write_all(&self.buffer).map_err(ExportError::Io)?;
        self.buffer.clear();
        Ok(())
    }
}

fn load(
    ask: &mut Ask<'_>,
    number: AccountNumber,
    space: Space,
    name: &str,
    what: &'static str,
) -> Result<Option<Vec<u8>>, ExportError> {
    debug_assert_ne!(name, PICTURE_HASH, "the hash is made again from the picture");
    let op = Op::Document(DocumentOp::Load { number, space, name: name.into() });
    match ask(op).map_err(|error| (number, what, error))? {
        Answer::Document(found) => Ok(found),
        _ => Err(unexpected(number, what).into()),
    }
}

fn write_keys<const N: usize>(out: &mut Vec<u8>, mechanism: &str, keys: &ScramKeys<N>) {
    write::open(out, "scram-credentials").ns(PIE_SCRAM).attr("mechanism", mechanism).with(|out| {
        write::open(out, "iter-count").text(&keys.iterations.to_string());
        write::open(out, "salt").text(&STANDARD.encode(&keys.salt));
        write::open(out, "server-key").text(&STANDARD.encode(keys.server_key));
        write::open(out, "stored-key").text(&STANDARD.encode(keys.stored_key));
    });
    out.push(b'\n');
}

/// A stanza as it was kept, for which `jabber:client` is the default namespace, where it is not. False: it is none.
fn write_stanza(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let Ok(stanza) = Stanza::parse(bytes) else { return false };
    let raw = stanza.raw();
    let name = 1 + stanza.name().len();
    // We write names without a prefix; anything else is somebody else's doing.
    if !raw[1..].starts_with(stanza.name()) {
        return false;
    }
    out.extend_from_slice(&raw.as_bytes()[..name]);
    if stanza.attr("xmlns").is_none() {
        write::attr(out, "xmlns", ns::CLIENT);
    }
    out.extend_from_slice(&raw.as_bytes()[name..]);
    true
}
