//! The world in a box: virtual clock, seeded links, hosts, oracles.
