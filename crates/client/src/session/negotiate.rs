//! From the exchange's features to a resource: what is asked for, step by step, and what becomes of it.
//!
//! Spec: RFC 6120 4.3.2 (features), 7 (binding); XEP-0388, XEP-0386, XEP-0198 3 (enabling) and 5 (resuming).
//! Owns: nothing; the steps of [`Session`] up to `Ready`. Invariants: all that can go along with the log-in does; what could
//! not is asked for step by step, so that an exchange without SASL2 is served as well.
//! Not here: the stage and what follows (`session`), SASL's messages (`log_in`).

use xmpp::ns;
use xmpp::write::open;

use super::log_in::{Frame, LogIn, Offer, Step};
use super::{Event, Kept, Past, Session, Stage, count, unexpected, words};
use crate::element::Element;
use crate::error::End;
use crate::sasl::Channel;

impl Session {
    pub(super) fn on_first_features(&mut self, features: &Element) {
        if !self.facts.encrypted {
            if self.facts.can_start_tls && features.child("starttls", ns::TLS).is_some() {
                self.write(|out| open(out, "starttls").ns(ns::TLS).empty());
                self.stage = Stage::Asking;
                return;
            }
            if !self.facts.local {
                return self.end(End::NotEncrypted);
            }
        }
        let Some(offer) = Offer::read(features) else {
            return self.end(End::NoMechanism("nothing".to_owned()));
        };
        let channel = Channel { encrypted: self.facts.encrypted, exporter: self.facts.exporter };
        // A resource of a certain name cannot be asked for along with a log-in.
        let binds = offer.binds && self.account.resource.is_none();
        let (manages, resumable) = (offer.manages, self.resumable);
        let earlier = self.earlier.as_ref().filter(|_| manages);
        let begun = LogIn::begin(&offer, &self.account, channel, &self.nonce, |out| {
            if let Some(earlier) = earlier {
                words::write_resume(out, &earlier.id, earlier.counts.h());
            }
            if binds {
                words::bind_along(out, manages.then_some(resumable));
            }
        });
        match begun {
            Ok((log_in, first)) => {
                self.output.push_back(first);
                self.stage = Stage::LoggingIn(log_in);
            }
            Err(end) => self.end(end),
        }
    }

    pub(super) fn on_log_in(&mut self, log_in: LogIn, element: &Element) {
        match log_in.handle(element) {
            Step::Say(log_in, answer) => {
                self.output.push_back(answer);
                self.stage = Stage::LoggingIn(log_in);
            }
            Step::Done(Frame::First) => {
                self.stage = Stage::Opening { logged_in: true };
                self.open_anew();
            }
            Step::Done(Frame::Second) => self.on_success(element),
            Step::Failed(end) => {
                if matches!(end, End::LogIn { .. }) {
                    self.write_close();
                }
                self.end(end);
            }
        }
    }

    /// Logged in by SASL2: what else has come along?
    fn on_success(&mut self, success: &Element) {
        if let Some(resumed) = success.child("resumed", ns::SM) {
            return self.on_resumed(resumed);
        }
        if let Some(failed) = success.child("failed", ns::SM) {
            self.on_not_resumed(failed);
        }
        // The features that follow say what can be done about what has not.
        self.stage = Stage::Opening { logged_in: true };
        let Some(bound) = success.child("bound", ns::BIND2) else { return };
        let Some(jid) = success.child("authorization-identifier", ns::SASL2) else {
            return self.end(End::Bind("it names no address".to_owned()));
        };
        self.jid.clone_from(&jid.text);
        if let Some(enabled) = bound.child("enabled", ns::SM) {
            self.earlier = None;
            self.begin_counting();
            self.on_enabled(enabled);
            self.become_ready();
        }
    }

    pub(super) fn on_features(&mut self, features: &Element) {
        self.acknowledges = features.child("sm", ns::SM).is_some();
        if !self.jid.is_empty() {
            return self.enable();
        }
        if features.child("bind", ns::BIND).is_none() {
            return self.end(End::Bind("it does not offer any".to_owned()));
        }
        match &self.earlier {
            Some(earlier) if self.acknowledges => {
                let (id, h) = (earlier.id.clone(), earlier.counts.h());
                self.write(|out| words::write_resume(out, &id, h));
                self.stage = Stage::Resuming;
            }
            _ => self.bind(),
        }
    }

    pub(super) fn bind(&mut self) {
        self.output.push_back(words::bind(self.facts.framed, self.account.resource.as_deref()));
        self.stage = Stage::Binding;
    }

    pub(super) fn on_bound(&mut self, iq: &Element) {
        if !iq.is("iq", ns::CLIENT) || iq.attribute("id") != Some("bind") {
            return self.end(unexpected(iq));
        }
        if let Some(why) = crate::message::read_error(iq) {
            return self.end(End::Bind(why));
        }
        let jid = iq.child("bind", ns::BIND).and_then(|bind| bind.child("jid", ns::BIND));
        let Some(jid) = jid else { return self.end(End::Bind("it names no address".to_owned())) };
        self.jid.clone_from(&jid.text);
        self.enable();
    }

    /// The resource is bound: asks for acknowledgements where there are any.
    fn enable(&mut self) {
        self.earlier = None;
        if !self.acknowledges {
            return self.become_ready();
        }
        let resumable = self.resumable;
        self.write(|out| words::write_enable(out, resumable));
        self.begin_counting();
        self.stage = Stage::Enabling;
    }

    /// XEP-0198 4: what is sent behind `<enable/>` counts.
    fn begin_counting(&mut self) {
        if self.resumable {
            self.counts.keep();
        }
    }

    pub(super) fn on_enabled(&mut self, enabled: &Element) {
        self.acknowledges = true;
        self.counts.on_enabled();
        let resumes = matches!(enabled.attribute("resume"), Some("true" | "1"));
        self.id = enabled.attribute("id").filter(|_| resumes && self.resumable).map(str::to_owned);
        if self.id.is_none() {
            self.counts.keep_no_more();
        }
    }

    pub(super) fn on_resumed(&mut self, resumed: &Element) {
        let Some(Kept { id, jid, counts, .. }) = self.earlier.take() else {
            return self.end(unexpected(resumed));
        };
        (self.jid, self.counts, self.acknowledges, self.past) = (jid, counts, true, Past::Resumed);
        let Some(h) = count(resumed) else {
            return self.end(End::Protocol("a session that is resumed without a count".to_owned()));
        };
        let acknowledged = match self.counts.on_acknowledged(h) {
            Ok(acknowledged) => acknowledged,
            Err(what) => return self.end(End::Protocol(what)),
        };
        self.id = Some(id);
        self.become_ready();
        self.events.extend(acknowledged.map(Event::Acknowledged));
        let before = self.output.len();
        self.output.extend(self.counts.unacknowledged().map(<[u8]>::to_vec));
        if self.output.len() > before {
            self.write_request();
        }
    }

    /// The earlier session is over; the exchange may know how far it came (XEP-0198 5).
    pub(super) fn on_not_resumed(&mut self, failed: &Element) {
        let earlier = self.earlier.take();
        let acknowledged = earlier.zip(count(failed)).and_then(|(mut earlier, h)| {
            // A count that cannot be says nothing.
            let acknowledged = earlier.counts.on_acknowledged(h).ok()?;
            Some(acknowledged.unwrap_or(earlier.counts.acknowledged()))
        });
        self.past = Past::Lost { acknowledged };
    }
}
