//! The exchange: event loops, networks, carriers, HTTP, admin socket, configuration.
//!
//! [`Exchange::start`] takes a [`Config`], binds every listener, and runs until it is told to leave. Reading order:
//! `exchange` (what runs), `event_loop` (one turn), `connection` (socket, TLS, WebSocket, session of one client),
//! `network` (who implements TCP and UDP), `carrier` (what brings the byte stream), `mailbox` and `letter` (between
//! threads), `store_thread` (the disk), `http`, `admin`.
//!
//! Here, and only here, carriers meet sessions and sessions meet the router; clocks are read, randomness is drawn,
//! descriptors are owned. No protocol rule lives here.

#![forbid(unsafe_code)]

pub mod admin;
mod carrier;
pub mod certs;
mod chance;
mod clock;
pub mod config;
mod connection;
mod counts;
mod errands;
mod event_loop;
mod exchange;
mod http;
pub mod invite;
mod letter;
mod mailbox;
pub mod network;
mod secret;
mod store_thread;

pub use config::Config;
pub use exchange::steered;
pub use exchange::{Addresses, Exchange, StartError};
pub use secret::remember_iterations;
