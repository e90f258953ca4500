//! A page of notes about sockets, claim by claim: what it says, what is to be put right, and the scenario that shows it.
//! Spec: RFC 9293, RFC 768; where an RFC and Linux differ, both are said.
//! Owns: the claims, in our words. Invariants: every claim exists in both languages, and every scenario that is named is in the catalogue.
//! Not here: the scenarios.

use crate::words::{Lang, Words};
use ladder::canvas::wrap;

/// How well a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it is said.
    Right,
    /// Roughly; something is to be put right.
    Loose,
    /// It is otherwise.
    Wrong,
}

/// One claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// What the notes say.
    pub says: Words,
    /// How well it stands.
    pub verdict: Verdict,
    /// What is so.
    pub is: Words,
    /// What shows it.
    pub shown_by: &'static [&'static str],
}

/// The claims, in the order of the notes.
pub const CLAIMS: &[Claim] = &[
    Claim {
        says: Words {
            en: "TCP is connection-oriented and tells client and server strictly apart: a client must call connect(). UDP is connectionless and \
                 knows no roles.",
            zh: "TCP 面向连接，严格区分客户端和服务器，客户端必须调用 connect()；UDP 面向无连接，不区分。",
        },
        verdict: Verdict::Loose,
        is: Words {
            en: "Nothing can be sent over TCP before connect(): NotConnected. But roles belong to programs: TCP lets both ends open at once, without \
                 any server. And UDP may call connect() too: that sends nothing, and fixes the other end.",
            zh: "TCP 在 connect() 之前什么也发不出去：NotConnected。但角色属于程序：TCP 允许两端同时打开，不需要服务器。\
                 UDP 也可以调用 connect()：它不发任何报文，只是固定对端。",
        },
        shown_by: &["tcp-vs-udp", "simultaneous-open", "udp-connect"],
    },
    Claim {
        says: Words { en: "TCP is reliable, UDP is not.", zh: "TCP 稳定，UDP 不稳定。" },
        verdict: Verdict::Right,
        is: Words {
            en: "Over the same lossy link TCP delivers every byte, in order, and says so when it cannot; UDP delivers whole datagrams, or silently none.",
            zh: "同一条会丢包的链路上，TCP 把每个字节按序送达，做不到时会报告；UDP 要么送达完整的数据报，要么悄悄丢失。",
        },
        shown_by: &["tcp-vs-udp", "retransmit", "fast-retransmit", "sack"],
    },
    Claim {
        says: Words {
            en: "Simplex goes one way (a radio), half-duplex one way at a time (a walkie-talkie), duplex both ways at once (a telephone, a socket).",
            zh: "单工只有一个方向（收音机）；半双工收发不能同时（对讲机）；双工可同时收发（电话、socket）。",
        },
        verdict: Verdict::Right,
        is: Words {
            en: "These are properties of links. A TCP connection is two streams, one each way, over any link that carries both directions; over a \
                 one-way link it cannot even open, since nobody can acknowledge.",
            zh: "这些是链路的性质。TCP 连接是两个方向各一个字节流，只要链路两个方向都能走就行；\
                 在单工链路上连建立都做不到，因为没人能确认。",
        },
        shown_by: &["simplex", "half-duplex", "full-duplex"],
    },
    Claim {
        says: Words {
            en: "Clients bind no port, so any number of them run on one host; a client that binds one fails when another program has it.",
            zh: "客户端不绑定端口，所以可以多开；绑定了端口，若被其他程序占用就启动失败。",
        },
        verdict: Verdict::Right,
        is: Words {
            en: "Unbound, each gets a port of its own from the host. Bound to a taken one: AddrInUse.",
            zh: "不绑定时，主机给每个客户端分配不同的端口。绑定到已占用的端口：AddrInUse。",
        },
        shown_by: &["ports"],
    },
    Claim {
        says: Words {
            en: "A client connects and tells the exchange its own address and port; the exchange looks a number up and forwards to that address.",
            zh: "客户端连接服务器，告知本机 IP 和端口；服务器通过号码找到对方的 IP 和端口，转发消息。",
        },
        verdict: Verdict::Loose,
        is: Words {
            en: "The client need tell nothing: the exchange reads the source address of the packets. Behind NAT that is not the address which the client \
                 believes to have, and the one that the client believes in would lead nowhere.",
            zh: "客户端不必告知：服务器读取报文的源地址。在 NAT 后面，这个地址并不是客户端以为的那个；客户端自己以为的地址反而到不了。",
        },
        shown_by: &["relay", "relay-nat"],
    },
    Claim {
        says: Words {
            en: "Opening: SYN with a number, answered by ACK with that number plus one and a SYN with another, answered by ACK plus one. Three \
                 segments, since the middle one is two in one.",
            zh: "三次握手：SYN 带一个值，回复该值加一的 ACK 和自己的 SYN，再回复加一的 ACK。中间两个包合在一起，所以是三次。",
        },
        verdict: Verdict::Loose,
        is: Words {
            en: "SYN is a flag, one bit; \"SYN = 1\" means that it is set. The number is the initial sequence number (ISN), 32 bits, drawn anew for every \
                 connection. The acknowledgment is one more because the SYN takes one place in the sequence.",
            zh: "SYN 是标志位，只有一个比特；“SYN = 1”表示置位。那个数字是初始序号（ISN），32 位，每条连接重新选取。\
                 确认号加一，是因为 SYN 占用一个序号。",
        },
        shown_by: &[
            "handshake",
            "handshake-lost-syn",
            "handshake-lost-synack",
            "handshake-lost-ack",
            "refused",
            "syn-flood",
        ],
    },
    Claim {
        says: Words {
            en: "Closing: client sends SYN, server ACK; server sends SYN, client ACK.",
            zh: "四次挥手的图里，两端发送的是 syn，对方回复 ack。",
        },
        verdict: Verdict::Wrong,
        is: Words {
            en: "The close sends FIN, not SYN. Like a SYN it takes one place in the sequence, so its acknowledgment is one more.",
            zh: "关闭时发的是 FIN，不是 SYN。它和 SYN 一样占用一个序号，所以确认号加一。",
        },
        shown_by: &["close", "close-lost-fin"],
    },
    Claim {
        says: Words {
            en: "close() ends the sending direction; the server's recv() returns None then.",
            zh: "client 调用 close 关闭发送通道；server 的 recv() 收到 None，解阻塞。",
        },
        verdict: Verdict::Wrong,
        is: Words {
            en: "close() ends both directions: what still arrives is answered by RST. Ending one is shutdown(Write), the half-close. And the end of a \
                 stream reads as zero bytes, not as None and not as an error.",
            zh: "close() 结束两个方向：之后到达的数据会得到 RST。只结束一个方向的是 shutdown(Write)，即半关闭。\
                 流结束时 recv() 返回零字节，不是 None，也不是错误。",
        },
        shown_by: &["half-close", "data-after-close", "close", "abort"],
    },
    Claim {
        says: Words {
            en: "Four and not three: the server may go on without closing, so its ACK and its FIN cannot share a segment.",
            zh: "为什么是四次而不是三次：服务器可以不调用 close，所以 ACK 和关闭的包不能合在一起发。",
        },
        verdict: Verdict::Loose,
        is: Words {
            en: "The ACK cannot wait for a FIN of which nobody knows when it comes. But if the server closes in the same breath, they do share a segment, and \
                 three suffice. And when both close at once, the FINs cross.",
            zh: "ACK 不能等一个不知何时才来的 FIN。但如果服务器立即也关闭，两者就能合在一起，三次就够。两端同时关闭时，两个 FIN 在途中交错。",
        },
        shown_by: &["half-close", "close-three", "simultaneous-close"],
    },
    Claim {
        says: Words {
            en: "The server sends its FIN again until it is acknowledged; the client waits 2*MSL for that, one for its ACK and one for the server's repeated \
                 FIN.",
            zh: "服务器没收到 ack 就重发；所以客户端等待 2msl：自己发的 ack 一个 msl，服务器重发的包一个 msl。",
        },
        verdict: Verdict::Right,
        is: Words {
            en: "A FIN that comes again during the wait is answered, and the wait begins anew. Without TIME_WAIT it would meet a RST, and an old duplicate \
                 could get into a new connection of the same four-tuple.",
            zh: "等待期间再来的 FIN 会得到应答，并且重新计时。没有 TIME_WAIT，它会得到 RST；旧的重复报文段还可能混进同一四元组的新连接。",
        },
        shown_by: &["close-lost-last-ack", "time-wait", "time-wait-absent"],
    },
    Claim {
        says: Words { en: "2*MSL is two minutes.", zh: "一般 2msl 是 2min。" },
        verdict: Verdict::Loose,
        is: Words {
            en: "RFC 9293 takes MSL as two minutes, so 2*MSL is four. Implementations choose less: sixty seconds here, as in Linux.",
            zh: "RFC 9293 取 MSL 为两分钟，2*MSL 就是四分钟。实现往往取得更短：这里和 Linux 一样是六十秒。",
        },
        shown_by: &["time-wait"],
    },
    Claim {
        says: Words {
            en: "Whether or not the server got the last ACK, the client waits; its resources cannot be used again meanwhile, even when the program has ended, \
                 unless SO_REUSEADDR is set.",
            zh: "无论服务器有没有收到，客户端都要等 2msl，期间资源不可重用，程序关了也要等；设置 SO_REUSEADDR 就可用了。",
        },
        verdict: Verdict::Loose,
        is: Words {
            en: "The wait belongs to the host, so it goes on when the program has ended. SO_REUSEADDR ends no TIME_WAIT: it lets a new socket be bound beside \
                 it, and the old socket must have set it too.",
            zh: "等待属于主机，程序结束后照样继续。SO_REUSEADDR 并不结束 TIME_WAIT：它只允许新套接字与之并存绑定，而且旧套接字当时也必须设置过它。",
        },
        shown_by: &["restart-server-first", "time-wait"],
    },
    Claim {
        says: Words {
            en: "Who closes first waits. If the server does, its restart fails with \"address in use\" for that long; so the client should close first.",
            zh: "谁先调用 close 谁等待 2msl。服务器先关闭，这段时间重启会报端口被占用；所以一般由客户端发起关闭。",
        },
        verdict: Verdict::Right,
        is: Words {
            en: "So it is; when both close at once both wait, and a RST lets nobody wait. The exchange lets its clients close first, and sets SO_REUSEADDR on its \
                 listeners besides.",
            zh: "确实如此；两端同时关闭则都要等，RST 则谁也不等。Switchboard 的服务器让客户端先关闭，监听套接字也设置 SO_REUSEADDR。",
        },
        shown_by: &["restart-server-first", "simultaneous-close", "abort"],
    },
    Claim {
        says: Words {
            en: "A client that closed first can restart at once, since it is not bound and takes another port; a server must be bound.",
            zh: "客户端先关闭可以成功重启：它一般不绑定端口，不可用就换下一个；服务器必须绑定端口。",
        },
        verdict: Verdict::Right,
        is: Words {
            en: "What counts is the binding, not the role: a client that is bound and closes first fails on restart exactly as a server does.",
            zh: "关键在于是否绑定，而不是角色：绑定了端口又先关闭的客户端，重启时和服务器一样失败。",
        },
        shown_by: &["restart-client-first", "restart-client-bound"],
    },
];

/// The page: every claim, what is so, and what shows it.
#[must_use]
pub fn text(lang: Lang, columns: usize) -> String {
    let mut out = String::new();
    let mut push = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    for line in wrap(
        lang.pick(
            "The lab grew out of a page of notes about TCP, UDP and their sockets. These are its claims, one by one. `switchboard lab NAME` plays what \
             shows each.",
            "这个实验室源于一页关于 TCP、UDP 和套接字的笔记。下面逐条看它的说法；用 switchboard lab 加名称可以演示。",
        ),
        columns,
    ) {
        push(&line);
    }
    for (index, claim) in CLAIMS.iter().enumerate() {
        push("");
        let verdict = match claim.verdict {
            Verdict::Right => lang.pick("right", "正确"),
            Verdict::Loose => lang.pick("loosely said", "不够严谨"),
            Verdict::Wrong => lang.pick("not so", "有误"),
        };
        let says = format!("{}. {}", index + 1, claim.says.get(lang));
        for line in wrap(&says, columns) {
            push(&line);
        }
        let is = format!("[{verdict}] {}", claim.is.get(lang));
        for line in wrap(&is, columns - 4) {
            push(&format!("    {line}"));
        }
        push(&format!("    {} {}", lang.pick("shown by:", "演示："), claim.shown_by.join(", ")));
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests;
