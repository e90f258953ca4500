//! Neighbours: who on a link has which address, and whether they still answer.
//! Spec: RFC 826 (ARP), RFC 4861 section 7 (solicitation, advertisement, unreachability), RFC 1122 2.3.2. One table and one
//! machine serve both families, as in Linux; RFC 4861 7.3 is the better specified one.
//! Not here: our own addresses (`interface`), duplicate detection (`dad`), routers (`router`), groups (`group`).
//!
//! Rooms: `table` (the machine), `arp` and `ndisc` (the messages), `dad` (is an address ours alone?), `router` (what
//! advertisements bring: prefixes, default routers, parameters).

pub(crate) mod arp;
pub(crate) mod dad;
pub(crate) mod ndisc;
pub(crate) mod router;
pub(crate) mod table;

pub use table::NeighborState;
