//! Sessions that may be resumed.
//!
//! Spec: XEP-0198 section 5.
//! Owns: the values.
//! Not here: who may resume what (the router), the arithmetic of the counts (`session`).

/// XEP-0198's counts of one session, modulo 2^32.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stanzas that came from the client.
    pub received: u32,
    /// Every stanza up to this one has been processed.
    pub processed: u32,
    /// Those behind `processed` that have been processed too.
    pub ahead: Vec<u32>,
    /// Every stanza up to this one is on record.
    pub recorded: u32,
    /// The inbound count at which XEP-0198 was turned on.
    pub base: u32,
    /// The client's `h` so far.
    pub confirmed: u32,
}
