//! Links and transports: TCP beside UDP, one direction, one at a time, both at once.
//! Spec: RFC 768, RFC 9293 1 and 3.9.1 (what each service promises).

use crate::frame::Seg;
use crate::stage::{A, B, PORT, Read, Stage, address};
use crate::{Scenario, Words};
use sim::link::{Conditions, Duplex, End, LinkConfig};
use stack::TcpHandle;
use stack::socket::error::SendError;
use stack::socket::options::TcpOption;
use std::net::SocketAddr;
use std::time::Duration;
use tcp::SendFlags;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "tcp-vs-udp",
        title: Words {
            en: "the same twenty messages over the same lossy link: TCP delivers all, in order; UDP loses silently",
            zh: "同样二十条消息、同样会丢包的链路：TCP 全部按序送达；UDP 悄悄丢失",
        },
        script: tcp_vs_udp,
    },
    Scenario {
        name: "udp-connect",
        title: Words {
            en: "UDP may call connect() too: it sends nothing, it only fixes the other end",
            zh: "UDP 也可以调用 connect()：不发任何报文，只是固定对端",
        },
        script: udp_connect,
    },
    Scenario {
        name: "simplex",
        title: Words {
            en: "a one-way link, as a radio: UDP can be heard, TCP cannot even open",
            zh: "单工链路，像收音机：UDP 能听到，TCP 连握手都完不成",
        },
        script: simplex,
    },
    Scenario {
        name: "half-duplex",
        title: Words {
            en: "one direction at a time, as a walkie-talkie: TCP works, both ways share the rate",
            zh: "半双工链路，像对讲机：TCP 可用，两个方向共享速率",
        },
        script: |stage| duplex(stage, Duplex::Half),
    },
    Scenario {
        name: "full-duplex",
        title: Words {
            en: "both directions at once, as a telephone: each has the whole rate",
            zh: "全双工链路，像电话：两个方向各有全部速率",
        },
        script: |stage| duplex(stage, Duplex::Full),
    },
];

/// Messages of the comparison.
const MESSAGES: usize = 20;

fn message(n: usize) -> String {
    format!("message {n:02}")
}

fn tcp_vs_udp(stage: &mut Stage) {
    // Every fifth packet of the client gets lost, the same for both.
    let lossy = Conditions { loss: 200_000, delay: crate::stage::DELAY, ..Conditions::default() };
    let pace = Duration::from_millis(50);
    stage.act("1. TCP: connect first, then talk.", "一、TCP：先建立连接，再通信。");
    let listener = stage.listen(B);
    let socket = stage.stack_mut(A).tcp_socket().expect("there is room for a socket");
    stage.set(A, socket, TcpOption::NoDelay(true));
    let early = stage.send(A, socket, b"too early");
    stage.cue(
        B,
        |seg| !seg.header.options.sack.is_empty(),
        "The segment before this one is missing. The receiver says again what it waits for, and by SACK what it has beyond.",
        "前面的一个报文段没有到。接收方重申它在等什么，并用 SACK 说明之后已经收到了哪些。",
    );
    stage.cue(
        A,
        Seg::is_data,
        "So the lost segment goes again. Neither program hears of it.",
        "于是重传丢失的报文段。两端的程序都不知道这件事。",
    );
    stage.connect_socket(socket).expect("the server can be reached");
    stage.run_until_arrived();
    let server = stage.accept(listener);
    stage.link.set_conditions(A, lossy);
    let mut heard = Vec::new();
    for n in 0..MESSAGES {
        let now = stage.now();
        stage.stack_mut(A).tcp_send(now, socket, message(n).as_bytes(), SendFlags::default()).expect("open");
        stage.run_for(pace);
        if let Read::Bytes(bytes) = stage.recv_quietly(B, server) {
            heard.extend(bytes);
        }
    }
    stage.run_for(Duration::from_secs(10));
    if let Read::Bytes(bytes) = stage.recv_quietly(B, server) {
        heard.extend(bytes);
    }
    let all: String = (0..MESSAGES).map(message).collect();
    let tcp_lost = lost_in(stage);
    stage.event(
        B,
        stage.lang().pick(
            format!("{} bytes in all, in order", heard.len()),
            format!("共收到 {} 字节，按序", heard.len()),
        ),
    );

    stage.act(
        "2. UDP: no connection, no roles; whoever knows an address sends.",
        "二、UDP：没有连接，没有角色；知道地址就能发。",
    );
    let target = SocketAddr::new(address(B), PORT);
    let (left, right) = stage.lang().pick(("10.0.0.1", "10.0.0.2:5222"), ("10.0.0.1", "10.0.0.2:5222"));
    let from = stage.stack_mut(A).udp_bind(SocketAddr::new(address(A), 0)).expect("a port is free");
    let to = stage.stack_mut(B).udp_bind(target).expect("the port is free");
    stage.watch_all(left, right, false);
    let mut got = Vec::new();
    for n in 0..MESSAGES {
        let now = stage.now();
        stage.stack_mut(A).udp_send_to(now, from, message(n).as_bytes(), target).expect("there is room");
        stage.run_for(pace);
        let mut buffer = [0; 100];
        while let Ok(received) = stage.stack_mut(B).udp_recv(to, &mut buffer) {
            got.push(String::from_utf8_lossy(&buffer[..received.len]).into_owned());
        }
    }
    let udp_lost = lost_in(stage);
    stage.note(
        "Nobody acknowledges a datagram, so nobody knows which are lost, and nobody sends them again.",
        "没有人确认数据报，所以没有人知道丢了哪些，也没有人重传。",
    );
    stage.event(
        B,
        stage.lang().pick(
            format!("{} of {MESSAGES} messages; nobody was told of the others", got.len()),
            format!("收到 {MESSAGES} 条中的 {} 条；其余的丢失了，没有通知任何一端", got.len()),
        ),
    );
    stage.check(
        early == Err(SendError::NotConnected),
        "sending over TCP before connect() fails with NotConnected",
        "TCP 在 connect() 之前发送：NotConnected",
    );
    stage.check(
        heard == all.as_bytes() && tcp_lost > 0,
        format!("over TCP all {MESSAGES} messages arrived, in order, though {tcp_lost} segments were lost"),
        format!("TCP：尽管丢失了 {tcp_lost} 个报文段，{MESSAGES} 条消息全部按序到达"),
    );
    stage.check(
        udp_lost > 0 && got.len() == MESSAGES - udp_lost,
        format!("over UDP {udp_lost} messages were lost, and no call failed"),
        format!("UDP：丢失 {udp_lost} 条消息，没有任何调用报错"),
    );
    stage.check(
        got.iter().all(|text| (0..MESSAGES).any(|n| message(n) == *text)),
        "what UDP delivered was whole messages: its boundaries are kept, TCP's stream has none",
        "UDP 送达的是完整消息：它保留边界，而 TCP 的字节流没有边界",
    );
}

/// Packets of this act that were lost.
fn lost_in(stage: &Stage) -> usize {
    stage.losses()
}

fn udp_connect(stage: &mut Stage) {
    let target = SocketAddr::new(address(B), PORT);
    let a = stage.stack_mut(A).udp_bind(SocketAddr::new(address(A), 0)).expect("a port is free");
    let b = stage.stack_mut(B).udp_bind(target).expect("the port is free");
    let stranger = stage.stack_mut(B).udp_bind(SocketAddr::new(address(B), 9999)).expect("the port is free");
    let local = stage.stack(A).udp_local_addr(a).expect("bound");
    stage.watch_all("10.0.0.1", "10.0.0.2", false);
    stage.stack_mut(A).udp_connect(a, target).expect("the address can be reached");
    stage.event(A, format!("UDP connect({target})"));
    stage.run_for(Duration::from_millis(100));
    let silent = stage.packets_drawn() == 0;
    stage.note(
        "Nothing was sent: there is no handshake, and the other end does not know. From now on send() needs no address, and only what \
         comes from there is received.",
        "什么也没有发出：没有握手，对端并不知情。从此 send() 不必带地址，而且只接收来自那里的数据报。",
    );
    let now = stage.now();
    let options = stack::socket::udp::UdpSend { remote: None, ..stack::socket::udp::UdpSend::to(target) };
    stage.stack_mut(A).udp_send(now, a, b"hello", &options).expect("connected");
    stage.run_for(Duration::from_millis(50));
    let mut buffer = [0; 100];
    let heard = stage.stack_mut(B).udp_recv(b, &mut buffer).map(|got| got.len);
    let now = stage.now();
    stage.stack_mut(B).udp_send_to(now, stranger, b"from another port", local).expect("there is room");
    stage.run_for(Duration::from_millis(50));
    let from_stranger = stage.stack_mut(A).udp_recv(a, &mut buffer).is_ok();
    stage.event(
        A,
        stage
            .lang()
            .pick("recv(): nothing; the sender is not the one", "recv()：没有数据；发送者不是所连接的对端"),
    );
    stage.note(
        "To the stranger the host says what it says where no socket is: ICMP port unreachable.",
        "主机对陌生的发送者的回答，和没有套接字时一样：ICMP 端口不可达。",
    );
    stage.check(silent, "connect() on a UDP socket sends nothing", "UDP 的 connect() 不发送任何报文");
    stage.check(
        heard == Ok(5),
        "send() without an address reaches the other end",
        "不带地址的 send() 到达对端",
    );
    stage.check(
        !from_stranger,
        "what comes from another port is not received",
        "来自其他端口的数据报不会被接收",
    );
}

fn simplex(stage: &mut Stage) {
    stage.rewire(LinkConfig { duplex: Duplex::Simplex, ..LinkConfig::default() });
    stage.act("1. UDP over a one-way link.", "一、单工链路上的 UDP。");
    let target = SocketAddr::new(address(B), PORT);
    let from = stage.stack_mut(A).udp_bind(SocketAddr::new(address(A), 0)).expect("a port is free");
    let to = stage.stack_mut(B).udp_bind(target).expect("the port is free");
    stage.watch_all("10.0.0.1", "10.0.0.2:5222", false);
    let now = stage.now();
    stage.stack_mut(A).udp_send_to(now, from, b"the news at eight", target).expect("there is room");
    stage.run_for(Duration::from_millis(50));
    let mut buffer = [0; 100];
    let heard = stage.stack_mut(B).udp_recv(to, &mut buffer);
    let reply_to = heard.map(|got| got.remote);
    if let Ok(reply_to) = reply_to {
        let now = stage.now();
        stage.stack_mut(B).udp_send_to(now, to, b"can you hear me?", reply_to).expect("there is room");
    }
    stage.run_for(Duration::from_millis(50));
    let back = stage.stack_mut(A).udp_recv(from, &mut buffer).is_ok();
    stage.note(
        "What needs no answer can be said: a broadcast. The listener's words vanish.",
        "不需要应答的内容可以发送：广播。接收方的回话则消失在途中。",
    );
    stage.act("2. TCP over the same link.", "二、同一链路上的 TCP。");
    let listener = stage.listen(B);
    stage.cue(
        A,
        Seg::is_syn,
        "The SYN arrives; its answer cannot. Each repeat waits twice as long.",
        "SYN 到了，应答却回不来。每次重传的等待时间加倍。",
    );
    stage.cue(
        B,
        Seg::is_syn_ack,
        "The server, in SYN-RECEIVED, has a timer of its own, and answers every repeated SYN besides.",
        "处于 SYN-RECEIVED 的服务器有自己的计时器，此外还应答每个重传的 SYN。",
    );
    let client = stage.connect();
    stage.run_for(Duration::from_secs(200));
    let why = stage.stack_mut(A).tcp_take_error(client);
    if let Some(why) = why {
        stage.event(A, format!("connect(): {why:?}"));
    }
    let accepted = stage.try_accept(listener).is_some();
    stage.check(reply_to.is_ok() && !back, "UDP is heard one way, and not the other", "UDP 只能单向听到");
    stage.check(
        why == Some(std::io::ErrorKind::TimedOut) && !accepted,
        "TCP cannot open: connect() fails with TimedOut after about two minutes",
        "TCP 无法建立连接：约两分钟后 connect() 返回 TimedOut",
    );
    stage.check(
        stage.count(A, Seg::is_syn) == 7,
        "the SYN was sent once, and six times again",
        "SYN 发了一次，又重传六次",
    );
}

/// What each end says.
const BULK: usize = 400_000;
/// The wire's rate, in bits a second.
const RATE: u64 = 10_000_000;

/// Sends `BULK` from every end in `senders`, and says after how long the last byte had arrived at each receiver, in seconds.
fn transfer(stage: &mut Stage, ends: [TcpHandle; 2], senders: &[End]) -> [f64; 2] {
    let begin = stage.elapsed();
    let (mut sent, mut got, mut took) = ([0; 2], [0; 2], [0.0; 2]);
    let chunk = vec![b'x'; 65_536];
    for _ in 0..100_000 {
        for end in End::BOTH {
            let (me, socket) = (end.index(), ends[end.index()]);
            if senders.contains(&end) && sent[me] < BULK {
                let now = stage.now();
                let len = chunk.len().min(BULK - sent[me]);
                sent[me] += stage
                    .stack_mut(end)
                    .tcp_send(now, socket, &chunk[..len], SendFlags::default())
                    .unwrap_or(0);
            }
            if let Read::Bytes(bytes) = stage.recv_quietly(end, socket) {
                got[me] += bytes.len();
                took[me] = (stage.elapsed() - begin).as_secs_f64();
            }
        }
        if senders.iter().all(|end| got[end.other().index()] == BULK) {
            break;
        }
        stage.run_for(Duration::from_millis(4));
    }
    took
}

/// Megabits a second.
fn rate(secs: f64) -> f64 {
    BULK as f64 * 8.0 / secs / 1e6
}

fn duplex(stage: &mut Stage, duplex: Duplex) {
    stage.rewire(LinkConfig { duplex, rate: RATE, queue_max: 1000 });
    let (client, server, _) = stage.open();
    stage.send(A, client, b"how are you? over").expect("open");
    stage.send(B, server, b"fine. over").expect("open");
    stage.run_until_quiet(Duration::from_millis(100));
    let words = (stage.recv(A, client), stage.recv(B, server));
    match duplex {
        Duplex::Half => stage.note(
            "Both spoke at the same time, and the wire carried one after the other: TCP does not mind, it only waits longer.",
            "双方同时说话，线路只能一个一个地传：TCP 不受影响，只是等得久一些。",
        ),
        _ => stage.note(
            "Both spoke at the same time, and their segments passed each other on the wire. A TCP connection is full-duplex: two streams, \
             one each way.",
            "双方同时说话，报文段在线路上擦肩而过。TCP 连接是全双工的：每个方向各有一个字节流。",
        ),
    }
    stage.pause_drawing();
    let ends = [client, server];
    let alone = transfer(stage, ends, &[A])[B.index()];
    transfer(stage, ends, &[B]); // so that both know the way
    let both = transfer(stage, ends, &[A, B]);
    let (one, there, back) = (rate(alone), rate(both[B.index()]), rate(both[A.index()]));
    stage.note(
        format!(
            "Then 400 kilobytes each, on a wire of {} Mbit/s (not drawn). One direction alone: {one:.0} Mbit/s. Both at once: {there:.0} there, \
             {back:.0} back.",
            RATE / 1_000_000
        ),
        format!(
            "之后各传 400 千字节，线路速率 {} Mbit/s（未画出）。只有一个方向时：{one:.0} Mbit/s。两个方向同时：去 {there:.0}，回 {back:.0}。",
            RATE / 1_000_000
        ),
    );
    stage.check(
        words.0 == Read::Bytes(b"fine. over".to_vec())
            && words.1 == Read::Bytes(b"how are you? over".to_vec()),
        "words pass both ways",
        "双向都能通信",
    );
    let sum = there + back;
    match duplex {
        Duplex::Half => {
            stage.check(
                sum < RATE as f64 / 1e6 * 1.1 && there < 0.75 * one,
                format!("both directions share the rate: {sum:.0} Mbit/s in all"),
                format!("两个方向共享速率：合计 {sum:.0} Mbit/s"),
            );
        }
        _ => {
            stage.check(
                there > 0.7 * one && back > 0.7 * one && sum > RATE as f64 / 1e6 * 1.4,
                format!("each direction has the rate to itself: {sum:.0} Mbit/s in all"),
                format!("每个方向独享速率：合计 {sum:.0} Mbit/s"),
            );
        }
    }
}
