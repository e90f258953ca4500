//! hyper, unchanged, on this stack: an HTTP server that `curl http://10.7.0.2/` reaches over a TUN. Needs root.

use device::Device;
use device::tun::{Options, Tun};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use stack::{Config, InterfaceConfig};
use std::convert::Infallible;
use switchboard_net::{Net, TcpListener};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let kernel = "10.7.0.1".parse().expect("an address");
    let tun = Tun::open(&Options { addresses: vec![(kernel, 24)], ..Options::default() })?;
    let ours = "10.7.0.2/24".parse().expect("a prefix");
    let interface = InterfaceConfig::ip(tun.capabilities()).with_address(ours);
    let host = Net::start(tun, &Config { interfaces: vec![interface], ..Config::default() })?;
    let listener = TcpListener::bind(&host, "10.7.0.2:80".parse().expect("an address"))?;
    println!("try: curl http://10.7.0.2/");
    loop {
        let (stream, peer) = listener.accept_async().await?;
        let hello = service_fn(move |request: Request<Incoming>| async move {
            let text = format!("hello {peer}, you asked for {}\n", request.uri().path());
            Ok::<_, Infallible>(Response::new(text))
        });
        tokio::spawn(async move {
            let served =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), hello);
            if let Err(error) = served.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
