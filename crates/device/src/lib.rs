//! Devices that carry frames: memory, fault, pcap, tun and tap.
