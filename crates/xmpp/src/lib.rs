//! XMPP grammar: streams, stanzas, addresses, namespaces, errors.
