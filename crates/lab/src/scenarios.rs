//! The catalogue, one file a family.

mod closing;
mod handshake;
mod links;
pub mod ports;
mod relay;
mod sending;
mod time_wait;

use crate::Scenario;

/// Every family, in the order of the list.
const FAMILIES: [&[Scenario]; 7] =
    [links::ALL, relay::ALL, ports::ALL, handshake::ALL, closing::ALL, time_wait::ALL, sending::ALL];

/// Every scenario, in the order of the list.
pub fn catalogue() -> impl Iterator<Item = &'static Scenario> {
    FAMILIES.into_iter().flatten()
}

/// The scenario of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    catalogue().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests;
