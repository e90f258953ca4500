use super::{CREEP, Sleep, World};
use crate::testing::*;
use std::time::Duration;
use wire::tcp::Flags;

fn world() -> World {
    World::new(flags())
}

/// Waits until a call of the other thread sleeps.
fn until_asleep(world: &World) {
    let awake = |inside: &mut super::Inside| inside.sleeper.is_none_or(|it| it.sleep != Sleep::Asleep);
    drop(world.looked.wait_while(world.lock(), awake).expect("nobody panics"));
}

#[test]
fn reading_the_clock_moves_it_a_little_and_usleep_by_what_it_says() {
    let world = world();
    let begin = world.time();
    assert_eq!(world.time(), begin + CREEP);
    world.pass(Duration::from_millis(250));
    assert_eq!(world.time(), begin + 2 * CREEP + Duration::from_millis(250));
}

/// A packet is asked for when its time has long come: it bears the time at which it left.
#[test]
fn a_wait_for_a_packet_moves_time_to_the_timer_that_sends_it() {
    let world = world();
    let connected = world.call(|host| {
        let fd = host.socket(libc::AF_INET, libc::SOCK_STREAM)?;
        host.connect(fd, at(REMOTE, PORT))
    });
    assert_eq!(connected, Err(libc::EINPROGRESS));
    let (first, syn) = world.emitted().expect("a SYN");
    let (second, again) = world.emitted().expect("the same again, after the RTO");
    assert_eq!(read(&syn).0, Flags::SYN);
    assert_eq!(read(&syn).1, read(&again).1);
    assert_eq!(second - first, Duration::from_secs(1), "RFC 6298 2.1");
    assert_eq!(world.time(), second + CREEP);
    world.pass(Duration::from_secs(3));
    assert_eq!(
        world.emitted().map(|(at, _)| at - second),
        Some(Duration::from_secs(2)),
        "stamped when it left"
    );
}

/// Otherwise a script that waits for it would hang.
#[test]
fn a_packet_that_cannot_come_is_not_waited_for() {
    let world = world();
    assert_eq!(world.emitted(), None);
    world.call(listener).expect("the port is free");
    assert_eq!(world.emitted(), None, "a listener has no timer");
}

/// The main thread never sleeps, since nobody else would move time: a call of its that waits moves it.
#[test]
fn a_call_that_waits_on_the_main_thread_moves_time_to_its_end() {
    let world = world();
    let begin = world.time();
    let span = Duration::from_millis(50);
    assert_eq!(world.wait::<()>(true, Some(span), |_| Err(libc::EAGAIN)), Err(libc::EAGAIN));
    assert_eq!(world.time(), begin + span + CREEP);
    assert_eq!(world.wait::<()>(false, Some(span), |_| Err(libc::EAGAIN)), Err(libc::EAGAIN), "O_NONBLOCK");
    assert_eq!(world.time(), begin + span + 2 * CREEP);
}

/// packetdrill judges a blocking call by the clock that its thread reads afterwards: time stands until it has.
#[test]
fn a_sleeper_that_is_woken_reads_the_clock_before_time_moves_on() {
    let world = world();
    let fd = world.call(listener).expect("the port is free");
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let accepted = world.wait(true, None, |host| host.accept(fd));
            (accepted.map(|(_, peer)| peer), world.time())
        });
        until_asleep(&world);
        world.pass(Duration::from_millis(10));
        world.call(shake_hands);
        let opened = world.lock().host.now;
        world.pass(Duration::from_secs(5));
        let (accepted, read) = sleeper.join().expect("no panic");
        assert_eq!((accepted, read), (Ok(at(REMOTE, PEER_PORT)), opened));
        assert_eq!(world.time(), opened + Duration::from_secs(5) + CREEP);
    });
}

/// What happens meanwhile may not be what it waits for: it looks, and sleeps on.
#[test]
fn a_sleeper_gives_up_at_its_time_whatever_happens_before() {
    let world = world();
    let fd = world.call(listener).expect("the port is free");
    let begin = world.lock().host.now;
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let span = Duration::from_millis(100);
            let outcome = world.wait(true, Some(span), |host| host.accept(fd).map(drop));
            (outcome, world.time())
        });
        until_asleep(&world);
        world.pass(Duration::from_millis(40));
        // A SYN alone opens nothing; its answer is sent again in a second, long after.
        world.call(|host| host.inject(&segment(PEER_PORT, PORT, Flags::SYN, PEER_ISS, 0, b"")));
        world.pass(Duration::from_millis(200));
        let given_up = (Err(libc::EAGAIN), begin + Duration::from_millis(100));
        assert_eq!(sleeper.join().expect("no panic"), given_up);
    });
}
