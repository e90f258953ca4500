//! Ports: why any number of clients run on one host, and what a port that is taken says.
//! Spec: RFC 9293 3.3.1 (a connection is a pair of sockets), RFC 6056 (ephemeral ports).

use crate::stage::{A, B, Stage, address};
use crate::{Scenario, Words};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;

pub(super) const ALL: &[Scenario] = &[Scenario {
    name: "ports",
    title: Words {
        en: "five clients on one host, none bound, five ports; one that insists on a taken port fails",
        zh: "同一台主机上五个客户端都不绑定端口：五个不同的端口；坚持使用已被占用端口的那个失败",
    },
    script: ports,
}];

/// What a user sees whose `--bind` names a port that is taken; a test of the command line compares it with the client's own words.
#[must_use]
pub fn message(taken: SocketAddr) -> String {
    format!("port {}/tcp is in use on {}: choose another port", taken.port(), taken.ip())
}

fn ports(stage: &mut Stage) {
    let listener = stage.listen(B);
    stage.watch_all("10.0.0.1", "10.0.0.2:5222", false);
    let remote = stage.server_addr();
    let mut locals: Vec<SocketAddr> = Vec::new();
    for n in 1..=5 {
        let now = stage.now();
        let socket = stage.stack_mut(A).tcp_connect_to(now, remote).expect("a port is free");
        let local = stage.stack(A).tcp_local_addr(socket).expect("a connecting socket has an address");
        let (en, zh) = (
            format!("client {n}: connect(), from port {}", local.port()),
            format!("客户端 {n}：connect()，端口 {}", local.port()),
        );
        let text = stage.lang().pick(en, zh);
        stage.event(A, text);
        locals.push(local);
    }
    stage.pause_drawing();
    stage.run_until_arrived();
    let mut accepted = BTreeSet::new();
    while let Some(socket) = stage.try_accept(listener) {
        accepted.extend(stage.stack(B).tcp_peer_addr(socket));
    }
    stage.note(
        "None of them was bound, so the host gave each a port of its own. The server tells them apart by address and port.",
        "它们都没有绑定端口，主机给每一个分配了不同的端口。服务器靠地址和端口区分它们。",
    );
    let taken = locals[0];
    let (sixth, bound) = stage.bind(A, taken.port(), false);
    stage.drop_socket(A, sixth);
    stage.note(
        format!(
            "A client that insists on a port of its own fails when another has it. What its user sees: \"{}\"",
            message(taken)
        ),
        format!("坚持使用某个端口的客户端，在端口被占用时失败。用户看到的是：“{}”", message(taken)),
    );
    let ports: BTreeSet<u16> = locals.iter().map(SocketAddr::port).collect();
    stage.check(ports.len() == 5, "five clients, five different ports", "五个客户端，五个不同的端口");
    stage.check(
        accepted == locals.iter().copied().collect(),
        "the server accepted all five, and knows each by its address and port",
        "服务器接受了全部五个连接，按地址和端口区分每一个",
    );
    stage.check(
        bound.err().map(|error| error.kind()) == Some(ErrorKind::AddrInUse),
        format!("bind() to port {}, which is taken, fails with AddrInUse", taken.port()),
        format!("bind() 到已占用的端口 {}：AddrInUse", taken.port()),
    );
    let is_here = |local: &SocketAddr| local.ip() == address(A);
    stage.check(
        locals.iter().all(is_here),
        "all of them have the host's one address",
        "它们共用主机的同一个地址",
    );
}
