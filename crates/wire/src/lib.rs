//! Packet headers to values and back: Ethernet, ARP, IPv4, IPv6, ICMP, UDP, TCP, checksums.
