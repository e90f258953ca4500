//! Closing: four segments, three, one half at a time, both at once; with losses; and the hard way.
//! Spec: RFC 9293 3.6, 3.8.1, 3.10.4 to 3.10.7.

use crate::frame::Seg;
use crate::stage::{A, B, Read, Stage};
use crate::{Scenario, Words};
use ladder::state::State;
use std::time::Duration;
use tcp::SendFlags;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "close",
        title: Words {
            en: "four segments close a connection, the client first: FIN, ACK, FIN, ACK",
            zh: "四次挥手，客户端先关闭：FIN、ACK、FIN、ACK",
        },
        script: close,
    },
    Scenario {
        name: "close-three",
        title: Words {
            en: "the server closes in the same breath: its ACK and its FIN share a segment",
            zh: "服务器立刻也关闭：ACK 和 FIN 合为一个报文段，三次挥手",
        },
        script: close_three,
    },
    Scenario {
        name: "half-close",
        title: Words {
            en: "the client has finished, the server goes on sending for as long as it likes",
            zh: "半关闭：客户端发完了，服务器想继续发多久就发多久",
        },
        script: half_close,
    },
    Scenario {
        name: "close-lost-fin",
        title: Words {
            en: "the FIN is lost, and is sent again as data would be",
            zh: "FIN 丢失：像数据一样重传",
        },
        script: close_lost_fin,
    },
    Scenario {
        name: "close-lost-last-ack",
        title: Words {
            en: "the last ACK is lost: the server sends its FIN again, TIME_WAIT answers, and its wait begins anew",
            zh: "最后的 ACK 丢失：服务器重传 FIN，客户端在 TIME_WAIT 中应答，等待重新计时",
        },
        script: close_lost_last_ack,
    },
    Scenario {
        name: "simultaneous-close",
        title: Words {
            en: "both close at once: the FINs cross, and both ends wait 2*MSL",
            zh: "同时关闭：两个 FIN 在途中交错，两端都要等待 2*MSL",
        },
        script: simultaneous_close,
    },
    Scenario {
        name: "abort",
        title: Words {
            en: "the hard way: RST, and what was under way is gone",
            zh: "强行终止：RST，途中的数据作废",
        },
        script: abort,
    },
    Scenario {
        name: "data-after-close",
        title: Words {
            en: "data arrives for a program that has closed: RST answers it",
            zh: "数据到达时程序已经 close()：得到 RST",
        },
        script: data_after_close,
    },
];

/// A connection is open: its opening is drawn, but not explained.
fn quietly_open(stage: &mut Stage) -> (stack::TcpHandle, stack::TcpHandle) {
    let (client, server, _) = stage.open();
    (client, server)
}

fn close(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.cue(
        A,
        Seg::is_fin,
        "close() sends FIN, not SYN: \"I shall send no more\". Like a SYN it takes one place in the sequence, so that it can be acknowledged.",
        "close() 发出的是 FIN，不是 SYN：“我不再发送数据了”。它和 SYN 一样占用一个序号，因此可以被确认。",
    );
    stage.cue(
        B,
        Seg::is_ack,
        "The server's stack acknowledges at once; its program has not closed yet, so no FIN can go with it.",
        "服务器的协议栈立即确认；它的程序还没有关闭，所以 FIN 不能一起发。",
    );
    stage.close(A, client);
    stage.run_for(Duration::from_millis(200));
    let between = (stage.state(A), stage.state(B));
    let end = stage.recv(B, server);
    stage.note(
        "The end of the stream reads as zero bytes, not as an error and not as None: the server knows that nothing more will come.",
        "流结束时 recv() 返回零字节，不是错误，也不是 None：服务器由此得知不会再有数据。",
    );
    stage.cue(
        B,
        Seg::is_fin,
        "Now its program closes too: the second FIN. Until it is acknowledged it is sent again and again.",
        "现在服务器程序也关闭：第二个 FIN。在得到确认之前会反复重传。",
    );
    stage.cue(
        A,
        Seg::is_ack,
        "The last ACK. Nobody acknowledges it, so the client cannot know that it arrived: it stays for 2*MSL to answer a repeated FIN.",
        "最后的 ACK。没有人确认它，客户端无法知道它是否到达：所以留在 TIME_WAIT 等待 2*MSL，好应答重传的 FIN。",
    );
    stage.close(B, server);
    stage.run_for(Duration::from_secs(1));
    let after = (stage.state(A), stage.state(B));
    let waiting = [A, B].map(|end| stage.stack(end).tcp_counts().time_wait);
    stage.run_for(stage.time_wait());
    stage.check(
        end == Read::End,
        "the server read the end of the stream as zero bytes",
        "服务器把流结束读作零字节",
    );
    stage.check(
        between == (State::FinWait2, State::CloseWait) && after == (State::TimeWait, State::Closed),
        "FIN-WAIT-2 and CLOSE-WAIT while one half is open, then TIME-WAIT and CLOSED",
        "半关闭期间为 FIN-WAIT-2 与 CLOSE-WAIT，之后为 TIME-WAIT 与 CLOSED",
    );
    stage.check(
        waiting == [1, 0],
        "who closed first waits; the other does not",
        "先关闭的一方等待，另一方不用",
    );
    stage.check(
        stage.state(A) == State::Closed && stage.stack(A).tcp_counts().time_wait == 0,
        "after 2*MSL nothing is left",
        "2*MSL 之后什么都不剩",
    );
    stage.check(
        stage.count(A, Seg::is_fin) == 1 && stage.count(B, Seg::is_fin) == 1,
        "one FIN each way",
        "每个方向各有一个 FIN",
    );
}

fn close_three(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.cue(
        B,
        Seg::is_fin,
        "The server's program read the end and closed before its stack had acknowledged: both fit into one segment. Three is as legal as four.",
        "服务器程序读到流结束后立即关闭，此时协议栈还没来得及单独确认：两者合为一个报文段。三次与四次同样合法。",
    );
    // The client's last words and its FIN leave together; the server answers both at once.
    let now = stage.now();
    stage
        .stack_mut(A)
        .tcp_send(now, client, b"bye", SendFlags { more: true, ..SendFlags::default() })
        .expect("open");
    stage.event(A, "send(3 bytes)");
    stage.close(A, client);
    serve_at_once(stage, server);
    stage.run_for(Duration::from_millis(200));
    let separate = stage.count(B, Seg::is_ack);
    stage.check(
        stage.state(A) == State::TimeWait && stage.state(B) == State::Closed,
        "the connection is closed as it is after four",
        "结果与四次挥手完全相同",
    );
    stage.check(
        separate == 0 && stage.count(B, Seg::is_fin) == 1,
        "the server sent no bare ACK: its FIN carried it",
        "服务器没有单独发 ACK：FIN 已带上确认",
    );
}

/// Runs until the server can read the end, and lets its program read and close before its stack sends anything.
fn serve_at_once(stage: &mut Stage, server: stack::TcpHandle) {
    let socket = server;
    stage.on_arrival(B, move |stage| {
        let mut all = Vec::new();
        loop {
            match stage.recv_quietly(B, socket) {
                Read::Bytes(bytes) => all.extend(bytes),
                Read::End => break,
                Read::Nothing | Read::Failed(_) => return false,
            }
        }
        stage.event(B, format!("recv() = {} bytes, recv() = 0", all.len()));
        stage.close(B, socket);
        true
    });
}

fn half_close(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.cue(
        A,
        Seg::is_fin,
        "shutdown(Write) ends one direction only. close() would end both: what still came in would be answered by RST.",
        "shutdown(Write) 只结束一个方向。close() 会结束两个方向：之后到达的数据只会得到 RST。",
    );
    stage.cue(
        B,
        Seg::is_ack,
        "The ACK cannot wait for the server's FIN: nobody knows when its program will close, and the client's FIN would be sent again meanwhile. \
         That is why these two are two segments, while a handshake's SYN and ACK are one.",
        "这个 ACK 不能等服务器的 FIN：谁也不知道服务器程序何时关闭，而这期间客户端会不断重传 FIN。\
         所以这里是两个报文段，而握手中的 SYN 和 ACK 可以合成一个。",
    );
    stage.shutdown(A, client);
    stage.run_for(Duration::from_millis(100));
    let mut got = 0;
    for _ in 0..3 {
        stage.run_for(Duration::from_secs(30));
        stage.send(B, server, &[7; 1000]).expect("the server may send");
        stage.run_for(Duration::from_millis(100));
        if let Read::Bytes(bytes) = stage.recv(A, client) {
            got += bytes.len();
        }
    }
    let between = (stage.state(A), stage.state(B));
    stage.note(
        "A minute and a half later the client, in FIN-WAIT-2, is still receiving. The server closes when it has said all.",
        "一分半钟之后，处于 FIN-WAIT-2 的客户端仍在接收。服务器把话说完才关闭。",
    );
    stage.close(B, server);
    stage.run_for(Duration::from_millis(100));
    let end = stage.recv(A, client);
    stage.check(
        got == 3000,
        "the client received all that was sent after its FIN",
        "客户端收到了 FIN 之后发来的全部数据",
    );
    stage.check(
        between == (State::FinWait2, State::CloseWait),
        "half closed: FIN-WAIT-2 and CLOSE-WAIT, for as long as the server likes",
        "半关闭：FIN-WAIT-2 与 CLOSE-WAIT，持续多久由服务器决定",
    );
    stage.check(
        end == Read::End && stage.state(A) == State::TimeWait,
        "then the end of the stream, and TIME-WAIT",
        "最后是流结束和 TIME-WAIT",
    );
}

fn close_lost_fin(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.lose(A, Seg::is_fin, 0, 1);
    stage.cue(
        A,
        Seg::is_fin,
        "FIN has a sequence number, so it is watched by the retransmission timer as data is.",
        "FIN 占用序号，因此和数据一样受重传计时器看管。",
    );
    stage.close(A, client);
    stage.run_for(Duration::from_secs(1));
    let end = stage.recv(B, server);
    stage.close(B, server);
    stage.run_for(Duration::from_millis(200));
    stage.check(stage.count(A, Seg::is_fin) == 2, "the FIN was sent twice", "FIN 发了两次");
    stage.check(
        end == Read::End && stage.state(A) == State::TimeWait && stage.state(B) == State::Closed,
        "the server read the end, and both closed as if nothing had been lost",
        "服务器读到流结束，两端正常关闭，就像没有丢失过一样",
    );
}

fn close_lost_last_ack(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
    stage.lose(A, Seg::is_ack, 0, 1);
    stage.cue(
        A,
        Seg::is_ack,
        "The last ACK is lost. The server, in LAST-ACK, cannot know whether its FIN arrived.",
        "最后的 ACK 丢失。处于 LAST-ACK 的服务器不知道自己的 FIN 是否送达。",
    );
    stage.cue(
        B,
        Seg::is_fin,
        "So it sends the FIN again. This is what TIME_WAIT is for: somebody is still there to answer. Without it the answer would be RST.",
        "于是重传 FIN。TIME_WAIT 正是为此：还有人在那里应答。否则得到的会是 RST。",
    );
    stage.close(B, server);
    let entered = stage.elapsed() + crate::stage::DELAY;
    stage.run_for(Duration::from_secs(2));
    stage.note(
        "The repeated FIN starts the wait anew: 2*MSL from the last answer on.",
        "重传的 FIN 使等待重新计时：从最后一次应答起再等 2*MSL。",
    );
    let fins = stage.count(B, Seg::is_fin);
    stage.run_until_quiet(Duration::from_secs(120));
    let waited = stage.elapsed().saturating_sub(entered);
    stage.check(fins == 2, "the server sent its FIN twice", "服务器的 FIN 发了两次");
    stage.check(
        stage.state(A) == State::Closed && stage.state(B) == State::Closed,
        "both ends closed",
        "两端都已关闭",
    );
    stage.check(
        waited > stage.time_wait() + Duration::from_millis(150),
        format!(
            "the client waited longer than 2*MSL: {:.2} s in all, since the wait began anew",
            waited.as_secs_f64()
        ),
        format!("客户端等待的时间超过 2*MSL：总共 {:.2} 秒，因为计时重新开始过", waited.as_secs_f64()),
    );
}

fn simultaneous_close(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.cue(
        A,
        Seg::is_fin,
        "Neither FIN answers the other. Each end finds a FIN where it expected an ACK: CLOSING.",
        "两个 FIN 都不是对另一个的应答。双方等的是 ACK，等来的却是 FIN：进入 CLOSING。",
    );
    stage.close(A, client);
    stage.close(B, server);
    stage.run_for(Duration::from_millis(100));
    let both = (stage.state(A), stage.state(B));
    stage.run_for(stage.time_wait());
    stage.check(
        both == (State::TimeWait, State::TimeWait),
        "both closed first, so both wait 2*MSL",
        "双方都算先关闭，所以都要等待 2*MSL",
    );
    stage.check(
        stage.state(A) == State::Closed && stage.state(B) == State::Closed,
        "then both are gone",
        "然后都结束",
    );
}

fn abort(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.send(B, server, &[1; 100]).expect("open");
    stage.cue(
        A,
        Seg::is_reset,
        "RST closes at once, at both ends: no acknowledgment, no TIME_WAIT. What was under way is thrown away.",
        "RST 让两端立即关闭：没有确认，也没有 TIME_WAIT。途中的数据全部丢弃。",
    );
    stage.cue(
        A,
        Seg::is_reset,
        "The server's bytes were on their way. They find nobody who knows the connection, so a second RST answers them.",
        "服务器的数据已在途中。到达时没有人认识这条连接，于是又得到一个 RST。",
    );
    stage.abort(A, client);
    stage.run_for(Duration::from_millis(100));
    let got = stage.recv(B, server);
    stage.check(
        got == Read::Failed(std::io::ErrorKind::ConnectionReset),
        "the server's program hears ConnectionReset",
        "服务器程序得到 ConnectionReset",
    );
    let waiting = [A, B].map(|end| stage.stack(end).tcp_counts().time_wait);
    stage.check(waiting == [0, 0], "nobody waits", "没有任何一端需要等待");
}

fn data_after_close(stage: &mut Stage) {
    let (client, server) = quietly_open(stage);
    stage.close(A, client);
    stage.run_for(Duration::from_millis(100));
    stage.cue(
        A,
        Seg::is_reset,
        "close() ended both directions: nobody will ever read this. Saying so by RST is better than acknowledging bytes that are lost \
         (RFC 9293 3.6.1). shutdown(Write) would have kept the reading half.",
        "close() 已结束两个方向：再也没有人会读这些数据。用 RST 说明，好过确认了却丢掉（RFC 9293 3.6.1）。\
         如果用 shutdown(Write)，读的一半会保留。",
    );
    stage.send(B, server, b"one more thing").expect("the server may send: it has heard of a FIN only");
    stage.run_for(Duration::from_millis(100));
    let sent = stage.send(B, server, b"and another");
    stage.check(
        stage.count(A, Seg::is_reset) == 1,
        "the client's stack answered with RST",
        "客户端的协议栈用 RST 应答",
    );
    stage.check(sent.is_err(), "the server's next send() fails", "服务器的下一次 send() 失败");
    stage.check(
        stage.state(A) == State::Closed && stage.state(B) == State::Closed,
        "the connection is gone at both ends",
        "两端的连接都已消失",
    );
}
