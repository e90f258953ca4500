//! An entry point for fuzzers: any document, and what must hold whatever it says.
//! Not here: the fuzzer; `fuzz/` has a target for it.

use std::io::Read;

use store::{Backend, Credentials, Memory};
use xmpp::time::Wallclock;

use crate::{Import, Quotas, export};

/// The time at which it is read.
const NOW: Wallclock = Wallclock::from_millis(1_795_510_800_000);

const QUOTAS: Quotas = Quotas {
    stanza_max: 4_096,
    roster_max: 16,
    blocked_max: 16,
    nodes_max: 8,
    items_max: 8,
    published_bytes_max: 8_192,
    card_bytes_max: 4_096,
    private_max: 8,
    private_bytes_max: 4_096,
};

/// A document is read or refused; one that is read is written to a document that is read again, and says the same then.
///
/// # Panics
/// When that does not hold.
pub fn import(data: &[u8]) {
    let Some(first) = round(data) else { return };
    let Some(second) = round(&first) else {
        panic!("what was written is not read: {}", String::from_utf8_lossy(&first))
    };
    assert!(first == second, "{}\n{}", String::from_utf8_lossy(&first), String::from_utf8_lossy(&second));
}

/// Reads a document into an empty store, and writes what is in it then.
fn round(data: &[u8]) -> Option<Vec<u8>> {
    let mut store = Memory::default();
    let mut ask = |op| store.run_one(NOW, op);
    let import = Import {
        ask: &mut ask,
        domain: None,
        now: NOW,
        quotas: QUOTAS,
        derive: &mut |_| Ok(Credentials::default()),
        include: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
        told: &mut |_| {},
    };
    let document: Box<dyn Read> = Box::new(std::io::Cursor::new(data.to_vec()));
    let report = import.run(&mut std::iter::once((String::new(), document))).ok()?;
    let mut out = Vec::new();
    let domain = report.domain.as_deref().unwrap_or_default();
    let mut ask = |op| store.run_one(NOW, op);
    export(&mut ask, domain, &mut out, &mut |_| {}).ok()?;
    Some(out)
}
