//! TIME_WAIT: who waits, why twice MSL, what it is good for, and what it means for a restart.
//! Spec: RFC 9293 3.4.2, 3.5.1, 3.6.1; RFC 1337 (what old duplicates do without it); RFC 6191 (reuse); socket(7) for SO_REUSEADDR.

use crate::frame::{Seg, forge};
use crate::stage::{A, B, PORT, Read, Stage};
use crate::{Scenario, Words};
use ladder::state::State;
use stack::TcpHandle;
use std::io::ErrorKind;
use std::time::Duration;
use wire::tcp::Flags;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "time-wait",
        title: Words {
            en: "who closes first waits 2*MSL; why two; an old duplicate during the wait, and one after it",
            zh: "先关闭的一方等待 2*MSL；为什么是两个 MSL；等待期间和之后的旧重复报文段",
        },
        script: time_wait,
    },
    Scenario {
        name: "time-wait-absent",
        title: Words {
            en: "without TIME_WAIT: a FIN that is sent again meets a RST, and a clean end looks like a failure",
            zh: "没有 TIME_WAIT：重传的 FIN 得到 RST，正常关闭看上去像出错",
        },
        script: absent,
    },
    Scenario {
        name: "restart-server-first",
        title: Words {
            en: "the server closed first and restarts: bind() fails; SO_REUSEADDR lets it, and ends no TIME_WAIT",
            zh: "服务器先关闭再重启：bind() 失败；SO_REUSEADDR 允许绑定，但并不结束 TIME_WAIT",
        },
        script: restart_server_first,
    },
    Scenario {
        name: "restart-client-first",
        title: Words {
            en: "the client closed first and restarts: no wait, since an unbound client takes another port",
            zh: "客户端先关闭再重启：无需等待，因为没有绑定端口的客户端会换一个端口",
        },
        script: restart_client_first,
    },
    Scenario {
        name: "restart-client-bound",
        title: Words {
            en: "a client that is bound to a port closes first and restarts: it fails like a server",
            zh: "绑定了端口的客户端先关闭再重启：和服务器一样失败",
        },
        script: restart_client_bound,
    },
];

fn time_wait(stage: &mut Stage) {
    let (client, server, _) = stage.open();
    stage.send(A, client, b"hello").expect("open");
    stage.run_for(Duration::from_millis(100));
    stage.recv(B, server);
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
    stage.close(B, server);
    stage.run_for(Duration::from_millis(100));
    let waiting = (stage.state(A), stage.state(B));
    stage.note(
        "MSL, the maximum segment lifetime, is the longest that a segment can live in the network. The wait is two of them: one until the last ACK has arrived or died, \
         and one more until a FIN that the other sent again, just before, has arrived or died. Four minutes by RFC 9293 (MSL is two), \
         sixty seconds here, as in Linux.",
        "MSL 是最长报文段寿命，即报文段在网络中能存活的最长时间。等待两个 MSL：一个让最后的 ACK 到达或消亡，\
         再一个让对方在此之前重传的 FIN 到达或消亡。按 RFC 9293 是四分钟（MSL 为两分钟），这里和 Linux 一样是六十秒。",
    );
    let Some((fin, _)) = stage.latest(B, Seg::is_fin) else { return };
    // The server's data of long ago, as an old duplicate of it would look: a number from before the FIN.
    let old = forge(
        fin.src,
        fin.dst,
        Flags::ACK | Flags::PSH,
        fin.header.seq.wrapping_sub(5),
        fin.header.ack,
        b"stale",
    );
    stage.run_for(Duration::from_secs(20));
    stage.cue(
        A,
        Seg::is_ack,
        "During the wait: an old duplicate of the server's meets an end that still knows the connection. It is answered by an ACK and its \
         data thrown away; and it cannot get into a new connection, since the four-tuple is not given out meanwhile.",
        "等待期间：服务器的旧重复报文段遇到仍记得这条连接的一端。得到一个 ACK，数据被丢弃；\
         在此期间四元组不会再分配，所以它不可能混进新连接。",
    );
    stage.cue(
        B,
        Seg::is_reset,
        "The server has forgotten the connection, so that ACK meets a RST. The wait goes on all the same: in TIME_WAIT a RST is not \
         believed, or an old duplicate could end the wait by way of its answer (RFC 1337).",
        "服务器早已忘掉这条连接，所以那个 ACK 得到 RST。等待照样继续：TIME_WAIT 不理会 RST，\
         否则一个旧的重复报文段就能借此结束等待（RFC 1337）。",
    );
    stage.inject_old(B, old.clone());
    stage.run_for(Duration::from_secs(1));
    let during = stage.count(A, Seg::is_reset);
    let still = stage.state(A);
    stage.run_until_quiet(Duration::from_secs(120));
    let after_wait = stage.state(A);
    let lasted = stage.elapsed();
    stage.cue(
        A,
        Seg::is_reset,
        "After it: nobody knows the connection, so RST. By now the network has forgotten all its segments; this one was made to be late.",
        "等待之后：没有人记得这条连接，所以回 RST。到这时它的报文段在网络中早该消失；这一个是故意迟到的。",
    );
    stage.inject_old(B, old);
    stage.run_for(Duration::from_secs(1));
    let after = stage.count(A, Seg::is_reset);
    stage.check(
        waiting == (State::TimeWait, State::Closed),
        "who closed first waits, the other does not",
        "先关闭的一方等待，另一方不等",
    );
    stage.check(
        lasted >= stage.time_wait() && after_wait == State::Closed,
        format!("the wait lasted {} s", stage.time_wait().as_secs()),
        format!("等待持续了 {} 秒", stage.time_wait().as_secs()),
    );
    stage.check(
        during == 0 && still == State::TimeWait,
        "the duplicate during the wait harmed nothing",
        "等待期间的重复报文段没有造成损害",
    );
    stage.check(
        after == 1,
        "the duplicate after the wait was answered by RST",
        "等待之后的重复报文段得到 RST",
    );
}

fn absent(stage: &mut Stage) {
    stage.rebuild(A, |config| config.tcp.connection.test.time_wait = false);
    let (client, server, _) = stage.open();
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
    stage.lose(A, Seg::is_ack, 0, 1);
    stage.cue(
        A,
        Seg::is_ack,
        "This client's stack breaks the rule: it forgets the connection at once. And the last ACK gets lost.",
        "这个客户端的协议栈违反规则：立刻忘掉连接。而最后的 ACK 恰好丢失。",
    );
    stage.cue(
        A,
        Seg::is_reset,
        "Nobody is there to answer the repeated FIN, so it meets a RST. All had arrived, and yet the server hears \"there is no such \
         connection\" where it waited for \"I have it all\". RFC 9293 lets LAST-ACK end without a word then; other stacks report \
         ConnectionReset.",
        "没有人应答重传的 FIN，于是得到 RST。数据明明全部送达，服务器等的是“都收到了”，听到的却是“没有这条连接”。\
         RFC 9293 让 LAST-ACK 此时静默结束；有的协议栈会报告 ConnectionReset。",
    );
    stage.shutdown(B, server);
    stage.run_for(Duration::from_secs(2));
    stage.check(
        stage.count(A, Seg::is_reset) == 1,
        "the repeated FIN was answered by RST, not by ACK",
        "重传的 FIN 得到的是 RST，而不是 ACK",
    );
    stage.check(
        stage.state(B) == State::Closed,
        "the server's end closed by that RST",
        "服务器一端因这个 RST 而关闭",
    );
    stage.check(stage.count(B, Seg::is_fin) == 2, "it had sent its FIN twice", "它的 FIN 发了两次");
}

/// The server closes first; the client follows. Both programs end.
fn server_closes_first(stage: &mut Stage, reuse: bool) {
    let (listener, bound) = stage.bind(B, PORT, reuse);
    debug_assert!(bound.is_ok());
    stage.listen_on(B, listener);
    let client = stage.connect();
    stage.run_until_arrived();
    let server = stage.accept(listener);
    stage.close(B, server);
    stage.close_listener(B, listener);
    stage.run_for(Duration::from_millis(100));
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
}

fn restart_server_first(stage: &mut Stage) {
    stage.act("1. The server closes first, and its program ends.", "一、服务器先关闭，程序退出。");
    server_closes_first(stage, false);
    let waits = stage.state(B);
    stage.note(
        "Whoever closes first waits; this time it is the server, whose port everybody knows.",
        "谁先关闭谁等待；这一次是服务器，而它的端口是众所周知的。",
    );
    let (plain, first) = stage.bind(B, PORT, false);
    stage.drop_socket(B, plain);
    let (second_try, second) = stage.bind(B, PORT, true);
    stage.drop_socket(B, second_try);
    stage.note(
        "SO_REUSEADDR does not help here: the old socket must have set it too, and it had not.",
        "这里 SO_REUSEADDR 也没有用：旧的套接字当时也必须设置过它，而它没有。",
    );
    stage.run_for(stage.time_wait());
    let (late, third) = stage.bind(B, PORT, false);
    stage.drop_socket(B, late);
    let kind =
        |result: &Result<_, stack::socket::error::BindError>| result.as_ref().err().map(|error| error.kind());
    stage.check(waits == State::TimeWait, "the server's end was in TIME-WAIT", "服务器一端处于 TIME-WAIT");
    stage.check(
        kind(&first) == Some(ErrorKind::AddrInUse),
        "without SO_REUSEADDR bind() failed with AddrInUse",
        "没有 SO_REUSEADDR 时 bind() 失败：AddrInUse",
    );
    stage.check(
        kind(&second) == Some(ErrorKind::AddrInUse),
        "with SO_REUSEADDR on the new socket only it failed too",
        "只在新套接字上设置 SO_REUSEADDR，同样失败",
    );
    stage.check(third.is_ok(), "after 2*MSL it works without any option", "2*MSL 之后，不设任何选项也能绑定");

    stage.act(
        "2. The same, but both the old socket and the new one set SO_REUSEADDR.",
        "二、同样的经过，但新旧两个套接字都设置了 SO_REUSEADDR。",
    );
    server_closes_first(stage, true);
    let before = stage.stack(B).tcp_counts().time_wait;
    let (again, bound) = stage.bind(B, PORT, true);
    let after = stage.stack(B).tcp_counts().time_wait;
    stage.note(
        "It is bound while the old connection is still in TIME_WAIT: the option does not end the wait, it lets a listener live beside it. \
         Switchboard's listeners set it always.",
        "旧连接仍在 TIME_WAIT，绑定却成功了：这个选项不是结束等待，而是允许监听套接字与它并存。\
         Switchboard 的监听套接字总是设置它。",
    );
    stage.listen_on(B, again);
    stage.act("3. A new client is served at once.", "三、新客户端立即得到服务。");
    let client = stage.connect();
    stage.run_until_arrived();
    let served = stage.try_accept(again).is_some();
    let _ = client;
    stage.check(
        bound.is_ok(),
        "with SO_REUSEADDR on both, bind() succeeds during the wait",
        "两者都设置后，等待期间 bind() 成功",
    );
    stage.check(
        before == 1 && after == 1,
        "and the TIME_WAIT is still there: the option ended nothing",
        "而 TIME_WAIT 还在：选项没有结束任何等待",
    );
    stage.check(served, "the restarted server serves a new client", "重启后的服务器为新客户端服务");
}

fn client_port(stage: &Stage, client: TcpHandle) -> u16 {
    stage.stack(A).tcp_local_addr(client).map_or(0, |addr| addr.port())
}

fn restart_client_first(stage: &mut Stage) {
    stage.act("1. The client closes first, and its program ends.", "一、客户端先关闭，程序退出。");
    let (client, server, listener) = stage.open();
    let first = client_port(stage, client);
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
    stage.close(B, server);
    stage.run_for(Duration::from_millis(100));
    let waits = (stage.state(A), stage.state(B));
    stage.note(
        "The client waits, on a port that nobody needs: the server's port has no TIME_WAIT on it. This is why clients should close first.",
        "客户端在等待，占着一个没有人需要的端口；服务器的端口上没有 TIME_WAIT。这就是为什么通常让客户端先关闭。",
    );
    stage.act("2. It restarts at once.", "二、它立刻重启。");
    let again = stage.connect();
    let second = client_port(stage, again);
    stage.note(
        format!("Not bound, it was given another port: {second} instead of {first}. Another four-tuple, so no conflict and no wait."),
        format!("没有绑定端口，于是得到另一个端口：{second}，而不是 {first}。四元组不同，没有冲突，也不用等。"),
    );
    stage.run_until_arrived();
    let served = stage.try_accept(listener).is_some();
    stage.check(
        waits == (State::TimeWait, State::Closed),
        "the client was in TIME-WAIT",
        "客户端处于 TIME-WAIT",
    );
    stage.check(
        first != second && served,
        "it connects again at once, from another port",
        "它立刻从另一个端口重新连上",
    );
    stage.check(
        stage.stack(A).tcp_counts().time_wait == 1 && stage.stack(B).tcp_counts().time_wait == 0,
        "the old wait goes on meanwhile, at the client only",
        "旧的等待仍在继续，只在客户端一侧",
    );
}

fn restart_client_bound(stage: &mut Stage) {
    const OWN: u16 = 4000;
    stage.act("1. A client that is bound to port 4000 closes first.", "一、绑定在 4000 端口的客户端先关闭。");
    let listener = stage.listen(B);
    let (client, _) = stage.bind(A, OWN, false);
    stage.connect_socket(client).expect("the server can be reached");
    stage.run_until_arrived();
    let server = stage.accept(listener);
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
    stage.close(B, server);
    stage.run_for(Duration::from_millis(100));
    let waits = stage.state(A);
    let (again, bound) = stage.bind(A, OWN, false);
    stage.note(
        "It insists on its port, and the port waits. Being a client does not help: what counts is who closed first, and who is bound. \
         So Switchboard's clients bind no port, unless --bind says so.",
        "它坚持要自己的端口，而这个端口在等待。是不是客户端无关紧要：要看谁先关闭、谁绑定了端口。\
         所以 Switchboard 的客户端不绑定端口，除非用 --bind 指定。",
    );
    stage.drop_socket(A, again);
    stage.run_for(stage.time_wait());
    let (late, after) = stage.bind(A, OWN, false);
    stage.act("2. After 2*MSL it may have its port again.", "二、2*MSL 之后又可以用这个端口。");
    stage.connect_socket(late).expect("the server can be reached");
    stage.run_until_arrived();
    let server = stage.try_accept(listener);
    stage.send(A, late, b"back").expect("open");
    stage.run_for(Duration::from_millis(100));
    let got = server.map(|server| stage.recv(B, server));
    stage.check(
        waits == State::TimeWait,
        "the bound client was in TIME-WAIT",
        "绑定端口的客户端处于 TIME-WAIT",
    );
    stage.check(
        bound.as_ref().err().map(|error| error.kind()) == Some(ErrorKind::AddrInUse),
        "its restart failed: bind() says AddrInUse, as a server's would",
        "重启失败：bind() 返回 AddrInUse，与服务器一样",
    );
    stage.check(
        after.is_ok() && got == Some(Read::Bytes(b"back".to_vec())),
        "2*MSL later it works",
        "2*MSL 之后可以了",
    );
}
