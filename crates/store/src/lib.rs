//! What the exchange must not forget: request and reply types, SQLite, memory.
