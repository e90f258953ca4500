//! The exchange: event loops, networks, carriers, HTTP, admin socket, configuration.
