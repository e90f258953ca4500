use super::*;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_line_of_the_kernels_table_is_read() {
    let line = "   0: 0100007F:1466 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 0";
    let entry = Entry::read(line).unwrap();
    // 0100007F is 127.0.0.1 where the machine is little-endian.
    if cfg!(target_endian = "little") {
        assert_eq!(entry.local, "127.0.0.1:5222".parse().unwrap());
    }
    assert_eq!((entry.listens, entry.waits, entry.inode), (true, false, 4711));
    assert_eq!(Entry::read("  sl  local_address rem_address   st"), None);
}

#[test]
fn what_is_in_the_way_of_what() {
    let entry = |local: &str| Entry { local: local.parse().unwrap(), listens: true, waits: false, inode: 1 };
    for (held, wanted, in_the_way) in [
        ("127.0.0.1:1", "127.0.0.1:1", true),
        ("127.0.0.1:1", "127.0.0.1:2", false),
        ("127.0.0.2:1", "127.0.0.1:1", false),
        ("0.0.0.0:1", "127.0.0.1:1", true),
        ("[::]:1", "127.0.0.1:1", true),
        ("127.0.0.1:1", "0.0.0.0:1", true),
        ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true),
    ] {
        assert_eq!(entry(held).is_in_the_way_of(wanted.parse().unwrap()), in_the_way, "{held} {wanted}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn our_own_ports_are_ours() {
    let tcp_listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp_socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let me = std::process::id();
    for holder in [tcp(tcp_listener.local_addr().unwrap()), udp(udp_socket.local_addr().unwrap())] {
        assert!(matches!(holder, Some(Holder::Process { pid, .. }) if pid == me), "{holder:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn time_wait_is_called_by_its_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (second, _) = listener.accept().unwrap();
    let own = first.local_addr().unwrap();
    // Whoever closes first pays 2MSL.
    drop(first);
    std::io::Read::read(&mut &second, &mut [0]).unwrap();
    drop(second);
    assert_eq!(tcp(own), Some(Holder::TimeWait));
}

#[test]
#[cfg(target_os = "linux")]
fn for_who_would_listen_only_a_listener_is_in_the_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ours = Some(std::process::id());
    let pid = |holder| match holder {
        Some(Holder::Process { pid, .. }) => Some(pid),
        _ => None,
    };
    assert_eq!(pid(super::listener(address)), ours);
    // What it accepted stays at its port when it is gone.
    let near = std::net::TcpStream::connect(address).unwrap();
    let far = listener.accept().unwrap();
    drop(listener);
    assert_eq!((pid(super::listener(address)), pid(tcp(address))), (None, ours));
    drop((near, far));
}

/// The kernel hands its tables out in pieces; what is closed between two of them moves the rest up, past who reads.
#[test]
#[cfg(target_os = "linux")]
fn a_holder_is_found_while_others_come_and_go() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let crowd: Vec<_> = (0..200).filter_map(|_| UdpSocket::bind("127.0.0.1:0").ok()).collect();
                drop(crowd);
            }
        });
        let found = (0..150).filter(|_| udp(address).is_some()).count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(found, 150);
    });
}
