//! Sending: what happens between opening and closing: losses, windows, small segments, silence, narrow paths, attacks.
//! Spec: RFC 6298, 5681, 2018, 6675, 8985 (loss); RFC 9293 3.7.4, 3.8 (Nagle, windows, keep-alive); RFC 1191 (path MTU); RFC 5961 (resets).

use crate::frame::{Seg, forge};
use crate::stage::{A, B, PORT, Read, Stage};
use crate::{Scenario, Words};
use ladder::state::State;
use stack::TcpHandle;
use stack::socket::options::TcpOption;
use std::time::Duration;
use tcp::KeepAliveSettings;
use wire::tcp::Flags;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "retransmit",
        title: Words {
            en: "a lost segment with nothing behind it: the retransmission timer, doubled each time",
            zh: "超时重传：丢失的报文段后面没有别的数据，靠重传计时器，每次加倍",
        },
        script: retransmit,
    },
    Scenario {
        name: "fast-retransmit",
        title: Words {
            en: "a lost segment with others behind it: duplicate ACKs ask for it, long before the timer",
            zh: "快速重传：后面还有报文段，重复 ACK 请求重传，远早于计时器",
        },
        script: fast_retransmit,
    },
    Scenario {
        name: "sack",
        title: Words {
            en: "two holes in one flight: SACK tells which segments arrived, so only the lost are sent again",
            zh: "SACK：一批里丢了两段，选择确认说明哪些已到，只重传丢失的",
        },
        script: sack,
    },
    Scenario {
        name: "zero-window",
        title: Words {
            en: "the reader stops reading: the window closes, the sender probes, the window opens",
            zh: "零窗口：接收方不再读取，窗口关闭，发送方探测，窗口重新打开",
        },
        script: zero_window,
    },
    Scenario {
        name: "nagle",
        title: Words {
            en: "small writes with Nagle's algorithm, and without: one small segment under way at a time, or one a write",
            zh: "Nagle 算法：有它时最多一个小报文段在途，没有它时每次写入发一个",
        },
        script: nagle,
    },
    Scenario {
        name: "delayed-ack",
        title: Words {
            en: "an ACK may wait a little for company: 40 ms, or the second full segment, or an answer to ride on",
            zh: "延迟确认：ACK 可以稍等：最多 40 毫秒，或等到第二个最大长度报文段，或由应答捎带",
        },
        script: delayed_ack,
    },
    Scenario {
        name: "keep-alive",
        title: Words {
            en: "nobody speaks: probes find out whether the peer is still there; when its cable is cut, that it is not",
            zh: "保活：双方都不发数据，探测对端是否还在；网线拔掉后发现它不在了",
        },
        script: keep_alive,
    },
    Scenario {
        name: "path-mtu",
        title: Words {
            en: "the path is narrower than the link: ICMP says so, and TCP cuts its segments to fit",
            zh: "路径 MTU：路径比本地链路窄，ICMP 告知，TCP 缩短报文段",
        },
        script: path_mtu,
    },
    Scenario {
        name: "reset-attack",
        title: Words {
            en: "somebody who cannot see the connection guesses a RST: in the window it gets a challenge ACK, and fails",
            zh: "RST 攻击：看不到连接的人猜测 RST；落在窗口内只得到挑战 ACK，攻击失败",
        },
        script: reset_attack,
    },
];

/// Full segments: Nagle and delayed acknowledgments have no say.
const FULL: usize = 1448;

/// A connection on which some data has passed, so that both know the round trip. That is not drawn.
fn warm(stage: &mut Stage) -> (TcpHandle, TcpHandle) {
    let listener = stage.listen(B);
    let client = stage.connect();
    stage.run_until_arrived();
    let server = stage.accept(listener);
    for _ in 0..6 {
        for (end, socket, peer) in [(A, client, server), (B, server, client)] {
            let other = if end == A { B } else { A };
            stage.send(end, socket, b"warm up").expect("open");
            stage.run_for(Duration::from_millis(100));
            stage.recv(other, peer);
        }
    }
    stage.restart_picture();
    (client, server)
}

fn retransmit(stage: &mut Stage) {
    let (client, server) = warm(stage);
    stage.lose(A, Seg::is_data, 0, 3);
    stage.cue(
        A,
        Seg::is_data,
        "Nothing follows it, so nobody can tell that it is missing. Only the sender's timer can: RTO, from the measured round trip, at \
         least 200 ms here, as in Linux (RFC 6298 says a second). The first time it is a probe that asks (RFC 8985 7), then the timeout, then \
         twice the timeout.",
        "后面没有数据，没有人能发现它丢了。只有发送方的超时重传计时器能：RTO 由测得的往返时间算出，这里和 Linux 一样至少 200 毫秒（RFC 6298 规定一秒）。\
         第一次是探测（RFC 8985 第 7 节），然后是超时，再然后是两倍的超时。",
    );
    stage.send(A, client, b"important").expect("open");
    let begin = stage.elapsed();
    stage.run_for(Duration::from_secs(2));
    let got = stage.recv(B, server);
    let sent = stage.times(A, Seg::is_data, begin);
    stage.check(
        got == Read::Bytes(b"important".to_vec()),
        "the data arrives once, intact",
        "数据完整到达，只有一份",
    );
    stage.check(sent.len() >= 4, "it was sent until it was acknowledged", "一直重传到得到确认");
    // The gaps after the probe: a timeout, and the one after it.
    let gaps: Vec<f64> = sent.windows(2).skip(1).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let grows = gaps.len() >= 2 && gaps.windows(2).all(|pair| pair[1] > pair[0] * 1.5);
    stage.check(
        grows,
        format!("each wait after the probe is longer than the one before: {}", seconds(&gaps, ", ")),
        format!("探测之后，每次等待都比前一次长：{}", seconds(&gaps, "、")),
    );
}

fn seconds(gaps: &[f64], between: &str) -> String {
    gaps.iter().map(|gap| format!("{gap:.3} s")).collect::<Vec<_>>().join(between)
}

fn fast_retransmit(stage: &mut Stage) {
    stage.rebuild(A, |config| config.tcp.connection.sack = false);
    let (client, server) = warm(stage);
    stage.lose(A, Seg::is_data, 1, 1);
    let begin = stage.elapsed();
    stage.send(A, client, &[b'x'; 6 * FULL]).expect("open");
    stage.run_until_quiet(Duration::from_millis(100));
    let got = stage.recv(B, server);
    stage.note(
        "Every segment behind the hole makes the receiver say again what it waits for. Three such duplicate ACKs mean a loss, not a mere \
         change of order, and the segment goes out again at once.",
        "空洞之后的每个报文段都让接收方再说一遍它在等什么。三个重复 ACK 说明是丢失而不只是乱序，于是立即重传。",
    );
    let took = stage.arrived_after(begin);
    stage.check(matches!(&got, Read::Bytes(bytes) if bytes.len() == 6 * FULL), "all arrives", "全部到达");
    stage.check(
        stage.count_since(A, Seg::is_data, begin) == 7,
        "six segments, and the lost one again",
        "六个报文段，加上重传的一个",
    );
    stage.check(
        took < Duration::from_millis(150),
        format!(
            "repaired {} ms after it was sent, within two round trips and a little: no timer ran out",
            took.as_millis()
        ),
        format!("发出后 {} 毫秒就补好，只用两个多往返时间：没有等计时器", took.as_millis()),
    );
}

fn sack(stage: &mut Stage) {
    let (client, server) = warm(stage);
    stage.lose(A, Seg::is_data, 1, 1);
    stage.lose(A, Seg::is_data, 2, 1);
    let begin = stage.elapsed();
    stage.send(A, client, &[b'x'; 8 * FULL]).expect("open");
    stage.run_until_quiet(Duration::from_millis(100));
    let got = stage.recv(B, server);
    stage.note(
        "The blocks beside each ACK name what has arrived beyond the hole. Without them the sender would know of one hole a round trip, or \
         send again what is there already.",
        "每个 ACK 旁边的 SACK 块说明空洞之后已收到哪些。没有它，发送方每个往返只能得知一个空洞，或者重传已经到达的数据。",
    );
    let took = stage.arrived_after(begin);
    let blocks = stage.count_since(B, |seg| !seg.header.options.sack.is_empty(), begin);
    stage.check(matches!(&got, Read::Bytes(bytes) if bytes.len() == 8 * FULL), "all arrives", "全部到达");
    stage.check(blocks > 0, "the receiver reported blocks", "接收方报告了 SACK 块");
    stage.check(
        stage.count_since(A, Seg::is_data, begin) == 10,
        "eight segments and the two lost ones again: nothing twice that had arrived",
        "八个报文段加上两个丢失的：已到的一个也没有重传",
    );
    stage.check(
        took < Duration::from_millis(150),
        format!("both holes were repaired after {} ms, without a timeout", took.as_millis()),
        format!("两个空洞在 {} 毫秒后补好，没有超时", took.as_millis()),
    );
}

fn zero_window(stage: &mut Stage) {
    let listener = stage.listen(B);
    stage.set(B, listener, TcpOption::ReceiveBuffer(Some(4 * FULL as u32)));
    let client = stage.connect();
    stage.run_until_arrived();
    let server = stage.accept(listener);
    let data = vec![b'x'; 12 * FULL];
    stage.cue(
        B,
        |seg| seg.header.window == 0,
        "The program does not read, the buffer is full: window zero. The sender must stop.",
        "程序不读，缓冲区满了：窗口为零。发送方必须停下。",
    );
    stage.cue(
        A,
        |seg| !seg.is_syn() && seg.header.flags.ack() && seg.len <= 1,
        "If the ACK that opens the window got lost, both would wait for ever. So the sender probes, ever more seldom, and never gives up \
         while it is answered (RFC 9293 3.8.6.1).",
        "如果重新打开窗口的那个 ACK 丢了，双方会永远等下去。所以发送方要探测，间隔越来越长，只要有应答就不放弃（RFC 9293 3.8.6.1）。",
    );
    stage.cue(
        A,
        |seg| !seg.is_syn() && seg.header.flags.ack() && seg.len <= 1,
        "No answer this time: the last one was less than half a second ago. Answers to segments with old numbers are limited, lest two \
         ends answer each other for ever (RFC 5961 7, and so does Linux). The next probe is answered.",
        "这一次没有应答：距上次应答不到半秒。对旧序号报文段的应答要限速，以免两端无休止地互相应答（RFC 5961 第 7 节，Linux 也如此）。\
         下一次探测会得到应答。",
    );
    stage.cue(
        B,
        |seg| seg.is_ack() && seg.header.window > 0,
        "The program reads, and the window is told anew at once, since there is room for more than a full segment. It is never opened by a few \
         bytes, or tiny segments would follow: the silly window syndrome (RFC 9293 3.8.6.2.2).",
        "程序读取后，接收方立即通告新窗口，因为空间超过一个最大长度报文段。窗口从不只打开几个字节，\
         否则随后都是很小的报文段：糊涂窗口综合征（RFC 9293 3.8.6.2.2）。",
    );
    stage.send(A, client, &data).expect("open");
    stage.run_for(Duration::from_secs(2));
    let closed = stage.latest(B, |seg| seg.header.window == 0).is_some();
    let probes = stage.stack(A).tcp_info(client).map_or(0, |info| info.probes);
    let mut got = 0;
    for _ in 0..40 {
        match stage.recv(B, server) {
            Read::Bytes(bytes) => got += bytes.len(),
            _ if got == data.len() => break,
            _ => {}
        }
        if got == data.len() {
            break;
        }
        stage.run_for(Duration::from_millis(200));
    }
    stage.run_for(Duration::from_millis(500));
    stage.check(closed, "the receiver told of a zero window", "接收方宣告零窗口");
    stage.check(
        probes >= 1,
        format!("the sender probed, {probes} times before anybody read"),
        format!("发送方探测了 {probes} 次，之后才有人读取"),
    );
    stage.check(
        got == data.len(),
        "once the program reads, all arrives: nothing was lost by waiting",
        "程序一读取，数据全部到达：等待没有造成丢失",
    );
}

fn nagle(stage: &mut Stage) {
    let mut counts = [0; 2];
    for (index, nodelay) in [false, true].into_iter().enumerate() {
        if nodelay {
            stage.act("2. TCP_NODELAY: every write leaves at once.", "二、TCP_NODELAY：每次写都立即发出。");
        } else {
            stage.act("1. Nagle's algorithm, as by default.", "一、默认使用 Nagle 算法。");
        }
        let listener = if nodelay { None } else { Some(stage.listen(B)) };
        let listener = listener.or(stage.kept()).expect("the server listens since the first act");
        stage.keep(listener);
        let client = stage.connect();
        stage.run_until_arrived();
        let server = stage.accept(listener);
        stage.set(A, client, TcpOption::NoDelay(nodelay));
        let begin = stage.elapsed();
        if !nodelay {
            stage.cue(
                A,
                Seg::is_data,
                "The first small write leaves. While it is not acknowledged, further small ones are collected (RFC 9293 3.7.4).",
                "第一次小的写入立即发出。在它得到确认之前，后面的小数据先攒着（RFC 9293 3.7.4）。",
            );
            stage.cue(
                A,
                Seg::is_data,
                "The ACK is here: all that was collected leaves as one segment.",
                "ACK 到了：攒下的数据合成一个报文段发出。",
            );
        } else {
            stage.cue(
                A,
                Seg::is_data,
                "Each byte travels alone, behind 52 bytes of headers (IPv4, TCP with timestamps). Nobody waits, and the wire carries more.",
                "每个字节单独上路，前面是 52 字节的首部（IPv4，带时间戳的 TCP）。谁也不用等，但线路上的开销更大。",
            );
        }
        for letter in ["h", "e", "l", "l", "o"] {
            stage.send(A, client, letter.as_bytes()).expect("open");
            stage.run_for(Duration::from_millis(2));
        }
        stage.run_until_quiet(Duration::from_millis(100));
        let got = stage.recv(B, server);
        counts[index] = stage.count_since(A, Seg::is_data, begin);
        stage.check(
            got == Read::Bytes(b"hello".to_vec()),
            if nodelay { "without Nagle the word arrives" } else { "with Nagle the word arrives" },
            if nodelay { "不用 Nagle 时单词到达" } else { "使用 Nagle 时单词到达" },
        );
        // The closing is another scenario's.
        stage.pause_drawing();
        let now = stage.now();
        for (end, socket) in [(A, client), (B, server)] {
            stage.stack_mut(end).tcp_close(now, socket).expect("it is open");
        }
        stage.run_for(Duration::from_millis(200));
    }
    stage.check(
        counts == [2, 5],
        format!("five writes took {} segments with Nagle, {} without", counts[0], counts[1]),
        format!("五次写入：有 Nagle 用了 {} 个报文段，没有则用了 {} 个", counts[0], counts[1]),
    );
}

fn delayed_ack(stage: &mut Stage) {
    // Past the first segments, which are acknowledged at once so that a slow start is not held up.
    for end in [A, B] {
        stage.rebuild(end, |config| config.tcp.connection.quick_acks = 0);
    }
    let (client, server) = warm(stage);
    stage.set(A, client, TcpOption::NoDelay(true));
    stage.cue(
        B,
        Seg::is_ack,
        "Nothing to ride on came within 40 ms, so it leaves alone.",
        "40 毫秒内没有可以捎带它的数据，于是单独发出。",
    );
    stage.send(A, client, b"one").expect("open");
    let first = stage.elapsed();
    stage.run_for(Duration::from_millis(200));
    let alone = stage.times(B, Seg::is_ack, first).first().map(|at| *at - first);
    stage.recv(B, server);

    stage.cue(
        B,
        Seg::is_data,
        "The program answers at once: its data carries the acknowledgment, and no bare ACK is needed.",
        "程序马上应答：数据带着确认号，不需要单独的 ACK。",
    );
    stage.send(A, client, b"two?").expect("open");
    let second = stage.elapsed();
    stage.run_for(Duration::from_millis(15));
    stage.recv(B, server);
    stage.send(B, server, b"two!").expect("open");
    stage.run_for(Duration::from_millis(15));
    let bare = stage.count_since(B, Seg::is_ack, second);
    stage.run_for(Duration::from_millis(200));
    stage.recv(A, client);

    stage.cue(
        B,
        Seg::is_ack,
        "Two full segments: every second one is acknowledged at once (RFC 9293 3.8.6.3).",
        "两个最大长度报文段：每第二个立即确认（RFC 9293 3.8.6.3）。",
    );
    stage.send(A, client, &[b'x'; 2 * FULL]).expect("open");
    let third = stage.elapsed();
    stage.run_for(Duration::from_millis(200));
    let pair = stage.times(B, Seg::is_ack, third).first().map(|at| *at - third);
    stage.recv(B, server);
    let ms = |span: Option<Duration>| span.map_or(0, |span| span.as_millis());
    stage.check(
        ms(alone) == 50,
        format!("alone: after {} ms, of which 10 are the way there", ms(alone)),
        format!("单独：{} 毫秒之后，其中 10 毫秒是路程", ms(alone)),
    );
    stage.check(bare == 0, "with an answer to ride on: no bare ACK", "有应答可捎带：没有单独的 ACK");
    stage.check(ms(pair) == 10, "the second full segment: at once", "第二个最大长度报文段：立即确认");
}

fn keep_alive(stage: &mut Stage) {
    let (client, server) = warm(stage);
    let timing =
        KeepAliveSettings { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 3 };
    stage.set(A, client, TcpOption::KeepAliveTiming(timing));
    stage.set(A, client, TcpOption::KeepAlive(true));
    stage.cue(
        A,
        |_| true,
        "After a minute of silence: a segment with an old number, which must be answered. Off unless a program asks for it; two hours by \
         default.",
        "沉默一分钟之后：发一个旧序号的报文段，对方必须应答。默认关闭；默认间隔两小时。",
    );
    stage.run_for(Duration::from_secs(65));
    let alive = stage.state(A);
    let answered = stage.latest(B, Seg::is_ack).is_some();
    stage.event(B, stage.lang().pick("the cable is pulled out", "网线被拔掉"));
    for end in [A, B] {
        let cut = sim::link::Conditions { cut: true, ..stage.link.conditions(end) };
        stage.link.set_conditions(end, cut);
    }
    let begin = stage.elapsed();
    stage.run_for(Duration::from_secs(120));
    let why = stage.stack_mut(A).tcp_take_error(client);
    stage.note(
        "Neither end was told that the cable is gone: TCP sends nothing while nobody speaks. Who probes finds out, who does not never does.",
        "没有人通知任何一端网线断了：没有数据时 TCP 什么也不发。探测的一端能发现，不探测的一端永远不知道。",
    );
    let probes = stage.count_since(A, |_| true, begin);
    stage.check(
        alive == State::Established && answered,
        "while the peer is there it answers, and nothing else happens",
        "对端在时会应答，此外什么也不发生",
    );
    stage.check(
        why == Some(std::io::ErrorKind::TimedOut),
        format!(
            "{probes} segments without an answer (probes, and the RST at the end): the program hears TimedOut"
        ),
        format!("{probes} 个报文段没有应答（探测和最后的 RST）：程序得到 TimedOut"),
    );
    stage.check(
        stage.state(B) == State::Established,
        "the other end, which does not probe, still believes in the connection",
        "不探测的另一端仍以为连接还在",
    );
    let _ = server;
}

fn path_mtu(stage: &mut Stage) {
    const NARROW: u16 = 1000;
    let (client, server) = warm(stage);
    // A router on the way, whose next link takes less: it drops what is too big, and says so.
    stage.narrow(NARROW);
    stage.cue(
        A,
        Seg::is_data,
        "A full segment for the link, and too big for the path: TCP forbids fragments (DF), so a router on the way must drop it.",
        "对链路来说正是最大长度，对路径来说太长：TCP 禁止分片（DF），途中的路由器只能丢弃它。",
    );
    let begin = stage.elapsed();
    stage.send(A, client, &[b'x'; 3 * FULL]).expect("open");
    stage.run_until_quiet(Duration::from_millis(500));
    let got = stage.recv(B, server);
    stage.note(
        format!("\"Too big, next MTU {NARROW}\": what was lost goes again in smaller segments, and the size is remembered for this destination."),
        format!("“太大，下一跳 MTU 为 {NARROW}”：丢失的数据用更小的报文段重发，并且为这个目的地记住这个大小。"),
    );
    let largest = stage.largest_arrived(A);
    let known = stage.path_mtu_to_server();
    stage.check(matches!(&got, Read::Bytes(bytes) if bytes.len() == 3 * FULL), "all arrives", "全部到达");
    stage.check(
        known == Some(u32::from(NARROW)),
        format!("the client's host remembers a path MTU of {NARROW}"),
        format!("客户端主机记住路径 MTU 为 {NARROW}"),
    );
    stage.check(
        largest <= usize::from(NARROW),
        format!("no packet that arrived was larger: {largest} bytes at most"),
        format!("到达的报文都不超过它：最大 {largest} 字节"),
    );
    let took = stage.arrived_after(begin);
    stage.check(took < Duration::from_secs(1), "and it took less than a second", "用时不到一秒");
}

fn reset_attack(stage: &mut Stage) {
    let (client, server, _) = stage.open();
    let Some(local) = stage.stack(A).tcp_local_addr(client) else { return };
    let remote = stage.server_addr();
    let Some((ack, _)) = stage.latest(A, Seg::is_ack) else { return };
    let rcv_nxt = ack.header.ack;
    stage.note(
        format!(
            "Somebody knows addresses and ports ({}, {PORT}), and guesses sequence numbers, without seeing what passes.",
            local.port()
        ),
        format!("有人知道地址和端口（{}、{PORT}），靠猜序号。他看不到报文。", local.port()),
    );
    // Far outside the window: dropped without a word.
    stage.inject(B, forge(remote, local, Flags::RST, rcv_nxt.wrapping_add(1 << 30), 0, b""));
    stage.run_for(Duration::from_millis(50));
    let silent = stage.count(A, Seg::is_ack) == 1;
    stage.note(
        "Far outside the window: dropped, without an answer that could tell anything.",
        "远在窗口之外：直接丢弃，没有任何应答，也就不泄露任何信息。",
    );
    stage.cue(
        A,
        Seg::is_ack,
        "In the window, but not exact. Formerly that sufficed to kill a connection. Now it is answered by a challenge ACK: a real peer \
         that has reset would answer it with the exact number (RFC 5961 3.2).",
        "在窗口内，但不精确。从前这就足以断开连接。现在得到的是挑战 ACK（challenge ACK）：如果对端真的复位了，会用精确的序号应答（RFC 5961 3.2）。",
    );
    stage.inject(B, forge(remote, local, Flags::RST, rcv_nxt.wrapping_add(1000), 0, b""));
    stage.run_for(Duration::from_secs(1));
    let challenged = stage.count(A, Seg::is_ack) == 2;
    stage.cue(
        A,
        Seg::is_ack,
        "A forged SYN is challenged too, whatever its number (RFC 5961 4.2).",
        "伪造的 SYN 无论序号如何，也同样得到挑战 ACK（RFC 5961 4.2）。",
    );
    stage.inject(B, forge(remote, local, Flags::SYN, rcv_nxt.wrapping_add(500), 0, b""));
    stage.run_for(Duration::from_secs(1));
    let states = (stage.state(A), stage.state(B));
    stage.send(B, server, b"still here").expect("the connection lives");
    stage.run_for(Duration::from_millis(100));
    let got = stage.recv(A, client);
    stage.note(
        "The exact number would still do it; to guess it is one chance in four billion. Somebody who sees the packets need not \
         guess: TLS hides what is said, and keeps no connection from being cut. What authenticates the segments themselves does: TCP-AO \
         (RFC 5925), IPsec, or QUIC instead of TCP.",
        "精确的序号仍然有效，但猜中的机会只有四十亿分之一。能看到报文的人不必猜：TLS 只保护内容，不能防止连接被切断；\
         要防止，就得对报文段本身做认证：TCP-AO（RFC 5925）、IPsec，或者用 QUIC 代替 TCP。",
    );
    stage.inject(B, forge(remote, local, Flags::RST, rcv_nxt.wrapping_add(10), 0, b""));
    stage.run_for(Duration::from_millis(50));
    stage.check(silent, "outside the window: no answer", "窗口之外：没有应答");
    stage.check(challenged, "inside the window: a challenge ACK", "窗口之内：挑战 ACK");
    stage.check(
        states == (State::Established, State::Established) && got == Read::Bytes(b"still here".to_vec()),
        "the connection lived through both, and data passes",
        "连接经受住两者，数据照常",
    );
    stage.check(
        stage.state(A) == State::Closed,
        "the exact number closed it: RST is believed when it is right",
        "精确的序号关闭了它：正确的 RST 会被接受",
    );
}
