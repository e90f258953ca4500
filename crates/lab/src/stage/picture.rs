//! The picture: which conversation is drawn, with which explanations, and what was checked.
//! Owns: acts under way, and explanations that wait for their segments. Invariants: a packet is drawn when it is sent; its arrival is
//! filled in when it arrives; a state is told once.
//! Not here: how it looks (`ladder`), what passes (`stage`).

use super::{A, Stage, Which, side};
use crate::frame::{self, Seg};
use crate::play::{Act, Check, Play};
use ladder::item::{Event, Hosts, Item, Packet, Passage, Step};
use ladder::mark::Mark;
use ladder::state::State;
use sim::link::End;
use std::net::SocketAddr;
use std::time::Duration;
use wire::meta::Medium;

/// An explanation that waits for its segment.
pub(super) struct Cue {
    pub(super) from: End,
    pub(super) which: Which,
    pub(super) text: String,
}

/// What the two ends are called unless an act names them.
pub(super) const ROLES: [(&str, &str); 2] = [("client", "客户端"), ("server", "服务器")];

impl Stage {
    /// Draws this conversation from now on; what else passes is not drawn.
    pub fn watch(&mut self, left: SocketAddr, right: SocketAddr) {
        self.watched = Some([left, right]);
        if self.act.hosts.names[0].is_empty() {
            let [near, far] = self.roles.map(|(en, zh)| self.lang.pick(en, zh));
            self.act.hosts.names = [format!("{near} {left}"), format!("{far} {right}")];
            let states = End::BOTH.map(|end| self.state(end));
            self.act.hosts.states = states.map(Some);
            self.told = states;
        }
    }

    /// What the two ends are called in this act, rather than client and server, in either language.
    pub fn name_hosts(&mut self, left: (&'static str, &'static str), right: (&'static str, &'static str)) {
        self.roles = [left, right];
    }

    /// Draws all that passes between the hosts, whichever conversation it belongs to.
    pub fn watch_all(&mut self, left: &str, right: &str, with_states: bool) {
        self.draws_all = true;
        self.act.hosts.names = [left.to_owned(), right.to_owned()];
        self.act.hosts.states =
            if with_states { End::BOTH.map(|end| Some(self.state(end))) } else { [None; 2] };
    }

    /// Draws no more packets in this act; events and explanations still.
    pub fn pause_drawing(&mut self) {
        self.watched = None;
        self.draws_all = false;
    }

    /// Forgets what was drawn in this act: the picture begins here, in the states that both are in.
    pub fn restart_picture(&mut self) {
        self.act.before = std::mem::take(&mut self.act.items);
        self.flying.iter_mut().for_each(|flying| flying.item = None);
        self.act.hosts.states = End::BOTH.map(|end| Some(self.state(end)));
    }

    /// An act that was played elsewhere.
    pub fn push_act(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// What a capture at the left host of an act that was played elsewhere saw.
    pub fn push_packet(&mut self, at: Duration, packet: Vec<u8>) {
        self.packets.push((at, packet));
    }

    /// Packets of this act that did not arrive.
    #[must_use]
    pub fn losses(&self) -> usize {
        let lost = |item: &&Item| matches!(item, Item::Step(Step { passage: Passage::Lost(_), .. }));
        self.act.items.iter().filter(lost).count()
    }

    /// Packets of this act.
    #[must_use]
    pub fn packets_drawn(&self) -> usize {
        self.act.items.iter().filter(|item| matches!(item, Item::Step(_))).count()
    }

    /// Ends an act and begins the next.
    pub fn act(&mut self, en: impl Into<String>, zh: impl Into<String>) {
        let title = self.lang.pick(en.into(), zh.into());
        let hosts = Hosts { time_wait: self.act.hosts.time_wait, ..no_hosts() };
        let next = Act { title, hosts, before: Vec::new(), items: Vec::new() };
        let done = std::mem::replace(&mut self.act, next);
        if !done.items.is_empty() {
            self.acts.push(done);
        }
        self.flying.iter_mut().for_each(|flying| flying.item = None);
        self.watched = None;
        self.draws_all = false;
        self.roles = ROLES;
        self.told = End::BOTH.map(|end| self.state(end));
    }

    /// An explanation, here.
    pub fn note(&mut self, en: impl Into<String>, zh: impl Into<String>) {
        let text = self.lang.pick(en.into(), zh.into());
        self.act.items.push(Item::Note { at: self.elapsed(), text });
    }

    /// An explanation of the next segment of `from` that `which` means; explanations wait for each other, in the order in which they
    /// were given.
    pub fn cue(&mut self, from: End, which: Which, en: impl Into<String>, zh: impl Into<String>) {
        let text = self.lang.pick(en.into(), zh.into());
        self.cues.push_back(Cue { from, which, text });
    }

    /// Something that happens at an end; its state is told if it has changed.
    pub fn event(&mut self, end: End, what: impl Into<String>) {
        let state = self.state(end);
        let state = (self.told[end.index()] != state && self.watched.is_some()).then_some(state);
        if let Some(state) = state {
            self.told[end.index()] = state;
        }
        let event = Event { at: self.elapsed(), side: side(end), what: what.into(), state, note: None };
        self.act.items.push(Item::Event(event));
    }

    /// Something was checked.
    pub fn check(&mut self, held: bool, en: impl Into<String>, zh: impl Into<String>) {
        self.checks.push(Check { what: self.lang.pick(en.into(), zh.into()), held });
    }

    /// A timer changed the state of the watched conversation.
    pub(super) fn tell_timer(&mut self, end: End) {
        let state = self.state(end);
        if self.watched.is_none() || state == self.told[end.index()] {
            return;
        }
        let what = match (self.told[end.index()], state) {
            (State::TimeWait, _) if !self.configs[end.index()].tcp.connection.test.time_wait => {
                self.lang.pick("forgets the connection: against the rule", "忘掉连接：违反规则")
            }
            (State::TimeWait, _) => self.lang.pick("2*MSL is over", "2*MSL 到期"),
            _ => self.lang.pick("a timer: it gives up", "计时器到期：放弃"),
        };
        self.event(end, what);
    }

    /// A capture at the left host sees what it sends, and what arrives there.
    pub(super) fn record_packet(&mut self, from: End, frame: &[u8], sent: bool) {
        if sent == (from == A) {
            self.packets.push((self.elapsed(), frame.to_vec()));
        }
    }

    /// Draws a frame, if it is of the watched conversation; its place among the items.
    pub(super) fn draw(
        &mut self,
        from: End,
        frame: &[u8],
        lost: Option<String>,
        forged: Option<Mark>,
    ) -> Option<usize> {
        let packet = frame::read(frame);
        let watched = self.watched.filter(|_| !self.draws_all);
        let ours = match (&packet, watched) {
            (_, None) => self.draws_all,
            (Some(packet), Some([left, right])) => {
                let ends = if from == A { [left, right] } else { [right, left] };
                [packet.src, packet.dst] == ends
            }
            // What is about the conversation, and not of it: ICMP.
            (None, Some(_)) => true,
        };
        if !ours {
            return None;
        }
        let seg = Seg::read(frame);
        let packet = match (&packet, seg) {
            (_, Some(seg)) => Packet::Segment { header: seg.header, len: seg.len },
            (Some(_), None) => {
                let len = frame.len().saturating_sub(28) as u32;
                Packet::Datagram { len, says: frame::datagram_text(frame) }
            }
            (None, None) => {
                let line = wire::pretty::line(Medium::Ip, frame).to_string();
                let about = line.split_once("icmp ").map_or(line.as_str(), |(_, what)| what);
                let about = about.split_once(" for ").map_or(about, |(what, _)| what);
                let from = if forged == Some(Mark::FromRouter) {
                    self.lang.pick("from a router: ", "来自途中路由器：")
                } else {
                    ""
                };
                Packet::Other(format!("{from}ICMP {about}"))
            }
        };
        let state = self.state(from);
        let sender = (watched.is_some() && forged.is_none()).then_some(state);
        if sender.is_some() {
            self.told[from.index()] = state;
        }
        let note = seg.filter(|_| forged.is_none()).and_then(|seg| self.take_cue(from, &seg));
        let passage = lost.map_or(Passage::SeenOnce, Passage::Lost);
        self.act.items.push(Item::Step(Step {
            from: side(from),
            at: self.elapsed(),
            passage,
            packet,
            sender,
            receiver: None,
            forged,
            note,
        }));
        Some(self.act.items.len() - 1)
    }

    pub(super) fn take_cue(&mut self, from: End, seg: &Seg) -> Option<String> {
        let cue = self.cues.front()?;
        if cue.from != from || !(cue.which)(seg) {
            return None;
        }
        self.cues.pop_front().map(|cue| cue.text)
    }

    /// The end of the play.
    pub(crate) fn curtain(mut self) -> Play {
        let last = std::mem::replace(
            &mut self.act,
            Act { title: String::new(), hosts: no_hosts(), before: Vec::new(), items: Vec::new() },
        );
        if !last.items.is_empty() {
            self.acts.push(last);
        }
        // Frames that arrive at one moment are written in the order in which they passed.
        self.packets.sort_by_key(|(time, _)| *time);
        Play {
            lang: self.lang,
            acts: self.acts,
            checks: self.checks,
            packets: self.packets,
            unsaid: self.cues.into_iter().map(|cue| cue.text).collect(),
        }
    }

    pub(super) fn loss_words(&self, why: sim::link::Loss) -> String {
        use sim::link::Loss;
        let (en, zh) = match why {
            Loss::Chance | Loss::Gate => ("lost", "丢失"),
            Loss::Queue => ("lost: a queue on the way was full", "丢失：途中队列已满"),
            Loss::Cut => ("lost: nothing passes this way", "丢失：此方向不通"),
        };
        self.lang.pick(en, zh).to_owned()
    }
}

pub(super) fn no_hosts() -> Hosts {
    Hosts { names: [String::new(), String::new()], states: [None; 2], time_wait: None }
}
