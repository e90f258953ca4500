//! Opening: the three segments, what happens when one is lost, and the ways in which it fails.
//! Spec: RFC 9293 3.5, 3.8.1, 3.10.7; RFC 4987 (SYN floods).

use crate::frame::{Seg, forge};
use crate::stage::{A, B, PORT, Read, Stage, address};
use crate::{Scenario, Words};
use ladder::state::State;
use stack::{InterfaceId, Prefix, RouteConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use wire::tcp::Flags;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "handshake",
        title: Words {
            en: "three segments open a connection: SYN, SYN+ACK, ACK; why three, and what the numbers say",
            zh: "三次握手：SYN、SYN+ACK、ACK；为什么是三次，各个序号的含义",
        },
        script: handshake,
    },
    Scenario {
        name: "handshake-lost-syn",
        title: Words {
            en: "the SYN is lost: the client sends it again after a second",
            zh: "SYN 丢失：客户端一秒后重传",
        },
        script: lost_syn,
    },
    Scenario {
        name: "handshake-lost-synack",
        title: Words {
            en: "the SYN+ACK is lost: both ends send again", zh: "SYN+ACK 丢失：两端都会重传"
        },
        script: lost_syn_ack,
    },
    Scenario {
        name: "handshake-lost-ack",
        title: Words {
            en: "the last ACK is lost: the client is open, the server is not yet; the first data repairs it",
            zh: "最后的 ACK 丢失：客户端已建立连接，服务器尚未；第一段数据把它补上",
        },
        script: lost_ack,
    },
    Scenario {
        name: "refused",
        title: Words {
            en: "nobody listens on the port: RST answers the SYN",
            zh: "端口无人监听：SYN 得到 RST",
        },
        script: refused,
    },
    Scenario {
        name: "simultaneous-open",
        title: Words {
            en: "both ends call connect() at once: one connection, and no server",
            zh: "两端同时调用 connect()：只得到一条连接，而且没有服务器",
        },
        script: simultaneous_open,
    },
    Scenario {
        name: "syn-flood",
        title: Words {
            en: "a thousand SYNs from nowhere fill the table of handshakes; SYN cookies let an honest client in",
            zh: "上千个伪造来源的 SYN 填满半连接表；SYN cookie 仍让真正的客户端连上",
        },
        script: syn_flood,
    },
];

/// Both ends' initial sequence numbers, from their SYNs.
fn isns(stage: &Stage) -> [u32; 2] {
    let iss = |end, which: fn(&Seg) -> bool| stage.latest(end, which).map_or(0, |(seg, _)| seg.header.seq);
    [iss(A, Seg::is_syn), iss(B, Seg::is_syn_ack)]
}

fn handshake(stage: &mut Stage) {
    stage.cue(
        A,
        Seg::is_syn,
        "SYN is a flag, one bit. The number beside it is the initial sequence number (ISN), drawn anew for every connection so that \
         segments of an old one, and guesses, do not fit. The ladder counts from it: relative 0.",
        "SYN 是标志位，只有一个比特。旁边的数字是初始序号（ISN），每条连接重新选取，使旧连接的报文段和猜测都对不上。\
         图中以它为起点，记作相对序号 0。",
    );
    stage.cue(
        B,
        Seg::is_syn_ack,
        "The server's own SYN and the acknowledgment of the client's share one segment: that is why there are three and not four. \
         The SYN takes one place in the sequence, so the acknowledgment names the next number expected: ISN + 1.",
        "服务器自己的 SYN 和对客户端 SYN 的确认合在一个报文段里：所以是三次而不是四次。\
         SYN 占用一个序号，因此确认号是期望收到的下一个序号：ISN + 1。",
    );
    stage.cue(
        A,
        Seg::is_ack,
        "Two would not do: only this third segment tells the server that its own number arrived, and that the SYN was not an old duplicate.",
        "两次不够：只有第三个报文段才能让服务器知道自己的序号已送达，并且那个 SYN 不是旧的重复报文段。",
    );
    let listener = stage.listen(B);
    let client = stage.connect();
    stage.run_until_arrived();
    let server = stage.try_accept(listener);
    let [client_isn, server_isn] = isns(stage);
    stage.note(
        format!("The real initial sequence numbers were {client_isn} (client) and {server_isn} (server); --absolute shows them."),
        format!("真实的初始序号：客户端 {client_isn}，服务器 {server_isn}；用 --absolute 可以看到。"),
    );
    stage.note(
        "Beside each SYN stands what its end can do: mss, the longest text that it takes in one segment; SACK; timestamps; and by how many \
         bits its window field is shifted. The last three are used only if both offer them.",
        "每个 SYN 旁边是该端的能力：mss，即一个报文段中最多能接收的数据长度（最大报文段长度）；选择确认 SACK；时间戳；\
         窗口字段左移的位数。后三项要两端都提供才会使用。",
    );
    let syn_ack = stage.latest(B, Seg::is_syn_ack).map(|(seg, _)| seg.header.ack);
    let last = stage.latest(A, Seg::is_ack).map(|(seg, _)| seg.header.ack);
    stage.check(
        syn_ack == Some(client_isn.wrapping_add(1)) && last == Some(server_isn.wrapping_add(1)),
        "each acknowledgment is the other's initial sequence number and one",
        "每个确认号都等于对方的初始序号加一",
    );
    let segments = stage.count(A, |_| true) + stage.count(B, |_| true);
    stage.check(segments == 3, "three segments, no more", "一共三个报文段");
    stage.check(
        stage.state(A) == State::Established && stage.state(B) == State::Established && server.is_some(),
        "both ends are in ESTABLISHED, and the server has accepted",
        "两端都处于 ESTABLISHED，服务器已接受连接",
    );
    let _ = client;
}

fn lost_syn(stage: &mut Stage) {
    stage.lose(A, Seg::is_syn, 0, 1);
    stage.cue(
        A,
        Seg::is_syn,
        "Nobody knows that it is lost. The client waits for an answer: one second at first, doubled at each repeat (RFC 6298).",
        "谁也不知道它丢了。客户端等待应答：第一次等一秒，之后每次加倍（RFC 6298）。",
    );
    stage.cue(
        A,
        Seg::is_syn,
        "The same SYN, with the same initial sequence number.",
        "同一个 SYN，初始序号不变。",
    );
    let listener = stage.listen(B);
    stage.connect();
    stage.run_until_quiet(Duration::from_secs(2));
    let accepted = stage.try_accept(listener).is_some();
    stage.check(accepted, "the connection opens all the same", "连接仍然建立");
    stage.check(stage.count(A, Seg::is_syn) == 2, "the SYN was sent twice", "SYN 一共发了两次");
    let took = stage.elapsed();
    stage.check(
        took >= Duration::from_secs(1) && took < Duration::from_millis(1200),
        "it took the one second of the first timeout, and a round trip",
        "用时为第一次超时的一秒加一个往返",
    );
}

fn lost_syn_ack(stage: &mut Stage) {
    stage.lose(B, Seg::is_syn_ack, 0, 1);
    // A little later than the server's timer, so that one can see which is which.
    stage.hold(A, Seg::is_syn, 1, Duration::from_millis(15));
    stage.cue(
        B,
        Seg::is_syn_ack,
        "To the client this looks the same as a lost SYN. The server, in SYN-RECEIVED, waits for an answer too.",
        "在客户端看来，这和 SYN 丢失没有区别。处于 SYN-RECEIVED 的服务器也在等应答。",
    );
    let listener = stage.listen(B);
    stage.connect();
    stage.run_until_quiet(Duration::from_secs(2));
    stage.note(
        "Both timers ran out at almost the same time. The server's second SYN+ACK opens the client's end. The client's second SYN still finds \
         the server in SYN-RECEIVED, and is answered by SYN+ACK once more. That one reaches an end which is open already: it says again \
         what is true, a challenge ACK (RFC 5961 4.2), and nothing is harmed.",
        "两个计时器几乎同时到期。服务器重传的 SYN+ACK 使客户端建立连接。客户端重传的 SYN 到达时，服务器仍处于 SYN-RECEIVED，\
         于是又回了一个 SYN+ACK。它到达的一端已经建立连接：客户端用重申现状的挑战 ACK（challenge ACK，RFC 5961 4.2）应答，没有造成损害。",
    );
    let accepted = stage.try_accept(listener).is_some();
    stage.check(accepted, "the connection opens", "连接建立");
    stage.check(
        stage.count(A, Seg::is_syn) == 2 && stage.count(B, Seg::is_syn_ack) >= 2,
        "both ends sent again",
        "两端都重传过",
    );
    stage.check(
        stage.count(A, Seg::is_ack) == 2,
        "the client acknowledged twice: once to open, once when the SYN+ACK came again",
        "客户端确认了两次：一次建立连接，一次应答又来的 SYN+ACK",
    );
    stage.check(
        stage.state(A) == State::Established && stage.state(B) == State::Established,
        "both are in ESTABLISHED",
        "两端都处于 ESTABLISHED",
    );
}

fn lost_ack(stage: &mut Stage) {
    stage.lose(A, Seg::is_ack, 0, 1);
    stage.cue(
        A,
        Seg::is_ack,
        "The client has all it needs: for it the connection is open. The server still waits in SYN-RECEIVED.",
        "客户端该知道的都知道了：对它来说连接已建立。服务器仍停在 SYN-RECEIVED。",
    );
    stage.cue(
        A,
        Seg::is_data,
        "Every segment carries the acknowledgment, so the first data does what the lost ACK should have done.",
        "每个报文段都带着确认号，所以第一段数据就完成了那个丢失的 ACK 的任务。",
    );
    let listener = stage.listen(B);
    let client = stage.connect();
    stage.run_for(Duration::from_millis(100));
    let between = (stage.state(A), stage.state(B));
    let waits = stage.try_accept(listener).is_none();
    let sent = stage.send(A, client, b"hello");
    stage.run_until_arrived();
    let server = stage.try_accept(listener);
    let got = server.map(|server| stage.recv(B, server));
    stage.check(
        between == (State::Established, State::SynReceived) && waits,
        "for a while one end was open and the other was not: nothing could be accepted",
        "有一段时间一端已建立而另一端没有：服务器无法 accept",
    );
    stage.check(
        sent == Ok(5) && got == Some(Read::Bytes(b"hello".to_vec())),
        "the data opened the server's end, and arrived",
        "数据让服务器一端也建立了连接，并且送达",
    );
}

fn refused(stage: &mut Stage) {
    stage.cue(
        B,
        Seg::is_reset,
        "RST: there is nobody here. It acknowledges the SYN, so that the client can tell it from a forgery.",
        "RST：这里没有人。它确认了那个 SYN，客户端据此判断它不是伪造的。",
    );
    let client = stage.connect();
    stage.run_until_arrived();
    let why = stage.stack_mut(A).tcp_take_error(client);
    if let Some(why) = why {
        stage.event(A, format!("connect(): {why:?}"));
    }
    stage.check(
        why == Some(std::io::ErrorKind::ConnectionRefused),
        "the program hears ConnectionRefused, after one round trip, not after a timeout",
        "程序得到 ConnectionRefused，只用一个往返，不必等超时",
    );
    stage.check(
        stage.count(A, |_| true) == 1,
        "the client sent its SYN and nothing more",
        "客户端只发了一个 SYN",
    );
}

fn simultaneous_open(stage: &mut Stage) {
    let left = SocketAddr::new(address(A), 4000);
    let right = SocketAddr::new(address(B), PORT);
    let now = stage.now();
    let make = |stage: &mut Stage, end, addr: SocketAddr| {
        let socket = stage.stack_mut(end).tcp_socket().expect("there is room for a socket");
        stage.stack_mut(end).tcp_bind(socket, addr).expect("the port is free");
        socket
    };
    let (a, b) = (make(stage, A, left), make(stage, B, right));
    stage.name_hosts(("one end", "一端"), ("the other", "另一端"));
    stage.watch(left, right);
    stage.cue(
        A,
        Seg::is_syn,
        "Both are bound to a port that the other knows, and call connect() at the same time. Neither listens.",
        "两端都绑定了对方已知的端口，同时调用 connect()。没有一端在监听。",
    );
    stage.cue(
        A,
        Seg::is_syn_ack,
        "A SYN instead of a SYN+ACK: both answer, both go through SYN-RECEIVED, and one connection comes of it. \
         So a \"server\" may open too; client and server are roles of programs, not of TCP.",
        "等来的不是 SYN+ACK，而是 SYN：两端各自应答，都经过 SYN-RECEIVED，最后得到一条连接。\
         可见“服务器”也可以主动打开；客户端和服务器是程序的角色，不是 TCP 的角色。",
    );
    stage.stack_mut(A).tcp_connect(now, a, right).expect("the address can be reached");
    stage.event(A, format!("connect({right})"));
    stage.stack_mut(B).tcp_connect(now, b, left).expect("the address can be reached");
    stage.event(B, format!("connect({left})"));
    stage.run_until_arrived();
    stage.send(A, a, b"from A").expect("the connection is open");
    stage.send(B, b, b"from B").expect("the connection is open");
    stage.run_until_quiet(Duration::from_millis(100));
    let got = (stage.recv(A, a), stage.recv(B, b));
    stage.check(
        stage.state(A) == State::Established && stage.state(B) == State::Established,
        "one connection, open at both ends",
        "得到一条连接，两端都已建立",
    );
    stage.check(
        got == (Read::Bytes(b"from B".to_vec()), Read::Bytes(b"from A".to_vec())),
        "data passes both ways",
        "数据双向可达",
    );
    stage.check(
        stage.count(A, Seg::is_syn) == 1 && stage.count(B, Seg::is_syn) == 1,
        "each sent a SYN of its own",
        "两端各发了一个 SYN",
    );
}

fn syn_flood(stage: &mut Stage) {
    /// Handshakes that the server has room for.
    const ROOM: usize = 128;
    const FLOOD: u32 = 1000;
    stage.rebuild(B, |config| {
        config.tcp.syn_backlog = ROOM;
        let prefix = Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0).expect("the route to everywhere");
        config.routes.push(RouteConfig { prefix, gateway: None, interface: InterfaceId(0), metric: 0 });
    });
    let listener = stage.listen(B);
    // From addresses where nobody is: what is answered there gets lost on the way.
    let server = stage.server_addr();
    for n in 0..FLOOD {
        let from = SocketAddr::new(Ipv4Addr::from(0x0a00_0100 + n / 250).into(), 10_000 + (n % 250) as u16);
        stage.inject(A, forge(from, server, Flags::SYN, n.wrapping_mul(0x9e37_79b9), 0, b""));
    }
    stage.run_until_arrived();
    let half_open = stage.stack(B).tcp_counts().half_open;
    stage.event(
        B,
        stage.lang().pick(
            format!("{FLOOD} SYNs from nowhere; the table holds {half_open} handshakes, its bound"),
            format!("收到 {FLOOD} 个伪造 SYN；半连接表有 {half_open} 项，已达上限"),
        ),
    );
    stage.cue(
        B,
        Seg::is_syn_ack,
        "The table is full, so the server keeps nothing of this one: its initial sequence number is a cookie, a keyed hash of addresses, \
         ports and time. Whoever sends it back plus one has received it, so is no forgery.",
        "表已满，服务器对这次握手什么都不保存：初始序号本身就是 cookie，是地址、端口和时间的带密钥散列。\
         谁能把它加一送回来，谁就真的收到过它，不是伪造的。",
    );
    let client = stage.connect();
    stage.run_until_arrived();
    let accepted = stage.try_accept(listener);
    stage.send(A, client, b"hello").expect("the connection is open");
    stage.run_until_arrived();
    let got = accepted.map(|server| stage.recv(B, server));
    stage.check(
        half_open == ROOM,
        format!("the flood took the {ROOM} places that there are, and no more"),
        format!("洪泛占满了 {ROOM} 个位置，没有更多"),
    );
    stage.check(
        got == Some(Read::Bytes(b"hello".to_vec())),
        "an honest client connects through the flood, and its data arrives",
        "真正的客户端在洪泛中仍能连上，数据送达",
    );
    let counts = stage.stack(B).tcp_counts();
    stage.check(
        counts.half_open == ROOM && counts.sockets == 2,
        "its handshake took no place in the table: it was in the cookie",
        "它的握手没有占用表项：信息都在 cookie 里",
    );
}
