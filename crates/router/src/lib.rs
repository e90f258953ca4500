//! Who receives what, sans-IO: routing, presence, roster, features.
