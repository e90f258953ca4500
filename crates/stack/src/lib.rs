//! A TCP/UDP/IP host, sans-IO: IP, neighbours, ICMP, routing, demux, sockets, listeners, TIME_WAIT.
