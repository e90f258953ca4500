//! One client's XMPP conversation, sans-IO: negotiation, SASL, bind, stream management.
