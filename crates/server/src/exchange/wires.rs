//! Wires: the mailboxes between loops, store, commands and HTTP, laid before anything runs.
//! Invariants: each pair of writer and reader has a box of its own; who does not wait for room has a deaf bell.
//! Not here: what is written (`letter`).

use std::sync::Arc;

use crate::admin::serve::Control;
use crate::config::Engine;
use crate::event_loop::{Posts, Traffic};
use crate::letter::{Letter, StoreLetter};
use crate::mailbox::{Bell, Inbound, Outbound, mailbox};
use crate::store_thread::Parker;

/// Letters that may wait for a loop from the store, from commands and from HTTP each.
const SIDE_MAILBOX_MAX: usize = 65_536;

/// Every end of every mailbox.
pub(super) struct Wires {
    /// What each loop reads.
    pub(super) loop_mail: Vec<Vec<Inbound<Letter>>>,
    /// What each loop writes with.
    pub(super) posts: Vec<Posts>,
    /// What the store reads.
    pub(super) store_mail: Vec<Inbound<StoreLetter>>,
    /// What the store writes with, by loop.
    pub(super) from_store: Vec<Outbound<Letter>>,
    /// What the key derivation writes with, likewise.
    pub(super) from_keys: Vec<Outbound<Letter>>,
    /// What commands write with.
    pub(super) control: Control,
    /// What each loop has written and done.
    pub(super) traffic: Vec<Arc<Traffic>>,
}

impl Wires {
    /// Lays them between loops that hear `loop_bells` and a store that hears `store_bell`.
    pub(super) fn lay(engine: &Engine, loop_bells: &[Arc<dyn Bell>], store_bell: &Arc<dyn Bell>) -> Self {
        let loops = loop_bells.len();
        let mut loop_mail: Vec<Vec<Inbound<Letter>>> = (0..loops).map(|_| Vec::new()).collect();
        let mut store_mail = Vec::new();
        let mut posts = Vec::new();
        for from in 0..loops {
            let mut to_loops = Vec::new();
            for to in 0..loops {
                if from == to {
                    to_loops.push(None);
                    continue;
                }
                let bells = (Arc::clone(&loop_bells[to]), Arc::clone(&loop_bells[from]));
                let (outbound, inbound) = mailbox(engine.mailbox_max, bells.0, bells.1);
                to_loops.push(Some(outbound));
                loop_mail[to].push(inbound);
            }
            let (to_store, from_loop) =
                mailbox(engine.store_queue_max, Arc::clone(store_bell), Arc::clone(&loop_bells[from]));
            store_mail.push(from_loop);
            posts.push(Posts::new(from as u8, to_loops, to_store, engine.mailbox_max));
        }
        // Commands, HTTP and key derivation do not wait for room: they ask again, or are refused.
        let deaf: Arc<dyn Bell> = Arc::new(Parker::default());
        let mut side = |sender: &Arc<dyn Bell>| -> Vec<Outbound<Letter>> {
            (0..loops)
                .map(|to| {
                    let (outbound, inbound) =
                        mailbox(SIDE_MAILBOX_MAX, Arc::clone(&loop_bells[to]), Arc::clone(sender));
                    loop_mail[to].push(inbound);
                    outbound
                })
                .collect()
        };
        let (from_store, from_keys, from_control) = (side(store_bell), side(&deaf), side(&deaf));
        let (control_to_store, inbound) = mailbox(SIDE_MAILBOX_MAX, Arc::clone(store_bell), deaf);
        store_mail.push(inbound);
        let control = Control::new(from_control, control_to_store);
        let traffic = posts.iter().map(Posts::traffic).collect();
        Self { loop_mail, posts, store_mail, from_store, from_keys, control, traffic }
    }
}
