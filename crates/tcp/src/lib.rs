//! One TCP connection to RFC 9293, sans-IO: no clock, no address, no device.
