//! Errands: what accounts ask of the exchange itself over XMPP, done on a thread of its own and answered to the session.
//! Spec: `urn:switchboard:lines:0`, `urn:switchboard:tokens:0` (docs/web-client.md); XEP-0401 4 by XEP-0050.
//! Owns: the thread, and a queue of at most [`WAITING_MAX`]. Invariants: who is no administrator learns nothing, and invites
//! only where the configuration lets it; the store is asked each time; a loop never waits for an errand.
//! Not here: reading the iq (`router::features::errands`), a line's facts (`event_loop::facts`), a line's picture (`ladder`).

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use router::{AccountChange, Errand, SessionId};
use store::{Answer, Hold, Op};
use xmpp::address::AccountNumber;
use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::{ns, write};

use crate::admin::Line;
use crate::admin::serve::Control;
use crate::clock;
use crate::invite;
use crate::letter::{Letter, StoreLetter};
use crate::network::{Rows, trace};

mod ladder;
#[cfg(test)]
mod tests;

/// Lines that are told of at a time: some 200 octets each, and one stanza has to hold them.
const LINES_MAX: usize = 2_000;

/// Errands that may wait; more are refused.
const WAITING_MAX: usize = 64;
/// Invites that somebody who is no administrator may have out at a time.
const INVITES_OF_ONE_MAX: usize = 10;
/// How long loops and store may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// One errand.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) session: SessionId,
    pub(crate) number: AccountNumber,
    pub(crate) id: Option<String>,
    pub(crate) errand: Errand,
}

/// Facts of one kind about a line: names and values for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `session`, `carrier`, `tls`, `quic`, `tcp`.
    pub(crate) of: &'static str,
    pub(crate) rows: Rows,
}

/// What answers say of the exchange.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) domain: String,
    /// Where the web client is reached, for links; nowhere without HTTP.
    pub(crate) web: Option<String>,
    /// Whether people may invite who are no administrators.
    pub(crate) user_invites: bool,
}

/// Starts the thread. It ends when the last sender is gone.
pub(crate) fn start(control: Control, house: House) -> io::Result<SyncSender<Asked>> {
    let (sender, asked) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("errands".into()).spawn(move || run(&control, &house, &asked))?;
    Ok(sender)
}

fn run(control: &Control, house: &House, asked: &Receiver<Asked>) {
    let domain = &house.domain;
    while let Ok(asked) = asked.recv() {
        let mut inner = Vec::new();
        let outcome = perform(control, house, &asked, &mut inner);
        let from = match asked.errand {
            Errand::Revoke => format!("{}@{domain}", asked.number),
            Errand::Lines { .. } | Errand::Trace { .. } | Errand::Invite => domain.clone(),
        };
        let stanza = reply(&asked, &from, outcome.map(|()| inner));
        let to = usize::from(asked.session.of_loop());
        control.to_loop(to, Letter::Answer { session: asked.session, stanza });
        if outcome.is_ok() && asked.errand == Errand::Revoke {
            // Behind the answer, which ends with the session.
            let home = router::Router::home(asked.number, control.loops() as u16);
            let change = AccountChange::Password;
            control.to_loop(usize::from(home), Letter::Account { number: asked.number, change });
        }
    }
}

/// The answer for a session whose queue is full, or that has nobody to run errands.
pub(crate) fn refusal(asked: &Asked) -> Vec<u8> {
    reply(asked, "", Err(StanzaCondition::ResourceConstraint))
}

fn reply(asked: &Asked, from: &str, outcome: Result<Vec<u8>, StanzaCondition>) -> Vec<u8> {
    let mut stanza = Vec::new();
    let from = (!from.is_empty()).then_some(from);
    match outcome {
        Ok(inner) => {
            let tag = write::open(&mut stanza, "iq").attr("type", "result");
            let tag = tag.attr_opt("id", asked.id.as_deref()).attr_opt("from", from);
            if inner.is_empty() { tag.empty() } else { tag.raw(&inner) }
        }
        Err(condition) => {
            StanzaError::new(condition).write_reply(&mut stanza, "iq", asked.id.as_deref(), from, None);
        }
    }
    stanza
}

fn perform(
    control: &Control,
    house: &House,
    asked: &Asked,
    inner: &mut Vec<u8>,
) -> Result<(), StanzaCondition> {
    match asked.errand {
        Errand::Revoke => match ask(control, Op::RevokeTokens { number: asked.number })? {
            Answer::Done => Ok(()),
            _ => Err(StanzaCondition::InternalServerError),
        },
        Errand::Lines { open } => {
            administrator(control, asked.number)?;
            let lines = lines(control)?;
            let facts = open.map(|open| facts(control, &lines, open)).unwrap_or_default();
            write_lines(&lines, open, &facts, inner);
            Ok(())
        }
        Errand::Trace { line, after } => {
            administrator(control, asked.number)?;
            let shown = frames(control, line)?;
            ladder::write(line, after, &shown, inner)
        }
        Errand::Invite => {
            may_invite(control, house, asked.number)?;
            let token = invite::draw_token().map_err(|_| StanzaCondition::InternalServerError)?;
            let now = clock::wall();
            let op = invite::create(&token, Hold::First, now, invite::LIFE, Some(asked.number));
            let Answer::Invite(made) = ask(control, op)? else {
                return Err(StanzaCondition::InternalServerError);
            };
            let uri = invite::uri(&house.domain, made.number, &token);
            let link = house.web.as_deref().map(|web| invite::link(web, &token));
            write_invite(&uri, link.as_deref(), &made.expires.to_string(), inner);
            Ok(())
        }
    }
}

/// Whether a number is an administrator's, now.
fn administrator(control: &Control, number: AccountNumber) -> Result<(), StanzaCondition> {
    match ask(control, Op::LoadAccount { number })? {
        Answer::Account(Some(account)) if account.admin => Ok(()),
        _ => Err(StanzaCondition::Forbidden),
    }
}

/// XEP-0401 3: whom an exchange lets invite is its own choice.
fn may_invite(control: &Control, house: &House, number: AccountNumber) -> Result<(), StanzaCondition> {
    let refused = match administrator(control, number) {
        Ok(()) => return Ok(()),
        Err(why) => why,
    };
    if refused != StanzaCondition::Forbidden || !house.user_invites {
        return Err(refused);
    }
    let Answer::Invites(out) = ask(control, Op::ListInvites)? else {
        return Err(StanzaCondition::InternalServerError);
    };
    let theirs = out.iter().filter(|invite| invite.inviter == Some(number)).count();
    if theirs < INVITES_OF_ONE_MAX { Ok(()) } else { Err(StanzaCondition::ResourceConstraint) }
}

fn ask(control: &Control, op: Op) -> Result<Answer, StanzaCondition> {
    let (sender, answer) = channel();
    control.to_store(StoreLetter::Admin { op, answer: sender });
    match answer.recv_timeout(ANSWER_WITHIN) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(StanzaCondition::InternalServerError),
        Err(_) => Err(StanzaCondition::RemoteServerTimeout),
    }
}

/// Every line of every loop.
fn lines(control: &Control) -> Result<Vec<(SessionId, Line)>, StanzaCondition> {
    let (sender, answers) = channel();
    let loops = control.loops();
    for to in 0..loops {
        if !control.to_loop(to, Letter::Lines(sender.clone())) {
            return Err(StanzaCondition::ResourceConstraint);
        }
    }
    let mut all = Vec::new();
    for _ in 0..loops {
        let some = answers.recv_timeout(ANSWER_WITHIN).map_err(|_| StanzaCondition::RemoteServerTimeout)?;
        all.extend(some);
    }
    all.sort_by_key(|(id, line)| (line.number.is_none(), line.number, line.since, id.to_bits()));
    Ok(all)
}

/// What is known of one line; nothing where it has ended.
fn facts(control: &Control, lines: &[(SessionId, Line)], open: u64) -> Vec<Facts> {
    let Some((id, _)) = lines.iter().find(|(id, _)| id.to_bits() == open) else { return Vec::new() };
    let (sender, answer) = channel();
    if !control.to_loop(usize::from(id.of_loop()), Letter::Facts { session: *id, answer: sender }) {
        return Vec::new();
    }
    answer.recv_timeout(ANSWER_WITHIN).unwrap_or_default()
}

/// The latest frames of a line.
fn frames(control: &Control, line: u64) -> Result<trace::Answer, StanzaCondition> {
    let session = SessionId::from_bits(line);
    let of_loop = usize::from(session.of_loop());
    if of_loop >= control.loops() {
        return Err(StanzaCondition::ItemNotFound);
    }
    let (sender, answer) = channel();
    if !control.to_loop(of_loop, Letter::Ladder { session, answer: sender }) {
        return Err(StanzaCondition::ResourceConstraint);
    }
    answer.recv_timeout(ANSWER_WITHIN).map_err(|error| match error {
        RecvTimeoutError::Timeout => StanzaCondition::RemoteServerTimeout,
        // Nobody answers for a line that has ended.
        RecvTimeoutError::Disconnected => StanzaCondition::ItemNotFound,
    })
}

/// The first of them, the one that is open wherever it stands, and how many there are.
fn write_lines(lines: &[(SessionId, Line)], open: Option<u64>, facts: &[Facts], out: &mut Vec<u8>) {
    write::open(out, "lines").ns(ns::LINES).attr("total", &lines.len().to_string()).with(|out| {
        let told = lines.iter().enumerate();
        let told = told.filter(|(at, (id, _))| *at < LINES_MAX || Some(id.to_bits()) == open);
        for (_, (id, line)) in told {
            let number = line.number.map(|number| number.to_string());
            write::open(out, "line")
                .attr("id", &id.to_bits().to_string())
                .attr_opt("number", number.as_deref())
                .attr_opt("resource", line.resource.as_deref())
                .attr("carrier", &line.carrier)
                .attr("network", &line.network)
                .attr("remote", &line.remote.to_string())
                .attr("state", &line.state)
                .attr("encrypted", if line.encrypted { "true" } else { "false" })
                .attr("since", &line.since.to_string())
                .empty();
        }
        for group in facts {
            write::open(out, "facts").attr("of", group.of).with(|out| {
                for (name, value) in &group.rows {
                    write::open(out, "fact").attr("name", name).text(value);
                }
            });
        }
    });
}

/// XEP-0401 7: the invite as a command's result.
fn write_invite(uri: &str, link: Option<&str>, expires: &str, out: &mut Vec<u8>) {
    let command = write::open(out, "command").ns(ns::COMMANDS);
    command.attr("node", "urn:xmpp:invite#invite").attr("status", "completed").with(|out| {
        write::open(out, "x").ns(ns::DATA_FORMS).attr("type", "result").with(|out| {
            for (name, value) in [("uri", Some(uri)), ("landing-url", link), ("expire", Some(expires))] {
                let Some(value) = value else { continue };
                write::open(out, "field").attr("var", name).with(|out| {
                    write::open(out, "value").text(value);
                });
            }
        });
    });
}
