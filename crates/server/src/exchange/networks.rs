//! Networks: the kernel's, and our own stack over TUN interfaces that are made here, a queue for each loop.
//! Owns: what an interface is configured to. Needs `CAP_NET_ADMIN` for a TUN; the interface goes with the last loop.
//! Invariants: the kernel is network 0 of every loop whether it is listened on or not, since WebSockets come from HTTP.
//! Not here: the spelling (`config::network`), the stack (`network::stack`).

use std::io;

use device::Device;
use device::tun::{Options, Tun};
use mio::Registry;
use stack::config::RouteConfig;
use stack::{Config, InterfaceConfig, InterfaceId, Prefix, Secret, Stack};

use super::StartError;
use crate::config::{NetworkSpec, TunSpec};
use crate::network::Network;
use crate::network::kernel::Kernel;
use crate::network::stack::StackNetwork;

/// What `who` calls our own stack.
const NAME: &str = "stack";

/// Opens every network for every loop, whose polls have these registries. Answers by loop.
pub(super) fn open(
    specs: &[NetworkSpec],
    registries: &[Registry],
) -> Result<Vec<Vec<Box<dyn Network>>>, StartError> {
    let making = |error| StartError::Io { what: "making a poll", error };
    let mut networks: Vec<Vec<Box<dyn Network>>> = Vec::new();
    for registry in registries {
        networks.push(vec![Box::new(Kernel::new(registry.try_clone().map_err(making)?, 0))]);
    }
    for spec in specs {
        let NetworkSpec::Tun(tun) = spec else { continue };
        let opened = open_tun(tun, registries, &mut networks);
        opened.map_err(|error| StartError::Network { spec: spec.clone(), error })?;
    }
    Ok(networks)
}

fn open_tun(
    spec: &TunSpec,
    registries: &[Registry],
    networks: &mut [Vec<Box<dyn Network>>],
) -> io::Result<()> {
    let options = Options {
        name: spec.name.clone(),
        queues: registries.len() as u16,
        addresses: spec.kernel_addresses(),
        ..Options::default()
    };
    let tun = Tun::open(&options)?;
    let config = stack_config(spec, tun.capabilities());
    // One secret for all queues: SYN cookies and timestamps must not depend on where a segment comes in.
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let shared = registries.len() as u8; // 64 at most
    for ((queue, registry), networks) in tun.into_queues().into_iter().zip(registries).zip(networks) {
        let stack =
            Stack::new(&config, &Secret::new(secret), stack::Instant::ZERO).map_err(io::Error::other)?;
        let network = StackNetwork::new(NAME, stack, queue, shared);
        network.register(registry, networks.len() as u8)?;
        networks.push(Box::new(network));
    }
    Ok(())
}

/// The stack on one queue: its addresses, and the kernel as the way to everywhere else.
fn stack_config(spec: &TunSpec, capabilities: wire::meta::Capabilities) -> Config {
    let mut interface = InterfaceConfig::ip(wire::meta::Capabilities { queues: 1, ..capabilities });
    let mut routes = Vec::new();
    for &(address, len) in &spec.addresses {
        interface.addresses.push(Prefix::new(address, len).expect("a checked prefix length"));
        let prefix = if address.is_ipv4() { Prefix::DEFAULT_V4 } else { Prefix::DEFAULT_V6 };
        // A tunnel has no neighbours: whatever is sent, the kernel takes and routes.
        routes.push(RouteConfig { prefix, gateway: None, interface: InterfaceId(0), metric: 0 });
    }
    Config { interfaces: vec![interface], routes, ..Config::default() }
}
