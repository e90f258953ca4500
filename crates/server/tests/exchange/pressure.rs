//! Pressure: full queues between threads, descriptors that run out, many connections over many loops.

use std::time::Duration;

use crate::client::{Client, Quic, STREAM, tcp};
use crate::house::{House, PASSWORD};

#[test]
fn a_full_queue_between_loops_loses_and_reorders_nothing() {
    const MESSAGES: usize = 2000;
    let house = House::new(|config| config.engine.mailbox_max = 1);
    // Consecutive numbers have different homes, so each message crosses from one loop to the other.
    let (first, second) = (house.account(), house.account());
    let (mut a, mut b) = (Client::tcp(house.tcp()), Client::tls(house.tls()));
    a.go_online(first, PASSWORD, "a");
    b.go_online(second, PASSWORD, "b");
    // Answered behind the store's word that nothing waits for it. What came before that would go through the store, in windows that a
    // client has to confirm.
    b.send("<iq xmlns='jabber:client' type='get' id='kept'><query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query></iq>");
    b.expect("id='kept'");
    b.expect("</iq>");
    let sender = std::thread::spawn(move || {
        for n in 0..MESSAGES {
            a.message(second, &format!("number {n}"));
        }
        a
    });
    for n in 0..MESSAGES {
        b.expect_message(first, &format!("number {n}"));
    }
    sender.join().unwrap().log_out();
}

#[test]
fn a_full_queue_to_the_store_loses_and_reorders_nothing() {
    // Below what is given to a client before it has confirmed some of it.
    const EACH: usize = 150;
    let house = House::new(|config| config.engine.store_queue_max = 1);
    let first = house.account();
    let others: Vec<u64> = (0..10).map(|_| house.account()).collect();
    let mut a = Client::tcp(house.tcp());
    a.go_online(first, PASSWORD, "a");
    for n in 0..EACH {
        for other in &others {
            a.message(*other, &format!("number {n}"));
        }
    }
    a.ping();
    for other in others {
        let mut b = Client::tcp(house.tcp());
        b.go_online(other, PASSWORD, "b");
        for n in 0..EACH {
            b.expect_message(first, &format!("number {n}"));
        }
    }
}

#[test]
fn quic_connections_live_on_every_loop() {
    let house = House::new(|config| config.engine.loops = 3);
    let connections: Vec<Quic> = (0..12).map(|_| Quic::connect(house.quic())).collect();
    let mut clients: Vec<(u64, Client)> = connections
        .iter()
        .map(|connection| {
            let number = house.account();
            let mut client = connection.stream();
            client.go_online(number, PASSWORD, "q");
            (number, client)
        })
        .collect();
    // Each writes to the next, around the circle: between all pairs of loops, with twelve by far the likeliest.
    for at in 0..clients.len() {
        let to = (at + 1) % clients.len();
        let (from, number) = (clients[at].0, clients[to].0);
        clients[at].1.message(number, "around");
        clients[to].1.expect_message(from, "around");
    }
    assert_eq!(house.who().len(), 12);
}

#[test]
fn a_flood_of_pings_and_requests_without_reading_is_bounded() {
    let house = House::usual();
    let number = house.account();
    let stream = tcp(house.tcp());
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut client = Client::over(stream);
    client.go_online(number, PASSWORD, "flood");
    client.send("<enable xmlns='urn:xmpp:sm:3'/>");
    let block = "<r xmlns='urn:xmpp:sm:3'/>".repeat(40_000);
    // It is answered until it does not read, and then not read itself; either way it comes to an end.
    let mut sent = 0;
    while sent < 1000 && client.try_send(block.as_bytes()).is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "a gigabyte of requests was taken");
    let mut other = Client::tcp(house.tcp());
    other.go_online(number, PASSWORD, "calm");
    other.ping();
}

/// Runs the test of this name again in a process of its own, where limits may be lowered.
fn in_a_process_of_its_own(name: &str, body: impl FnOnce()) {
    const MARK: &str = "SWITCHBOARD_TEST_CHILD";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn at_the_descriptor_limit_new_connections_wait_and_old_ones_go_on() {
    in_a_process_of_its_own(
        "pressure::at_the_descriptor_limit_new_connections_wait_and_old_ones_go_on",
        || {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            let house = House::usual();
            let (first, second) = (house.account(), house.account());
            let (mut a, mut b) = (Client::tcp(house.tcp()), Client::tcp(house.tcp()));
            a.go_online(first, PASSWORD, "a");
            b.go_online(second, PASSWORD, "b");
            // The clients' own descriptors are taken first, so that it is the exchange that runs out.
            let mut early: Vec<Client> = (0..20).map(|_| Client::tcp(house.tcp())).collect();
            for client in &mut early {
                client.open();
            }
            let late = tcp(house.tcp());
            let mut late = Client::over(late);
            late.open();
            let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
            let sockets: Vec<socket2::Socket> = (0..20)
                .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap())
                .collect();
            let maximum = getrlimit(Resource::Nofile).maximum;
            setrlimit(Resource::Nofile, Rlimit { current: Some(open + 25), maximum }).unwrap();
            // Twenty connect, and about five are accepted; the others wait in the kernel.
            let mut waiting: Vec<Client> = sockets
                .into_iter()
                .map(|socket| {
                    socket.connect(&house.tcp().into()).unwrap();
                    socket.set_read_timeout(Some(crate::client::WITHIN)).unwrap();
                    let mut client = Client::over(std::net::TcpStream::from(socket));
                    client.send(STREAM);
                    client
                })
                .collect();
            a.message(second, "through the crowd");
            b.expect_message(first, "through the crowd");
            // Places are freed, and everyone gets in.
            drop(early);
            for client in &mut waiting {
                client.expect("</stream:features>");
            }
        },
    );
}
