//! Appendix A of RFC 6121, written out: nine states, four stanzas, two directions, 72 rows.

use super::{Standing, Verb};

const NONE: Standing = Standing { to: false, from: false, ask: false, pending_in: false, approved: false };
const NONE_OUT: Standing = Standing { ask: true, ..NONE };
const NONE_IN: Standing = Standing { pending_in: true, ..NONE };
const NONE_OUT_IN: Standing = Standing { ask: true, pending_in: true, ..NONE };
const TO: Standing = Standing { to: true, ..NONE };
const TO_IN: Standing = Standing { to: true, pending_in: true, ..NONE };
const FROM: Standing = Standing { from: true, ..NONE };
const FROM_OUT: Standing = Standing { from: true, ask: true, ..NONE };
const BOTH: Standing = Standing { to: true, from: true, ..NONE };

use Verb::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};

/// A.2: state, stanza, routed?, next state. Pre-approval (3.4.2) marks the states in which A.2.3 routes nothing.
#[rustfmt::skip]
const OUTBOUND: [(Standing, Verb, bool, Standing); 36] = [
    // A.2.1
    (NONE,        Subscribe, true, NONE_OUT),
    (NONE_OUT,    Subscribe, true, NONE_OUT),
    (NONE_IN,     Subscribe, true, NONE_OUT_IN),
    (NONE_OUT_IN, Subscribe, true, NONE_OUT_IN),
    (TO,          Subscribe, true, TO),
    (TO_IN,       Subscribe, true, TO_IN),
    (FROM,        Subscribe, true, FROM_OUT),
    (FROM_OUT,    Subscribe, true, FROM_OUT),
    (BOTH,        Subscribe, true, BOTH),
    // A.2.2
    (NONE,        Unsubscribe, true, NONE),
    (NONE_OUT,    Unsubscribe, true, NONE),
    (NONE_IN,     Unsubscribe, true, NONE_IN),
    (NONE_OUT_IN, Unsubscribe, true, NONE_IN),
    (TO,          Unsubscribe, true, NONE),
    (TO_IN,       Unsubscribe, true, NONE_IN),
    (FROM,        Unsubscribe, true, FROM),
    (FROM_OUT,    Unsubscribe, true, FROM),
    (BOTH,        Unsubscribe, true, FROM),
    // A.2.3
    (NONE,        Subscribed, false, Standing { approved: true, ..NONE }),
    (NONE_OUT,    Subscribed, false, Standing { approved: true, ..NONE_OUT }),
    (NONE_IN,     Subscribed, true,  FROM),
    (NONE_OUT_IN, Subscribed, true,  FROM_OUT),
    (TO,          Subscribed, false, Standing { approved: true, ..TO }),
    (TO_IN,       Subscribed, true,  BOTH),
    (FROM,        Subscribed, false, FROM),
    (FROM_OUT,    Subscribed, false, FROM_OUT),
    (BOTH,        Subscribed, false, BOTH),
    // A.2.4
    (NONE,        Unsubscribed, false, NONE),
    (NONE_OUT,    Unsubscribed, false, NONE_OUT),
    (NONE_IN,     Unsubscribed, true,  NONE),
    (NONE_OUT_IN, Unsubscribed, true,  NONE_OUT),
    (TO,          Unsubscribed, false, TO),
    (TO_IN,       Unsubscribed, true,  TO),
    (FROM,        Unsubscribed, true,  NONE),
    (FROM_OUT,    Unsubscribed, true,  NONE_OUT),
    (BOTH,        Unsubscribed, true,  TO),
];

/// A.3: state, stanza, delivered?, next state.
#[rustfmt::skip]
const INBOUND: [(Standing, Verb, bool, Standing); 36] = [
    // A.3.1
    (NONE,        Subscribe, true,  NONE_IN),
    (NONE_OUT,    Subscribe, true,  NONE_OUT_IN),
    (NONE_IN,     Subscribe, false, NONE_IN),
    (NONE_OUT_IN, Subscribe, false, NONE_OUT_IN),
    (TO,          Subscribe, true,  TO_IN),
    (TO_IN,       Subscribe, false, TO_IN),
    (FROM,        Subscribe, false, FROM),
    (FROM_OUT,    Subscribe, false, FROM_OUT),
    (BOTH,        Subscribe, false, BOTH),
    // A.3.2
    (NONE,        Unsubscribe, false, NONE),
    (NONE_OUT,    Unsubscribe, false, NONE_OUT),
    (NONE_IN,     Unsubscribe, true,  NONE),
    (NONE_OUT_IN, Unsubscribe, true,  NONE_OUT),
    (TO,          Unsubscribe, false, TO),
    (TO_IN,       Unsubscribe, true,  TO),
    (FROM,        Unsubscribe, true,  NONE),
    (FROM_OUT,    Unsubscribe, true,  NONE_OUT),
    (BOTH,        Unsubscribe, true,  TO),
    // A.3.3
    (NONE,        Subscribed, false, NONE),
    (NONE_OUT,    Subscribed, true,  TO),
    (NONE_IN,     Subscribed, false, NONE_IN),
    (NONE_OUT_IN, Subscribed, true,  TO_IN),
    (TO,          Subscribed, false, TO),
    (TO_IN,       Subscribed, false, TO_IN),
    (FROM,        Subscribed, false, FROM),
    (FROM_OUT,    Subscribed, true,  BOTH),
    (BOTH,        Subscribed, false, BOTH),
    // A.3.4
    (NONE,        Unsubscribed, false, NONE),
    (NONE_OUT,    Unsubscribed, true,  NONE),
    (NONE_IN,     Unsubscribed, false, NONE_IN),
    (NONE_OUT_IN, Unsubscribed, true,  NONE_IN),
    (TO,          Unsubscribed, true,  NONE),
    (TO_IN,       Unsubscribed, true,  NONE_IN),
    (FROM,        Unsubscribed, false, FROM),
    (FROM_OUT,    Unsubscribed, true,  FROM),
    (BOTH,        Unsubscribed, true,  FROM),
];

#[test]
fn outbound_stanzas_follow_appendix_a_2() {
    for (before, verb, route, after) in OUTBOUND {
        let out = before.outbound(verb);
        assert_eq!((out.route, out.standing), (route, after), "{before:?} sends {verb:?}");
    }
}

#[test]
fn inbound_stanzas_follow_appendix_a_3() {
    for (before, verb, deliver, after) in INBOUND {
        let inbound = before.inbound(verb);
        assert_eq!((inbound.deliver, inbound.standing), (deliver, after), "{before:?} receives {verb:?}");
        let sees_already = verb == Subscribe && before.from;
        assert_eq!(inbound.approve, sees_already, "{before:?} receives {verb:?}");
    }
}

#[test]
fn a_pre_approval_answers_the_next_request_and_is_used_up() {
    for before in [NONE, NONE_OUT, TO] {
        let approved = before.outbound(Subscribed).standing;
        assert!(approved.approved && !approved.from);
        let asked = approved.inbound(Subscribe);
        assert!(asked.approve && !asked.deliver);
        assert_eq!(asked.standing, Standing { from: true, ..before });
    }
}

#[test]
fn a_pre_approval_can_be_taken_back_and_the_contact_never_knows() {
    let back = Standing { approved: true, ..TO }.outbound(Unsubscribed);
    assert!(!back.route);
    assert_eq!(back.standing, TO);
}

/// Whatever two people send each other, once everything has arrived each side's view is the other's mirror image.
#[test]
fn two_sides_stay_mirror_images() {
    let verbs = [Subscribe, Unsubscribe, Subscribed, Unsubscribed];
    let mut seen = std::collections::HashSet::from([(NONE, NONE)]);
    let mut todo = vec![(NONE, NONE)];
    while let Some((user, contact)) = todo.pop() {
        for verb in verbs {
            for user_sends in [true, false] {
                let (mut sender, mut receiver) = if user_sends { (user, contact) } else { (contact, user) };
                let out = sender.outbound(verb);
                sender = out.standing;
                if out.route {
                    let inbound = receiver.inbound(verb);
                    receiver = inbound.standing;
                    if inbound.approve {
                        sender = sender.inbound(Subscribed).standing;
                    }
                }
                assert_eq!(sender.to, receiver.from, "{verb:?} between {user:?} and {contact:?}");
                assert_eq!(sender.from, receiver.to, "{verb:?} between {user:?} and {contact:?}");
                assert_eq!(sender.ask, receiver.pending_in, "{verb:?} between {user:?} and {contact:?}");
                assert_eq!(sender.pending_in, receiver.ask, "{verb:?} between {user:?} and {contact:?}");
                let next = if user_sends { (sender, receiver) } else { (receiver, sender) };
                if seen.insert(next) {
                    todo.push(next);
                }
            }
        }
    }
    // Each direction is by itself: nothing, asked, approved beforehand, or subscribed.
    assert_eq!(seen.len(), 4 * 4);
}
