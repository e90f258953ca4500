//! A false alarm: was what went out again lost at all, or only late?
//! Spec: RFC 3522 (Eifel, by timestamps), RFC 3708 (by D-SACK), RFC 5682 3.1 (F-RTO, where no timestamps tell).
//! Owns: what each of them remembers from the retransmission to the ACK that decides.
//! Invariants: each question is answered once; a question that no ACK answers any more is dropped.
//! Not here: what is given back (`recovery`, `congestion`).

use crate::ack::AckInput;
use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;

/// What tells whether a recovery was called for, by what went out again in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Where it began: SND.UNA.
    from: SeqNum,
    /// What went out again first, and when (RFC 3522 3.2: RetransmitTS).
    first_again: Option<(SeqNum, Instant)>,
    /// Octets that went out again and that no D-SACK has reported as surplus (RFC 3708).
    unexcused: u32,
    /// SND.NXT when that recovery ended: once it is acknowledged no D-SACK speaks of it any more.
    until: Option<SeqNum>,
}

impl Trial {
    pub(crate) const fn from(una: SeqNum) -> Self {
        Trial { from: una, first_again: None, unexcused: 0, until: None }
    }

    /// `range` goes out again.
    pub(crate) fn on_sent_again(&mut self, range: SeqRange, now: Instant) {
        self.first_again.get_or_insert((range.start, now));
        self.unexcused = self.unexcused.saturating_add(range.len());
    }

    /// Whether this ACK shows that what seemed lost was late. RFC 3522: the first ACK of what went out again echoes a timestamp from
    /// before that, while something still seems lost (`open`: nothing does). RFC 3708: all that went out again was surplus.
    pub(crate) fn excuses(&mut self, input: &AckInput<'_>, dsack: Option<SeqRange>, open: bool) -> bool {
        let Some((first, at)) = self.first_again else { return false };
        let answered = input.una_before.at_or_before(first) && input.una.after(first);
        if answered && !open && input.echo.is_some_and(|echo| echo.is_before(at)) {
            return true;
        }
        if let Some(surplus) = dsack.filter(|range| range.start.at_or_after(self.from)) {
            self.unexcused = self.unexcused.saturating_sub(surplus.len());
            return self.unexcused == 0;
        }
        false
    }

    /// The recovery ended with SND.NXT at `nxt`.
    pub(crate) fn close(&mut self, nxt: SeqNum) {
        self.until = Some(nxt);
    }

    /// Whether nothing that comes after `una` can speak of it.
    pub(crate) fn is_over(&self, una: SeqNum) -> bool {
        self.until.is_some_and(|until| una.after(until))
    }
}

/// An ACK as F-RTO hears it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// SND.UNA moved on.
    pub(crate) advanced: bool,
    /// It acknowledges all that was out at the timeout.
    pub(crate) complete: bool,
    pub(crate) duplicate: bool,
    /// It SACKs something of before the timeout that was sent once.
    pub(crate) of_once_sent: bool,
}

/// RFC 5682 3.1, the SACK-enhanced algorithm and the basic one alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Frto {
    /// Not asked, or answered.
    #[default]
    Off,
    /// Step 1: the first segment went out again; the next ACK decides.
    Asked,
    /// Step 2b: new data is to go out in place of old.
    NewData,
    /// Step 3: it has; the next ACK decides.
    Answered,
}

impl Frto {
    /// Whether this ACK, the phase being that after a timeout, shows that what was sent before it and never again still arrives.
    pub(crate) fn excuses(&mut self, heard: &Heard) -> bool {
        match self {
            Frto::Off => {}
            // Step 2: an ACK of everything, or a duplicate, proves nothing: conventional recovery (2a).
            Frto::Asked if heard.advanced && !heard.complete => *self = Frto::NewData,
            // Step 3b: SND.UNA moves on, or something that was sent once is SACKed, though only new data has left since.
            Frto::NewData | Frto::Answered if heard.advanced || heard.of_once_sent => {
                *self = Frto::Off;
                return true;
            }
            _ if heard.advanced || heard.duplicate => *self = Frto::Off,
            _ => {}
        }
        false
    }

    /// New data went out.
    pub(crate) fn on_new_data(&mut self) {
        if *self == Frto::NewData {
            *self = Frto::Answered;
        }
    }

    /// There was none to send, so the question is dropped.
    pub(crate) fn on_no_new_data(&mut self) {
        if *self == Frto::NewData {
            *self = Frto::Off;
        }
    }

    /// Whether new data is to go out in place of old.
    pub(crate) fn wants_new_data(self) -> bool {
        self == Frto::NewData
    }

    /// Whether old data waits for what the next ACK says.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Frto::NewData | Frto::Answered)
    }
}
