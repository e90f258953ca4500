//! Two hosts on a cable, without IP: the rules of the tables, one play each.

mod cable;
mod close;
mod flood;
mod hostile;
mod open;
mod scale;

use cable::{A, B, World};
