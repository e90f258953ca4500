//! The command line, as its users have it: the built binary, an exchange of its own on loopback ports that the host
//! chooses, other processes as clients.
//!
//! Invariants: every process ends within [`run::LIMIT`] or the test fails; none outlives its test.

mod accounts;
mod carriers;
mod endings;
mod invites;
mod ladders;
mod operating;
mod refusals;
mod run;
