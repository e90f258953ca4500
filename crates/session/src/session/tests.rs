//! Conversations, as scripts.
