//! Relay: two clients and the exchange, whole, inside the simulation; and what a NAT box changes.
//! Spec: DESIGN sections 1 and 5; RFC 6120, RFC 9000 for what is inside the segments.
//! Limits: TLS and QUIC draw randomness of their own, so lengths, and what passes while they begin, are left out; over clear TCP a seed
//! gives the same ladder every time.

use crate::stage::Stage;
use crate::{Act, Scenario, Words};
use ladder::item::{Event, Hosts, Item, Packet, Passage, Side, Step};
use ladder::state::State;
use server::admin::Line;
use sim::link::{Conditions, End, LinkConfig};
use sim::trace::Passed;
use std::net::Ipv4Addr;
use std::time::Duration;
use tcp::Instant;
use world::client::{Experience, Over, Planned};
use world::world::{Config, Happened, Seen, World};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "relay",
        title: Words {
            en: "two clients and the exchange: it notes where each number is, looks 10002 up, and forwards; over TCP, then over UDP (QUIC)",
            zh: "两个客户端和服务器：记下每个号码的地址，查到 10002，转发消息；先走 TCP，再走 UDP（QUIC）",
        },
        script: relay,
    },
    Scenario {
        name: "relay-nat",
        title: Words {
            en: "the same from behind NAT: the exchange reads the source address, which is not what the client believes",
            zh: "客户端在 NAT 后面：服务器读取的源地址，并不是客户端以为的那个",
        },
        script: relay_nat,
    },
];

/// How long a frame is under way.
const DELAY: Duration = Duration::from_millis(10);
/// Everything here is over within this.
const WITHIN: Duration = Duration::from_secs(30);
/// Frames kept a client.
const FRAMES_MAX: usize = 10_000;
const TEXT: &str = "hello, 10002";
/// What acts are numbered by in Chinese.
const ORDINALS_ZH: [&str; 5] = ["一", "二", "三", "四", "五"];

/// A world with 10001 and 10002, both logged in.
fn open(seed: u64, over: Over, nat: Option<Ipv4Addr>) -> World {
    let config = Config { loops: 1, frames_max: FRAMES_MAX, ..Config::default() };
    let mut world = World::new(config, seed);
    let conditions = Conditions { delay: DELAY, ..Conditions::default() };
    let inside = if nat.is_some() { Ipv4Addr::new(192, 168, 0, 7) } else { Ipv4Addr::new(10, 1, 0, 1) };
    for (address, nat) in [(inside, nat), (Ipv4Addr::new(10, 1, 0, 2), None)] {
        let site = world.add_site(address, nat, LinkConfig::default(), conditions);
        let client = world.add_client(site, over, Some("desk"));
        let now = world.now();
        world.with_client(client, |client| client.log_in(now));
    }
    // The first segments leave, and have not arrived: from here on the exchange notes the states of its own ends.
    let settled = world.settle().is_ok();
    debug_assert!(settled);
    for site in 0..2 {
        let _ = seen_by_exchange(&mut world, site); // nothing yet
    }
    world
}

/// What the exchange saw of a site's connection.
fn seen_by_exchange(world: &mut World, site: usize) -> Vec<Seen> {
    let first = world.site(site).trace.frames().next();
    let outside = first.and_then(|passed| crate::frame::Seg::read(&passed.frame)).map(|seg| seg.src);
    outside.map(|outside| world.seen_by_exchange(outside)).unwrap_or_default()
}

fn both_are_ready(world: &World) -> bool {
    world.clients().iter().all(world::client::Client::is_ready)
}

/// A line of `switchboard who`.
fn who_line(line: &Line) -> String {
    let number = line.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let resource = line.resource.as_deref().unwrap_or("-");
    format!("{number}  {resource}  {}  {}  {}  {}", line.carrier, line.network, line.remote, line.state)
}

/// A datagram that is no longer holds nothing but QUIC's own acknowledgement: 28 octets of headers, a short QUIC header, a frame of a
/// few octets and a seal of 16; what carries XMPP is longer than 100.
const ACK_ONLY_MAX: usize = 28 + 50;

/// The frames of a site as items, before `since` and from it on; lengths only where a seed gives them.
fn items(world: &mut World, site: usize, since: Instant, origin: Instant, over: Over) -> [Vec<Item>; 2] {
    let exchange = seen_by_exchange(world, site);
    let site = world.site(site);
    // On these cables nothing gets lost or overtaken: what one end sent is what the other got, in the same order.
    let states = |seen: &[Seen], sent: bool| -> Vec<State> {
        seen.iter().filter(|seen| seen.sent == sent).map(|seen| seen.state.into()).collect()
    };
    let [mut up, mut down] = [
        (states(site.seen(), true).into_iter(), states(&exchange, false).into_iter()),
        (states(&exchange, true).into_iter(), states(site.seen(), false).into_iter()),
    ];
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for passed in site.trace.frames() {
        let mut step = step(passed, origin, over);
        if matches!(step.packet, Packet::Segment { .. }) {
            let ends = if passed.from == End::A { &mut up } else { &mut down };
            (step.sender, step.receiver) = (ends.0.next(), ends.1.next());
        }
        let is_old = passed.at < since;
        // How many datagrams a handshake of QUIC takes is a matter of chance, and nothing follows from them. Nor from when it
        // acknowledges: every second packet at once, and which is the second goes on from the handshake.
        if over != Over::Quic || (!is_old && passed.frame.len() > ACK_ONLY_MAX) {
            if is_old { &mut before } else { &mut after }.push(Item::Step(step));
        }
    }
    [before, after]
}

fn step(passed: &Passed, origin: Instant, over: Over) -> Step {
    let at = passed.at.since(origin);
    let from = if passed.from == End::A { Side::Left } else { Side::Right };
    let packet = match crate::frame::Seg::read(&passed.frame) {
        Some(seg) if over != Over::Quic => Packet::Segment { header: seg.header, len: seg.len },
        _ => Packet::Other("UDP (QUIC)".to_owned()),
    };
    Step { passage: Passage::Arrived(at + DELAY), ..Step::seen(from, at, packet) }
}

/// One conversation's ladder.
struct Picture {
    title: String,
    names: [String; 2],
    /// Where it begins, if it is of TCP.
    states: [Option<State>; 2],
    before: Vec<Item>,
    items: Vec<Item>,
}

/// The states in which a connection is before it is opened, and those of one that is.
const CLOSED: [Option<State>; 2] = [Some(State::Closed), Some(State::Listen)];
const OPEN: [Option<State>; 2] = [Some(State::Established); 2];

impl Picture {
    fn into_act(mut self) -> Act {
        // Notes and events were added behind; what happens at one time stays in the order in which it was told.
        self.items.sort_by_key(Item::at);
        Act {
            title: self.title,
            hosts: Hosts { names: self.names, states: self.states, time_wait: None },
            before: self.before,
            items: self.items,
        }
    }
}

/// What was seen of a message.
struct Relayed {
    who: Vec<Line>,
    /// When it was written.
    written: Instant,
    arrived: bool,
    acknowledged: bool,
}

/// 10001 writes to 10002.
fn say(world: &mut World) -> Relayed {
    let ready = world.run_until(WITHIN, both_are_ready) == Ok(true);
    // What a log-in leaves under way arrives; then it is quiet.
    let rested = world.run_for(Duration::from_secs(2)).is_ok();
    debug_assert!(ready && rested);
    let who = world.who();
    world.take_happened();
    let written = world.now();
    let to = format!("10002@{}", world::world::DOMAIN);
    let planned = Planned { at: written, to, id: "m1".to_owned(), body: TEXT.to_owned() };
    world.with_client(0, |client| client.plan(planned));
    let rested = world.run_for(Duration::from_secs(1)).is_ok();
    let happened = world.take_happened();
    let saw = |client: usize, what: &dyn Fn(&Experience) -> bool| {
        happened.iter().any(|h: &Happened| h.client == client && what(&h.what))
    };
    Relayed {
        who,
        written,
        arrived: rested && saw(1, &|what| matches!(what, Experience::Arrived(m) if m.body == TEXT)),
        acknowledged: saw(0, &|what| matches!(what, Experience::Acknowledged { id } if id == "m1")),
    }
}

/// Writes down what 10001's interface saw. Over QUIC the octets are others every time, so they are left out.
fn capture(stage: &mut Stage, world: &World, origin: Instant) {
    for passed in world.site(0).trace.frames() {
        let at = passed.at.since(origin);
        let at = if passed.from == End::A { at } else { at + DELAY };
        stage.push_packet(at, passed.frame.clone());
    }
}

fn relay(stage: &mut Stage) {
    relay_over(stage, Over::Tcp);
    relay_over(stage, Over::Quic);
}

fn relay_over(stage: &mut Stage, over: Over) {
    let mut world = open(stage.seed(), over, None);
    let origin = world.now();
    let relayed = say(&mut world);
    let lang = stage.lang();
    let note =
        |at: Instant, en: String, zh: String| Item::Note { at: at.since(origin), text: lang.pick(en, zh) };
    let exchange = lang.pick("the exchange", "服务器");
    let name = |line: &Line| format!("{} {}", line.number.unwrap_or_default(), line.remote);
    let (carrier_en, carrier_zh) = match over {
        Over::Quic => ("UDP (QUIC)", "UDP（QUIC）"),
        Over::Tcp | Over::Tls | Over::StartTls => ("TCP", "TCP"),
    };
    let [Some(first), Some(second)] =
        [10_001, 10_002].map(|n| relayed.who.iter().find(|line| line.number == Some(n)))
    else {
        stage.check(false, "both numbers log in", "两个号码都登录");
        return;
    };
    if over == Over::Tcp {
        capture(stage, &world, origin);
        let [mut items, _] = items(&mut world, 0, relayed.written, origin, over);
        items.push(note(
            relayed.written,
            "10001 is logged in. It was never asked for its address: the exchange reads it from the packets."
                .to_owned(),
            "10001 登录完成。没有人问它的地址：服务器从报文里读到。".to_owned(),
        ));
        let title = lang.pick(
            "1. 10001 connects over TCP and logs in; so does 10002.",
            "一、10001 通过 TCP 连接并登录；10002 也一样。",
        );
        let names = [name(first), format!("{exchange} 10.0.0.1:5222")];
        stage.push_act(
            Picture { title: title.to_owned(), names, states: CLOSED, before: Vec::new(), items }.into_act(),
        );
    }
    // The log-in over TCP was the first act.
    let act = if over == Over::Quic { 3 } else { 1 };
    let who: Vec<String> = relayed.who.iter().map(who_line).collect();
    for (site, line) in [(0, first), (1, second)] {
        let [before, mut items] = items(&mut world, site, relayed.written, origin, over);
        if site == 0 {
            let call = format!("10001 -> 10002: \"{TEXT}\"");
            let at = relayed.written.since(origin);
            items.insert(0, Item::Event(Event { at, side: Side::Left, what: call, state: None, note: None }));
            items.insert(
                0,
                note(
                    relayed.written,
                    format!("What the exchange has noted (switchboard who):\n{}", who.join("\n")),
                    format!("服务器记下的（switchboard who）：\n{}", who.join("\n")),
                ),
            );
        } else {
            items.insert(
                0,
                note(
                    relayed.written + DELAY,
                    format!("The exchange looks 10002 up, finds {}, and forwards.", line.remote),
                    format!("服务器查找 10002，得到 {}，转发。", line.remote),
                ),
            );
        }
        let title = match site {
            0 => lang.pick(
                format!("{}. 10001 writes, over {carrier_en}.", act + 1),
                format!("{}、10001 发消息，走 {carrier_zh}。", ORDINALS_ZH[act]),
            ),
            _ => lang.pick(
                format!("{}. 10002 hears, over {carrier_en}.", act + 2),
                format!("{}、10002 收到消息，走 {carrier_zh}。", ORDINALS_ZH[act + 1]),
            ),
        };
        let names = [name(line), format!("{exchange} 10.0.0.1:5222")];
        let states = if over == Over::Quic { [None; 2] } else { OPEN };
        stage.push_act(Picture { title, names, states, before, items }.into_act());
    }
    let locals: Vec<_> = (0..2).filter_map(|n| world.client(n).local(world.site(n).stack())).collect();
    let noted = [first, second].iter().zip(&locals).all(|(line, local)| line.remote.port() == local.port());
    let addresses =
        first.remote.ip() == world.site(0).address() && second.remote.ip() == world.site(1).address();
    stage.check(
        noted && addresses,
        format!("over {carrier_en} the exchange noted each number's address and port, without being told"),
        format!("{carrier_zh}：服务器记下了每个号码的地址和端口，没有人告知它"),
    );
    stage.check(
        relayed.arrived && relayed.acknowledged,
        format!("over {carrier_en} the message arrived at 10002, and the exchange acknowledged it to 10001"),
        format!("{carrier_zh}：消息到达 10002，服务器也向 10001 确认"),
    );
}

fn relay_nat(stage: &mut Stage) {
    let outer = Ipv4Addr::new(10, 9, 0, 1);
    let mut world = open(stage.seed(), Over::Tcp, Some(outer));
    let origin = world.now();
    let relayed = say(&mut world);
    let lang = stage.lang();
    let believed = world.client(0).local(world.site(0).stack());
    let noted = relayed.who.iter().find(|line| line.number == Some(10_001)).map(|line| line.remote);
    let (Some(believed), Some(noted)) = (believed, noted) else {
        stage.check(false, "10001 logs in", "10001 登录");
        return;
    };
    // The other way: 10002 answers, to the number.
    let answer = Planned {
        at: world.now(),
        to: format!("10001@{}", world::world::DOMAIN),
        id: "m2".to_owned(),
        body: "and back".to_owned(),
    };
    world.with_client(1, |client| client.plan(answer));
    let rested = world.run_for(Duration::from_secs(1)).is_ok();
    let heard = world
        .take_happened()
        .iter()
        .any(|h| h.client == 0 && matches!(&h.what, Experience::Arrived(m) if m.body == "and back"));
    capture(stage, &world, origin);
    let [before, mut items] = items(&mut world, 0, relayed.written, origin, Over::Tcp);
    let at = relayed.written.since(origin);
    items.insert(
        0,
        Item::Note {
            at,
            text: lang.pick(
                format!(
                    "10001 believes to be at {believed}: so says its host. On the way a NAT box writes its own address into every packet, so \
                     the exchange sees {noted}. Had the client told its address, and the exchange believed it, every answer would go to \
                     a private address that leads nowhere. Drawn is the outside, between the NAT box and the exchange."
                ),
                format!(
                    "10001 以为自己在 {believed}：它的主机这样说。途中的 NAT 把每个报文的源地址换成自己的，所以服务器看到 {noted}。\
                     如果由客户端告知地址而服务器相信了它，应答就会发往一个到不了的私有地址。图中画的是 NAT 外侧，NAT 与服务器之间。"
                ),
            ),
        },
    );
    let (nat, exchange) = lang.pick(("10001 behind NAT", "the exchange"), ("NAT 后的 10001", "服务器"));
    let names = [format!("{nat} {noted}"), format!("{exchange} 10.0.0.1:5222")];
    stage.push_act(Picture { title: String::new(), names, states: OPEN, before, items }.into_act());
    stage.check(
        believed.ip() != noted.ip() && noted.ip() == std::net::IpAddr::V4(outer),
        format!("the exchange noted {noted}, not {believed}, which the client believes in"),
        format!("服务器记下的是 {noted}，而不是客户端以为的 {believed}"),
    );
    stage.check(relayed.arrived, "what 10001 writes arrives at 10002", "10001 发的消息到达 10002");
    stage.check(
        rested && heard,
        "what 10002 answers finds its way back through the NAT box",
        "10002 的回复穿过 NAT 回到 10001",
    );
}
